//! Collectives on a board (`transport::board`): what a rank has to say it posts, and what others say it reads where they
//! posted it. All is copied twice, through memory that stays in the caches; nobody sends a message.
//!
//! A call takes some steps of the board. Long content goes through in slots, several of them on the way at once. Whether a
//! call goes by the board depends only on its fingerprint and its communicator, so all ranks choose alike.

use crate::check::Print;
use crate::core::Core;
use crate::failure::{Abort, Cause, host};
use crate::flow::Due;
use crate::ops::{Op, slices};
use crate::plain::Plain;
use crate::stuck::Watch;
use crate::transport::Call;
use crate::transport::board::{Board, MOST, Other, ROOM, Stamp};
use crate::transport::memory::{Landing, any_bits};
use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// From this many bytes on, more than two ranks reduce by slices.
const SLICED: usize = 16 << 10;
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
    /// Begins a call on the board, if this communicator has one.
    pub(crate) fn posting(&self, print: Print) -> Result<Option<Posting<'_>>, Abort> {
        let Some(board) = self.rank.board().filter(|_| self.is_whole()) else { return Ok(None) };
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

    fn mismatch(&self, Other { member, print, text }: Other) -> Abort {
        let rank = &self.core.rank;
        let now = self.call.print.text();
        let (mine, theirs) = match text {
            Some(text) if print != self.call.print.hash() => (now, text),
            None if print != self.call.print.hash() => (now, "another call".into()),
            // It is here as we are, but somewhere before it was elsewhere, as one that only posts does not see.
            _ => match self.board.first_difference(member) {
                Some([mine, theirs]) => (mine, format!("{theirs} (before {now})")),
                None => (now.clone(), format!("{now} too, but an earlier call of it differed")),
            },
        };
        let calls = [(self.core.members[self.core.me], mine), (self.core.members[member], theirs)];
        rank.transport.abort(Abort::new(Cause::Mismatch { host: host().into(), calls }))
    }

    /// Waits until `ready`; first looking, then as the transport waits. `on` gives the members that are waited for.
    fn wait(
        &self,
        due: Due,
        on: impl Fn(&mut dyn FnMut(usize)),
        ready: impl Fn() -> Result<bool, Abort>,
    ) -> Result<(), Abort> {
        let (core, rank) = (self.core, &self.core.rank);
        let patience = rank.transport.spins();
        for _ in 0..=patience {
            if ready()? {
                return Ok(());
            }
            std::hint::spin_loop();
        }
        let _late = rank.transport.enter_late(rank.me, &self.call)?;
        loop {
            let seen = rank.transport.epoch(rank.me);
            rank.advance();
            let missing = || {
                let mut missing = Vec::new();
                on(&mut |member| missing.push((core.members[member], due)));
                missing
            };
            let for_whom = missing().first().map(|m| m.0);
            let _nap = for_whom.map(|m| rank.transport.nap(self.board, core.place(m)));
            if ready()? {
                rank.transport.stir();
                rank.waited();
                return Ok(());
            }
            // Only from here on would that member ring us. If it was quicker, we sleep for another.
            let missing = missing();
            if missing.first().map(|m| m.0) != for_whom {
                continue;
            }
            let watch = Watch { call: self.call, missing };
            rank.chaser.answer(rank, &watch);
            rank.wait(seen, &self.call, &watch)?;
        }
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

    /// Everybody has come.
    pub(crate) fn barrier(self) -> Result<(), Abort> {
        self.post(0, 0, &[])?;
        self.read(0, self.others())?;
        self.through(0);
        self.end(1);
        Ok(())
    }

    /// Everybody's bytes, in the order of ranks.
    pub(crate) fn all_gather(self, mine: Vec<u8>) -> Result<Vec<Vec<u8>>, Abort> {
        let chunk = |len: usize, k: u64| chunk(len, ROOM, k);
        self.post(0, mine.len(), &[&mine[chunk(mine.len(), 0)]])?;
        self.read(0, self.others())?;
        let total =
            |m: usize| if m == self.board.me { mine.len() } else { self.board.total(m, self.before + 1) as usize };
        let totals: Vec<usize> = (0..self.board.members).map(total).collect();
        let steps = totals.iter().map(|&t| chunks(t, ROOM)).max().unwrap_or(1);
        let mut all: Vec<Vec<u8>> = totals.iter().map(|&t| vec![0; t]).collect();
        for k in 0..steps {
            if k + 1 < steps {
                self.post(k + 1, mine.len(), &[&mine[chunk(mine.len(), k + 1)]])?;
            }
            self.read(k, self.others())?;
            for m in self.others() {
                let range = chunk(totals[m], k);
                self.board.load((m, self.before + 1 + k, range.len(), 0), &mut all[m][range], totals[m]);
            }
            self.through(k);
        }
        all[self.board.me] = mine;
        self.end(steps);
        Ok(all)
    }

    /// Everybody's values, of equal length, in the order of ranks. Any bits must be a `T`.
    pub(crate) fn all_gather_into<T: Plain>(self, mine: &[T], all: &mut [T]) -> Result<(), Abort> {
        let (me, room, len) = (self.board.me, ROOM / T::BYTES, mine.len());
        let post = |k: u64| self.post(k, len, &[bytemuck::cast_slice(&mine[chunk(len, room, k)])]);
        let steps = chunks(len, room);
        let whole = size_of_val(all);
        all[me * len..(me + 1) * len].copy_from_slice(mine);
        post(0)?;
        for k in 0..steps {
            if k + 1 < steps {
                post(k + 1)?;
            }
            self.read(k, self.others())?;
            let range = chunk(len, room, k);
            for m in self.others() {
                let at = (m, self.before + 1 + k, range.len() * T::BYTES, 0);
                self.board.load(at, &mut all[m * len + range.start..m * len + range.end], whole);
            }
            self.through(k);
        }
        self.end(steps);
        Ok(())
    }

    /// Everybody's values, in the order of ranks, and where each rank's end. Any bits must be a `T`.
    pub(crate) fn all_values<T: Plain>(self, mine: &[T]) -> Result<(Vec<T>, Vec<usize>), Abort> {
        let (me, room) = (self.board.me, ROOM / T::BYTES);
        let post = |k: u64| self.post(k, mine.len(), &[bytemuck::cast_slice(&mine[chunk(mine.len(), room, k)])]);
        post(0)?;
        self.read(0, self.others())?;
        let len = |m: usize| if m == me { mine.len() } else { self.board.total(m, self.before + 1) as usize };
        let lens: Vec<usize> = (0..self.board.members).map(len).collect();
        let mut ends = lens.clone();
        (1..ends.len()).for_each(|m| ends[m] += ends[m - 1]);
        let steps = lens.iter().map(|&len| chunks(len, room)).max().unwrap_or(1);
        let mut all = Landing::<T>::new(ends[ends.len() - 1]).checked().expect("any bits are a value");
        let whole = size_of_val(&*all);
        all[ends[me] - mine.len()..ends[me]].copy_from_slice(mine);
        for k in 0..steps {
            if k + 1 < steps {
                post(k + 1)?;
            }
            self.read(k, self.others())?;
            for m in self.others() {
                let (range, start) = (chunk(lens[m], room, k), ends[m] - lens[m]);
                let at = (m, self.before + 1 + k, range.len() * T::BYTES, 0);
                self.board.load(at, &mut all[start + range.start..start + range.end], whole);
            }
            self.through(k);
        }
        self.end(steps);
        Ok((all, ends))
    }

    /// Everybody's values combined in the order of ranks, in everybody's buffer of equal length. Any bits must be a `T`.
    pub(crate) fn all_reduce<T: Plain, O: Op<T>>(self, values: &mut [T], op: &O) -> Result<(), Abort> {
        let room = ROOM / T::BYTES;
        if self.board.members > 2 && size_of_val(values) > SLICED {
            return self.all_reduce_by_slices(values, op);
        }
        let steps = chunks(values.len(), room);
        let total = size_of_val(values);
        let (mut own, mut folding): (Vec<T>, _) = (Vec::new(), Folding::default());
        self.post(0, total, &[bytemuck::cast_slice(&values[chunk(values.len(), room, 0)])])?;
        for k in 0..steps {
            if k + 1 < steps {
                self.post(k + 1, total, &[bytemuck::cast_slice(&values[chunk(values.len(), room, k + 1)])])?;
            }
            self.read(k, self.others())?;
            let len = values.len();
            let mine = &mut values[chunk(len, room, k)];
            folding.run(|| self.fold(k, (size_of_val(mine), 0), mine, &mut own, op));
            self.through(k);
        }
        self.end(steps);
        folding.end();
        Ok(())
    }

    /// As above, each rank with its slice of every chunk, which it then posts: about three times the length for each, whatever
    /// the number of ranks.
    fn all_reduce_by_slices<T: Plain, O: Op<T>>(self, values: &mut [T], op: &O) -> Result<(), Abort> {
        let (room, len, me) = (ROOM / T::BYTES, values.len(), self.board.me);
        let (rounds, mut own) = (chunks(len, room), Vec::<T>::new());
        for round in 0..rounds {
            let (all, sums) = (2 * round, 2 * round + 1);
            let mine = &mut values[chunk(len, room, round)];
            let (of, slice) = (size_of_val(mine), slices(mine.len(), self.board.members));
            self.post(all, of, &[bytemuck::cast_slice(mine)])?;
            self.read(all, self.others())?;
            let part = &mut mine[slice(me)];
            let from = slice(me).start * T::BYTES;
            self.fold(all, (of, from), part, &mut own, op); // a panic ends the job: the others need our slice
            self.post(sums, of, &[bytemuck::cast_slice(&mine[slice(me)])])?;
            self.read(sums, self.others())?;
            for m in self.others() {
                let part = &mut mine[slice(m)];
                self.board.load((m, self.before + 1 + sums, size_of_val(part), 0), part, of);
            }
            self.through(sums);
        }
        self.end(2 * rounds);
        Ok(())
    }

    /// Combines what all have posted in a step (`of` bytes, the part `from` a byte on) with `mine`, in the order of ranks. `own`
    /// is room for a copy.
    fn fold<T: Plain, O: Op<T>>(&self, k: u64, (of, from): (usize, usize), mine: &mut [T], own: &mut Vec<T>, op: &O) {
        let (me, members) = (self.board.me, self.board.members);
        let at = |m: usize| (m, self.before + 1 + k, of, from);
        match me {
            0 => (1..members).for_each(|m| self.board.combine(at(m), mine, op, false)),
            1 => {
                self.board.combine(at(0), mine, op, true);
                (2..members).for_each(|m| self.board.combine(at(m), mine, op, false));
            }
            _ => {
                // Ours comes in the middle.
                own.clear();
                own.extend_from_slice(mine);
                self.board.load(at(0), mine, of);
                for m in 1..members {
                    match m == me {
                        true => op.combine_all(mine, own, false),
                        false => self.board.combine(at(m), mine, op, false),
                    }
                }
            }
        }
    }

    /// Everybody's values combined in the order of ranks, in the root's buffer; others keep theirs. Any bits must be a `T`.
    pub(crate) fn reduce<T: Plain, O: Op<T>>(self, root: usize, values: &mut [T], op: &O) -> Result<(), Abort> {
        let (me, room) = (self.board.me, ROOM / T::BYTES);
        let (len, steps, mut own) = (values.len(), chunks(values.len(), room), Vec::new());
        let mut folding = Folding::default();
        for k in 0..steps {
            let mine = &mut values[chunk(len, room, k)];
            if me != root {
                self.post(k, size_of_val(mine), &[bytemuck::cast_slice(mine)])?;
                self.through(k);
                continue;
            }
            self.read(k, self.others())?;
            folding.run(|| self.fold(k, (size_of_val(mine), 0), mine, &mut own, op));
            self.through(k);
        }
        self.end(steps);
        folding.end();
        Ok(())
    }

    /// The root's values in everybody's buffer of equal length. Any bits must be a `T`.
    pub(crate) fn broadcast<T: Plain>(self, root: usize, values: &mut [T]) -> Result<(), Abort> {
        let (len, room, whole) = (values.len(), ROOM / T::BYTES, size_of_val(values));
        let steps = chunks(len, room);
        for k in 0..steps {
            let part = &mut values[chunk(len, room, k)];
            if self.board.me == root {
                self.post(k, size_of_val(part), &[bytemuck::cast_slice(part)])?;
            } else {
                self.read(k, std::iter::once(root))?;
                self.board.load((root, self.before + 1 + k, size_of_val(part), 0), part, whole);
            }
            self.through(k);
        }
        self.end(steps);
        Ok(())
    }

    /// The root's bytes, of a length that the others need not know.
    pub(crate) fn bytes_from(self, root: usize, mine: Option<Vec<u8>>) -> Result<Vec<u8>, Abort> {
        let mut bytes = mine.unwrap_or_default();
        let mut steps = chunks(bytes.len(), ROOM);
        let mut k = 0;
        while k < steps {
            if self.board.me == root {
                self.post(k, bytes.len(), &[&bytes[chunk(bytes.len(), ROOM, k)]])?;
            } else {
                self.read(k, std::iter::once(root))?;
                if k == 0 {
                    bytes = vec![0; self.board.total(root, self.before + 1) as usize];
                    steps = chunks(bytes.len(), ROOM);
                }
                let range = chunk(bytes.len(), ROOM, k);
                let whole = bytes.len();
                self.board.load((root, self.before + 1 + k, range.len(), 0), &mut bytes[range], whole);
            }
            self.through(k);
            k += 1;
        }
        self.end(steps);
        Ok(bytes)
    }

    /// Block q of `send` to rank q, whose block of ours lands in `into`. Both have one block of equal length a rank. Any bits
    /// must be a `T`.
    pub(crate) fn all_to_all<T: Plain>(self, send: &[T], into: &mut [T]) -> Result<(), Abort> {
        let (me, members) = (self.board.me, self.board.members);
        let block = send.len() / members;
        let room = (ROOM / T::BYTES / (members - 1)).max(1);
        let steps = chunks(block, room);
        let whole = size_of_val(into);
        into[me * block..(me + 1) * block].copy_from_slice(&send[me * block..(me + 1) * block]);
        let mut parts = Vec::with_capacity(members - 1);
        let mut post = |k: u64| {
            let range = chunk(block, room, k);
            let of = |q: usize| bytemuck::cast_slice(&send[q * block + range.start..q * block + range.end]);
            parts.clear();
            parts.extend(self.others().map(of));
            self.post(k, block, &parts)
        };
        post(0)?;
        for k in 0..steps {
            if k + 1 < steps {
                post(k + 1)?;
            }
            self.read(k, self.others())?;
            let range = chunk(block, room, k);
            let bytes = range.len() * T::BYTES;
            for m in self.others() {
                let place = if me < m { me } else { me - 1 }; // among the others of m
                let part = &mut into[m * block + range.start..m * block + range.end];
                self.board.load((m, self.before + 1 + k, bytes * (members - 1), place * bytes), part, whole);
            }
            self.through(k);
        }
        self.end(steps);
        Ok(())
    }
}

/// Runs an operation of the program's. If it panics, the call goes on without it to its end, so that the board is where all
/// expect it, and panics then: as where all that a call sends has been sent before it is combined.
#[derive(Default)]
struct Folding(Option<Box<dyn Any + Send>>);

impl Folding {
    fn run(&mut self, fold: impl FnOnce()) {
        if self.0.is_none() {
            self.0 = catch_unwind(AssertUnwindSafe(fold)).err();
        }
    }

    fn end(self) {
        if let Some(panic) = self.0 {
            resume_unwind(panic);
        }
    }
}

/// Whether `bytes` of values of this type go by the board: long ones only between processes. Threads copy them straight from
/// memory to memory, once.
pub(crate) fn suits_long<T: Plain>(core: &Core, bytes: usize) -> bool {
    suits::<T>() && (bytes < LONG || !core.rank.transport.copies_once())
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
