//! Exchanges with a few neighbours, prepared once and run often.

use crate::algo::direct::{FROM, INTO};
use crate::algo::{Move, Piece, Step};
use crate::check::Print;
use crate::core::Core;
use crate::flow::{Cargo, Flow};
use crate::transport::memory::{Landing, Memory, any_bits};
use crate::{Abort, Comm, Plain};
use std::cell::RefCell;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;

/// A message of a plan: with whom, and how many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Link {
    /// The other rank; may be the own one.
    pub rank: u32,
    /// The number of values.
    pub len: usize,
}

/// A prepared exchange. It owns its buffers: they are lent to the transport from `start` to `finish`, so a plan that is
/// forgotten or dropped in between harms nothing, and meanwhile the program may change what it copied from.
pub struct ExchangePlan<T: Plain> {
    core: Rc<Core>,
    /// The communicator's call that made the plan: tells plans of one line of the program apart.
    made: u64,
    steps: Vec<Step>,
    /// Where the values of each send and receive lie in the two buffers.
    sends: Vec<Range<usize>>,
    recvs: Vec<Range<usize>>,
    /// Ranges in the two buffers that stay on this rank: from, into, length.
    own: Vec<(usize, usize, usize)>,
    outgoing: Vec<T>,
    incoming: Vec<T>,
    flying: Option<Rc<RefCell<Flow>>>,
}

impl<T: Plain> std::fmt::Debug for ExchangePlan<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "ExchangePlan({} sends, {} receives)", self.sends.len(), self.recvs.len())
    }
}

impl Comm {
    /// Prepares an exchange with neighbours. The n-th send to a rank is its n-th receive from here, of the same length; that
    /// is checked now, by the receivers. Collective; the check costs two messages for each rank that is sent to, 8 bytes a link,
    /// and about 4 ⌈log₂ p⌉ short ones a rank, and no rank holds more than its own links; a run costs only the messages to
    /// the neighbours.
    ///
    /// # Errors
    /// An agreed abort if sends and receives do not match, naming the two ranks; or the job's abort.
    ///
    /// # Panics
    /// If a link names a rank that is not there, or if not every bit pattern is a `T` (`bool`, `char`): what arrives is
    /// received in place, unchecked.
    #[track_caller]
    #[doc(alias = "MPI_Neighbor_alltoallv_init")]
    pub fn exchange_plan<T: Plain>(&mut self, sends: &[Link], recvs: &[Link]) -> Result<ExchangePlan<T>, Abort> {
        let at = Location::caller();
        let size = self.size();
        assert!(sends.iter().chain(recvs).all(|l| l.rank < size), "a link to a rank that is not among {size}");
        assert!(any_bits::<T>(), "a plan for {}, of which not every bit pattern is valid", std::any::type_name::<T>());
        let made = self.core.next_seq();
        self.check_links(["exchange_plan", "the end of exchange_plan"], "values", sends, recvs, at)?;
        Ok(ExchangePlan::lay(self.core.clone(), made, sends, recvs))
    }
}

impl<T: Plain> ExchangePlan<T> {
    /// A plan of links that match. Any bits must be a `T`.
    pub(super) fn lay(core: Rc<Core>, made: u64, sends: &[Link], recvs: &[Link]) -> ExchangePlan<T> {
        let me = core.me as u32;
        let ranges = |links: &[Link]| -> Vec<Range<usize>> {
            let mut end = 0;
            let next = |link: &Link| {
                end += link.len;
                end - link.len..end
            };
            links.iter().map(next).collect()
        };
        let (out, into) = (ranges(sends), ranges(recvs));
        let here = |links: &[Link]| (0..links.len()).filter(|&i| links[i].rank == me).collect::<Vec<_>>();
        let own = |(s, r): (usize, usize)| (out[s].start, into[r].start, out[s].len());
        let own = here(sends).into_iter().zip(here(recvs)).map(own).collect();
        let moves = |links: &[Link], ranges: &[Range<usize>], memory| {
            let width = T::BYTES;
            let span = |(link, range): (&Link, &Range<usize>)| {
                let piece = Piece::span(memory, range.start * width..range.end * width);
                (link.rank != me).then(|| Move::new(link.rank as usize, piece))
            };
            links.iter().zip(ranges).filter_map(span).collect::<Vec<_>>()
        };
        let steps = vec![Step { sends: moves(sends, &out, FROM), recvs: moves(recvs, &into, INTO), then: vec![] }];
        let zeros = |ranges: &[Range<usize>]| {
            let len = ranges.last().map_or(0, |r| r.end);
            Landing::<T>::new(len).checked().expect("any bits are a value")
        };
        ExchangePlan {
            core,
            made,
            steps,
            own,
            outgoing: zeros(&out),
            incoming: zeros(&into),
            sends: out,
            recvs: into,
            flying: None,
        }
    }

    /// Numbers the links anew: the n-th send becomes number `sends[n]` of `count`, likewise the receives. Numbers that no link
    /// has get no values.
    pub(super) fn number(mut self, count: usize, sends: &[usize], recvs: &[usize]) -> ExchangePlan<T> {
        let anew = |ranges: &[Range<usize>], numbers: &[usize]| {
            let mut all = vec![0..0; count];
            ranges.iter().zip(numbers).for_each(|(range, &number)| all[number] = range.clone());
            all
        };
        (self.sends, self.recvs) = (anew(&self.sends, sends), anew(&self.recvs, recvs));
        self
    }

    /// The values of the i-th send, to be written before `start`. Local.
    ///
    /// # Panics
    /// Between `start` and `finish`.
    pub fn outgoing(&mut self, i: usize) -> &mut [T] {
        assert!(self.flying.is_none(), "the outgoing values of a plan while it flies");
        &mut self.outgoing[self.sends[i].clone()]
    }

    /// The values of the i-th receive of the last `finish`; zeros before the first. Local.
    ///
    /// # Panics
    /// Between `start` and `finish`.
    pub fn incoming(&self, i: usize) -> &[T] {
        assert!(self.flying.is_none(), "the incoming values of a plan while it flies");
        &self.incoming[self.recvs[i].clone()]
    }

    /// Whether the exchange has been started and not finished. Local.
    pub fn flying(&self) -> bool {
        self.flying.is_some()
    }

    /// Whether this plan was made on `comm`. Local.
    pub fn belongs_to(&self, comm: &Comm) -> bool {
        Rc::ptr_eq(&self.core, &comm.core)
    }

    /// Sends to all neighbours. Collective, and every rank starts the same plan; one message a link, none for links to the own rank. A flight that was
    /// forgotten is finished first.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If `comm` is not the communicator that the plan was made on.
    #[track_caller]
    pub fn start(&mut self, comm: &mut Comm) -> Result<(), Abort> {
        assert!(self.belongs_to(comm), "the plan was made on another communicator");
        let print = Print::new::<T>("start of the plan made in call", [self.made, 0], Location::caller());
        self.finish()?;
        for &(from, into, len) in &self.own {
            self.incoming[into..into + len].copy_from_slice(&self.outgoing[from..from + len]);
        }
        let memory = vec![
            Memory::source(std::mem::take(&mut self.outgoing)),
            Memory::source(std::mem::take(&mut self.incoming)),
        ];
        let cargo = Cargo { steps: self.steps.clone(), memory, ..Cargo::default() };
        self.flying = Some(self.core.start(print, cargo)?);
        Ok(())
    }

    /// Waits until all has come and all has gone; nothing if the plan is not flying. Local: it waits only for the
    /// neighbours.
    ///
    /// # Errors
    /// The job's abort.
    pub fn finish(&mut self) -> Result<(), Abort> {
        let Some(flow) = self.flying.take() else { return Ok(()) };
        if let Err(abort) = self.core.rank.settle(&flow) {
            self.flying = Some(flow); // its buffers stay where the transport may still use them
            return Err(abort);
        }
        let mut memory = std::mem::take(&mut flow.borrow_mut().memory).into_iter();
        self.outgoing = memory.next().expect("two buffers went in").into_source();
        self.incoming = memory.next().expect("two buffers went in").into_source();
        Ok(())
    }
}
