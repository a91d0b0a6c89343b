//! Reductions over the ranks up to each rank.

use super::{bytes, value};
use crate::algo::doubling;
use crate::algo::model::{Algorithm, Collective};
use crate::borrow;
use crate::check::Print;
use crate::transport::memory::any_bits;
use crate::{Abort, Comm, Op, Plain};
use std::panic::Location;

impl Comm {
    /// The values of ranks 0 to this one, combined in their order. Collective; ⌈log₂ p⌉ messages a rank, (p − 1) values
    /// sent by each, or one a message if the operation's brackets may be moved (recursive doubling).
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    #[doc(alias = "MPI_Scan")]
    pub fn scan<T: Plain, O: Op<T>>(&mut self, mine: T, op: O) -> Result<T, Abort> {
        let print = Print::of_op::<T, O>("scan", op.order(), [1, 0], Location::caller());
        let up_to = self.core.me + 1;
        Ok(self.prefix(print, mine, op, up_to)?.expect("at least this rank"))
    }

    /// The values of the ranks below this one, combined in their order; `None` on rank 0. Collective; cost as `scan`.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    #[doc(alias = "MPI_Exscan")]
    pub fn exscan<T: Plain, O: Op<T>>(&mut self, mine: T, op: O) -> Result<Option<T>, Abort> {
        let print = Print::of_op::<T, O>("exscan", op.order(), [1, 0], Location::caller());
        let below = self.core.me;
        self.prefix(print, mine, op, below)
    }

    fn prefix<T: Plain, O: Op<T>>(&self, print: Print, mine: T, op: O, count: usize) -> Result<Option<T>, Abort> {
        let core = &self.core;
        let case = core.case(T::BYTES, op.order(), true);
        if core.board().is_none() && any_bits::<T>() && core.choose(Collective::Scan, &case) == Algorithm::Doubling {
            let exclusive = count == core.me;
            let steps = doubling::scan(core.me, core.size(), 1, exclusive);
            let mut own = [mine];
            let rooms = borrow::combining(core, print, steps, &mut own, 2, op)?;
            return Ok(if exclusive { Some(rooms[1]).filter(|_| count > 0) } else { Some(own[0]) });
        }
        let blobs = core.all_blobs(print, bytes(&[mine]))?;
        let first: Result<Vec<T>, Abort> = blobs[..count].iter().map(|b| value(core, &print, b)).collect();
        Ok(first?.into_iter().reduce(|a, b| op.combine(a, b)))
    }
}
