//! Reading what others have posted: plain copies, copies past the caches, and copies that are combined on the way.

use super::{At, Board};
use crate::ops::Op;
use crate::plain::Plain;
use crate::transport::memory::{Landing, any_bits};

/// Buffers from this size on are written past the caches.
const STREAMED: usize = 8 << 20;
/// Values are combined so many bytes at a time.
const BLOCK: usize = 4 << 10;

impl Board {
    /// Copies values from a slot, as many as `into` has, which is part of a buffer of `whole` bytes. After `posted`. Any bits
    /// must be a `T`.
    pub(crate) fn load<T: Plain>(&self, at: At, into: &mut [T], whole: usize) {
        assert!(any_bits::<T>());
        let source = self.content(at, size_of_val(into));
        let copy = if whole >= STREAMED { stream } else { std::ptr::copy_nonoverlapping };
        // SAFETY: inside the slot; its poster does not write it before we say that we are through; any bits are a `T`.
        unsafe { copy(source, into.as_mut_ptr().cast::<u8>(), size_of_val(into)) };
    }

    /// Combines values of a slot with `values`, as many as there are; the slot's on the left if `left`. After `posted`. Any
    /// bits must be a `T`.
    pub(crate) fn combine<T: Plain, O: Op<T>>(&self, at: At, values: &mut [T], op: &O, left: bool) {
        assert!(any_bits::<T>());
        let source: *const T = self.content(at, size_of_val(values)).cast();
        if let [value] = values {
            // SAFETY: as for `load`; values may lie at any address, and any bits are a `T`.
            let theirs = unsafe { source.read_unaligned() };
            *value = if left { op.combine(theirs, *value) } else { op.combine(*value, theirs) };
            return;
        }
        // No reference into the board: its values come through a block that stays in the nearest cache.
        let mut block = Landing::<T>::new(values.len().min(BLOCK / T::BYTES)).checked().expect("any bits are a value");
        for (i, values) in values.chunks_mut(BLOCK / T::BYTES).enumerate() {
            let theirs = &mut block[..values.len()];
            // SAFETY: as for `load`; the blocks together are as long as `values`.
            unsafe {
                let from = source.cast::<u8>().add(i * (BLOCK / T::BYTES) * T::BYTES);
                theirs.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(from, size_of_val(theirs));
            }
            op.combine_all(values, theirs, left);
        }
    }
}

/// Copies past the caches: the target will not fit into them, so it need not be read before it is written.
///
/// # Safety
/// As for `ptr::copy_nonoverlapping`.
#[cfg(target_arch = "x86_64")]
unsafe fn stream(from: *const u8, to: *mut u8, len: usize) {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_sfence, _mm_stream_si128};
    let head = to.align_offset(64).min(len);
    let lines = (len - head) / 64;
    let tail = head + lines * 64;
    // SAFETY: all parts lie in the two ranges; streamed stores go to multiples of 16; the fence orders them before whatever
    // is released next.
    unsafe {
        std::ptr::copy_nonoverlapping(from, to, head);
        for at in (head..tail).step_by(16) {
            _mm_stream_si128(to.add(at).cast::<__m128i>(), _mm_loadu_si128(from.add(at).cast::<__m128i>()));
        }
        std::ptr::copy_nonoverlapping(from.add(tail), to.add(tail), len - tail);
        _mm_sfence();
    }
}

#[cfg(not(target_arch = "x86_64"))]
use std::ptr::copy_nonoverlapping as stream;
