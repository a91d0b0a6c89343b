//! What a communicator is, behind every handle to it.
//!
//! Whoever must bring something to its end (`run`, `with_split`, `overlap`, a `Pending`, an exchange plan) keeps an `Rc` of
//! the core, so it does not matter what the program swaps, forgets or drops. `Rc` also makes all of them `!Send + !Sync`: a
//! collective inside a parallel closure does not compile.

use crate::algo::hosts::Hosts;
use crate::algo::model::{Algorithm, Case, Collective, Order};
use crate::algo::{dissemination, ways};
use crate::check::{Print, roll};
use crate::failure::Abort;
use crate::flow::{Blobs, Cargo, Flow};
use crate::local;
use crate::rank::Rank;
use crate::transport::Call;
use std::cell::{Cell, OnceCell, RefCell};
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
    /// Its members are all ranks of the job that the process runs.
    whole: bool,
    hosts: OnceCell<Hosts>,
}

impl Core {
    /// The communicator of all `size` ranks. `whole`: they are those of the job, not of a world made alone.
    pub(crate) fn root(rank: Rc<Rank>, size: u32, whole: bool) -> Rc<Core> {
        let me = rank.me as usize;
        Core::new(rank, ROOT, (0..size).collect(), me, whole)
    }

    fn new(rank: Rc<Rank>, id: u64, members: Rc<[u32]>, me: usize, whole: bool) -> Rc<Core> {
        let (seq, rolling, ended) = (Cell::new(0), Cell::new(id), Cell::new(false));
        Rc::new(Core { rank, id, members, me, seq, rolling, ended, whole, hosts: OnceCell::new() })
    }

    /// The communicator of the members of one color, named by where it came from: the same on all of them without a
    /// message, and unique in the job but for one chance in 2^64.
    pub(crate) fn sub(&self, seq: u64, color: u32, places: &[usize], me: usize) -> Rc<Core> {
        let bytes: Vec<u8> = [self.id, seq, color.into()].into_iter().flat_map(u64::to_le_bytes).collect();
        let id = xxhash_rust::xxh3::xxh3_64(&bytes);
        Core::new(self.rank.clone(), id, places.iter().map(|&p| self.members[p]).collect(), me, false)
    }

    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }

    /// Whether all ranks of the job know what all members know.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// What the choice of a schedule depends on. `from_0`: it has no root, or rank 0.
    pub(crate) fn case(&self, bytes: usize, order: Order, from_0: bool) -> Case<'_> {
        let hosts = self.hosts.get_or_init(|| {
            let host_of: Vec<u32> = self.members.iter().map(|&member| self.rank.host_of(member)).collect();
            Hosts::new(&host_of)
        });
        Case { size: self.size(), bytes, order, from_0, native: false, hosts }
    }

    /// As `case`, for a blocking call of bytes.
    pub(crate) fn case_of_bytes(&self, bytes: usize, from_0: bool) -> Case<'_> {
        let native = self.whole && self.size() > 1 && self.rank.transport.has_collectives();
        Case { native, ..self.case(bytes, Order::Any, from_0) }
    }

    pub(crate) fn choose(&self, what: Collective, case: &Case<'_>) -> Algorithm {
        self.rank.schedules.choose(what, case)
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.seq.get()
    }

    /// The place of one of its members, by its rank of the job.
    pub(crate) fn place(&self, rank: u32) -> usize {
        self.members.iter().position(|&m| m == rank).expect("a member")
    }

    /// Begins the next call of this communicator.
    pub(crate) fn begin(&self, print: Print) -> Result<Call, Abort> {
        assert!(!local::inside() || self.size() == 1, "a collective inside local code (par, pool, on_root)");
        // `mem::replace` can carry a communicator out of the call that ends it.
        assert!(!self.ended.get(), "a collective on a communicator that has ended");
        if std::thread::panicking() {
            // Some `Drop` communicates while we unwind. The peers are elsewhere: it would wait for ever.
            return Err(self.rank.transport.abort(self.rank.own_abort("collective during unwinding")));
        }
        self.rank.delays.now();
        let seq = self.seq.replace(self.seq.get() + 1);
        self.rolling.set(roll(self.rolling.get(), &print));
        Ok(Call { comm: self.id, seq, print, rolling: self.rolling.get() })
    }

    /// Begins the next call of this communicator, and its messages.
    pub(crate) fn start(&self, print: Print, cargo: Cargo) -> Result<Rc<RefCell<Flow>>, Abort> {
        let call = self.begin(print)?;
        self.enter(&call)?;
        Ok(self.launch(call, cargo))
    }

    /// A call that has begun meets those that have begun it before.
    pub(crate) fn enter(&self, call: &Call) -> Result<(), Abort> {
        self.rank.transport.enter(self.rank.me, call, &self.members)
    }

    /// The messages of a call that has been entered.
    pub(crate) fn launch(&self, call: Call, cargo: Cargo) -> Rc<RefCell<Flow>> {
        let flow = self.rank.add(Flow::new(call, self.members.clone(), cargo));
        // From the first message on, peers may use the flow's memory: a panic must not carry it away.
        let guard = Settle { rank: &self.rank, flow: &flow };
        self.rank.begin(&flow);
        std::mem::forget(guard);
        flow
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
        if let Some(posting) = self.posting(print)? {
            return posting.all_gather(&mine);
        }
        let mut blobs: Blobs = vec![None; self.size()];
        blobs[self.me] = Some(mine);
        let steps = dissemination::all_gather(self.me, self.size());
        let cargo = self.run(print, Cargo { steps, blobs, ..Cargo::default() })?;
        Ok(cargo.blobs.into_iter().map(|b| b.expect("every rank's blob has come")).collect())
    }

    pub(crate) fn barrier(&self, print: Print) -> Result<(), Abort> {
        if let Some(posting) = self.posting(print)? {
            return posting.barrier();
        }
        let case = self.case(0, Order::Any, true);
        let steps = ways::barrier(self.choose(Collective::Barrier, &case), &case, self.me);
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
        if self.whole {
            self.rank.transport.drain();
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algo::{Local, Piece, Step};
    use crate::level::Level;
    use crate::transport::memory::Memory;
    use crate::transport::{Key, Pulled, Transport, Want, threads};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn core_of(job: &std::sync::Arc<threads::Job>, rank: u32) -> Rc<Core> {
        Core::root(Rank::new(Transport::Threads(job.clone()), rank), 2, true)
    }

    #[track_caller]
    fn print() -> Print {
        Print::new::<u8>("test", [0; 2], std::panic::Location::caller())
    }

    /// Memory that was lent in the first step must not be read once a panic has carried its owner away.
    #[test]
    fn a_panic_while_a_call_begins_takes_lent_memory_back() {
        let job = threads::Job::new(2, false, Default::default());
        let core = core_of(&job, 0);
        let len = 100_000; // long enough to be lent, not copied
        let steps = vec![Step::send(1, Piece::span(0, 0..len)).and_then(Local::Combine)];
        let memory = vec![Memory::source(vec![7u8; len])];
        let combine: crate::flow::Combine = Box::new(|_| panic!("in between"));
        let cargo = Cargo { steps, memory, combine: Some(combine), ..Cargo::default() };
        let print = print();
        catch_unwind(AssertUnwindSafe(|| core.start(print, cargo).map(drop))).unwrap_err();
        assert!(job.aborted(), "the peer will miss the message");
        assert!(core.rank.any_flow_of(core.id).is_none());
        let key = Key { comm: core.id, seq: 0, tag: 0, from: 0 };
        let call = Call { comm: core.id, seq: 0, print, rolling: 0 };
        assert!(matches!(job.pull(1, &key, Want::Any, &call), Pulled::NotYet), "the loan was not taken back");
    }

    /// Two ends of one message that disagree on its length: a named abort, and the lender gets its memory back.
    #[test]
    fn a_message_of_another_length_ends_the_job_in_words() {
        [Level::Off, Level::Light, Level::Full { seed: 5 }].into_iter().for_each(another_length_at);
    }

    fn another_length_at(level: Level) {
        let job = threads::Job::checked(2, false, Default::default(), level);
        let print = print();
        let side = |rank: u32, len: usize| {
            let core = core_of(&job, rank);
            let piece = Piece::span(0, 0..len);
            let step = if rank == 0 { Step::send(1, piece) } else { Step::recv(0, piece) };
            let cargo = Cargo { steps: vec![step], memory: vec![Memory::source(vec![7u8; len])], ..Cargo::default() };
            core.run(print, cargo).map(drop).unwrap_err().to_string()
        };
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| side(0, 100_000));
            let (receiver, sender) = (side(1, 50_000), sender.join().unwrap());
            assert!(
                receiver.contains("to receive 50000 bytes") && receiver.contains("has sent 100000 bytes"),
                "{receiver}"
            );
            assert_eq!(sender, receiver);
        });
    }
}
