//! Proof that ranks which are processes wait for each other: edge chasing (Chandy, Misra and Haas 1983, the AND model).
//!
//! A rank that waits for a flow begins no other call before the flow has ended. A flow takes its next step when *all*
//! messages of the step have come, and those of its own that read what it is to write have been received; it ends when all its
//! own long messages have been received. So what waits is a
//! flow's next step or its end, and what it waits for, an *edge*, is the next step of the peer's flow of that call; or,
//! where the peer has not begun that call, the end of the flow that the peer waits for. A cycle of edges never resolves.
//!
//! A rank that has waited for long sends a probe along its edges. Who receives one
//!
//! - drops it if there is no edge: it has done its part (the message is on its way), or it computes;
//! - passes it on along the edges of what the sender waits for;
//! - has the proof if the probe is its own and it still waits as it did when it sent it. It ends the job and prints the cycle.
//!
//! Each edge was there when the probe went over it, and it stays as long as the edge behind it does; so when the probe comes
//! back they were all there at once, and stay. Nobody is blamed for being slow: one rank of the cycle that computes, and no
//! probe comes back. To keep probes few, a rank drops those of ranks above it: the lowest of a cycle has its own come back.

use crate::failure::{Abort, Cause, host};
use crate::flow::{Due, Flow};
use crate::rank::Rank;
use crate::transport::Call;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

/// So many bytes of the cycle are told; a longer probe could no longer leave by itself.
const TOLD: usize = 2000;

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum What {
    Step,
    End,
}

/// A communicator's call on this rank, and what of it waits.
type Node = ((u64, u64), What);

/// Asks the rank that it is sent to, about the call that it is sent with: do you wait, too?
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Probe {
    origin: u32,
    /// How often the origin has asked.
    round: u64,
    /// Since when (its epoch) and in which call the origin waits, and for what it sent the probe.
    epoch: u64,
    call: (u64, u64),
    what: What,
    /// What the sender waits for.
    due: Due,
    /// Who waits in what, along the way.
    told: String,
}

/// What a rank waits for: the end of a flow, or others on a board or at a mailbox.
pub(crate) trait Waits {
    fn call(&self) -> Call;
    fn over(&self) -> bool;
    /// What its end waits for.
    fn dues(&self) -> Vec<(u32, Due)>;
    /// What its next step waits for, if it has steps.
    fn step_dues(&self) -> Vec<(u32, Due)>;
}

impl Waits for RefCell<Flow> {
    fn call(&self) -> Call {
        self.borrow().call
    }
    fn over(&self) -> bool {
        self.borrow().done()
    }
    fn dues(&self) -> Vec<(u32, Due)> {
        self.borrow().dues().collect()
    }
    fn step_dues(&self) -> Vec<(u32, Due)> {
        self.borrow().step_dues()
    }
}

/// A wait on a board, or at a mailbox.
pub(crate) struct Watch {
    pub call: Call,
    pub missing: Vec<(u32, Due)>,
}

impl Waits for Watch {
    fn call(&self) -> Call {
        self.call
    }
    fn over(&self) -> bool {
        self.missing.is_empty()
    }
    fn dues(&self) -> Vec<(u32, Due)> {
        self.missing.clone()
    }
    fn step_dues(&self) -> Vec<(u32, Due)> {
        vec![]
    }
}

/// A rank's part in the chase.
#[derive(Default)]
pub(crate) struct Chaser {
    round: Cell<u64>,
    /// By origin: its latest round, and from where that round's probe has been passed on.
    passed: RefCell<HashMap<u32, (u64, HashSet<Node>)>>,
}

impl Chaser {
    /// Begins a round: this rank has waited for long.
    pub(crate) fn ask(&self, rank: &Rank, waited: &dyn Waits) {
        self.round.set(self.round.get() + 1);
        let step = waited.step_dues();
        for (to, due) in waited.dues() {
            let probe = Probe {
                origin: rank.me,
                round: self.round.get(),
                epoch: rank.transport.epoch(rank.me),
                call: number(waited),
                what: if step.contains(&(to, due)) { What::Step } else { What::End },
                due,
                told: String::new(),
            };
            send(rank, waited, to, probe);
        }
    }

    /// Answers the probes that have come while this rank waits.
    pub(crate) fn answer(&self, rank: &Rank, waited: &dyn Waits) {
        while let Some(notice) = rank.transport.notice() {
            let Ok(probe) = postcard::from_bytes::<Probe>(&notice.bytes) else { continue };
            if probe.origin > rank.me || waited.over() {
                continue;
            }
            let begun = rank.flow_of(notice.comm, notice.seq);
            let (waits, what): (&dyn Waits, What) = match (&begun, probe.due) {
                // A rank that waits posts nothing more before its wait has ended.
                (_, Due::Post(_) | Due::Read(_) | Due::Mail(..)) if rank.has_posted(probe.due) => continue,
                (_, Due::Post(_) | Due::Read(_) | Due::Mail(..)) => (waited, What::End),
                // Whoever waits in that call answers; whoever is past it has.
                (_, Due::Answer) if rank.transport.has_begun(notice.comm, notice.seq) => continue,
                (_, Due::Answer) => (waited, What::End),
                (Some(flow), due) if flow.borrow().has_done(notice.from, due) => continue,
                (Some(flow), _) => (&**flow, What::Step),
                // It is done, unless its messages leave only when mailboxes are sent.
                (None, _)
                    if rank.transport.has_begun(notice.comm, notice.seq) && !rank.unsent((notice.comm, notice.seq)) =>
                {
                    continue;
                }
                (None, _) => (waited, What::End),
            };
            let call = number(waits);
            if probe.origin == rank.me
                && (probe.epoch, probe.call) == (rank.transport.epoch(rank.me), call)
                // The end waits for all that the next step waits for.
                && (what == What::End || probe.what == What::Step)
            {
                rank.transport.abort(Abort::new(Cause::Stuck { roll_call: probe.told }));
                return;
            }
            if self.first(&probe, (call, what)) {
                let edges = if what == What::End { waits.dues() } else { waits.step_dues() };
                edges.into_iter().for_each(|(to, due)| send(rank, waits, to, Probe { due, ..probe.clone() }));
            }
        }
    }

    /// Whether this round's probe has not been passed on from here.
    fn first(&self, probe: &Probe, from: Node) -> bool {
        let mut passed = self.passed.borrow_mut();
        let (round, before) = passed.entry(probe.origin).or_default();
        if *round != probe.round {
            (*round, *before) = (probe.round, HashSet::new());
        }
        before.insert(from)
    }
}

fn number(waits: &dyn Waits) -> (u64, u64) {
    let call = waits.call();
    (call.comm, call.seq)
}

fn send(rank: &Rank, waits: &dyn Waits, to: u32, mut probe: Probe) {
    let call = waits.call();
    let line = format!("\n  rank {} on {} waits for rank {to} in {}", rank.me, host(), call.print.text());
    if probe.told.len() + line.len() <= TOLD {
        probe.told += &line;
    }
    let bytes = postcard::to_stdvec(&probe).expect("a probe can be written to memory");
    rank.transport.notify(to, &call, &bytes);
}
