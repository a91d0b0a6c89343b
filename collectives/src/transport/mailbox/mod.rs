//! Mailboxes: memory of a receiver into which its neighbours on the host write, so that values are copied once.
//!
//! Each receive has two buffers, which take turns from round to round. Each pair of writer and reader has two lines of words in
//! the reader's memory:
//!
//! - the writer's: for either buffer a stamp, the number of the round and bits of the rolling hash of the call, and the
//!   fingerprint of the call. The stamp is released when all is written, so whoever finds it knows in one look that the values are
//!   there and that their writer is in the same round of the same plan. There are two, because a writer can be a round ahead.
//! - the reader's: the round that it has sent itself. By that it is through with the rounds before. Before a writer writes round
//!   g into a buffer it has acquired that the reader has sent round g − 1, and so is through with g − 2, which was there before.
//!
//! Among threads each line also says whether its owner sleeps; who writes the other line rings it then. Processes look for
//! themselves.

#[cfg(all(test, loom))]
mod models;
mod office;
mod outlet;
mod region;
mod unshared;

pub(crate) use office::Office;
pub(crate) use outlet::{Inlet, Outlet};
pub(crate) use region::{APART, Region};
pub(crate) use unshared::Unshared;

use super::board::Stamp;
use super::sync::{Ordering, fence};
use std::sync::Arc;

/// Bytes of a pair's lines.
pub(crate) const LINES: usize = 2 * APART;
/// Before all else in a region: its signature.
pub(crate) const LOBBY: usize = APART;

/// In a line: whether its owner sleeps.
const SLEEPS: usize = 32;

/// Where others of the host find a region: how many bytes it has, and three numbers of the transport's. Good as long as it is kept.
pub(crate) struct Offer {
    pub words: [u64; 3],
    #[expect(dead_code, reason = "it keeps the offer good")]
    pub held: Held,
}

/// What keeps an offer good.
pub(crate) enum Held {
    #[expect(dead_code, reason = "its end ends the offer")]
    Listed(super::threads::Listed),
    #[cfg(feature = "mpi")]
    #[expect(dead_code, reason = "it keeps the descriptor open")]
    File(std::fs::File),
}

/// One of the two ranks of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Writer,
    Reader,
}

impl Side {
    fn other(self) -> Side {
        if self == Side::Writer { Side::Reader } else { Side::Writer }
    }

    fn line(self) -> usize {
        if self == Side::Writer { 0 } else { APART }
    }
}

/// The lines of a writer and a reader, as one of them sees them.
pub(crate) struct Pair {
    region: Arc<Region>,
    at: usize,
    side: Side,
}

/// The other side sleeps, or is about to.
pub(crate) struct Nap<'p>(&'p Pair);

impl Drop for Nap<'_> {
    fn drop(&mut self) {
        self.0.word(self.0.side.line() + SLEEPS).store(0, Ordering::Relaxed);
    }
}

impl Pair {
    /// # Panics
    /// If there are no lines at that place.
    pub(crate) fn new(region: Arc<Region>, at: usize, side: Side) -> Pair {
        assert!(at.is_multiple_of(APART), "lines at {at}");
        region.address(at, LINES);
        Pair { region, at, side }
    }

    fn word(&self, at: usize) -> &super::sync::AtomicU64 {
        self.region.word(self.at + at)
    }

    /// Where a round's stamp is; its fingerprint follows.
    fn stamp(round: u64) -> usize {
        (round % 2) as usize * 16
    }

    /// The writer: all of a round is written.
    pub(crate) fn post(&self, stamp: Stamp) {
        debug_assert_eq!(self.side, Side::Writer);
        let at = Pair::stamp(stamp.step);
        self.word(at + 8).store(stamp.print, Ordering::Relaxed);
        self.word(at).store(stamp.word(), Ordering::Release);
    }

    /// The reader: whether the round of this stamp is written.
    ///
    /// # Errors
    /// The writer has written it in another call, of this fingerprint.
    pub(crate) fn posted(&self, stamp: Stamp) -> Result<bool, u64> {
        let at = Pair::stamp(stamp.step);
        let word = self.word(at).load(Ordering::Acquire);
        if word >> 32 != stamp.step & 0xffff_ffff {
            return Ok(false);
        }
        let print = self.word(at + 8).load(Ordering::Relaxed);
        if word == stamp.word() && print == stamp.print { Ok(true) } else { Err(print) }
    }

    /// The reader: it is through with all rounds before this one.
    pub(crate) fn done_before(&self, round: u64) {
        debug_assert_eq!(self.side, Side::Reader);
        self.word(APART).store(round, Ordering::Release);
    }

    /// The writer: whether the buffer of a round is free, since the reader is through with the round before it there. (Before the
    /// first two rounds there were zeros.)
    pub(crate) fn free(&self, round: u64) -> bool {
        round == 1 || self.word(APART).load(Ordering::Acquire) >= round - 1
    }

    /// From now on until the nap is dropped this side must be rung when the other one has written its line. Look again before
    /// you sleep.
    pub(crate) fn nap(&self) -> Nap<'_> {
        self.word(self.side.line() + SLEEPS).store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst); // pairs with `other_sleeps`
        Nap(self)
    }

    /// Whether the other side sleeps, and may not have seen what this side has written last.
    pub(crate) fn other_sleeps(&self) -> bool {
        fence(Ordering::SeqCst); // either we see the nap, or the sleeper sees what we have written
        self.word(self.side.other().line() + SLEEPS).load(Ordering::Relaxed) != 0
    }
}
