//! Collectives that are started now and waited for later: `start_…`, one for each blocking one. Their buffers are moved in and
//! come back with the result, so a [`Pending`] may be dropped or forgotten.
//!
//! They go by messages, since a board is read only by ranks that wait. A rank's messages move whenever it waits for anything,
//! or works in `par`, `each` or a sweep.

use crate::algo::model::{Algorithm, Collective};
use crate::algo::slices;
use crate::algo::{Move, Piece, Step, binomial, direct, dissemination, ways};
use crate::borrow;
use crate::check::Print;
use crate::core::Core;
use crate::flow::{Blobs, Cargo};
use crate::ops::{bytes, parts, values};
use crate::pending::Pending;
use crate::transport::memory::{Memory, any_bits};
use crate::{Abort, Comm, Op, Parts, Plain};
use std::panic::Location;

/// A blob that was due.
fn landed(blob: Option<Vec<u8>>) -> Vec<u8> {
    blob.expect("a blob that was due has come")
}

/// Each blob's values.
fn all_values<T: Plain>(
    core: &Core,
    print: &Print,
    blobs: impl Iterator<Item = Option<Vec<u8>>>,
) -> Result<Vec<Vec<T>>, Abort> {
    blobs.map(|blob| values(core, print, &landed(blob))).collect()
}

/// Each blob's values, a part each.
fn all_parts<T: Plain>(core: &Core, print: &Print, blobs: Blobs) -> Result<Parts<T>, Abort> {
    parts(core, print, &blobs.into_iter().map(landed).collect::<Vec<_>>())
}

/// Vectors of equal length, combined element by element in their order.
fn fold<T: Plain, O: Op<T>>(parts: impl IntoIterator<Item = Vec<T>>, op: &O) -> Option<Vec<T>> {
    parts.into_iter().reduce(|mut left, right| {
        op.combine_all(&mut left, &right, false);
        left
    })
}

impl Comm {
    fn begin<R>(
        &mut self,
        print: Print,
        steps: Vec<Step>,
        blobs: Blobs,
        open: impl FnOnce(&Core, Blobs) -> Result<R, Abort> + 'static,
    ) -> Pending<R> {
        let open = Box::new(move |core: &Core, blobs, _| open(core, blobs));
        Pending::new(&self.core, print, Cargo { steps, blobs, ..Cargo::default() }, open)
    }

    /// A place for each rank's blob, and ours in it.
    fn own_blob(&self, mine: Vec<u8>) -> Blobs {
        let mut blobs: Blobs = vec![None; self.core.size()];
        blobs[self.core.me] = Some(mine);
        blobs
    }

    /// Starts a [`barrier`](Comm::barrier): its wait ends when all ranks have started it. Collective; ⌈log₂ p⌉ empty messages a
    /// rank (dissemination barrier).
    #[track_caller]
    #[doc(alias = "MPI_Ibarrier")]
    pub fn start_barrier(&mut self) -> Pending<()> {
        let print = Print::new::<()>("start_barrier", [0; 2], Location::caller());
        let steps = dissemination::barrier(self.core.me, self.core.size());
        self.begin(print, steps, vec![], |_, _| Ok(()))
    }

    /// Starts a broadcast of the root's values, of any length; what others pass is ignored. Collective; p − 1 messages in all
    /// (binomial tree).
    ///
    /// # Panics
    /// If there is no rank `root`.
    #[track_caller]
    #[doc(alias = "MPI_Ibcast")]
    pub fn start_broadcast<T: Plain>(&mut self, root: u32, values_of_root: Vec<T>) -> Pending<Vec<T>> {
        let print = Print::new::<T>("start_broadcast", [root.into(), 0], Location::caller());
        let (me, at) = (self.core.me, self.check_root(root));
        let steps = binomial::broadcast(me, at, self.core.size(), Piece::Blob(0));
        let blobs = vec![(me == at).then(|| bytes(&values_of_root))];
        self.begin(print, steps, blobs, move |core, mut blobs| values(core, &print, &landed(blobs[0].take())))
    }

    /// Starts a [`gather_v`](Comm::gather_v). Collective; one message from each rank straight to the root.
    ///
    /// # Panics
    /// If there is no rank `root`.
    #[track_caller]
    #[doc(alias = "MPI_Igatherv")]
    pub fn start_gather<T: Plain>(&mut self, root: u32, mine: Vec<T>) -> Pending<Option<Parts<T>>> {
        let print = Print::new::<T>("start_gather", [root.into(), 0], Location::caller());
        let (me, at) = (self.core.me, self.check_root(root));
        let steps = direct::with_root(me, at, self.core.size(), true);
        let blobs = self.own_blob(bytes(&mine));
        self.begin(print, steps, blobs, move |core, blobs| {
            (me == at).then(|| all_parts(core, &print, blobs)).transpose()
        })
    }

    /// Starts a [`scatter_v`](Comm::scatter_v): part r of the root to rank r. Collective; one message from the root straight to
    /// each rank.
    ///
    /// # Panics
    /// If there is no rank `root`, or on the root if there is not one part a rank.
    #[track_caller]
    #[doc(alias = "MPI_Iscatterv")]
    pub fn start_scatter<T: Plain>(&mut self, root: u32, parts: Option<Vec<Vec<T>>>) -> Pending<Vec<T>> {
        let print = Print::new::<T>("start_scatter", [root.into(), 0], Location::caller());
        let (me, size, at) = (self.core.me, self.core.size(), self.check_root(root));
        let mut blobs: Blobs = vec![None; size];
        if me == at {
            let parts = parts.expect("the root of a scatter has the values");
            assert_eq!(parts.len(), size, "parts to scatter, one a rank");
            blobs = parts.iter().map(|part| Some(bytes(part))).collect();
        }
        let steps = direct::with_root(me, at, size, false);
        self.begin(print, steps, blobs, move |core, mut blobs| values(core, &print, &landed(blobs[me].take())))
    }

    /// Starts an [`all_gather_v`](Comm::all_gather_v). Collective; ⌈log₂ p⌉ messages a rank (Bruck's algorithm).
    #[track_caller]
    #[doc(alias = "MPI_Iallgatherv")]
    pub fn start_all_gather<T: Plain>(&mut self, mine: Vec<T>) -> Pending<Parts<T>> {
        let print = Print::new::<T>("start_all_gather", [0; 2], Location::caller());
        let steps = dissemination::all_gather(self.core.me, self.core.size());
        let blobs = self.own_blob(bytes(&mine));
        self.begin(print, steps, blobs, move |core, blobs| all_parts(core, &print, blobs))
    }

    /// Starts a [`reduce_into`](Comm::reduce_into) of an owned buffer, of the same length on all ranks; `None` elsewhere than on
    /// the root. Collective; one message from each rank straight to the root.
    ///
    /// # Panics
    /// If there is no rank `root`.
    #[track_caller]
    #[doc(alias = "MPI_Ireduce")]
    pub fn start_reduce<T: Plain, O: Op<T>>(&mut self, root: u32, buf: Vec<T>, op: O) -> Pending<Option<Vec<T>>> {
        let print =
            Print::of_op::<T, O>("start_reduce", op.order(), [root.into(), buf.len() as u64], Location::caller());
        let (me, at) = (self.core.me, self.check_root(root));
        let steps = direct::with_root(me, at, self.core.size(), true);
        let blobs = self.own_blob(bytes(&buf));
        self.begin(print, steps, blobs, move |core, blobs| {
            if me != at {
                return Ok(None);
            }
            Ok(fold(all_values(core, &print, blobs.into_iter())?, &op))
        })
    }

    /// Starts an [`all_reduce_into`](Comm::all_reduce_into) of an owned buffer, element by element in the order of ranks.
    /// All ranks pass the same length. Collective; cost as `all_reduce_into`.
    #[track_caller]
    #[doc(alias = "MPI_Iallreduce")]
    pub fn start_all_reduce<T: Plain, O: Op<T>>(&mut self, buf: Vec<T>, op: O) -> Pending<Vec<T>> {
        let print = Print::of_op::<T, O>("start_all_reduce", op.order(), [buf.len() as u64, 0], Location::caller());
        let core = &self.core;
        let case = core.case(size_of_val(&*buf), op.order(), true);
        let how = if any_bits::<T>() { core.choose(Collective::AllReduce, &case) } else { Algorithm::Gathered };
        if how == Algorithm::Gathered {
            let ranks = core.size();
            return self.start_prefix(print, &buf, op, ranks, |sum| sum.expect("at least this rank"));
        }
        let (steps, room) = ways::all_reduce(how, &case, core.me, buf.len());
        let open = |_: &Core, _: Blobs, memory: Vec<Memory>| {
            Ok(memory.into_iter().next().expect("two buffers went in").into_source())
        };
        Pending::new(core, print, borrow::combining_owned(steps, buf, room, op), Box::new(open))
    }

    /// Starts a [`scan`](Comm::scan) of an owned buffer, element by element. Collective; (p − 1) × length sent by each rank in
    /// ⌈log₂ p⌉ messages.
    #[track_caller]
    #[doc(alias = "MPI_Iscan")]
    pub fn start_scan<T: Plain, O: Op<T>>(&mut self, buf: Vec<T>, op: O) -> Pending<Vec<T>> {
        let print = Print::of_op::<T, O>("start_scan", op.order(), [buf.len() as u64, 0], Location::caller());
        let up_to = self.core.me + 1;
        self.start_prefix(print, &buf, op, up_to, |sum| sum.expect("at least this rank"))
    }

    /// Starts an [`exscan`](Comm::exscan) of an owned buffer, element by element; `None` on rank 0. Collective; cost as
    /// `start_scan`.
    #[track_caller]
    #[doc(alias = "MPI_Iexscan")]
    pub fn start_exscan<T: Plain, O: Op<T>>(&mut self, buf: Vec<T>, op: O) -> Pending<Option<Vec<T>>> {
        let print = Print::of_op::<T, O>("start_exscan", op.order(), [buf.len() as u64, 0], Location::caller());
        let below = self.core.me;
        self.start_prefix(print, &buf, op, below, |sum| sum)
    }

    /// The buffers of the first `count` ranks, combined.
    fn start_prefix<T: Plain, O: Op<T>, R>(
        &mut self,
        print: Print,
        buf: &[T],
        op: O,
        count: usize,
        result: impl FnOnce(Option<Vec<T>>) -> R + 'static,
    ) -> Pending<R> {
        let steps = dissemination::all_gather(self.core.me, self.core.size());
        let blobs = self.own_blob(bytes(buf));
        self.begin(print, steps, blobs, move |core, blobs| {
            Ok(result(fold(all_values(core, &print, blobs.into_iter().take(count))?, &op)))
        })
    }

    /// Starts an [`all_to_all_v`](Comm::all_to_all_v): part q to rank q, of any length; the result has a part of each rank.
    /// Collective; p − 1 messages a rank, each straight to its place.
    ///
    /// # Panics
    /// If there is not one part a rank.
    #[track_caller]
    #[doc(alias = "MPI_Ialltoallv")]
    pub fn start_all_to_all<T: Plain>(&mut self, parts_to: Vec<Vec<T>>) -> Pending<Parts<T>> {
        let print = Print::new::<T>("start_all_to_all", [0; 2], Location::caller());
        let outgoing = parts_to.iter().map(|part| bytes(part)).collect();
        self.start_exchange(print, outgoing, move |core, blobs| all_parts(core, &print, blobs))
    }

    /// Starts a [`reduce_scatter`](Comm::reduce_scatter) of an owned buffer. Collective; p − 1 messages a rank, each slice
    /// straight to the rank that combines it.
    #[track_caller]
    #[doc(alias = "MPI_Ireduce_scatter")]
    pub fn start_reduce_scatter<T: Plain, O: Op<T>>(&mut self, buf: Vec<T>, op: O) -> Pending<Vec<T>> {
        let print = Print::of_op::<T, O>("start_reduce_scatter", op.order(), [buf.len() as u64, 0], Location::caller());
        let slice = slices(buf.len(), self.core.size());
        let outgoing = (0..self.core.size()).map(|q| bytes(&buf[slice(q)])).collect();
        self.start_exchange(print, outgoing, move |core, blobs| {
            Ok(fold(all_values(core, &print, blobs.into_iter())?, &op).expect("at least this rank"))
        })
    }

    /// Blob q of `outgoing` to rank q; `open` gets each rank's blob for us, in their order.
    fn start_exchange<R>(
        &mut self,
        print: Print,
        outgoing: Vec<Vec<u8>>,
        open: impl FnOnce(&Core, Blobs) -> Result<R, Abort> + 'static,
    ) -> Pending<R> {
        let (me, size) = (self.core.me, self.core.size());
        assert_eq!(outgoing.len(), size, "parts to send, one a rank");
        let mut blobs: Blobs = outgoing.into_iter().map(Some).collect();
        blobs.resize(2 * size, None);
        blobs[size + me] = blobs[me].take();
        let step = Step {
            sends: (1..size).map(|d| (me + d) % size).map(|q| Move::new(q, Piece::Blob(q))).collect(),
            recvs: (1..size).map(|d| (me + size - d) % size).map(|q| Move::new(q, Piece::Blob(size + q))).collect(),
            then: vec![],
        };
        self.begin(print, vec![step], blobs, move |core, mut blobs| open(core, blobs.split_off(size)))
    }
}
