//! One rank's values dealt out to all.

use super::gather::UNKNOWN;
use super::{bytes, value, values};
use crate::algo::model::{Collective, Order};
use crate::algo::ways;
use crate::check::Print;
use crate::flow::{Blobs, Cargo};
use crate::{Abort, Comm, Plain};
use std::panic::Location;

impl Comm {
    /// Value r of the root to each rank r. The root passes one value a rank; what others pass is ignored. Collective; p − 1
    /// messages in all, ⌈log₂ p⌉ from the root (binomial tree), or one straight to each rank.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If there is no rank `root`, or on the root if there is not one value a rank.
    #[track_caller]
    #[doc(alias = "MPI_Scatter")]
    pub fn scatter<T: Plain>(&mut self, root: u32, all: Option<&[T]>) -> Result<T, Abort> {
        let print = Print::new::<T>("scatter", [root.into(), 1], Location::caller());
        let blobs = self.parts_of_root(root, || {
            let all = all.expect("the root of a scatter has the values");
            assert_eq!(all.len(), self.core.size(), "values to scatter, one a rank");
            all.chunks(1).map(bytes).collect()
        });
        value(&self.core, &print, &self.blob_of(print, root, T::BYTES, blobs)?)
    }

    /// Part r of the root, of any length, to each rank r. Collective; one message from the root straight to each rank.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If there is no rank `root`, or on the root if there is not one part a rank.
    #[track_caller]
    #[doc(alias = "MPI_Scatterv")]
    pub fn scatter_v<T: Plain>(&mut self, root: u32, parts: Option<&[Vec<T>]>) -> Result<Vec<T>, Abort> {
        let print = Print::new::<T>("scatter_v", [root.into(), 0], Location::caller());
        let blobs = self.parts_of_root(root, || {
            let parts = parts.expect("the root of a scatter has the values");
            assert_eq!(parts.len(), self.core.size(), "parts to scatter, one a rank");
            parts.iter().map(|part| bytes(part)).collect()
        });
        values(&self.core, &print, &self.blob_of(print, root, UNKNOWN, blobs)?)
    }

    fn parts_of_root(&self, root: u32, blobs: impl FnOnce() -> Vec<Vec<u8>>) -> Blobs {
        if self.check_root(root) == self.core.me {
            blobs().into_iter().map(Some).collect()
        } else {
            vec![None; self.core.size()]
        }
    }

    fn blob_of(&self, print: Print, root: u32, bytes: usize, blobs: Blobs) -> Result<Vec<u8>, Abort> {
        let core = &self.core;
        let case = core.case(bytes.saturating_mul(core.size()), Order::Any, root == 0);
        let steps = ways::scatter(core.choose(Collective::Scatter, &case), &case, core.me, root as usize);
        let mut cargo = core.run(print, Cargo { steps, blobs, ..Cargo::default() })?;
        Ok(cargo.blobs[core.me].take().expect("our part has come"))
    }
}
