//! All mailboxes of a plan, as one rank has them, and how far its rounds are: who may write or read what follows from that
//! alone, so that code above needs no promises.
//!
//! A round goes `idle` → `writing` (all readers have room) → `sent` → `idle` (all writers have written). What came in a round may
//! be read from the end of that round until the next is sent.

use super::outlet::{Inlet, Outlet};
use super::{Nap, Pair};
use crate::Plain;
use crate::transport::board::Stamp;

/// What a rank does with its mailboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Idle,
    Writing,
    Sent,
}

/// A rank's mailboxes. `Sync`: workers write and read.
pub(crate) struct Office {
    outlets: Vec<Outlet>,
    inlets: Vec<Inlet>,
    /// The ranks that it writes for, and those that write for it: their places in the communicator.
    pub readers: Vec<(usize, Pair)>,
    pub writers: Vec<(usize, Pair)>,
    /// Rounds that have ended.
    round: u64,
    doing: Doing,
    /// What is given back is poisoned.
    poisons: bool,
}

/// The buffer of a round, of two.
fn parity(round: u64) -> usize {
    (round % 2) as usize
}

impl Office {
    pub(crate) fn new(
        outlets: Vec<Outlet>,
        inlets: Vec<Inlet>,
        readers: Vec<(usize, Pair)>,
        writers: Vec<(usize, Pair)>,
        poisons: bool,
    ) -> Office {
        Office { outlets, inlets, readers, writers, round: 0, doing: Doing::Idle, poisons }
    }

    /// The round that is under way, or comes next. They count from 1.
    pub(crate) fn next(&self) -> u64 {
        self.round + 1
    }

    /// Rounds that have ended.
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    pub(crate) fn sent(&self) -> bool {
        self.doing == Doing::Sent
    }

    /// The readers that have no room for the next round yet.
    pub(crate) fn full(&self) -> impl Iterator<Item = usize> {
        let round = self.next();
        self.readers.iter().filter(move |(_, pair)| !pair.free(round)).map(|r| r.0)
    }

    /// From now on this rank writes: all its readers have room. Messages of the last round must have left.
    pub(crate) fn open(&mut self) {
        assert!(self.doing != Doing::Sent && self.full().next().is_none(), "mailboxes opened before they are free");
        self.doing = Doing::Writing;
    }

    /// Copies values to the place `at` of the i-th link.
    ///
    /// # Panics
    /// If they do not fit.
    pub(crate) fn write<T: Plain>(&self, i: usize, at: usize, values: &[T]) {
        assert_eq!(self.doing, Doing::Writing);
        let at = at.checked_mul(T::BYTES).expect("a place in memory");
        // SAFETY: we write, so the readers were through with that buffer when this began, and have not been told of it since;
        // and no message from it is under way.
        unsafe { self.outlets[i].write(parity(self.next()), at, bytemuck::cast_slice(values)) };
    }

    /// As `write`, by the rank alone.
    ///
    /// # Panics
    /// If they do not fit.
    pub(crate) fn write_alone<T: Plain>(&mut self, i: usize, at: usize, values: &[T]) {
        assert_eq!(self.doing, Doing::Writing);
        let (at, parity) = (at.checked_mul(T::BYTES).expect("a place in memory"), parity(self.next()));
        // SAFETY: as for `write`.
        unsafe { self.outlets[i].write_alone(parity, at, bytemuck::cast_slice(values)) };
    }

    /// All is written: what came in the last round is given back, and the readers are told. The messages are the caller's.
    pub(crate) fn send(&mut self, print: u64, rolling: u64) {
        assert_eq!(self.doing, Doing::Writing);
        self.doing = Doing::Sent; // from here on nobody reads
        if self.poisons {
            // SAFETY: the writers have not been told yet.
            self.inlets.iter().for_each(|inlet| unsafe { inlet.poison(parity(self.round)) });
        }
        self.writers.iter().for_each(|(_, pair)| pair.done_before(self.next()));
        let stamp = Stamp { step: self.next(), print, rolling };
        self.readers.iter().for_each(|(_, pair)| pair.post(stamp));
    }

    /// The members whose values have not come.
    ///
    /// # Errors
    /// A member has sent this round in another call: its place, and that call's fingerprint.
    pub(crate) fn missing(&self, print: u64, rolling: u64) -> impl Iterator<Item = Result<usize, (usize, u64)>> {
        let stamp = Stamp { step: self.next(), print, rolling };
        let one = move |(member, pair): &(usize, Pair)| match pair.posted(stamp) {
            Ok(true) => None,
            Ok(false) => Some(Ok(*member)),
            Err(other) => Some(Err((*member, other))),
        };
        self.writers.iter().filter_map(one)
    }

    /// The round has ended: all has come. The messages are the caller's.
    pub(crate) fn finish(&mut self, print: u64, rolling: u64) {
        assert!(self.sent() && self.missing(print, rolling).next().is_none(), "a round ended before all has come");
        (self.doing, self.round) = (Doing::Idle, self.round + 1);
    }

    /// Where the i-th receive lies in rounds of this parity.
    pub(crate) fn inbox(&self, i: usize, parity: usize) -> *const u8 {
        self.inlets[i].address(parity)
    }

    /// The buffer of the last round that has ended.
    ///
    /// # Panics
    /// If what came has been given back.
    pub(crate) fn parity(&self) -> usize {
        assert!(!self.sent(), "mailboxes read while a round is under way");
        parity(self.round)
    }

    /// Copies values from the place `at` of the i-th link. Any bits must be a `T`.
    ///
    /// # Panics
    /// If there are not as many, or what came has been given back.
    pub(crate) fn read<T: Plain>(&self, i: usize, at: usize, into: &mut [T]) {
        let at = at.checked_mul(T::BYTES).expect("a place in memory");
        // SAFETY: the round of that buffer has ended, and it is not given back.
        unsafe { self.inlets[i].read(self.parity(), at, into) };
    }

    /// Announces a sleep until this member has written something: what it sends (`incoming`), or that it has room.
    pub(crate) fn nap(&self, member: usize, incoming: bool) -> Option<Nap<'_>> {
        let pairs = if incoming { &self.writers } else { &self.readers };
        pairs.iter().find(|(m, _)| *m == member).map(|(_, pair)| pair.nap())
    }

    /// The members that may sleep for what this rank has sent.
    pub(crate) fn to_ring(&self) -> impl Iterator<Item = usize> {
        self.readers.iter().chain(&self.writers).filter(|(_, pair)| pair.other_sleeps()).map(|p| p.0)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::transport::mailbox::{APART, Inlet, LINES, LOBBY, Outlet, Region, Side};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Two ranks, of which the first writes for the second.
    fn one_way() -> [Office; 2] {
        let at = [LOBBY + LINES, LOBBY + LINES + APART];
        let region = Region::heap(at[1] + APART);
        let pair = |side, member| vec![(member, Pair::new(region.clone(), LOBBY, side))];
        let outlet = Outlet::new(region.clone(), at, 16);
        let inlet = Inlet { region: region.clone(), at, bytes: 16 };
        [
            Office::new(vec![outlet], vec![], pair(Side::Writer, 1), vec![], false),
            Office::new(vec![], vec![inlet], vec![], pair(Side::Reader, 0), false),
        ]
    }

    fn missing(office: &Office, print: u64, rolling: u64) -> Vec<Result<usize, (usize, u64)>> {
        office.missing(print, rolling).collect()
    }

    #[test]
    fn a_writer_is_one_round_ahead_at_most() {
        let [mut writer, mut reader] = one_way();
        let write = |writer: &mut Office, value: u64| {
            writer.open();
            writer.write(0, 0, &[value, value + 1]);
            writer.send(7, value << 40);
            writer.finish(7, value << 40);
        };
        write(&mut writer, 1);
        assert_eq!(writer.full().collect::<Vec<_>>(), [1], "the reader has not sent its first round");
        reader.open();
        reader.send(7, 1 << 40);
        assert!(missing(&reader, 7, 1 << 40).is_empty());
        write(&mut writer, 2); // meanwhile
        assert_eq!(writer.full().count(), 1);
        assert!(catch_unwind(AssertUnwindSafe(|| writer.open())).is_err());
        reader.finish(7, 1 << 40);
        let read = |reader: &Office| {
            let mut came = [0u64; 2];
            reader.read(0, 0, &mut came);
            came
        };
        assert_eq!(read(&reader), [1, 2]);
        reader.open();
        assert_eq!(read(&reader), [1, 2], "until the next is sent");
        reader.send(7, 2 << 40);
        assert_eq!(writer.full().count(), 0);
        assert!(catch_unwind(AssertUnwindSafe(|| read(&reader))).is_err(), "given back");
        reader.finish(7, 2 << 40);
        assert_eq!((read(&reader), reader.parity(), reader.round()), ([2, 3], 0, 2));
    }

    #[test]
    fn who_is_in_another_call_is_found() {
        let [mut writer, mut reader] = one_way();
        writer.open();
        writer.send(7, 5 << 40);
        reader.open();
        assert!(catch_unwind(AssertUnwindSafe(|| reader.finish(7, 5 << 40))).is_err(), "not sent yet");
        reader.send(7, 5 << 40);
        assert_eq!(missing(&reader, 7, 5 << 40), []);
        assert_eq!(missing(&reader, 8, 5 << 40), [Err((0, 7))]);
        assert_eq!(missing(&reader, 7, 6 << 40), [Err((0, 7))]);
        reader.finish(7, 5 << 40);
        assert_eq!(missing(&reader, 7, 5 << 40), [Ok(0)], "of the next round");
    }

    /// What is given back is poisoned before its writer may write again, at level `full`.
    #[test]
    fn what_is_given_back_is_poisoned() {
        let [_, mut reader] = one_way();
        reader.poisons = true;
        reader.open();
        reader.send(7, 0);
        let mut first = [0u64; 2];
        // SAFETY: nobody writes it.
        unsafe { reader.inlets[0].read(0, 0, &mut first) };
        assert_eq!(first, [u64::MAX; 2]);
    }
}
