//! Values of all ranks combined, element by element, in the order of ranks: the same bits for the same number of ranks, on
//! every transport and algorithm.
//!
//! Short vectors go to everyone whole and are combined there. Of long ones each rank combines one slice: it receives that
//! slice from all, and sends the result to all, so every rank sends and combines about twice its own length (the two halves
//! of Rabenseifner's all-reduce, 2004, with direct messages, since a tree would change the order).

use super::{bytes, value, values};
use crate::algo::{binomial, direct};
use crate::borrow;
use crate::check::Print;
use crate::posting;
use crate::{Abort, Comm, Op, Plain};
use std::ops::Range;
use std::panic::Location;

/// From this many bytes in all parts together, vectors are cut into slices.
const LONG: usize = 16 << 10;

impl Comm {
    /// All ranks' values combined, on all ranks. Collective; ⌈log₂ p⌉ messages a rank, (p − 1) values sent by each.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    #[doc(alias = "MPI_Allreduce")]
    pub fn all_reduce<T: Plain, O: Op<T>>(&mut self, mine: T, op: O) -> Result<T, Abort> {
        let print = Print::of_op::<T, O>("all_reduce", [1, 0], Location::caller());
        if posting::suits::<T>()
            && let Some(posting) = self.core.posting(print)?
        {
            let mut values = [mine];
            return posting.all_reduce(&mut values, &op).map(|()| values[0]);
        }
        let blobs = self.core.all_blobs(print, bytes(&[mine]))?;
        let all: Result<Vec<T>, Abort> = blobs.iter().map(|b| value(&self.core, &print, b)).collect();
        Ok(all?.into_iter().reduce(|a, b| op.combine(a, b)).expect("at least this rank"))
    }

    /// Element by element over all ranks, in everyone's buffer, which has the same length on all. Collective; up to 16 KiB
    /// over all ranks (p − 1) × length sent by each in ⌈log₂ p⌉ messages, above that about 2 × length in 2 (p − 1) messages.
    ///
    /// # Errors
    /// The job's abort. The buffer's content is then unspecified (but valid).
    #[track_caller]
    pub fn all_reduce_into<T: Plain, O: Op<T>>(&mut self, buf: &mut [T], op: O) -> Result<(), Abort> {
        let at = Location::caller();
        let print = Print::of_op::<T, O>("all_reduce_into", [buf.len() as u64, 0], at);
        let core = &self.core;
        if posting::suits_long::<T>(core, size_of_val(buf), true)
            && let Some(posting) = core.posting(print)?
        {
            return posting.all_reduce(buf, &op);
        }
        if size_of_val(buf) * core.size() <= LONG || core.size() == 1 {
            let blobs = core.all_blobs(print, bytes(buf))?;
            let (first, others) = blobs.split_first().expect("at least this rank");
            buf.copy_from_slice(&values(core, &print, first)?);
            for blob in others {
                op.combine_all(buf, &values(core, &print, blob)?, false);
            }
            return Ok(());
        }
        let mine = self.reduce_slices(print, buf, &op)?;
        let (slice, size) = (slices(buf.len(), core.size()), T::BYTES);
        let to_bytes = |r: Range<usize>| r.start * size..r.end * size;
        let steps =
            direct::exchange(core.me, core.size(), |_| Some(0..mine.len() * size), |q| Some(to_bytes(slice(q))));
        let print = Print::of_op::<T, O>("all_reduce_into (slices)", [buf.len() as u64, 0], at);
        let own = Some((0, slice(core.me).start, mine.len()));
        buf.copy_from_slice(&borrow::exchange(core, print, steps, &mine, buf.len(), own)?);
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
        let print = Print::of_op::<T, O>("reduce", [root.into(), 1], Location::caller());
        let Some(blobs) = self.blobs_to(print, self.check_root(root), binomial::gather, bytes(&[mine]))? else {
            return Ok(None);
        };
        let all: Result<Vec<T>, Abort> = blobs.iter().map(|b| value(&self.core, &print, b)).collect();
        Ok(all?.into_iter().reduce(|a, b| op.combine(a, b)))
    }

    /// Element by element over all ranks, in the root's buffer; other buffers keep their content. All have the same length.
    /// Collective; each rank combines one slice and sends it to the root, so it sends about 2 × length.
    ///
    /// # Errors
    /// The job's abort. The root's buffer is then unspecified (but valid).
    ///
    /// # Panics
    /// If there is no rank `root`.
    #[track_caller]
    pub fn reduce_into<T: Plain, O: Op<T>>(&mut self, root: u32, buf: &mut [T], op: O) -> Result<(), Abort> {
        let (at, root_place) = (Location::caller(), self.check_root(root));
        let print = Print::of_op::<T, O>("reduce_into", [root.into(), buf.len() as u64], at);
        let core = &self.core;
        if posting::suits::<T>()
            && let Some(posting) = core.posting(print)?
        {
            return posting.reduce(root_place, buf, &op);
        }
        let mine = self.reduce_slices(print, buf, &op)?;
        let (slice, size, me) = (slices(buf.len(), core.size()), T::BYTES, core.me);
        let to_bytes = |r: Range<usize>| r.start * size..r.end * size;
        let steps = direct::exchange(
            me,
            core.size(),
            |q| (q == root_place).then_some(0..mine.len() * size),
            |q| (me == root_place).then(|| to_bytes(slice(q))),
        );
        let print = Print::of_op::<T, O>("reduce_into (slices)", [root.into(), buf.len() as u64], at);
        let (room, own) =
            if me == root_place { (buf.len(), Some((0, slice(me).start, mine.len()))) } else { (0, None) };
        let result = borrow::exchange(core, print, steps, &mine, room, own)?;
        if me == root_place {
            buf.copy_from_slice(&result);
        }
        Ok(())
    }

    /// Element by element over all ranks, each rank with its slice of the result: elements ⌊len r / p⌋ to ⌊len (r + 1) / p⌋ on
    /// rank r. All ranks pass the same length. Collective; p − 1 messages a rank, each slice straight to the rank that combines
    /// it.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    #[doc(alias = "MPI_Reduce_scatter")]
    pub fn reduce_scatter<T: Plain, O: Op<T>>(&mut self, buf: &[T], op: O) -> Result<Vec<T>, Abort> {
        let print = Print::of_op::<T, O>("reduce_scatter", [buf.len() as u64, 0], Location::caller());
        self.reduce_slices(print, buf, &op)
    }

    /// This rank's slice of `buf`, combined over all ranks in their order.
    fn reduce_slices<T: Plain, O: Op<T>>(&self, print: Print, buf: &[T], op: &O) -> Result<Vec<T>, Abort> {
        let core = &self.core;
        let (slice, size) = (slices(buf.len(), core.size()), T::BYTES);
        let mine = slice(core.me);
        let len = mine.len();
        let steps = direct::exchange(
            core.me,
            core.size(),
            |q| Some(slice(q).start * size..slice(q).end * size),
            |q| Some(q * len * size..(q + 1) * len * size),
        );
        let own = Some((mine.start, core.me * len, len));
        let all = borrow::exchange(core, print, steps, buf, len * core.size(), own)?;
        let (first, others) = all.split_at(len);
        let mut sum = first.to_vec();
        if len > 0 {
            others.chunks(len).for_each(|part| op.combine_all(&mut sum, part, false));
        }
        Ok(sum)
    }
}

/// Slice r of `len` elements among `size` ranks: contiguous, equal but for one element.
pub(crate) fn slices(len: usize, size: usize) -> impl Fn(usize) -> Range<usize> {
    let cut = move |r: usize| (len as u128 * r as u128 / size as u128) as usize;
    move |r| cut(r)..cut(r + 1)
}
