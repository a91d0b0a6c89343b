//! Collectives on a board (`transport::board`): what a rank has to say it posts, and what others say it reads where they
//! posted it. All is copied twice, through memory that stays in the caches; nobody sends a message.
//!
//! A call takes some steps of the board. Long content goes through in slots, several of them on the way at once. Whether a
//! call goes by the board depends only on its fingerprint and its communicator, so all ranks choose alike.

mod moves;
mod reductions;
mod wait;

use crate::check::Print;
use crate::core::Core;
use crate::failure::{Abort, Cause, host};
use crate::flow::Due;
use crate::plain::Plain;
use crate::transport::Call;
use crate::transport::board::{Board, MOST, Other, ROOM, Stamp};
use crate::transport::memory::{any_bits, poison};
use std::ops::Range;

/// From this many bytes on, a copy less outweighs the messages.
const LONG: usize = 256 << 10;

/// A call under way on a board.
pub(crate) struct Posting<'c> {
    core: &'c Core,
    board: &'c Board,
    call: Call,
    /// The board's steps before this call.
    before: u64,
    ended: bool,
}

impl Drop for Posting<'_> {
    /// A call that is left in the middle leaves the board where the others do not expect it: the job ends.
    fn drop(&mut self) {
        if !self.ended && !self.core.rank.transport.aborted() {
            let rank = &self.core.rank;
            rank.transport.abort(rank.own_abort("left a collective under way"));
        }
    }
}

impl Core {
    pub(crate) fn board(&self) -> Option<&Board> {
        self.rank.board().filter(|_| self.is_whole())
    }

    /// Begins a call on the board, if this communicator has one.
    pub(crate) fn posting(&self, print: Print) -> Result<Option<Posting<'_>>, Abort> {
        let Some(board) = self.board() else { return Ok(None) };
        let call = self.begin(print)?;
        self.rank.transport.enter_posting(&call)?;
        self.rank.advance_flows(); // a call that need not wait would not look after them
        board.begin(&call.print);
        Ok(Some(Posting { core: self, board, call, before: board.step(), ended: false }))
    }
}

impl Posting<'_> {
    fn stamp(&self, step: u64) -> Stamp {
        let rolling = self.call.rolling.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Stamp { step: self.before + 1 + step, print: self.call.print.hash(), rolling }
    }

    fn others(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        let me = self.board.me;
        (0..self.board.members).filter(move |&m| m != me)
    }

    /// Posts what this rank has to say in a step, once its slot is free.
    fn post(&self, step: u64, total: usize, parts: &[&[u8]]) -> Result<(), Abort> {
        self.core.rank.delays.now();
        let stamp = self.stamp(step);
        let len = parts.iter().map(|p| p.len()).sum();
        let needed = Board::needed(stamp.step, len);
        if !self.board.free(needed) {
            let on = |due: &mut dyn FnMut(usize)| self.board.readers(needed).into_iter().for_each(due);
            self.wait(Due::Read(needed), on, || Ok(self.board.free(needed)))?;
        }
        self.core.rank.count_sent(len);
        self.board.post(stamp, total as u64, parts);
        self.core.rank.transport.posted(self.board);
        Ok(())
    }

    /// Waits until these members have posted a step.
    fn read(&self, step: u64, from: impl Iterator<Item = usize> + Clone) -> Result<(), Abort> {
        self.core.rank.delays.now();
        let stamp = self.stamp(step);
        let all = || {
            for member in from.clone() {
                if !self.board.posted(member, stamp).map_err(|other| self.mismatch(other))? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let on = |due: &mut dyn FnMut(usize)| {
            from.clone().filter(|&m| self.board.posted(m, stamp).is_ok_and(|there| !there)).for_each(due);
        };
        self.wait(Due::Post(stamp.step), on, all)
    }

    /// As `read`, where each has `total(member)` to post in all.
    fn read_of(
        &self,
        step: u64,
        mut from: impl Iterator<Item = usize> + Clone,
        total: impl Fn(usize) -> usize,
    ) -> Result<(), Abort> {
        self.read(step, from.clone())?;
        if !self.core.rank.level.is_full() {
            return Ok(());
        }
        let said = |m: usize| self.board.total(m, self.before + 1 + step);
        let Some(wrong) = from.find(|&m| said(m) != total(m) as u64) else { return Ok(()) };
        let side = |what: &str, n: u64| format!("{} ({what} {n} in all)", self.call.print.text());
        let mine = (self.core.members[self.core.me], side("to read", total(wrong) as u64));
        let theirs = (self.core.members[wrong], side("has posted", said(wrong)));
        let cause = Cause::Mismatch { host: host().into(), calls: [mine, theirs] };
        Err(self.core.rank.transport.abort(Abort::new(cause)))
    }

    /// At level `full`, so that what has not come is seen.
    fn poison<T: Plain>(&self, into: &mut [T]) {
        if self.core.rank.level.is_full() {
            poison(into);
        }
    }

    fn mismatch(&self, Other { member, print, text }: Other) -> Abort {
        self.core.posted_another(&self.call, member, print, text)
    }

    /// Waits until `ready`. `on` gives the members that are waited for.
    fn wait(
        &self,
        due: Due,
        on: impl Fn(&mut dyn FnMut(usize)),
        ready: impl Fn() -> Result<bool, Abort>,
    ) -> Result<(), Abort> {
        let nap = |member| self.core.rank.transport.nap(self.board, member);
        self.core.wait_for(&self.call, true, |each| on(&mut |member| each(member, due)), ready, nap)
    }

    /// This rank is through with a step.
    fn through(&self, step: u64) {
        self.board.done(self.before + 1 + step);
        self.core.rank.transport.posted(self.board);
    }

    fn end(mut self, steps: u64) {
        self.board.advance(steps);
        self.ended = true;
    }
}

/// Whether `bytes` of values of this type go by the board: always between processes. Among threads long ones are copied once,
/// from memory to memory, where that is less work than the board's pipeline: with `pipelined` (broadcast, all_reduce) only if
/// ranks have no cores of their own and would sleep at every slot.
pub(crate) fn suits_long<T: Plain>(core: &Core, bytes: usize, pipelined: bool) -> bool {
    let transport = &core.rank.transport;
    suits::<T>() && (bytes < LONG || !transport.copies_once() || (pipelined && transport.spins() > 0))
}

/// Whether calls on values of this type can go by a board: they are read where they lie, so that any bits must do.
pub(crate) fn suits<T: Plain>() -> bool {
    any_bits::<T>() && T::BYTES <= ROOM / MOST
}

/// Steps for `len` units, `room` at a time; one at least.
fn chunks(len: usize, room: usize) -> u64 {
    len.div_ceil(room).max(1) as u64
}

/// The units of step `k`.
fn chunk(len: usize, room: usize, k: u64) -> Range<usize> {
    let start = (k as usize).saturating_mul(room).min(len);
    start..(start + room).min(len)
}
