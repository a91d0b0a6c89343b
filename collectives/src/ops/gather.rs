//! Every rank's values to one rank, or to all.

use super::{bytes, parts, value};
use crate::algo::model::{Collective, Order};
use crate::algo::{scaled, ways};
use crate::borrow;
use crate::check::Print;
use crate::flow::{Blobs, Cargo};
use crate::posting;
use crate::transport::memory::any_bits;
use crate::{Abort, Comm, Parts, Plain};
use std::panic::Location;

/// Up to this many bytes of a rank's part travel with the message that tells its length.
const ALONG: usize = 256;
/// Parts of lengths that only their ranks know are taken for long ones: they travel once.
pub(super) const UNKNOWN: usize = 1 << 20;

impl Comm {
    /// One value of each rank, in their order, on the root; `None` elsewhere. Collective; p − 1 messages in all, ⌈log₂ p⌉
    /// at the root (binomial tree).
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If there is no rank `root`.
    #[track_caller]
    #[doc(alias = "MPI_Gather")]
    pub fn gather<T: Plain>(&mut self, root: u32, mine: T) -> Result<Option<Vec<T>>, Abort> {
        let print = Print::new::<T>("gather", [root.into(), 1], Location::caller());
        let blobs = self.blobs_to(print, self.check_root(root), T::BYTES, bytes(&[mine]))?;
        blobs.map(|b| parts(&self.core, &print, &b).map(Parts::into_vec)).transpose()
    }

    /// The values of each rank, however many, on the root; `None` elsewhere. Collective; one message from each rank
    /// straight to the root.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If there is no rank `root`.
    #[track_caller]
    #[doc(alias = "MPI_Gatherv")]
    pub fn gather_v<T: Plain>(&mut self, root: u32, mine: &[T]) -> Result<Option<Parts<T>>, Abort> {
        let print = Print::new::<T>("gather_v", [root.into(), 0], Location::caller());
        let blobs = self.blobs_to(print, self.check_root(root), UNKNOWN, bytes(mine))?;
        blobs.map(|b| parts(&self.core, &print, &b)).transpose()
    }

    /// One value of each rank, in their order, on all. Collective; ⌈log₂ p⌉ messages a rank, (p − 1) values sent by each
    /// (Bruck's algorithm).
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    #[doc(alias = "MPI_Allgather")]
    pub fn all_gather<T: Plain>(&mut self, mine: T) -> Result<Vec<T>, Abort> {
        let print = Print::new::<T>("all_gather", [1, 0], Location::caller());
        let blobs = self.core.all_blobs(print, bytes(&[mine]))?;
        blobs.iter().map(|blob| value(&self.core, &print, blob)).collect()
    }

    /// The values of each rank, however many, on all. Collective; ⌈log₂ p⌉ messages a rank tell the lengths, and carry the
    /// values too if no rank has more than 256 bytes; else p − 1 parts are received by each
    /// rank, in as many messages (straight from their ranks, or around a ring) or in ⌈log₂ p⌉.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    #[doc(alias = "MPI_Allgatherv")]
    pub fn all_gather_v<T: Plain>(&mut self, mine: &[T]) -> Result<Parts<T>, Abort> {
        let at = Location::caller();
        let print = Print::new::<T>("all_gather_v", [0; 2], at);
        if posting::suits::<T>()
            && let Some(posting) = self.core.posting(print)?
        {
            return posting.all_values(mine).map(|(values, ends)| Parts::new(values, ends));
        }
        let mut head = (mine.len() as u64).to_le_bytes().to_vec();
        if size_of_val(mine) <= ALONG {
            head.extend(bytes(mine));
        }
        let heads = self.core.all_blobs(print, head)?;
        let length = |head: &Vec<u8>| u64::from_le_bytes(head[..8].try_into().expect("8 bytes of length")) as usize;
        let mut ends: Vec<usize> = heads.iter().map(length).collect();
        if ends.iter().all(|len| len * T::BYTES <= ALONG) {
            let values: Vec<Vec<u8>> = heads.into_iter().map(|head| head[8..].to_vec()).collect();
            return parts(&self.core, &print, &values);
        }
        let mut total = 0;
        ends.iter_mut().for_each(|end| (total, *end) = (total + *end, total + *end));
        let (core, me) = (&self.core, self.core.me);
        let place = |rank: usize| if rank == 0 { 0 } else { ends[rank - 1] }..ends[rank];
        let print = Print::new::<T>("all_gather_v (values)", [total as u64, 0], at);
        let case = core.case(total * T::BYTES, Order::Any, true);
        let how = core.choose(Collective::AllGather, &case);
        let steps = scaled(ways::all_gather(how, &case, me, place), T::BYTES);
        let values = borrow::gathered(core, print, steps, mine, total, place(me).start)?;
        Ok(Parts::new(values, ends))
    }

    /// Values of each rank, as many on each, in the order of ranks on all, in a buffer that can be used again. Any bits must
    /// be a `T`, so not for `bool` and `char`. Collective; p − 1 parts received by each rank, in as many messages
    /// (straight from their ranks, or around a ring) or in ⌈log₂ p⌉ (Bruck's algorithm, recursive doubling).
    ///
    /// # Errors
    /// The job's abort. The buffer's content is then unspecified (but valid).
    ///
    /// # Panics
    /// If `all` has not as many values for each rank as `mine` has, or not every bit pattern is a `T`.
    #[track_caller]
    pub fn all_gather_into<T: Plain>(&mut self, mine: &[T], all: &mut [T]) -> Result<(), Abort> {
        let (core, size) = (&self.core, size_of_val(mine));
        assert_eq!(Some(all.len()), mine.len().checked_mul(core.size()), "the buffer's length, {} a rank", mine.len());
        assert!(any_bits::<T>(), "{} has bit patterns that are no value", std::any::type_name::<T>());
        let print = Print::new::<T>("all_gather_into", [mine.len() as u64, 0], Location::caller());
        if posting::suits_long::<T>(core, size, false)
            && let Some(posting) = core.posting(print)?
        {
            return posting.all_gather_into(mine, all);
        }
        let len = mine.len();
        all[core.me * len..(core.me + 1) * len].copy_from_slice(mine);
        let case = core.case(size_of_val(all), Order::Any, true);
        let how = core.choose(Collective::AllGather, &case);
        let steps = ways::all_gather(how, &case, core.me, |q| q * len..(q + 1) * len);
        borrow::in_place(core, print, scaled(steps, T::BYTES), all)
    }

    /// Blobs of all ranks on the root; `bytes` of each, as far as all know.
    pub(crate) fn blobs_to(
        &self,
        print: Print,
        root: usize,
        bytes: usize,
        mine: Vec<u8>,
    ) -> Result<Option<Vec<Vec<u8>>>, Abort> {
        let core = &self.core;
        let mut blobs: Blobs = vec![None; core.size()];
        blobs[core.me] = Some(mine);
        let case = core.case(bytes * core.size(), Order::Any, root == 0);
        let steps = ways::gather(core.choose(Collective::Gather, &case), &case, core.me, root);
        let cargo = core.run(print, Cargo { steps, blobs, ..Cargo::default() })?;
        let all = || cargo.blobs.into_iter().map(|b| b.expect("every rank's blob has come")).collect();
        Ok((core.me == root).then(all))
    }
}
