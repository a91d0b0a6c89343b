//! How much is checked while a job runs, as `PHYSALIA_CHECK` asks:
//!
//! - `off`: calls are not compared when they begin, nor where messages come in; on a board their comparison costs nothing (the
//!   flag that says that something is there is made of it), so there it stays. Type, shape and length of each message are
//!   compared all the same: what is written into typed or borrowed memory rests on them. So a program that differs between
//!   ranks is refused later, or, where another call has the same type and shape, not at all.
//! - `light`: all calls of all ranks are compared. What every job has that asks for nothing else.
//! - `full`: besides, to find what goes wrong once in a thousand runs, memory that will be received into is *poisoned* before
//!   (`0xFF` in every byte: NaN, -1, the largest number), so that whoever reads what has not landed sees it; lengths that
//!   follow from others are compared too; and ranks are held up at random before calls, sends and receives, so that they meet
//!   in other orders than usual. The delays follow from a seed (`full:SEED`), which is told.
//!
//! One level holds for the whole job: among processes that of rank 0.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

/// How much is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Types, shapes and lengths of messages only.
    Off,
    /// All calls of all ranks are compared.
    #[default]
    Light,
    /// Besides, memory is poisoned before it is received into, and ranks are held up at random.
    Full {
        /// What the delays follow from.
        seed: u64,
    },
}

impl Level {
    /// From `off`, `light`, `full` (with a seed from the clock) or `full:SEED`.
    ///
    /// # Errors
    /// What is wanted instead, in words.
    pub fn parse(text: &str) -> Result<Level, String> {
        match (text, text.strip_prefix("full:").map(str::parse)) {
            ("off", _) => Ok(Level::Off),
            ("light", _) => Ok(Level::Light),
            ("full", _) => Ok(Level::Full { seed: clock() }),
            (_, Some(Ok(seed))) => Ok(Level::Full { seed }),
            _ => Err(format!("{text}: `off`, `light`, `full` or `full:SEED`, a number, is wanted")),
        }
    }

    pub(crate) fn is_full(self) -> bool {
        matches!(self, Level::Full { .. })
    }

    /// For a message from process to process.
    #[cfg(feature = "mpi")]
    pub(crate) fn words(self) -> [u64; 3] {
        match self {
            Level::Off => [0, 0, 0],
            Level::Light => [1, 0, 0],
            Level::Full { seed } => [2, seed, 0],
        }
    }

    #[cfg(feature = "mpi")]
    pub(crate) fn of_words([which, seed, _]: [u64; 3]) -> Level {
        match which {
            0 => Level::Off,
            1 => Level::Light,
            _ => Level::Full { seed },
        }
    }
}

/// A seed that other runs do not have, short enough to be typed.
fn clock() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    mix(now.as_nanos() as u64) % 1_000_000_000
}

/// Holds its rank up at random.
pub(crate) struct Delays {
    on: bool,
    state: Cell<u64>,
}

/// The longest delay, in µs, without what the system adds.
const LONGEST_US: u64 = 100;

impl Delays {
    pub(crate) fn new(level: Level, rank: u32) -> Delays {
        let seed = if let Level::Full { seed } = level { seed } else { 0 };
        Delays { on: level.is_full(), state: Cell::new(mix(seed).wrapping_add(rank.into())) }
    }

    /// Before something that others may see: none, a yield, or a sleep.
    pub(crate) fn now(&self) {
        if self.on {
            self.delay(8);
        }
    }

    /// Where a rank comes by over and over again while it waits.
    pub(crate) fn seldom(&self) {
        if self.on {
            self.delay(128);
        }
    }

    fn delay(&self, one_in: u64) {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.state.set(self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let dice = mix(self.state.get());
        match dice % one_in {
            0 => std::thread::sleep(Duration::from_micros((dice >> 32) % LONGEST_US)),
            1..=3 => std::thread::yield_now(),
            _ => {}
        }
    }
}

fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Threads;
    use crate::{Abort, Cause, Comm};
    use std::sync::Barrier;

    #[test]
    fn levels_are_read_and_refused() {
        assert_eq!(Level::parse("off"), Ok(Level::Off));
        assert_eq!(Level::parse("light"), Ok(Level::Light));
        assert_eq!(Level::parse("full:42"), Ok(Level::Full { seed: 42 }));
        assert!(Level::parse("full").is_ok_and(Level::is_full));
        for bad in ["", "on", "Full", "full:", "full:x", "full:-1", "light:1"] {
            assert!(Level::parse(bad).unwrap_err().starts_with(&format!("{bad}: `off`, `light`")), "{bad}");
        }
    }

    /// Runs `call` on rank 0 of two, into zeros, and ends the job when it waits for rank 1. Gives what the buffer then holds.
    fn unreceived(level: Level, len: usize, call: fn(&mut Comm, &mut [f64]) -> Result<(), Abort>) -> Vec<f64> {
        let job = Threads::new(2, false, Default::default(), level);
        let begun = Barrier::new(2);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                let keeper = job.keeper(0);
                let mut buf = vec![0.0; len];
                begun.wait();
                call(&mut keeper.comm(), &mut buf).expect_err("rank 1 does not come");
                buf
            });
            begun.wait();
            std::thread::sleep(Duration::from_millis(50));
            job.abort(Abort::new(Cause::Usage("enough".into())));
            first.join().unwrap()
        })
    }

    #[test]
    fn memory_that_is_received_into_is_poisoned_at_level_full_alone() {
        let all_to_all = |comm: &mut Comm, buf: &mut [f64]| comm.all_to_all_into(&vec![1.0; buf.len()], buf);
        let broadcast = |comm: &mut Comm, buf: &mut [f64]| comm.broadcast_into(1, buf);
        let gather = |comm: &mut Comm, buf: &mut [f64]| comm.all_gather_into(&vec![1.0; buf.len() / 2], buf);
        // Short ones go by the board, long ones by messages.
        for len in [8, 100_000] {
            for (call, own) in
                [(all_to_all as fn(&mut Comm, &mut [f64]) -> _, true), (broadcast, false), (gather, true)]
            {
                let (mine, theirs) = (0..if own { len / 2 } else { 0 }, if own { len / 2 } else { 0 }..len);
                let full = unreceived(Level::Full { seed: 1 }, len, call);
                assert!(full[mine.clone()].iter().all(|&x| x == 1.0));
                assert!(full[theirs.clone()].iter().all(|x| x.is_nan()), "{len} values: {:?}", &full[len - 4..]);
                let light = unreceived(Level::Light, len, call);
                assert!(light[theirs].iter().all(|&x| x == 0.0));
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_delays_again() {
        let dice = |seed, rank| {
            let delays = Delays::new(Level::Full { seed }, rank);
            (0..50).map(|_| (delays.now(), delays.state.get()).1).collect::<Vec<_>>()
        };
        assert_eq!(dice(3, 1), dice(3, 1));
        assert_ne!(dice(3, 1), dice(3, 2));
        assert_ne!(dice(3, 1), dice(4, 1));
    }
}
