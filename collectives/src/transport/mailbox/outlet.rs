//! Where a rank writes: the two buffers of one link in its receiver's memory, or one buffer of its own from which a message goes.
//!
//! Several workers may write into one link at once. That their ranges do not overlap is a promise which safe code could break, so
//! it is looked after: a link is divided into up to 64 parts, and a writer claims those that it touches, all in one word, before
//! it copies. Claims of ranges apart cost an exchange of that word each; where parts are shared, one waits for the other's copy.

use super::Region;
use crate::transport::memory::POISON;
use crate::transport::sync::{AtomicU64, Ordering, yield_now};
use std::sync::Arc;

/// The place of one link's values, by turns.
pub(crate) struct Outlet {
    region: Arc<Region>,
    /// By the parity of the round.
    at: [usize; 2],
    bytes: usize,
    /// A part has 2^shift bytes.
    shift: u32,
    claimed: AtomicU64,
}

impl Outlet {
    /// # Panics
    /// If the buffers are not in the region.
    pub(crate) fn new(region: Arc<Region>, at: [usize; 2], bytes: usize) -> Outlet {
        for at in at {
            region.address(at, bytes);
        }
        let shift = bytes.div_ceil(64).max(64).next_power_of_two().trailing_zeros();
        Outlet { region, at, bytes, shift, claimed: AtomicU64::new(0) }
    }

    /// The parts that hold these bytes, a bit each.
    fn parts(&self, at: usize, len: usize) -> u64 {
        let (first, last) = (at >> self.shift, (at + len - 1) >> self.shift);
        u64::MAX << first & u64::MAX >> (63 - last)
    }

    fn check(&self, at: usize, len: usize) {
        let fits = at.checked_add(len).is_some_and(|end| end <= self.bytes);
        assert!(fits, "{len} bytes from {at} of a link of {}", self.bytes);
    }

    /// As `write`, where no other worker can be at the link.
    ///
    /// # Safety
    /// As for `write`.
    ///
    /// # Panics
    /// If they do not fit.
    pub(super) unsafe fn write_alone(&mut self, parity: usize, at: usize, bytes: &[u8]) {
        self.check(at, bytes.len());
        // SAFETY: inside, ours by the caller's promise, and borrowed by us alone.
        unsafe { self.region.put(self.at[parity] + at, bytes) };
    }

    /// Copies bytes to the place `at` of the buffer of this parity.
    ///
    /// # Safety
    /// The buffer is this rank's to write: its reader is through with it, and has not been told of what is written since.
    ///
    /// # Panics
    /// If they do not fit.
    pub(super) unsafe fn write(&self, parity: usize, at: usize, bytes: &[u8]) {
        self.check(at, bytes.len());
        if bytes.is_empty() {
            return;
        }
        let parts = self.parts(at, bytes.len());
        let claim = |claimed: u64| (claimed & parts == 0).then_some(claimed | parts);
        while self.claimed.fetch_update(Ordering::Acquire, Ordering::Relaxed, claim).is_err() {
            yield_now(); // a copy is under way; it ends
        }
        // SAFETY: inside, ours by the caller's promise, and no other worker is at these parts.
        unsafe { self.region.put(self.at[parity] + at, bytes) };
        self.claimed.fetch_and(!parts, Ordering::Release);
    }
}

/// Where a rank reads: the two buffers of one link in its own memory.
pub(crate) struct Inlet {
    pub region: Arc<Region>,
    /// By the parity of the round.
    pub at: [usize; 2],
    pub bytes: usize,
}

impl Inlet {
    /// The address of the buffer of this parity.
    pub(crate) fn address(&self, parity: usize) -> *const u8 {
        self.region.address(self.at[parity], self.bytes)
    }

    /// Copies values from the place `at` (in bytes) of the buffer of this parity. Any bits must be a `T`.
    ///
    /// # Safety
    /// The round of the buffer is here, and its writer has not been told that this rank is through with it.
    ///
    /// # Panics
    /// If there are not as many.
    pub(super) unsafe fn read<T: crate::Plain>(&self, parity: usize, at: usize, into: &mut [T]) {
        assert!(crate::transport::memory::any_bits::<T>());
        let len = size_of_val(into);
        let there = at.checked_add(len).is_some_and(|end| end <= self.bytes);
        assert!(there, "{len} bytes from {at} of a link of {}", self.bytes);
        // SAFETY: inside, and nobody writes it by the caller's promise; any bits are a `T`.
        unsafe { self.region.get(self.at[parity] + at, into.as_mut_ptr().cast(), len) };
    }

    /// Writes poison over the buffer of this parity.
    ///
    /// # Safety
    /// Its writer has not been told that this rank is through with it, and nobody reads it.
    pub(super) unsafe fn poison(&self, parity: usize) {
        // SAFETY: inside, and promised by the caller.
        unsafe { self.region.fill(self.at[parity], self.bytes, POISON) };
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn outlet(bytes: usize) -> Outlet {
        Outlet::new(Region::heap(2 * bytes), [0, bytes], bytes)
    }

    #[test]
    fn parts_cover_what_they_should() {
        let all = outlet(64 * 64);
        assert_eq!((all.parts(0, 1), all.parts(63, 1), all.parts(63, 2), all.parts(64, 64)), (1, 1, 3, 2));
        assert_eq!((all.parts(0, 4096), all.parts(4095, 1)), (u64::MAX, 1 << 63));
        for bytes in [1, 63, 64, 65, 100, 4095, 4096, 4097, 1 << 20, (1 << 20) + 1] {
            let outlet = outlet(bytes);
            assert_eq!(outlet.parts(0, bytes) | outlet.parts(bytes - 1, 1), outlet.parts(0, bytes), "{bytes}");
            assert_eq!(outlet.parts(0, 1), 1, "{bytes}");
        }
    }

    /// Whole writes, of which one is the last: never a mixture.
    #[test]
    fn overlapping_writes_take_turns() {
        let outlet = outlet(10_000);
        std::thread::scope(|scope| {
            for byte in 1..4u8 {
                let outlet = &outlet;
                // SAFETY: nobody reads the buffer meanwhile.
                scope.spawn(move || (0..500).for_each(|_| unsafe { outlet.write(1, 0, &[byte; 10_000]) }));
            }
        });
        let inlet = Inlet { region: outlet.region.clone(), at: outlet.at, bytes: outlet.bytes };
        let mut came = vec![0u8; 10_000];
        // SAFETY: all writers are through.
        unsafe { inlet.read(1, 0, &mut came) };
        assert!(came[0] > 0 && came.iter().all(|&byte| byte == came[0]));
        // SAFETY: as above; the other buffer was not written.
        unsafe { inlet.read(0, 0, &mut came) };
        assert!(came.iter().all(|&byte| byte == 0));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let outlet = outlet(100);
        for (at, len) in [(0, 101), (100, 1), (101, 0), (usize::MAX, 2)] {
            // SAFETY: it panics before it writes.
            let write = std::panic::AssertUnwindSafe(|| unsafe { outlet.write(0, at, &vec![1; len]) });
            assert!(std::panic::catch_unwind(write).is_err(), "{len} bytes at {at}");
        }
        // SAFETY: nobody reads it.
        unsafe { outlet.write(0, 100, &[]) };
        assert_eq!(outlet.claimed.into_inner(), 0);
    }
}
