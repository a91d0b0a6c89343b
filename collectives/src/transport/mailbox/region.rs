//! Memory of mailboxes: of this process, or shared by the processes of a host. Whoever uses it holds an `Arc` of it (in its own
//! process), so it stays as long as anybody may write or read it.

use crate::transport::sync::AtomicU64;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::sync::Arc;

/// Words of two ranks, and the values of two links, are so far apart: two lines of the cache, since the next one is fetched along.
pub(crate) const APART: usize = 128;

/// Zeroed memory at a fixed place. Nobody forms a reference to its content.
pub(crate) struct Region {
    base: *mut u8,
    len: usize,
    keeper: Keeper,
    #[cfg(loom)]
    modelled: modelled::Modelled,
}

/// Who frees the memory.
enum Keeper {
    Heap(Layout),
    #[cfg(feature = "mpi")]
    #[expect(dead_code, reason = "it keeps the mapping")]
    Mapped(crate::transport::shared::Shared),
}

// SAFETY: content is used through raw pointers only, by those whom the protocol of the mailboxes lets at it; words are atomics.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Memory of this process; its pages are not touched.
    ///
    /// # Panics
    /// If no address space is that long.
    pub(crate) fn heap(len: usize) -> Arc<Region> {
        let len = len.max(APART);
        let layout =
            Layout::from_size_align(len, if len >= 4096 { 4096 } else { APART }).expect("a size and an alignment");
        // SAFETY: the size is not 0.
        let base = unsafe { alloc_zeroed(layout) };
        if base.is_null() {
            handle_alloc_error(layout);
        }
        let keeper = Keeper::Heap(layout);
        Arc::new(Region {
            base,
            len,
            keeper,
            #[cfg(loom)]
            modelled: modelled::Modelled::new(len),
        })
    }

    /// A mapping of `len` bytes.
    #[cfg(feature = "mpi")]
    pub(in crate::transport) fn mapped(shared: crate::transport::shared::Shared, len: usize) -> Arc<Region> {
        let base = crate::transport::board::Place::base(&shared);
        Arc::new(Region {
            base,
            len,
            keeper: Keeper::Mapped(shared),
            #[cfg(loom)]
            modelled: modelled::Modelled::new(len),
        })
    }

    /// First touch, by the rank that reads here: its pages lie near it. Nobody else may know of the memory yet. (It writes zeros at
    /// the begin of each page, where no signature stands.)
    pub(crate) fn touch_pages(&self) {
        // (To the model checker these would be steps to try.)
        for at in (0..self.len / 8 * 8).step_by(4096).filter(|_| !cfg!(loom)) {
            // SAFETY: inside the memory, which only we know.
            unsafe { self.base.add(at).cast::<u64>().write_volatile(0) };
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The address of some bytes. It is good as long as the region is held.
    ///
    /// # Panics
    /// If they are not all inside.
    pub(crate) fn address(&self, at: usize, len: usize) -> *mut u8 {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len), "{len} bytes from {at} of {}", self.len);
        self.base.wrapping_add(at)
    }

    /// A word that ranks use at once.
    pub(super) fn word(&self, at: usize) -> &AtomicU64 {
        let place = self.address(at, 8);
        debug_assert!(place.addr().is_multiple_of(8));
        #[cfg(loom)]
        return self.modelled.word(at);
        // SAFETY: aligned, inside memory that lives as long as we do, and such words are only ever used as atomics.
        #[cfg(not(loom))]
        unsafe {
            AtomicU64::from_ptr(place.cast())
        }
    }

    /// Copies bytes here.
    ///
    /// # Safety
    /// Nobody else uses that part of the memory during the call.
    pub(super) unsafe fn put(&self, at: usize, bytes: &[u8]) {
        let place = self.address(at, bytes.len());
        #[cfg(loom)]
        self.modelled.touch(at, true);
        // SAFETY: inside; promised by the caller.
        unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Copies bytes from here to `into`.
    ///
    /// # Safety
    /// Nobody writes that part of the memory during the call; `into` is exclusive memory of `len` bytes.
    pub(super) unsafe fn get(&self, at: usize, into: *mut u8, len: usize) {
        let place = self.address(at, len);
        #[cfg(loom)]
        self.modelled.touch(at, false);
        // SAFETY: inside; promised by the caller.
        unsafe { into.copy_from_nonoverlapping(place, len) };
    }

    /// Writes a byte over a range.
    ///
    /// # Safety
    /// As for `put`.
    pub(super) unsafe fn fill(&self, at: usize, len: usize, byte: u8) {
        // SAFETY: inside; promised by the caller.
        unsafe { self.address(at, len).write_bytes(byte, len) };
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        match self.keeper {
            // SAFETY: allocated in `heap` with this layout; whoever uses the memory holds this value.
            Keeper::Heap(layout) => unsafe { dealloc(self.base, layout) },
            #[cfg(feature = "mpi")]
            Keeper::Mapped(_) => {}
        }
    }
}

/// What the model checker sees in place of the memory: an atomic for each word, and for so many bytes of content a cell that
/// finds accesses which nothing orders.
#[cfg(loom)]
mod modelled {
    use super::APART;
    use crate::transport::sync::AtomicU64;
    use loom::cell::UnsafeCell;

    pub(super) struct Modelled {
        words: Vec<AtomicU64>,
        contents: Vec<UnsafeCell<()>>,
    }

    impl Modelled {
        pub(super) fn new(len: usize) -> Modelled {
            Modelled {
                words: (0..len / 8).map(|_| AtomicU64::new(0)).collect(),
                contents: (0..len.div_ceil(APART)).map(|_| UnsafeCell::new(())).collect(),
            }
        }

        pub(super) fn word(&self, at: usize) -> &AtomicU64 {
            &self.words[at / 8]
        }

        pub(super) fn touch(&self, at: usize, writes: bool) {
            let content = &self.contents[at / APART];
            if writes { content.with_mut(|_| ()) } else { content.with(|_| ()) }
        }
    }
}
