//! Sets of instructions, chosen when the program runs: the widest one that the processor has. Results have the same bits on
//! each, since all of them add and multiply as IEEE 754 says and none contracts a product and a sum.

/// A set of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Set {
    /// What every processor of the kind has: SSE2 on x86-64, NEON on AArch64 (where nothing was measured so far).
    Base,
    /// AVX2.
    Avx2,
    /// AVX-512 F, VL, BW, DQ.
    Avx512,
}

impl Set {
    /// Those that this processor has, the widest last.
    pub fn available() -> Vec<Set> {
        [Set::Base, Set::Avx2, Set::Avx512].into_iter().filter(|set| set.is_here()).collect()
    }

    /// The widest one, or the one that `PHYSALIA_ISA=base|avx2|avx512` asks for.
    ///
    /// # Errors
    /// If it asks for one that is not known, or that the processor does not have.
    pub fn choose() -> Result<Set, String> {
        let available = Set::available();
        let widest = available[available.len() - 1];
        let Some(wish) = std::env::var_os("PHYSALIA_ISA").filter(|wish| !wish.is_empty()) else { return Ok(widest) };
        let names: Vec<&str> = available.iter().map(|set| set.name()).collect();
        let found = available.iter().find(|set| wish == set.name());
        found
            .copied()
            .ok_or_else(|| format!("PHYSALIA_ISA={}: this processor has {}", wish.display(), names.join(", ")))
    }

    /// Its name: `base`, `avx2`, `avx512`.
    pub fn name(self) -> &'static str {
        match self {
            Set::Base => "base",
            Set::Avx2 => "avx2",
            Set::Avx512 => "avx512",
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn is_here(self) -> bool {
        match self {
            Set::Base => true,
            Set::Avx2 => is_x86_feature_detected!("avx2"),
            Set::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_here(self) -> bool {
        self == Set::Base
    }
}

/// How a set moves whole lines of 64 bytes.
pub(super) trait Isa {
    /// A line fits a register.
    const LINES: bool = false;

    /// Stores a line past the caches. A part of a line would cost a read of memory, so it is always a whole one.
    ///
    /// # Safety
    /// `to` begins a line and can be written; the processor has the set.
    unsafe fn stream(to: *mut u8, line: *const u8);

    /// Asks for the line of an address, which need not be valid.
    fn prefetch(at: *const u8);
}

/// Orders what was streamed before what is stored later, such as the end of a loop: streaming stores are not ordered by a
/// release.
pub(super) fn fence() {
    // SAFETY: every x86-64 processor has it.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512, Base};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Isa;
    use std::arch::x86_64::*;

    pub(in super::super) struct Avx512;
    pub(in super::super) struct Avx2;
    pub(in super::super) struct Base;

    #[inline(always)]
    fn prefetch(at: *const u8) {
        // SAFETY: a hint, for any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    impl Isa for Avx512 {
        const LINES: bool = true;
        #[inline(always)]
        unsafe fn stream(to: *mut u8, line: *const u8) {
            // SAFETY: as the caller says.
            unsafe { _mm512_stream_si512(to.cast(), _mm512_loadu_si512(line.cast())) }
        }
        #[inline(always)]
        fn prefetch(at: *const u8) {
            prefetch(at);
        }
    }

    impl Isa for Avx2 {
        #[inline(always)]
        unsafe fn stream(to: *mut u8, line: *const u8) {
            for k in 0..2 {
                // SAFETY: as the caller says; both halves are in the line.
                unsafe { _mm256_stream_si256(to.add(32 * k).cast(), _mm256_loadu_si256(line.add(32 * k).cast())) }
            }
        }
        #[inline(always)]
        fn prefetch(at: *const u8) {
            prefetch(at);
        }
    }

    impl Isa for Base {
        #[inline(always)]
        unsafe fn stream(to: *mut u8, line: *const u8) {
            for k in 0..4 {
                // SAFETY: as the caller says; all quarters are in the line.
                unsafe { _mm_stream_si128(to.add(16 * k).cast(), _mm_loadu_si128(line.add(16 * k).cast())) }
            }
        }
        #[inline(always)]
        fn prefetch(at: *const u8) {
            prefetch(at);
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) struct Base;

#[cfg(not(target_arch = "x86_64"))]
impl Isa for Base {
    #[inline(always)]
    unsafe fn stream(to: *mut u8, line: *const u8) {
        // SAFETY: as the caller says.
        unsafe { to.copy_from_nonoverlapping(line, 64) }
    }
    #[inline(always)]
    fn prefetch(_: *const u8) {}
}
