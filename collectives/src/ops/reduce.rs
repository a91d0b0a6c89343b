//! Values of all ranks combined, element by element. By default in the order of ranks, with its brackets: the same bits for the
//! same number of ranks, on every transport and algorithm. Operations that allow more ([`Op::order`]) take more ways: what is
//! combined on the way need then not be of one run of ranks from the first.

use super::{bytes, value, values};
use crate::algo::model::{Algorithm, Collective};
use crate::algo::{direct, ring, slices, ways};
use crate::borrow;
use crate::check::Print;
use crate::posting;
use crate::transport::memory::any_bits;
use crate::{Abort, Comm, Op, Plain};
use std::panic::Location;

impl Comm {
    /// All ranks' values combined, on all ranks. Collective; ⌈log₂ p⌉ messages a rank, (p − 1) values sent by each, or one a
    /// message if the operation's brackets may be moved.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    #[doc(alias = "MPI_Allreduce")]
    pub fn all_reduce<T: Plain, O: Op<T>>(&mut self, mine: T, op: O) -> Result<T, Abort> {
        let print = Print::of_op::<T, O>("all_reduce", op.order(), [1, 0], Location::caller());
        let mut value = [mine];
        if posting::suits::<T>()
            && let Some(posting) = self.core.posting(print)?
        {
            return posting.all_reduce(&mut value, &op).map(|()| value[0]);
        }
        self.all_reduce_by_messages(print, &mut value, op)?;
        Ok(value[0])
    }

    /// Element by element over all ranks, in everyone's buffer, which has the same length on all. Collective. In the order of
    /// ranks: short vectors (p − 1) × length sent by each in ⌈log₂ p⌉ messages, long ones about 2 × length in 2 (p − 1) messages.
    /// Otherwise ⌈log₂ p⌉ × length in as many messages (recursive doubling), or about 2 × length in 2 ⌈log₂ p⌉ (recursive
    /// halving) or 2 (p − 1) messages (ring); and with several hosts, one vector a host between them.
    ///
    /// # Errors
    /// The job's abort. The buffer's content is then unspecified (but valid).
    #[track_caller]
    pub fn all_reduce_into<T: Plain, O: Op<T>>(&mut self, buf: &mut [T], op: O) -> Result<(), Abort> {
        let print = Print::of_op::<T, O>("all_reduce_into", op.order(), [buf.len() as u64, 0], Location::caller());
        let core = &self.core;
        if posting::suits_long::<T>(core, size_of_val(buf), true)
            && let Some(posting) = core.posting(print)?
        {
            return posting.all_reduce(buf, &op);
        }
        self.all_reduce_by_messages(print, buf, op)
    }

    fn all_reduce_by_messages<T: Plain, O: Op<T>>(&self, print: Print, buf: &mut [T], op: O) -> Result<(), Abort> {
        let core = &self.core;
        let case = core.case(size_of_val(buf), op.order(), true);
        let how = if any_bits::<T>() { core.choose(Collective::AllReduce, &case) } else { Algorithm::Gathered };
        if how != Algorithm::Gathered {
            let (steps, room) = ways::all_reduce(how, &case, core.me, buf.len());
            return borrow::combining(core, print, steps, buf, room, op).map(drop);
        }
        let blobs = core.all_blobs(print, bytes(buf))?;
        self.fold_into(&print, buf, &blobs, &op)
    }

    /// Vectors of equal length combined in their order; there is at least one.
    fn fold_into<T: Plain, O: Op<T>>(
        &self,
        print: &Print,
        into: &mut [T],
        blobs: &[Vec<u8>],
        op: &O,
    ) -> Result<(), Abort> {
        let (first, others) = blobs.split_first().expect("at least this rank");
        into.copy_from_slice(&values(&self.core, print, first)?);
        for blob in others {
            op.combine_all(into, &values(&self.core, print, blob)?, false);
        }
        Ok(())
    }

    /// All ranks' values combined, on the root; `None` elsewhere. Collective; p − 1 messages in all, ⌈log₂ p⌉ at the root.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If there is no rank `root`.
    #[track_caller]
    #[doc(alias = "MPI_Reduce")]
    pub fn reduce<T: Plain, O: Op<T>>(&mut self, root: u32, mine: T, op: O) -> Result<Option<T>, Abort> {
        let print = Print::of_op::<T, O>("reduce", op.order(), [root.into(), 1], Location::caller());
        let at = self.check_root(root);
        let Some(blobs) = self.blobs_to(print, at, size_of_val(&mine), bytes(&[mine]))? else { return Ok(None) };
        let all: Result<Vec<T>, Abort> = blobs.iter().map(|b| value(&self.core, &print, b)).collect();
        Ok(all?.into_iter().reduce(|a, b| op.combine(a, b)))
    }

    /// Element by element over all ranks, in the root's buffer; other buffers keep their content. All have the same length.
    /// Collective. In the order of ranks each combines one slice and sends it to the root, so it sends about 2 × length;
    /// otherwise also by a tree of p − 1 vectors, ⌈log₂ p⌉ at the root.
    ///
    /// # Errors
    /// The job's abort. The root's buffer is then unspecified (but valid).
    ///
    /// # Panics
    /// If there is no rank `root`.
    #[track_caller]
    pub fn reduce_into<T: Plain, O: Op<T>>(&mut self, root: u32, buf: &mut [T], op: O) -> Result<(), Abort> {
        let (at, root_place) = (Location::caller(), self.check_root(root));
        let print = Print::of_op::<T, O>("reduce_into", op.order(), [root.into(), buf.len() as u64], at);
        let core = &self.core;
        if posting::suits::<T>()
            && let Some(posting) = core.posting(print)?
        {
            return posting.reduce(root_place, buf, &op);
        }
        let case = core.case(size_of_val(buf), op.order(), root_place == 0);
        let how = if any_bits::<T>() { core.choose(Collective::Reduce, &case) } else { Algorithm::Gathered };
        if how == Algorithm::Gathered {
            let Some(blobs) = self.blobs_to(print, root_place, size_of_val(buf), bytes(buf))? else { return Ok(()) };
            return self.fold_into(&print, buf, &blobs, &op);
        }
        let (steps, room) = ways::reduce(how, &case, core.me, root_place, buf.len());
        if core.me == root_place || how == Algorithm::Slices {
            return borrow::combining(core, print, steps, buf, room, op).map(drop); // others only read theirs
        }
        borrow::combining(core, print, steps, &mut buf.to_vec(), room, op).map(drop)
    }

    /// Element by element over all ranks, each rank with its slice of the result: elements ⌊len r / p⌋ to ⌊len (r + 1) / p⌋ on
    /// rank r. All ranks pass the same length. Collective; p − 1 messages a rank, each slice straight to the rank that combines
    /// it, or around a ring if the order does not matter.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    #[doc(alias = "MPI_Reduce_scatter")]
    pub fn reduce_scatter<T: Plain, O: Op<T>>(&mut self, buf: &[T], op: O) -> Result<Vec<T>, Abort> {
        let print = Print::of_op::<T, O>("reduce_scatter", op.order(), [buf.len() as u64, 0], Location::caller());
        let (core, len, mut own) = (&self.core, buf.len(), buf.to_vec());
        let (me, size) = (core.me, core.size());
        let slice = slices(len, size)(me);
        if !any_bits::<T>() {
            let blobs: Vec<Vec<u8>> = core.all_blobs(print, bytes(buf))?;
            self.fold_into(&print, &mut own, &blobs, &op)?;
            return Ok(own[slice].to_vec());
        }
        let case = core.case(size_of_val(buf), op.order(), true);
        if core.choose(Collective::ReduceScatter, &case) == Algorithm::Ring {
            let room = len.div_ceil(size);
            borrow::combining(core, print, ring::reduce_scatter(me, size, len), &mut own, room, op)?;
            return Ok(own[slice].to_vec());
        }
        let steps = direct::reduce_slices(me, size, len);
        let mut sum = borrow::combining(core, print, steps, &mut own, slice.len() * size, op)?;
        sum.truncate(slice.len());
        Ok(sum)
    }
}
