//! Exchanges with a few neighbours in which values are copied once, straight to where their receiver reads them: within a host
//! through memory that the ranks share, between hosts as messages.
//!
//! A plan is made once ([`Comm::mailboxes`]) and run in *rounds*. A rank opens a round, writes, sends, computes, and finishes it:
//!
//! ```
//! use physalia_collectives::{Comm, Link};
//! let mut comm = Comm::alone();
//! let ring = [Link { rank: 0, len: 3 }]; // the rank is its own neighbour, as at a periodic wall
//! let mut boxes = comm.mailboxes::<f64>(&ring, &ring)?;
//! for round in 0..4 {
//!     let fill = boxes.open(&mut comm)?;
//!     fill.write(0, 0, &[f64::from(round); 3]); // from any worker
//!     fill.send()?;
//!     // compute …
//!     boxes.finish()?;
//!     let mut last = [0.0];
//!     boxes.read(0, 2, &mut last);
//!     assert_eq!(last, [f64::from(round)]);
//! }
//! # Ok::<(), physalia_collectives::Abort>(())
//! ```
//!
//! Each receive has two buffers, which take turns. What came in a round stays until this rank *sends* the next one; a neighbour
//! that is ahead writes that one into the other buffer meanwhile, and waits (in `open`) before it writes the one after it. Where
//! neighbours send to each other they are so far ahead at most anyway, and `open` never waits.

use crate::algo::Step;
use crate::check::Print;
use crate::core::Core;
use crate::flow::{Cargo, Due, Flow};
use crate::rank::Mail;
use crate::transport::Call;
use crate::transport::mailbox::{Office, Region, Unshared};
use crate::transport::memory::Memory;
use crate::{Abort, Cause, Comm, Plain};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

mod make;

/// A prepared exchange whose values are written by their senders to where their receivers read them. See
/// [`Comm::mailboxes`]. A plan that is dropped or forgotten in the middle of a round harms nobody: its memory stays as long as
/// anybody may write into it.
pub struct Mailboxes<T: Plain> {
    office: Office,
    rounds: Rounds,
    of: PhantomData<T>,
}

/// The rounds of a plan, on the thread of its rank.
struct Rounds {
    core: Rc<Core>,
    /// The communicator's call that made the plan: tells plans of one line of the program apart.
    made: u64,
    /// Tells plans of all communicators apart.
    number: u64,
    /// What peers may ask for.
    mail: Rc<Mail>,
    /// Some rank of the plan has messages; then its calls are compared as those of messages are.
    by_messages: bool,
    /// The messages of this rank, by the parity of the round, and the memory that they leave from and arrive in.
    steps: [Vec<Step>; 2],
    memory: [Arc<Region>; 2],
    /// Bytes of a round that do not go by messages.
    bytes: usize,
    call: Option<Call>,
    flow: Option<Rc<RefCell<Flow>>>,
}

/// A round that is open: this rank may write what it will send. `Sync`, so that all workers can.
///
/// What came in the round before may still be read. A round that is dropped without `send` is told to nobody, and begun again by
/// the next `open`; so either all ranks send a round, or none.
#[must_use = "nobody is told of the values before send"]
pub struct Fill<'b, T: Plain> {
    office: &'b mut Office,
    rounds: Unshared<&'b mut Rounds>,
    of: PhantomData<T>,
}

impl<T: Plain> std::fmt::Debug for Mailboxes<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Mailboxes(made in call {}, {} rounds)", self.rounds.made, self.office.round())
    }
}

impl<T: Plain> std::fmt::Debug for Fill<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Fill(round {})", self.office.next())
    }
}

impl<T: Plain> Mailboxes<T> {
    /// Whether this plan was made on `comm`. Local.
    pub fn belongs_to(&self, comm: &Comm) -> bool {
        Rc::ptr_eq(&self.rounds.core, &comm.core)
    }

    /// Begins a round: waits until the places where this rank will write are free, which they are where their reader has sent
    /// the round before. A round that was sent and not finished is finished first. Collective, and every rank opens the same plan, also
    /// one without links; no message.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If `comm` is not the communicator that the plan was made on.
    #[track_caller]
    pub fn open(&mut self, comm: &mut Comm) -> Result<Fill<'_, T>, Abort> {
        assert!(self.belongs_to(comm), "the mailboxes were made on another communicator");
        let shape = [self.rounds.made, 0];
        let print = Print::new::<T>("open of the mailboxes made in call", shape, Location::caller());
        self.finish()?;
        self.rounds.open(&mut self.office, print)?;
        Ok(Fill { office: &mut self.office, rounds: Unshared::new(&mut self.rounds), of: PhantomData })
    }

    /// Waits until the values of all neighbours have come; nothing if no round was sent since. Local: it waits only for the
    /// neighbours.
    ///
    /// # Errors
    /// The job's abort.
    pub fn finish(&mut self) -> Result<(), Abort> {
        if self.office.sent() { self.rounds.finish(&mut self.office) } else { Ok(()) }
    }

    /// Whether a round was sent and is not finished. Local.
    pub fn flying(&self) -> bool {
        self.office.sent()
    }

    /// Which of the two buffers of each receive has what came in the last round that was finished: 1 after the first, then 0, and
    /// so on. Local.
    ///
    /// # Panics
    /// Between `send` and `finish`.
    pub fn parity(&self) -> usize {
        self.office.parity()
    }

    /// Where the i-th receive of the last round that was finished lies (zeros before the first): as many values as its link has.
    /// Local. The address is a multiple of 64 and good as long as the plan lives; what stands there is valid until this rank
    /// sends the next round, from when on its neighbour may write it. Nobody should form a slice of it that lasts longer.
    ///
    /// # Panics
    /// Between `send` and `finish`, or if there is no such receive.
    pub fn inbox(&self, i: usize) -> *const T {
        self.inbox_of(i, self.parity())
    }

    /// Where the i-th receive lies in rounds of one parity. It is the same for the life of the plan, so that tables of rows can be
    /// made once. Local.
    ///
    /// # Panics
    /// If there is no such receive, or `parity` is not 0 or 1.
    pub fn inbox_of(&self, i: usize, parity: usize) -> *const T {
        self.office.inbox(i, parity).cast()
    }

    /// Copies values from the place `at` of the i-th receive of the last round that was finished. Local.
    ///
    /// # Panics
    /// Between `send` and `finish`, or if there are not as many.
    pub fn read(&self, i: usize, at: usize, values: &mut [T]) {
        self.office.read(i, at, values);
    }
}

impl<T: Plain> Fill<'_, T> {
    /// Copies values to the place `at` of the i-th send: within a host into the receiver's memory. Local; from any worker. What
    /// is not written has old values. Where ranges that workers write at once overlap, one comes after the other, in no certain
    /// order.
    ///
    /// # Panics
    /// If there is no such send, or the values do not fit.
    pub fn write(&self, i: usize, at: usize, values: &[T]) {
        self.office.write(i, at, values);
    }

    /// As [`write`](Fill::write), while no worker writes: nothing is looked after, which counts where few values go at once. Local.
    ///
    /// # Panics
    /// If there is no such send, or the values do not fit.
    pub fn write_alone(&mut self, i: usize, at: usize, values: &[T]) {
        self.office.write_alone(i, at, values);
    }

    /// As [`Mailboxes::read`], of the round before. Local; from any worker.
    ///
    /// # Panics
    /// If there are not as many values.
    pub fn read(&self, i: usize, at: usize, values: &mut [T]) {
        self.office.read(i, at, values);
    }

    /// As [`Mailboxes::inbox`], of the round before. Local.
    ///
    /// # Panics
    /// If there is no such receive.
    pub fn inbox(&self, i: usize) -> *const T {
        self.office.inbox(i, self.office.parity()).cast()
    }

    /// All is written: the neighbours are told, and what came in the round before is given back. Local: it does not wait. No
    /// message within a host, else one a link; none for links to the own rank.
    ///
    /// # Errors
    /// The job's abort; then nobody is told.
    pub fn send(self) -> Result<(), Abort> {
        self.rounds.into_inner().send(self.office)
    }
}

impl Rounds {
    fn call(&self) -> Call {
        self.call.expect("a round that was opened")
    }

    fn open(&mut self, office: &mut Office, print: Print) -> Result<(), Abort> {
        let (core, rank) = (&*self.core, &self.core.rank);
        let call = core.begin(print)?;
        if self.by_messages {
            core.enter(&call)?
        } else {
            rank.transport.enter_posting(&call)?
        }
        rank.advance_flows(); // a call that need not wait would not look after them
        if let Some(board) = core.board() {
            board.begin(&call.print);
        }
        self.call = Some(call);
        self.mail.unsent.set(Some((call.comm, call.seq)));
        let due = Due::Mail(self.number, office.round());
        let on = |each: &mut dyn FnMut(usize, Due)| office.full().for_each(|member| each(member, due));
        let ready = || Ok(office.full().next().is_none());
        let nap = |member| if rank.transport.rings() { office.nap(member, false) } else { None };
        core.wait_for(&call, !self.by_messages, on, ready, nap)?;
        office.open();
        Ok(())
    }

    fn send(&mut self, office: &mut Office) -> Result<(), Abort> {
        let (call, rank) = (self.call(), &self.core.rank);
        if rank.transport.aborted() {
            // Whoever was told to leave work out must not pass a result of it on. (It is the first cause that stands.)
            return Err(rank
                .transport
                .abort(Abort::new(Cause::Usage("mailboxes sent in a job that has ended".into()))));
        }
        rank.delays.now();
        rank.count_sent(self.bytes);
        let round = office.next();
        office.send(call.print.hash(), call.rolling);
        self.mail.sent.set(round);
        self.mail.unsent.set(None);
        if rank.transport.rings() {
            office.to_ring().for_each(|member| rank.transport.ring(self.core.members[member]));
        }
        let steps = &self.steps[(round % 2) as usize];
        if !steps.is_empty() {
            let memory = self.memory.iter().cloned().map(Memory::region).collect();
            let cargo = Cargo { steps: steps.clone(), memory, ..Cargo::default() };
            self.flow = Some(self.core.launch(call, cargo));
        }
        Ok(())
    }

    fn finish(&mut self, office: &mut Office) -> Result<(), Abort> {
        let (call, core, rank) = (self.call(), &*self.core, &self.core.rank);
        let (print, rolling) = (call.print.hash(), call.rolling);
        rank.delays.now();
        let due = Due::Mail(self.number, office.next());
        let on = |each: &mut dyn FnMut(usize, Due)| {
            office.missing(print, rolling).filter_map(Result::ok).for_each(|member| each(member, due));
        };
        let ready = || {
            let mut all = true;
            for missing in office.missing(print, rolling) {
                missing.map_err(|(member, print)| {
                    let text = core.board().and_then(|board| board.told(member, print));
                    core.posted_another(&call, member, print, text)
                })?;
                all = false;
            }
            Ok(all)
        };
        let nap = |member| if rank.transport.rings() { office.nap(member, true) } else { None };
        core.wait_for(&call, !self.by_messages, on, ready, nap)?;
        if let Some(flow) = &self.flow {
            rank.settle(flow)?;
        }
        self.flow = None;
        office.finish(print, rolling);
        Ok(())
    }
}
