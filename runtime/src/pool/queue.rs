//! A worker's queue: a range of neighbouring chunks in one word. Its owner takes from the front, thieves from the back.
//!
//! One compare-and-swap decides, and the word is all there is to know of the queue: that it may meanwhile have had other values
//! and come back to the same one (ABA) does no harm. Nothing else rests on its order: what is in the chunks was written before the
//! loop began, and is read by others when it has ended.

use super::sync::{AtomicU64, Ordering};
use std::ops::Range;

/// The chunks that wait, lower half the first, upper half behind the last.
pub(super) struct Queue(AtomicU64);

fn word(chunks: &Range<u32>) -> u64 {
    u64::from(chunks.start) | u64::from(chunks.end) << 32
}

fn chunks(word: u64) -> Range<u32> {
    word as u32..(word >> 32) as u32
}

impl Queue {
    pub(super) fn empty() -> Queue {
        Queue(AtomicU64::new(0))
    }

    /// What waits now, or did a moment ago.
    pub(super) fn waiting(&self) -> Range<u32> {
        chunks(self.0.load(Ordering::Relaxed))
    }

    /// Puts a range into an empty queue. Only its owner does, or whoever starts a loop, before it starts.
    pub(super) fn put(&self, range: Range<u32>) {
        debug_assert!(self.waiting().is_empty(), "a queue that is not empty");
        self.0.store(word(&range), Ordering::Relaxed);
    }

    /// Up to so many chunks from the front, and how many wait behind them.
    pub(super) fn take_front(&self, most: u32) -> Option<(Range<u32>, u32)> {
        self.take(|all| {
            let cut = all.start + most.min(all.len() as u32);
            (all.start..cut, cut..all.end)
        })
    }

    /// Up to so many chunks from the back, and how many wait before them.
    pub(super) fn take_back(&self, most: u32) -> Option<(Range<u32>, u32)> {
        self.take(|all| {
            let cut = all.end - most.min(all.len() as u32);
            (cut..all.end, all.start..cut)
        })
    }

    /// `cut`: what is taken, and what stays.
    fn take(&self, cut: impl Fn(Range<u32>) -> (Range<u32>, Range<u32>)) -> Option<(Range<u32>, u32)> {
        let mut old = self.0.load(Ordering::Relaxed);
        loop {
            let all = chunks(old);
            if all.is_empty() {
                return None;
            }
            let (taken, rest) = cut(all);
            match self.0.compare_exchange_weak(old, word(&rest), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some((taken, rest.len() as u32)),
                Err(now) => old = now,
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn both_ends() {
        let queue = Queue::empty();
        assert_eq!((queue.take_front(1), queue.take_back(1)), (None, None));
        queue.put(5..u32::MAX);
        assert_eq!(queue.take_front(2), Some((5..7, u32::MAX - 7)));
        assert_eq!(queue.take_back(u32::MAX - 10), Some((10..u32::MAX, 3)));
        assert_eq!(queue.take_back(9), Some((7..10, 0)));
        assert!(queue.waiting().is_empty() && queue.take_front(1).is_none());
    }
}
