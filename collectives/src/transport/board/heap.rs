//! Memory for the board of ranks that are threads.

use super::{Place, bytes};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

/// Zeroed memory of this process.
pub(crate) struct Heap {
    base: *mut u8,
    layout: Layout,
    #[cfg(loom)]
    modelled: modelled::Modelled,
}

// SAFETY: the memory is used through raw pointers, as the board's protocol says.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

impl Heap {
    pub(crate) fn new(members: usize) -> Heap {
        let layout = Layout::from_size_align(bytes(members), 4096).expect("a size and an alignment");
        // SAFETY: the size is not 0. Fresh pages come zeroed, and are first touched by whoever uses them.
        let base = unsafe { alloc_zeroed(layout) };
        if base.is_null() {
            handle_alloc_error(layout);
        }
        Heap {
            base,
            layout,
            #[cfg(loom)]
            modelled: modelled::Modelled::new(members),
        }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; whoever uses the memory holds this value.
        unsafe { dealloc(self.base, self.layout) };
    }
}

impl Place for std::sync::Arc<Heap> {
    fn base(&self) -> *mut u8 {
        self.base
    }
    #[cfg(loom)]
    fn word(&self, at: usize) -> &crate::transport::sync::AtomicU64 {
        self.modelled.word(at)
    }
    #[cfg(loom)]
    fn touch(&self, at: usize, writes: bool) {
        self.modelled.touch(at, writes);
    }
}

/// What the model checker sees in place of the memory: an atomic for each word, and for the content of each line and slot a
/// cell that finds accesses which nothing orders.
#[cfg(loom)]
mod modelled {
    use crate::transport::board::{AREA, LINE, LINES, LINES_AT, LOBBY, ROOM, SLOTS, SLOTS_AT};
    use crate::transport::sync::AtomicU64;
    use loom::cell::UnsafeCell;

    /// Words and contents of a member.
    const WORDS: usize = (LINES_AT + LINES as usize * LINE) / 8;
    const CONTENTS: usize = (LINES + SLOTS) as usize;

    pub(super) struct Modelled {
        words: Vec<AtomicU64>,
        contents: Vec<UnsafeCell<()>>,
    }

    impl Modelled {
        pub(super) fn new(members: usize) -> Modelled {
            Modelled {
                words: (0..1 + members * WORDS).map(|_| AtomicU64::new(0)).collect(),
                contents: (0..members * CONTENTS).map(|_| UnsafeCell::new(())).collect(),
            }
        }

        pub(super) fn word(&self, at: usize) -> &AtomicU64 {
            let Some(at) = at.checked_sub(LOBBY) else { return &self.words[at / 8] };
            assert!(at % AREA < WORDS * 8);
            &self.words[1 + at / AREA * WORDS + at % AREA / 8]
        }

        pub(super) fn touch(&self, at: usize, writes: bool) {
            let (member, at) = ((at - LOBBY) / AREA, (at - LOBBY) % AREA);
            let slot = at.checked_sub(SLOTS_AT).map(|at| LINES as usize + at / ROOM);
            let content = &self.contents[member * CONTENTS + slot.unwrap_or_else(|| (at - LINES_AT) / LINE)];
            if writes { content.with_mut(|_| ()) } else { content.with(|_| ()) }
        }
    }
}
