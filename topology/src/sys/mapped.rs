//! Memory mapped from Linux, by `mmap`; `mbind` and `move_pages`, which its C library does not have, as raw system calls.

use super::memory::{HUGE, Policy, no_bytes};
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::OnceLock;

/// From the kernel's `mempolicy.h`.
const MPOL_PREFERRED: i32 = 1;
const MPOL_INTERLEAVE: i32 = 3;
const MPOL_PREFERRED_MANY: i32 = 5; // since 5.15

pub(super) fn page_bytes() -> usize {
    static PAGE: OnceLock<usize> = OnceLock::new();
    // SAFETY: a number goes in and a number comes out.
    *PAGE.get_or_init(|| usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096))
}

/// An owned mapping. Without bytes there is none, and the address is only aligned.
pub(super) struct Mapping {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping has one owner and no ties to a thread; it is shared and lent as a `Vec<u8>` is.
unsafe impl Send for Mapping {}
// SAFETY: as above; through `&self` bytes are only read.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `len` leaves room for the roundings below.
    pub(super) fn new(len: usize) -> io::Result<Mapping> {
        let page = page_bytes();
        let Some(nonzero) = NonZeroUsize::new(len) else {
            return Ok(Mapping { at: no_bytes(), len });
        };
        let whole = nonzero.get().next_multiple_of(page);
        // The system begins at any page, so more is mapped than needed, and what is around a huge page's border kept.
        let spare = if whole < HUGE { 0 } else { HUGE - page };
        // SAFETY: a new private mapping at an address of the system's choice touches nothing that exists.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                whole + spare,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = start.cast::<u8>();
        let before = if spare == 0 { 0 } else { start.addr().next_multiple_of(HUGE) - start.addr() };
        let after = spare - before;
        // SAFETY: all inside the mapping just made, of which nobody else knows; whole pages are given back. Where that is
        // refused, addresses are wasted, but no memory.
        let at = unsafe {
            let at = start.add(before);
            if before > 0 {
                libc::munmap(start.cast(), before);
            }
            if after > 0 {
                libc::munmap(at.add(whole).cast(), after);
            }
            at
        };
        let at = NonNull::new(at).ok_or(io::ErrorKind::OutOfMemory)?; // never: page 0 is not given unasked
        Ok(Mapping { at, len })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes are mapped at `at`, readable and initialised (zeros), as long as the mapping is; `&mut self`
        // is needed to write them.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and nobody else has them while `self` is borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.len) }
    }

    /// The length of the mapping.
    fn whole(&self) -> usize {
        self.len.next_multiple_of(page_bytes())
    }

    pub(super) fn advise(&self, huge: bool) {
        let advice = if huge { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
        if self.len > 0 {
            // SAFETY: the mapping is ours, and neither advice changes what it holds.
            unsafe { libc::madvise(self.at.as_ptr().cast(), self.whole(), advice) };
        }
    }

    pub(super) fn bind(&self, bytes: Range<usize>, policy: &Policy) -> io::Result<()> {
        let (mode, nodes) = match policy {
            Policy::Interleave(nodes) => (MPOL_INTERLEAVE, nodes),
            Policy::Prefer(nodes) if nodes.len() > 1 => (MPOL_PREFERRED_MANY, nodes),
            Policy::Prefer(nodes) => (MPOL_PREFERRED, nodes),
        };
        const BITS: usize = u64::BITS as usize;
        let most = nodes.iter().copied().max().ok_or(io::ErrorKind::InvalidInput)? as usize;
        let mut mask = vec![0u64; most / BITS + 1];
        nodes.iter().for_each(|&n| mask[n as usize / BITS] |= 1 << (n as usize % BITS));
        // SAFETY: the range lies in the mapping, which is ours, and the call changes only where pages will be laid. The
        // mask has the bits that the call is told; the kernel reads one less.
        let code = unsafe {
            libc::syscall(
                libc::SYS_mbind,
                self.at.as_ptr().add(bytes.start),
                bytes.len(),
                mode,
                mask.as_ptr(),
                mask.len() * BITS + 1,
                0,
            )
        };
        if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the mapping is ours, whole, and nobody can have borrowed from it any more.
            unsafe { libc::munmap(self.at.as_ptr().cast(), self.whole()) };
        }
    }
}

/// Appends the node of each page, by address.
pub(super) fn nodes_of(pages: &[usize], nodes: &mut Vec<Option<u32>>) -> io::Result<()> {
    let mut status = vec![-libc::ENOENT; pages.len()];
    // SAFETY: without target nodes the call moves nothing and touches none of the pages; both arrays are as long as it is
    // told. Addresses that are not mapped are answered with an error of their own.
    let code = unsafe {
        libc::syscall(
            libc::SYS_move_pages,
            0,
            pages.len(),
            pages.as_ptr(),
            std::ptr::null::<libc::c_int>(),
            status.as_mut_ptr(),
            0,
        )
    };
    if code < 0 {
        return Err(io::Error::last_os_error());
    }
    nodes.extend(status.iter().map(|&s| u32::try_from(s).ok()));
    Ok(())
}
