//! Blocks whose values are dear. A block is added by one worker, in its order; where a rank has few blocks, and values take long to
//! compute, that would leave others without work. So the values of such a block are computed by all workers of the domain,
//! and then added, in the order that they have.
//!
//! Whether they are dear is found by timing some of them, piece by piece. It costs a look at the clock now and then, and is only
//! asked where it matters: a rank that has many blocks for each worker is in balance without.

use crate::pool::parallel::*;
use std::ops::Range;
use std::time::{Duration, Instant};

/// With so many blocks for each worker, blocks are small enough.
const MANY: u64 = 32;

/// Values are dear from here on: the rest of a block of such takes long beside a visit of another worker.
const DEAR: Duration = Duration::from_nanos(80);

/// What one worker should compute at least before another is asked.
const WORTH: Duration = Duration::from_micros(10);

/// Values that are timed together: first few, since each may take very long.
const PIECES: [u64; 3] = [8, 64, 1024];

/// Whether blocks are to be looked at closer.
pub(crate) fn few(blocks: u64, workers: usize) -> bool {
    workers > 1 && blocks < MANY * workers as u64
}

/// Goes through a block: `serially` through pieces of it one after another, until values turn out to be dear; then `together`
/// through the rest, with the number of values that are worth a visit of another worker.
pub(crate) fn in_pieces<S>(
    state: &mut S,
    indices: Range<u64>,
    few: bool,
    serially: impl Fn(&mut S, Range<u64>),
    together: impl FnOnce(&mut S, Range<u64>, usize),
) {
    if !few {
        return serially(state, indices);
    }
    let (mut at, end) = (indices.start, indices.end);
    let mut sizes = PIECES.into_iter();
    let mut size = 0;
    let mut last = Instant::now();
    while at < end {
        size = sizes.next().unwrap_or(size);
        let piece = at..end.min(at.saturating_add(size));
        let count = (piece.end - piece.start) as u32;
        at = piece.end;
        serially(state, piece);
        let now = Instant::now();
        let each = (now - last) / count;
        last = now;
        if each >= DEAR && at + 1 < end {
            let worth = (WORTH.as_nanos() / each.as_nanos()) as usize;
            return together(state, at..end, worth.max(1));
        }
    }
}

/// The values of these indices, in their order, computed by all workers of the domain that are free.
pub(crate) fn values<V: Send>(indices: Range<u64>, worth: usize, f: impl Fn(u64) -> V + Sync) -> Vec<V> {
    let count = (indices.end - indices.start) as usize;
    (0..count).into_par_iter().with_min_len(worth).map(|i| f(indices.start + i as u64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    type Piece = (u64, u64);

    /// What was done of a block: serially, and together.
    fn pieces(count: u64, few: bool, dear_from: u64) -> (Vec<Piece>, Option<Piece>) {
        let rest = RefCell::new(None);
        let mut done = Vec::new();
        let serially = |done: &mut Vec<Piece>, piece: Range<u64>| {
            if piece.end > dear_from {
                std::thread::sleep(Duration::from_micros(200));
            }
            done.push((piece.start, piece.end));
        };
        in_pieces(&mut done, 100..100 + count, few, serially, |_, piece, worth| {
            assert!(worth >= 1);
            *rest.borrow_mut() = Some((piece.start, piece.end));
        });
        (done, rest.into_inner())
    }

    #[test]
    fn a_block_is_gone_through_once() {
        assert_eq!(pieces(4096, false, 100), (vec![(100, 4196)], None));
        assert_eq!(pieces(4096, true, 100), (vec![(100, 108)], Some((108, 4196))));
        assert_eq!(pieces(4096, true, 150), (vec![(100, 108), (108, 172)], Some((172, 4196))));
        assert_eq!(pieces(5, true, 100), (vec![(100, 105)], None));
        assert_eq!(pieces(0, true, 100), (vec![], None));
        let (done, rest) = pieces(4096, true, u64::MAX);
        let all: Vec<u64> = done.into_iter().chain(rest).flat_map(|(from, to)| from..to).collect();
        assert!(all.into_iter().eq(100..4196));
    }

    /// Few blocks of dear values are everyone's work, and have the same bits as cheap ones.
    #[test]
    fn all_workers_compute_dear_values() {
        use std::collections::HashSet;
        use std::sync::Mutex;
        let seen = Mutex::new(HashSet::new());
        let value = |i: u64| (i as f64 + 0.1).sin();
        let dear = |i: u64| {
            std::thread::sleep(Duration::from_micros(20));
            seen.lock().unwrap().insert(crate::pool::worker_here());
            // Far into the only block, somebody waits until all have been there.
            while i == 700 && seen.lock().unwrap().len() < 3 {
                std::thread::yield_now();
            }
            value(i)
        };
        let job = crate::Launch::from_env().ranks(1).threads(3).run(|world| {
            let bits = world.par(5..1500).map(value).sum()?.to_bits();
            assert_eq!(world.par(5..1500).map(dear).sum()?.to_bits(), bits);
            let joined = |a: String, b: String| a + &b;
            let words = world.par(0..900).map(|i| format!("{i},")).reduce(String::new(), joined)?;
            let dear = |i| {
                dear(i);
                format!("{i},")
            };
            assert_eq!(world.par(0..900).map(dear).reduce(String::new(), joined)?, words);
            let times = Mutex::new(vec![0; 1000]);
            world.par(0..1000).for_each(|i| {
                std::thread::sleep(Duration::from_micros(10));
                times.lock().unwrap()[i as usize] += 1;
            })?;
            assert!(times.into_inner().unwrap().iter().all(|&t| t == 1));
            // The last indices there are.
            let far = u64::MAX - 20;
            assert_eq!(world.par(far..u64::MAX).map(|i| i - far).sum()?, 190);
            let far_ones = Mutex::new(0);
            world.par(far..u64::MAX).for_each(|i| *far_ones.lock().unwrap() += i - far)?;
            assert_eq!(far_ones.into_inner().unwrap(), 190);
            Ok(())
        });
        job.unwrap();
    }

    #[test]
    fn values_come_in_order() {
        assert!(values(3..5000, 7, |i| i * i).into_iter().eq((3..5000).map(|i| i * i)));
        assert!(values(3..3, 1, |i| i).is_empty());
    }
}
