//! One rank's values to all.

use super::value;
use crate::algo::model::Collective;
use crate::algo::{Piece, binomial, ways};
use crate::borrow;
use crate::check::Print;
use crate::flow::Cargo;
use crate::posting;
use crate::{Abort, Comm, Plain};
use std::panic::Location;

impl Comm {
    /// The root's value on all ranks; what others pass is ignored. Collective; at most ⌈log₂ p⌉ messages a rank, p − 1 in
    /// all (binomial tree).
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If there is no rank `root`.
    #[track_caller]
    #[doc(alias = "MPI_Bcast")]
    pub fn broadcast<T: Plain>(&mut self, root: u32, value_of_root: T) -> Result<T, Abort> {
        let print = Print::new::<T>("broadcast", [root.into(), 1], Location::caller());
        let at = self.check_root(root);
        let mine = (self.core.me == at).then(|| super::bytes(&[value_of_root]));
        value(&self.core, &print, &self.blob_from(print, at, mine)?)
    }

    /// The root's values in everyone's buffer, which has the same length on all ranks. Collective; short ones by p − 1
    /// messages in all (binomial tree), long ones in slices (scatter and ring: about 2 × length at each rank) or in segments
    /// along a chain or a tree; with several hosts, one vector a host between them. Each straight from buffer to buffer.
    ///
    /// # Errors
    /// The job's abort. The buffer's content is then unspecified (but valid).
    ///
    /// # Panics
    /// If there is no rank `root`.
    #[track_caller]
    pub fn broadcast_into<T: Plain>(&mut self, root: u32, buf: &mut [T]) -> Result<(), Abort> {
        let print = Print::new::<T>("broadcast_into", [root.into(), buf.len() as u64], Location::caller());
        let root = self.check_root(root);
        if posting::suits_long::<T>(&self.core, size_of_val(buf), true)
            && let Some(posting) = self.core.posting(print)?
        {
            return posting.broadcast(root, buf);
        }
        let (core, len) = (&self.core, size_of_val(buf));
        let case = core.case_of_bytes(len, root == 0);
        let steps = ways::broadcast(core.choose(Collective::Broadcast, &case), &case, core.me, root, len);
        borrow::in_place(core, print, steps, buf)
    }

    /// The root's blob on all ranks.
    pub(crate) fn blob_from(&self, print: Print, root: usize, mine: Option<Vec<u8>>) -> Result<Vec<u8>, Abort> {
        if let Some(posting) = self.core.posting(print)? {
            return posting.bytes_from(root, mine);
        }
        let steps = binomial::broadcast(self.core.me, root, self.core.size(), Piece::Blob(0));
        let cargo = self.core.run(print, Cargo { steps, blobs: vec![mine], ..Cargo::default() })?;
        Ok(cargo.blobs.into_iter().next().flatten().expect("the root's blob has come"))
    }
}
