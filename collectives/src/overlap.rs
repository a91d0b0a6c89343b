//! Transfers on borrowed buffers. Peers read `src` and `dst` is written while the program computes, so the loan must not
//! end before the transfer does. A handle's destructor cannot promise that (`mem::forget` is safe), a frame can:
//!
//! - [`Comm::overlap`] keeps its `Scope` in its own frame. When the closure returns it waits for every transfer; when the
//!   closure panics, or the job ends, `Scope::drop` withdraws the memory before the frame is gone. (Under MPI a started
//!   transfer cannot be withdrawn: there the job ends at once.)
//! - Buffers are lent for `'env`, which outlives the call; locals of the closure are too short.
//! - `'s` is a brand: invariant, and chosen by `overlap`. A ticket cannot leave its scope, and two `Overlap`s cannot be
//!   swapped, since their types differ. A swapped `Comm` changes nothing: the scope has its own `Rc` of the core.
#![allow(unsafe_code)]

use crate::algo::direct;
use crate::check::Print;
use crate::core::Core;
use crate::failure::{Abort, Outcome};
use crate::flow::{Cargo, Flow};
use crate::transport::memory::{Memory, any_bits};
use crate::{Comm, Plain};
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::rc::Rc;

/// The transfers of one `overlap`. In the frame of `overlap_on`, out of the program's reach.
struct Scope {
    core: Rc<Core>,
    open: RefCell<Vec<Rc<RefCell<Flow>>>>,
}

impl Drop for Scope {
    fn drop(&mut self) {
        for flow in self.open.take() {
            let mut open = flow.borrow_mut();
            if !open.done() {
                open.withdraw(&self.core.rank, || {
                    self.core.rank.own_abort("left an overlap with transfers under way") // an earlier cause stays
                });
                drop(open);
                self.core.rank.remove(&flow);
            }
        }
    }
}

/// Derefs to what it was opened on, a [`Comm`] or a world: other collectives, and above all `par`, may run between a start
/// and its wait.
pub struct Overlap<'s, 'env: 's, W = Comm> {
    on: &'s mut W,
    scope: &'s Scope,
    brand: PhantomData<Cell<(&'s (), &'env ())>>,
}

impl<W> std::fmt::Debug for Overlap<'_, '_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Overlap({} transfers)", self.scope.open.borrow().len())
    }
}

impl<W> Deref for Overlap<'_, '_, W> {
    type Target = W;
    fn deref(&self) -> &W {
        self.on
    }
}

impl<W> DerefMut for Overlap<'_, '_, W> {
    fn deref_mut(&mut self) -> &mut W {
        self.on
    }
}

/// A transfer under way into a borrowed buffer. Forgetting it loses only the early end of the loan.
#[must_use = "the buffer comes back by wait; at the end of the overlap at the latest"]
pub struct Ticket<'s, 'env, T> {
    scope: &'s Scope, // has an `Rc`: `!Send`
    flow: Rc<RefCell<Flow>>,
    dst: *mut [T],
    brand: PhantomData<(Cell<&'s ()>, &'env mut [T])>,
}

impl<T> std::fmt::Debug for Ticket<'_, '_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Ticket({} elements)", self.dst.len())
    }
}

impl<'s, 'env, W> Overlap<'s, 'env, W> {
    /// All-to-all: block `q` of `src` goes to rank `q`, whose `dst` has ours as block `rank`. Both have one block of equal
    /// length for each rank. Collective; p − 1 messages a rank, each straight to its place.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If the lengths differ or are no multiple of the number of ranks, or if not every bit pattern is a `T` (`bool`,
    /// `char`).
    #[track_caller]
    pub fn start_all_to_all_into<T: Plain>(
        &mut self,
        src: &'env [T],
        dst: &'env mut [T],
    ) -> Result<Ticket<'s, 'env, T>, Abort> {
        let core = &self.scope.core;
        let (me, ranks) = (core.me, core.size());
        assert!(any_bits::<T>(), "{} has bit patterns that are no value", std::any::type_name::<T>());
        assert!(
            src.len() == dst.len() && src.len().is_multiple_of(ranks),
            "{} and {} elements, {ranks} ranks",
            src.len(),
            dst.len()
        );
        let print = Print::new::<T>("start_all_to_all_into", [src.len() as u64, 0], Location::caller());
        let (block, bytes) = (src.len() / ranks, size_of_val(src) / ranks);
        dst[me * block..(me + 1) * block].copy_from_slice(&src[me * block..(me + 1) * block]);
        let dst: *mut [T] = dst; // the exclusive loan ends as a reference here; `wait` makes it one again
        let place = |q: usize| Some(q * bytes..(q + 1) * bytes);
        let steps = direct::exchange(me, ranks, place, place);
        // SAFETY: both buffers are lent for 'env, which outlives the frame that has the scope, and the scope settles or
        // withdraws the flow before that frame ends. `dst` is reachable only through the ticket.
        let memory = unsafe { vec![Memory::lend(src), Memory::lend_mut(dst)] };
        self.scope.open.borrow_mut().reserve(1); // nothing may panic between the start and the entry in `open`
        let flow = core.start(print, Cargo { steps, memory, ..Cargo::default() })?;
        self.scope.open.borrow_mut().push(flow.clone());
        Ok(Ticket { scope: self.scope, flow, dst, brand: PhantomData })
    }
}

impl<'s, 'env, T: Plain> Ticket<'s, 'env, T> {
    /// Waits until the transfer has landed and gives the buffer back. After an `Err` the loan lasts to the scope's end.
    ///
    /// # Errors
    /// The job's abort.
    pub fn wait<W>(self, _in: &mut Overlap<'s, 'env, W>) -> Result<&'env mut [T], Abort> {
        self.scope.core.rank.settle(&self.flow)?;
        // SAFETY: it has landed, so no peer touches `dst` again; the pointer came from an `&'env mut [T]` that the start
        // consumed, and this ticket, consumed too, is the only one for it.
        Ok(unsafe { &mut *self.dst })
    }
}

/// Runs `f` with transfers on `comm` that may borrow what outlives this call; `on` is what the closure sees. For handles
/// that own a communicator.
///
/// # Errors
/// The failure of `f`, or the job's abort.
pub fn overlap_on<'env, W, R>(
    on: &mut W,
    comm: impl Fn(&W) -> &Comm,
    f: impl for<'s> FnOnce(&mut Overlap<'s, 'env, W>) -> Outcome<R>,
) -> Outcome<R> {
    let scope = Scope { core: comm(on).core.clone(), open: RefCell::default() };
    let value = f(&mut Overlap { on, scope: &scope, brand: PhantomData });
    let open: Vec<_> = scope.open.borrow().clone();
    for flow in open {
        // The closure's own failure is the cause of what follows from it.
        if let Err(abort) = scope.core.rank.settle(&flow) {
            return value.and(Err(abort.into()));
        }
    }
    value
}

impl Comm {
    /// Runs `f` with transfers that may borrow what outlives this call, and waits for all of them at its end.
    ///
    /// # Errors
    /// The failure of `f`, or the job's abort.
    pub fn overlap<'env, R>(&mut self, f: impl for<'s> FnOnce(&mut Overlap<'s, 'env>) -> Outcome<R>) -> Outcome<R> {
        overlap_on(self, |comm| comm, f)
    }
}
