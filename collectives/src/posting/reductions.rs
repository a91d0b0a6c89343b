//! Values that are combined, in the order of ranks.

use super::{Posting, chunk, chunks};
use crate::algo::slices;
use crate::failure::Abort;
use crate::ops::Op;
use crate::plain::Plain;
use crate::transport::board::ROOM;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// From this many bytes on, more than two ranks reduce by slices.
const SLICED: usize = 16 << 10;

impl Posting<'_> {
    /// Everybody's values combined in the order of ranks, in everybody's buffer of equal length. Any bits must be a `T`.
    pub(crate) fn all_reduce<T: Plain, O: Op<T>>(self, values: &mut [T], op: &O) -> Result<(), Abort> {
        let room = ROOM / T::BYTES;
        if self.board.members > 2 && size_of_val(values) > SLICED {
            return self.all_reduce_by_slices(values, op);
        }
        let steps = chunks(values.len(), room);
        let total = size_of_val(values);
        let (mut own, mut folding): (Vec<T>, _) = (Vec::new(), Folding::default());
        self.post(0, total, &[bytemuck::cast_slice(&values[chunk(values.len(), room, 0)])])?;
        for k in 0..steps {
            if k + 1 < steps {
                self.post(k + 1, total, &[bytemuck::cast_slice(&values[chunk(values.len(), room, k + 1)])])?;
            }
            self.read_of(k, self.others(), |_| total)?;
            let len = values.len();
            let mine = &mut values[chunk(len, room, k)];
            folding.run(|| self.fold(k, (size_of_val(mine), 0), mine, &mut own, op));
            self.through(k);
        }
        self.end(steps);
        folding.end();
        Ok(())
    }

    /// As above, each rank with its slice of every chunk, which it then posts: about three times the length for each, whatever
    /// the number of ranks.
    fn all_reduce_by_slices<T: Plain, O: Op<T>>(self, values: &mut [T], op: &O) -> Result<(), Abort> {
        let (room, len, me) = (ROOM / T::BYTES, values.len(), self.board.me);
        let (rounds, mut own) = (chunks(len, room), Vec::<T>::new());
        for round in 0..rounds {
            let (all, sums) = (2 * round, 2 * round + 1);
            let mine = &mut values[chunk(len, room, round)];
            let (of, slice) = (size_of_val(mine), slices(mine.len(), self.board.members));
            self.post(all, of, &[bytemuck::cast_slice(mine)])?;
            self.read_of(all, self.others(), |_| of)?;
            let part = &mut mine[slice(me)];
            let from = slice(me).start * T::BYTES;
            self.fold(all, (of, from), part, &mut own, op); // a panic ends the job: the others need our slice
            self.post(sums, of, &[bytemuck::cast_slice(&mine[slice(me)])])?;
            self.read_of(sums, self.others(), |_| of)?;
            for m in self.others() {
                let part = &mut mine[slice(m)];
                self.board.load((m, self.before + 1 + sums, size_of_val(part), 0), part, of);
            }
            self.through(sums);
        }
        self.end(2 * rounds);
        Ok(())
    }

    /// Combines what all have posted in a step (`of` bytes, the part `from` a byte on) with `mine`, in the order of ranks. `own`
    /// is room for a copy.
    fn fold<T: Plain, O: Op<T>>(&self, k: u64, (of, from): (usize, usize), mine: &mut [T], own: &mut Vec<T>, op: &O) {
        let (me, members) = (self.board.me, self.board.members);
        let at = |m: usize| (m, self.before + 1 + k, of, from);
        match me {
            0 => (1..members).for_each(|m| self.board.combine(at(m), mine, op, false)),
            1 => {
                self.board.combine(at(0), mine, op, true);
                (2..members).for_each(|m| self.board.combine(at(m), mine, op, false));
            }
            _ => {
                // Ours comes in the middle.
                own.clear();
                own.extend_from_slice(mine);
                self.board.load(at(0), mine, of);
                for m in 1..members {
                    match m == me {
                        true => op.combine_all(mine, own, false),
                        false => self.board.combine(at(m), mine, op, false),
                    }
                }
            }
        }
    }

    /// Everybody's values combined in the order of ranks, in the root's buffer; others keep theirs. Any bits must be a `T`.
    pub(crate) fn reduce<T: Plain, O: Op<T>>(self, root: usize, values: &mut [T], op: &O) -> Result<(), Abort> {
        let (me, room) = (self.board.me, ROOM / T::BYTES);
        let (len, steps, mut own) = (values.len(), chunks(values.len(), room), Vec::new());
        let mut folding = Folding::default();
        for k in 0..steps {
            let mine = &mut values[chunk(len, room, k)];
            if me != root {
                self.post(k, size_of_val(mine), &[bytemuck::cast_slice(mine)])?;
                self.through(k);
                continue;
            }
            self.read_of(k, self.others(), |_| size_of_val(mine))?;
            folding.run(|| self.fold(k, (size_of_val(mine), 0), mine, &mut own, op));
            self.through(k);
        }
        self.end(steps);
        folding.end();
        Ok(())
    }
}

/// Runs an operation of the program's. If it panics, the call goes on without it to its end, so that the board is where all
/// expect it, and panics then: as where all that a call sends has been sent before it is combined.
#[derive(Default)]
struct Folding(Option<Box<dyn Any + Send>>);

impl Folding {
    fn run(&mut self, fold: impl FnOnce()) {
        if self.0.is_none() {
            self.0 = catch_unwind(AssertUnwindSafe(fold)).err();
        }
    }

    fn end(self) {
        if let Some(panic) = self.0 {
            resume_unwind(panic);
        }
    }
}
