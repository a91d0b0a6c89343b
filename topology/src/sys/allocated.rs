//! Memory of the allocator, where the system has no such calls as Linux, or is interpreted.

use super::memory::{Policy, no_bytes};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::io;
use std::ops::Range;
use std::ptr::NonNull;

pub(super) fn page_bytes() -> usize {
    4096
}

pub(super) struct Mapping {
    at: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the memory has one owner and no ties to a thread; it is shared and lent as a `Vec<u8>` is.
unsafe impl Send for Mapping {}
// SAFETY: as above; through `&self` bytes are only read.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(super) fn new(len: usize) -> io::Result<Mapping> {
        let layout = Layout::from_size_align(len, page_bytes()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let at = if len == 0 {
            no_bytes()
        } else {
            // SAFETY: the layout has bytes.
            NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(io::ErrorKind::OutOfMemory)?
        };
        Ok(Mapping { at, layout })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: so many bytes are allocated there, zeroed; `&mut self` is needed to write them.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.layout.size()) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and nobody else has them while `self` is borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.layout.size()) }
    }

    pub(super) fn advise(&self, _: bool) {}

    pub(super) fn bind(&self, _: Range<usize>, _: &Policy) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            // SAFETY: allocated with this layout, and nobody can have borrowed from it any more.
            unsafe { dealloc(self.at.as_ptr(), self.layout) };
        }
    }
}

pub(super) fn nodes_of(_: &[usize], _: &mut Vec<Option<u32>>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
