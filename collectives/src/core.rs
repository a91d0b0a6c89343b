//! What a communicator is, behind every handle to it.
//!
//! Whoever must bring something to its end (`run`, `with_split`, `overlap`, a `Pending`, an exchange plan) keeps an `Rc` of
//! the core, so it does not matter what the program swaps, forgets or drops. `Rc` also makes all of them `!Send + !Sync`: a
//! collective inside a parallel closure does not compile.

use crate::algo::dissemination;
use crate::check::{Print, roll};
use crate::failure::Abort;
use crate::flow::{Blobs, Cargo, Flow};
use crate::local;
use crate::rank::Rank;
use crate::transport::Call;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The communicator of all ranks.
const ROOT: u64 = 0x7068_7973_616c_6961;

pub(crate) struct Core {
    pub rank: Rc<Rank>,
    pub id: u64,
    /// Ranks of the job, in order.
    pub members: Rc<[u32]>,
    pub me: usize,
    seq: Cell<u64>,
    rolling: Cell<u64>,
    ended: Cell<bool>,
}

impl Core {
    pub(crate) fn root(rank: Rc<Rank>, size: u32) -> Rc<Core> {
        let me = rank.me as usize;
        Core::new(rank, ROOT, (0..size).collect(), me)
    }

    fn new(rank: Rc<Rank>, id: u64, members: Rc<[u32]>, me: usize) -> Rc<Core> {
        Rc::new(Core { rank, id, members, me, seq: Cell::new(0), rolling: Cell::new(id), ended: Cell::new(false) })
    }

    /// The communicator of the members of one color, named by where it came from: the same on all of them without a
    /// message, and unique in the job but for one chance in 2^64.
    pub(crate) fn sub(&self, seq: u64, color: u32, places: &[usize], me: usize) -> Rc<Core> {
        let bytes: Vec<u8> = [self.id, seq, color.into()].into_iter().flat_map(u64::to_le_bytes).collect();
        let id = xxhash_rust::xxh3::xxh3_64(&bytes);
        Core::new(self.rank.clone(), id, places.iter().map(|&p| self.members[p]).collect(), me)
    }

    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn is_root(&self) -> bool {
        self.id == ROOT
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.seq.get()
    }

    /// Begins the next call of this communicator.
    pub(crate) fn start(&self, print: Print, cargo: Cargo) -> Result<Rc<RefCell<Flow>>, Abort> {
        assert!(!local::inside() || self.size() == 1, "a collective inside local code (par, pool, on_root)");
        // `mem::replace` can carry a communicator out of the call that ends it.
        assert!(!self.ended.get(), "a collective on a communicator that has ended");
        if std::thread::panicking() {
            // Some `Drop` communicates while we unwind. The peers are elsewhere: it would wait for ever.
            return Err(self.rank.transport.abort(self.rank.own_abort("collective during unwinding")));
        }
        let seq = self.seq.replace(self.seq.get() + 1);
        self.rolling.set(roll(self.rolling.get(), &print));
        let call = Call { comm: self.id, seq, print, rolling: self.rolling.get() };
        self.rank.transport.enter(self.rank.me, &call, &self.members)?;
        Ok(self.rank.add(Flow::new(call, self.members.clone(), cargo)))
    }

    /// Begins a call and waits for its end. On return, also by unwinding, nobody uses the cargo's memory any more.
    pub(crate) fn run(&self, print: Print, cargo: Cargo) -> Result<Cargo, Abort> {
        let flow = self.start(print, cargo)?;
        let _guard = Settle { rank: &self.rank, flow: &flow };
        self.rank.settle(&flow)?;
        let mut flow = flow.borrow_mut();
        let (memory, blobs) = (std::mem::take(&mut flow.memory), std::mem::take(&mut flow.blobs));
        Ok(Cargo { memory, blobs, ..Cargo::default() })
    }

    /// One blob of each rank to every rank, in their order. ⌈log₂ p⌉ messages a rank.
    pub(crate) fn all_blobs(&self, print: Print, mine: Vec<u8>) -> Result<Vec<Vec<u8>>, Abort> {
        let mut blobs: Blobs = vec![None; self.size()];
        blobs[self.me] = Some(mine);
        let steps = dissemination::all_gather(self.me, self.size());
        let cargo = self.run(print, Cargo { steps, blobs, ..Cargo::default() })?;
        Ok(cargo.blobs.into_iter().map(|b| b.expect("every rank's blob has come")).collect())
    }

    pub(crate) fn barrier(&self, print: Print) -> Result<(), Abort> {
        let steps = dissemination::barrier(self.me, self.size());
        self.run(print, Cargo { steps, ..Cargo::default() }).map(drop)
    }

    /// Lands what was started and never waited for, then meets all ranks: the only place where a communicator ends.
    pub(crate) fn finish(&self, print: Print) -> Result<(), Abort> {
        while let Some(flow) = self.rank.any_flow_of(self.id) {
            self.rank.settle(&flow)?;
        }
        self.barrier(print)?;
        self.ended.set(true);
        self.rank.transport.forget(self.rank.me, self.id);
        Ok(())
    }
}

/// Keeps a frame's promise that its flow is over when the frame is.
pub(crate) struct Settle<'a> {
    pub rank: &'a Rank,
    pub flow: &'a Rc<RefCell<Flow>>,
}

impl Drop for Settle<'_> {
    fn drop(&mut self) {
        let mut flow = self.flow.borrow_mut();
        if !flow.done() {
            flow.withdraw(self.rank, || self.rank.own_abort("left a collective under way"));
            drop(flow);
            self.rank.remove(self.flow);
        }
    }
}
