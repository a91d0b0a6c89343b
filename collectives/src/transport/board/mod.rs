//! A board: memory that the ranks of a host share, where each posts what the others read.
//!
//! Each member has a ring of *lines* and a ring of *slots*. A *step* of a board is one line of each member that has something
//! to post; all members count the steps alike. A line begins with a stamp: the number of the step, and bits of the rolling
//! hash of the call that posts. So whoever finds a line knows in one look whether it is there, and whether its poster is in
//! the same call: the fingerprint costs nothing, because it is the flag. Short content stands in the line, so that it comes
//! with it; longer content in a slot.
//!
//! - A member writes its own area only. Content is written, then the stamp is released; readers acquire the stamp first.
//! - A line or slot is written again only when all members have told (`done`) that they are through with its last step.
//! - Nobody forms a reference into the memory: bytes are copied raw.

mod copy;
mod heap;
mod notes;
mod sleep;

pub(crate) use heap::Heap;
pub(crate) use sleep::Nap;

use super::sync::{AtomicU64, Ordering};
use std::cell::{Cell, RefCell};

/// Bytes of a slot that carry content.
pub(crate) const ROOM: usize = 64 << 10;
/// Slots of a member, for content that is longer than a line has room for.
const SLOTS: u64 = small(4, 1);
/// Lines of a member. So far a member that only posts can be ahead of its readers.
pub(super) const LINES: u64 = small(64, 2);
/// More members have no board: a step looks at every one.
pub(crate) const MOST: usize = 64;

/// A line is one of the cache: stamp, print, length of all content of the call, content.
const LINE: usize = 64;
const HEAD: usize = 24;
const BESIDE: usize = LINE - HEAD;
/// Texts of calls: hash, number and length, bytes.
const TEXTS: usize = small(64, 1) as usize;
const TEXT: usize = small(256, 32) as usize;
/// The last calls of a member: number and hash.
const CALLS: usize = small(64, 2) as usize;
const CALL: usize = 16;
/// A member's area: `done`, what it sleeps for and waits in, its process (in two lines, since the next one is fetched
/// along); then calls, texts, lines, slots.
const DONE: usize = 128;
const LINES_AT: usize = DONE + CALLS * CALL + TEXTS * TEXT;
const SLOTS_AT: usize = (LINES_AT + LINES as usize * LINE).next_multiple_of(4096);
const AREA: usize = SLOTS_AT + SLOTS as usize * ROOM;
/// Before the areas: the number of members that sleep (threads only).
const LOBBY: usize = 4096;

/// Few of everything are enough for the model checker, and are used again soon.
const fn small(number: u64, modelled: u64) -> u64 {
    if cfg!(loom) { modelled } else { number }
}

/// Memory for a board, zeroed. It lives as long as the value, and stays where it is.
pub(crate) trait Place {
    fn base(&self) -> *mut u8;
    /// What stands for the word so many bytes from the base.
    #[cfg(loom)]
    fn word(&self, at: usize) -> &AtomicU64;
    /// Content so many bytes from the base is read, or written.
    #[cfg(loom)]
    fn touch(&self, at: usize, writes: bool);
}

/// Whether so many ranks of one host have a board. `PHYSALIA_BOARD=off` leaves all to messages.
pub(crate) fn boards(ranks: u32) -> bool {
    wanted() && ranks > 1 && ranks as usize <= MOST
}

/// Whether ranks may share memory.
pub(super) fn wanted() -> bool {
    std::env::var_os("PHYSALIA_BOARD").is_none_or(|v| v != "off")
}

/// Bytes of a board for so many members.
pub(crate) fn bytes(members: usize) -> usize {
    LOBBY + members * AREA
}

/// One member's view of a board. `!Send`.
pub(crate) struct Board {
    base: *mut u8,
    #[cfg_attr(not(loom), expect(dead_code, reason = "it keeps the memory"))]
    place: Box<dyn Place>,
    pub members: usize,
    pub me: usize,
    /// Steps so far, and the last that this member has posted and was through with.
    step: Cell<u64>,
    calls: Cell<u64>,
    /// Our wait is noted.
    noted: Cell<bool>,
    last: [Cell<u64>; 2],
    /// What each member was seen to be through with.
    seen: RefCell<Vec<u64>>,
    /// Which texts stand in our table.
    texts: RefCell<[u64; TEXTS]>,
    /// How many texts we have posted.
    texts_told: Cell<u64>,
}

/// A member has posted another call.
pub(crate) struct Other {
    pub member: usize,
    pub print: u64,
    pub text: Option<String>,
}

/// Where to read: member, step, the bytes that the slot holds, and from which of them on.
type At = (usize, u64, usize, usize);

/// Which step of which call a slot must be for.
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    pub step: u64,
    pub print: u64,
    pub rolling: u64,
}

impl Stamp {
    /// The number of the step, and bits of the rolling hash.
    pub(in crate::transport) fn word(self) -> u64 {
        self.step << 32 | self.rolling >> 32
    }
}

impl Board {
    pub(crate) fn new(place: Box<dyn Place>, members: usize, me: usize) -> Board {
        assert!(me < members && members <= MOST);
        let texts = RefCell::new([0; TEXTS]);
        let board = Board {
            base: place.base(),
            place,
            members,
            me,
            step: Cell::new(0),
            calls: Cell::new(0),
            noted: Cell::new(false),
            last: Default::default(),
            seen: vec![0; members].into(),
            texts,
            texts_told: Cell::new(0),
        };
        // First touch: the owner's pages lie near the owner. (To the model checker these would be steps to try.)
        for page in (0..AREA).step_by(4096).filter(|_| !cfg!(loom)) {
            board.word(board.area(me).wrapping_add(page)).store(0, Ordering::Relaxed);
        }
        board.word(board.area(me).wrapping_add(32)).store(std::process::id().into(), Ordering::Relaxed);
        board
    }

    /// Steps so far.
    pub(crate) fn step(&self) -> u64 {
        self.step.get()
    }

    /// The steps of a call are over.
    pub(crate) fn advance(&self, steps: u64) {
        self.step.set(self.step.get() + steps);
    }

    /// Whether this member has posted that step, or a later one.
    pub(crate) fn has_posted(&self, step: u64) -> bool {
        self.last[0].get() >= step
    }

    /// Whether this member is through with that step.
    pub(crate) fn is_through(&self, step: u64) -> bool {
        self.last[1].get() >= step
    }

    fn area(&self, member: usize) -> *mut u8 {
        assert!(member < self.members);
        self.base.wrapping_add(LOBBY + member * AREA)
    }

    fn line(&self, member: usize, step: u64) -> *mut u8 {
        self.area(member).wrapping_add(LINES_AT + (step % LINES) as usize * LINE)
    }

    /// Where content of `len` bytes of a step stands.
    fn place_of(&self, member: usize, step: u64, len: usize) -> *mut u8 {
        if len <= BESIDE {
            self.line(member, step).wrapping_add(HEAD)
        } else {
            self.area(member).wrapping_add(SLOTS_AT + (step % SLOTS) as usize * ROOM)
        }
    }

    fn word(&self, at: *mut u8) -> &AtomicU64 {
        debug_assert!(at.addr().is_multiple_of(8));
        #[cfg(loom)]
        return self.place.word(at.addr() - self.base.addr());
        // SAFETY: `at` is aligned and inside the board's memory, which lives as long as we do; such words are only ever
        // used as atomics.
        #[cfg(not(loom))]
        unsafe {
            AtomicU64::from_ptr(at.cast())
        }
    }

    /// The step that all members must be through with before content of `len` bytes can be posted in `step`.
    pub(crate) fn needed(step: u64, len: usize) -> u64 {
        step.saturating_sub(if len <= BESIDE { LINES } else { SLOTS })
    }

    /// Whether all members are through with step `needed`.
    pub(crate) fn free(&self, needed: u64) -> bool {
        let mut seen = self.seen.borrow_mut();
        let through = |member: usize, seen: &mut u64| {
            if *seen < needed && member != self.me {
                *seen = self.word(self.area(member)).load(Ordering::Acquire);
            }
            *seen >= needed || member == self.me
        };
        seen.iter_mut().enumerate().all(|(m, seen)| through(m, seen))
    }

    /// The members that are not yet through with step `needed`.
    pub(crate) fn readers(&self, needed: u64) -> Vec<usize> {
        (0..self.members)
            .filter(|&m| m != self.me && self.word(self.area(m)).load(Ordering::Acquire) < needed)
            .collect()
    }

    /// This member is through with all slots up to `step`.
    pub(crate) fn done(&self, step: u64) {
        self.last[1].set(step);
        self.word(self.area(self.me)).store(step, Ordering::Release);
    }

    /// Posts `parts`, one after the other, in the stamp's step. `total` is the length of all that the call posts here. The
    /// place must be free.
    ///
    /// # Panics
    /// If the parts are longer than a slot.
    pub(crate) fn post(&self, stamp: Stamp, total: u64, parts: &[&[u8]]) {
        self.last[0].set(stamp.step);
        let line = self.line(self.me, stamp.step);
        let len: usize = parts.iter().map(|p| p.len()).sum();
        assert!(len <= ROOM, "{len} bytes in a slot");
        let mut at = self.place_of(self.me, stamp.step, len);
        #[cfg(loom)]
        self.place.touch(at.addr() - self.base.addr(), true);
        for part in parts {
            // SAFETY: the place is ours, it has room for all parts, and its readers are through with it.
            unsafe { at.copy_from_nonoverlapping(part.as_ptr(), part.len()) };
            at = at.wrapping_add(part.len());
        }
        self.word(line.wrapping_add(8)).store(stamp.print, Ordering::Relaxed);
        self.word(line.wrapping_add(16)).store(total, Ordering::Relaxed);
        self.word(line).store(stamp.word(), Ordering::Release);
    }

    /// Whether `member` has posted the step of this stamp.
    ///
    /// # Errors
    /// It has posted that step for another call.
    pub(crate) fn posted(&self, member: usize, stamp: Stamp) -> Result<bool, Other> {
        let line = self.line(member, stamp.step);
        let word = self.word(line).load(Ordering::Acquire);
        if word >> 32 != stamp.step & 0xffff_ffff {
            return Ok(false);
        }
        let print = self.word(line.wrapping_add(8)).load(Ordering::Relaxed);
        if word == stamp.word() && print == stamp.print {
            return Ok(true);
        }
        Err(Other { member, print, text: self.told(member, print) })
    }

    /// The length of all that the call of the step posts at `member`. After `posted`.
    pub(crate) fn total(&self, member: usize, step: u64) -> u64 {
        self.word(self.line(member, step).wrapping_add(16)).load(Ordering::Relaxed)
    }

    /// So many bytes of a slot's content.
    fn content(&self, (member, step, of, from): At, len: usize) -> *const u8 {
        assert!(from.checked_add(len).is_some_and(|end| end <= of) && of <= ROOM, "{from}, {len} of {of} bytes");
        let at = self.place_of(member, step, of).wrapping_add(from);
        #[cfg(loom)]
        self.place.touch(at.addr() - self.base.addr(), false);
        at
    }
}
