//! One rank of a job, as all its communicators see it: the transport, and the table of flows under way.

use crate::algo::model::Schedules;
use crate::exit::say;
use crate::failure::{Abort, Cause, host, seat_here, take_panic};
use crate::flow::{Due, Flow};
use crate::level::{Delays, Level};
use crate::stuck::{Chaser, Waits};
use crate::transport::board::Board;
use crate::transport::{Call, Transport, Waited};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// How often a computing rank lets its transfers progress.
const POLL: Duration = Duration::from_micros(20);

pub(crate) struct Rank {
    pub transport: Transport,
    pub me: u32,
    /// What this rank is called in the job of its thread: there, a world made alone is not rank 0.
    pub called: u32,
    /// All flows that are not done, of every communicator.
    flows: RefCell<Vec<Rc<RefCell<Flow>>>>,
    pub chaser: Chaser,
    pub schedules: Schedules,
    /// By rank of the job: a number of its host. Empty if all are on one.
    host_of: Vec<u32>,
    pub level: Level,
    pub delays: Delays,
    /// The board of all ranks of the job, if they share a host.
    board: Option<Board>,
    /// By the number of the mailboxes; kept when they are gone, for those that still ask.
    mail: RefCell<HashMap<u64, Rc<Mail>>>,
    sent_bytes: Cell<u64>,
    polled: Cell<Instant>,
}

/// What this rank has sent by its mailboxes of one plan, for those that ask what it waits for.
#[derive(Default)]
pub(crate) struct Mail {
    /// The last round that was sent.
    pub sent: Cell<u64>,
    /// Communicator and number of a call that has begun and is not sent.
    pub unsent: Cell<Option<(u64, u64)>>,
}

thread_local!(static HERE: RefCell<Weak<Rank>> = const { RefCell::new(Weak::new()) });

impl Rank {
    pub(crate) fn new(transport: Transport, me: u32) -> Rc<Rank> {
        let schedules = transport.schedules();
        let size = transport.size();
        let host_of = match schedules.hosts() {
            Some(hosts) => (0..size).map(|r| (u64::from(r) * u64::from(hosts) / u64::from(size)) as u32).collect(),
            None => transport.hosts(),
        };
        // Who asks for a schedule asks for messages.
        let board = transport.board(me).filter(|_| schedules == Schedules::default());
        let level = transport.level();
        Rc::new(Rank {
            transport,
            me,
            schedules,
            host_of,
            called: seat_here().map_or(me, |seat| seat.rank()),
            flows: RefCell::default(),
            chaser: Chaser::default(),
            level,
            delays: Delays::new(level, me),
            board,
            mail: RefCell::default(),
            sent_bytes: Cell::new(0),
            polled: Cell::new(Instant::now()),
        })
    }

    /// From now on `poll_here` on this thread is for this rank.
    pub(crate) fn sit(self: &Rc<Rank>) {
        HERE.set(Rc::downgrade(self));
    }

    /// A number of the host of a rank of the job.
    pub(crate) fn host_of(&self, rank: u32) -> u32 {
        self.host_of.get(rank as usize).copied().unwrap_or(0)
    }

    pub(crate) fn count_sent(&self, bytes: usize) {
        self.sent_bytes.set(self.sent_bytes.get() + bytes as u64);
    }

    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.get()
    }

    pub(crate) fn board(&self) -> Option<&Board> {
        self.board.as_ref()
    }

    /// Whether this rank has done what another waits for on the board, or at a mailbox.
    pub(crate) fn has_posted(&self, due: Due) -> bool {
        let board = || self.board.as_ref().expect("who waits on a board shares it with us");
        match due {
            Due::Post(step) => board().has_posted(step),
            Due::Read(step) => board().is_through(step),
            Due::Mail(plan, round) => self.mail.borrow().get(&plan).is_some_and(|told| told.sent.get() >= round),
            Due::Send(_) | Due::Receive(_) | Due::Answer => unreachable!("a board has no messages"),
        }
    }

    /// Mailboxes of this number are made: what this rank will tell of them.
    pub(crate) fn has_mailboxes(&self, plan: u64) -> Rc<Mail> {
        self.mail.borrow_mut().entry(plan).or_default().clone()
    }

    /// Whether this call has begun as a round of mailboxes that is not sent.
    pub(crate) fn unsent(&self, call: (u64, u64)) -> bool {
        self.mail.borrow().values().any(|mail| mail.unsent.get() == Some(call))
    }

    /// Puts a flow into the table. Its memory belongs to the table from here on, before anybody can be told of it.
    pub(crate) fn add(&self, flow: Flow) -> Rc<RefCell<Flow>> {
        let flow = Rc::new(RefCell::new(flow));
        self.flows.borrow_mut().push(flow.clone());
        flow
    }

    /// Lets a flow of the table begin. The table is held meanwhile, so that nothing inside can advance it again.
    pub(crate) fn begin(&self, flow: &Rc<RefCell<Flow>>) {
        let mut table = self.flows.borrow_mut();
        flow.borrow_mut().advance(self);
        if flow.borrow().done() {
            table.retain(|f| !Rc::ptr_eq(f, flow));
        }
    }

    /// As `advance`, if there is a flow.
    pub(crate) fn advance_flows(&self) {
        if !self.flows.borrow().is_empty() {
            self.advance();
        }
    }

    /// Lets every flow go as far as it can.
    pub(crate) fn advance(&self) {
        self.transport.poll();
        self.flows.borrow_mut().retain(|flow| {
            let mut flow = flow.borrow_mut();
            flow.advance(self);
            !flow.done()
        });
    }

    /// Waits until `flow` is done. All flows of the rank progress meanwhile, so that the order of waits does not matter.
    pub(crate) fn settle(&self, flow: &RefCell<Flow>) -> Result<(), Abort> {
        loop {
            let seen = self.transport.epoch(self.me);
            if !flow.borrow().done() {
                self.advance();
            }
            if flow.borrow().done() {
                self.waited();
                return Ok(());
            }
            self.chaser.answer(self, flow);
            let call = flow.borrow().call;
            match self.wait(seen, &call, flow) {
                Ok(()) => {}
                Err(abort) => {
                    self.advance(); // what has landed is good even when the job is ending
                    return if flow.borrow().done() { Ok(()) } else { Err(abort) };
                }
            }
        }
    }

    /// One wait of the transport's in `call`; a long one asks around, and one that lasts is told.
    pub(crate) fn wait(&self, seen: u64, call: &Call, what: &dyn Waits) -> Result<(), Abort> {
        match self.transport.wait(self.me, seen, call)? {
            Waited::Shortly => {}
            Waited::Known(time) => self.note(call, time),
            Waited::Long(time) => {
                self.note(call, time);
                self.chaser.ask(self, what);
            }
            Waited::Stalled { kill, time } => {
                self.note(call, time);
                if self.transport.roll_call(kill) {
                    return Ok(());
                }
                let lines = match &self.board {
                    Some(board) => board.roll_call(),
                    None => vec![format!("rank {} waits {time:.1?} in {}", self.me, call.print.text())],
                };
                let roll_call: String = lines.iter().flat_map(|line| ["\n  ", line.as_str()]).collect();
                if kill {
                    return Err(self.transport.abort(Abort::new(Cause::Stalled { roll_call })));
                }
                if self.board.as_ref().is_none_or(Board::speaks) {
                    say(format_args!("a long wait, seen from {}:{roll_call}", host()));
                }
            }
        }
        Ok(())
    }

    /// Notes, on the board and for the side channel, that this rank waits.
    fn note(&self, call: &Call, time: Duration) {
        self.transport.waits(&call.print, time);
        if let Some(board) = &self.board {
            board.note(&call.print, time);
        }
    }

    /// A wait has ended.
    pub(crate) fn waited(&self) {
        self.transport.waits_no_more();
        if let Some(board) = &self.board {
            board.note_no_more();
        }
    }

    /// Takes a flow out of the table, whether it is done or not.
    pub(crate) fn remove(&self, flow: &Rc<RefCell<Flow>>) {
        self.flows.borrow_mut().retain(|f| !Rc::ptr_eq(f, flow));
    }

    /// The flow of this call, if it has begun and is not done.
    pub(crate) fn flow_of(&self, comm: u64, seq: u64) -> Option<Rc<RefCell<Flow>>> {
        let is = |f: &&Rc<RefCell<Flow>>| (f.borrow().call.comm, f.borrow().call.seq) == (comm, seq);
        self.flows.borrow().iter().find(is).cloned()
    }

    /// A flow of this communicator that is not done.
    pub(crate) fn any_flow_of(&self, comm: u64) -> Option<Rc<RefCell<Flow>>> {
        self.flows.borrow().iter().find(|f| f.borrow().call.comm == comm).cloned()
    }

    /// Why this rank ends the job from a place that cannot return an error.
    pub(crate) fn own_abort(&self, otherwise: &str) -> Abort {
        let message = take_panic().unwrap_or_else(|| otherwise.into());
        Abort::new(Cause::Panicked { rank: self.called, host: host().into(), message })
    }
}

impl Drop for Rank {
    fn drop(&mut self) {
        // A rank goes with flows under way only when its job has ended: then their memory is taken back before it is freed.
        for flow in self.flows.take() {
            flow.borrow_mut().withdraw(self, || self.own_abort("left with transfers under way"));
        }
    }
}

/// The rank on this thread.
pub(crate) fn here() -> Option<Rc<Rank>> {
    HERE.with(|here| here.try_borrow().ok()?.upgrade())
}

/// Lets the transfers of the rank on this thread progress; at most every 20 µs, and nothing on any other thread. Loops that
/// compute for long call it between their chunks. Local.
pub fn poll_here() {
    HERE.with(|here| {
        // `try_borrow`: a poll inside a poll has nothing to add.
        let Ok(here) = here.try_borrow() else { return };
        let Some(rank) = here.upgrade() else { return };
        let Ok(idle) = rank.flows.try_borrow().map(|flows| flows.is_empty()) else { return };
        if rank.transport.pause(rank.me) {
            rank.advance_flows();
        } else if !idle || rank.transport.sending() {
            let now = Instant::now();
            if now - rank.polled.get() >= POLL {
                rank.polled.set(now);
                rank.advance();
                while rank.transport.notice().is_some() {} // whoever computes does not wait
            }
        }
    });
}

/// Says in which phase of its program the rank on this thread is, for a roll-call; an empty name is none. Nothing on any other
/// thread. Local.
pub fn phase_here(name: &str) {
    HERE.with(|here| {
        let rank = here.try_borrow().ok().and_then(|here| here.upgrade());
        if let Some(rank) = rank {
            rank.transport.phase(name);
        }
    });
}
