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
//! - The text of a call is posted only when the member's table does not have it: for those who find another call than theirs.

use crate::check::Print;
use crate::ops::Op;
use crate::plain::Plain;
use crate::transport::memory::{Landing, any_bits};
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{Duration, SystemTime};

/// Bytes of a slot that carry content.
pub(crate) const ROOM: usize = 64 << 10;
/// Buffers from this size on are written past the caches.
const STREAMED: usize = 8 << 20;
/// Values are combined so many bytes at a time.
const BLOCK: usize = 4 << 10;
/// Slots of a member, for content that is longer than a line has room for.
const SLOTS: u64 = 4;
/// Lines of a member. So far a member that only posts can be ahead of its readers.
const LINES: u64 = 64;
/// More members have no board: a step looks at every one.
pub(crate) const MOST: usize = 64;

/// A line is one of the cache: stamp, print, length of all content of the call, content.
const LINE: usize = 64;
const HEAD: usize = 24;
const BESIDE: usize = LINE - HEAD;
/// Texts of calls: hash, length, bytes.
const TEXTS: usize = 64;
const TEXT: usize = 256;
/// The last calls of a member: number and hash.
const CALLS: usize = 64;
const CALL: usize = 16;
/// A member's area: `done`, what it sleeps for and waits in, its process (in two lines, since the next one is fetched
/// along); then calls, texts, lines, slots.
const DONE: usize = 128;
const LINES_AT: usize = DONE + CALLS * CALL + TEXTS * TEXT;
const SLOTS_AT: usize = (LINES_AT + LINES as usize * LINE).next_multiple_of(4096);
const AREA: usize = SLOTS_AT + SLOTS as usize * ROOM;
/// Before the areas: the number of members that sleep (threads only).
const LOBBY: usize = 4096;

/// Memory for a board, zeroed. It lives as long as the value, and stays where it is.
pub(crate) trait Place {
    fn base(&self) -> *mut u8;
}

/// Zeroed memory of this process, for ranks that are threads.
pub(crate) struct Heap(Vec<std::cell::UnsafeCell<[u64; 8]>>);

// SAFETY: the memory is used through raw pointers, as the board's protocol says.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

impl Heap {
    pub(crate) fn new(members: usize) -> Heap {
        let lines = bytes(members) / 64;
        Heap((0..lines).map(|_| std::cell::UnsafeCell::new([0; 8])).collect())
    }
}

impl Place for std::sync::Arc<Heap> {
    fn base(&self) -> *mut u8 {
        self.0.as_ptr().cast_mut().cast()
    }
}

/// Whether so many ranks of one host have a board. `PHYSALIA_BOARD=off` leaves all to messages.
pub(crate) fn boards(ranks: u32) -> bool {
    let wanted = std::env::var_os("PHYSALIA_BOARD").is_none_or(|v| v != "off");
    wanted && ranks > 1 && ranks as usize <= MOST
}

/// Bytes of a board for so many members.
pub(crate) fn bytes(members: usize) -> usize {
    LOBBY + members * AREA
}

/// One member's view of a board. `!Send`.
pub(crate) struct Board {
    base: *mut u8,
    _place: Box<dyn Place>,
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
}

/// A member that sleeps, or is about to.
pub(crate) struct Nap<'b>(&'b Board);

impl Drop for Nap<'_> {
    fn drop(&mut self) {
        self.0.waits_on(self.0.me).store(0, Ordering::Relaxed);
        self.0.sleepers().fetch_sub(1, Ordering::Relaxed);
    }
}

/// A member has posted another call.
pub(crate) struct Other {
    pub member: usize,
    pub print: u64,
    pub text: Option<String>,
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

/// The system's clock, which processes of a host share.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
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
    fn word(self) -> u64 {
        self.step << 32 | self.rolling >> 32
    }
}

impl Board {
    pub(crate) fn new(place: Box<dyn Place>, members: usize, me: usize) -> Board {
        assert!(me < members && members <= MOST);
        let texts = RefCell::new([0; TEXTS]);
        let board = Board {
            base: place.base(),
            _place: place,
            members,
            me,
            step: Cell::new(0),
            calls: Cell::new(0),
            noted: Cell::new(false),
            last: Default::default(),
            seen: vec![0; members].into(),
            texts,
        };
        // First touch: the owner's pages lie near the owner.
        for page in (0..AREA).step_by(4096) {
            // SAFETY: inside our own area, which nobody else writes and nobody reads before a stamp.
            unsafe { board.area(me).add(page).write_volatile(0) };
        }
        board.word(board.area(me).wrapping_add(32)).store(std::process::id().into(), Ordering::Relaxed);
        board
    }

    /// Notes, for all to see, that this member has waited so long in a call.
    pub(crate) fn note(&self, print: &Print, time: Duration) {
        self.tell(print);
        let [hash, since] = self.waits(self.me);
        since.store(now_ms().saturating_sub(time.as_millis() as u64), Ordering::Relaxed);
        hash.store(print.hash(), Ordering::Release);
        self.noted.set(true);
    }

    /// The wait is over.
    pub(crate) fn note_no_more(&self) {
        if self.noted.replace(false) {
            self.waits(self.me)[0].store(0, Ordering::Release);
        }
    }

    /// What a member waits in (a fingerprint, or 0) and since when, in ms of the system's clock.
    fn waits(&self, member: usize) -> [&AtomicU64; 2] {
        [16, 24].map(|at| self.word(self.area(member).wrapping_add(at)))
    }

    /// Who waits where since when. A member that has not waited for some 20 ms counts as computing.
    pub(crate) fn roll_call(&self) -> Vec<String> {
        let line = |member: usize| {
            let [hash, since] = self.waits(member);
            let (hash, since) = (hash.load(Ordering::Acquire), since.load(Ordering::Relaxed));
            let pid = self.word(self.area(member).wrapping_add(32)).load(Ordering::Relaxed);
            let text = self.told(member, hash).unwrap_or_else(|| "a call".into());
            let time = now_ms().saturating_sub(since) as f64 / 1e3;
            match hash {
                _ if !std::path::Path::new(&format!("/proc/{pid}")).exists() => format!("rank {member} is gone"),
                0 => format!("rank {member} is computing (process {pid})"),
                _ => format!("rank {member} waits {time:.1}s in {text}"),
            }
        };
        (0..self.members).map(line).collect()
    }

    /// Whether this member is the first of those that wait, and so speaks for them.
    pub(crate) fn speaks(&self) -> bool {
        (0..self.me).all(|m| self.waits(m)[0].load(Ordering::Acquire) == 0)
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
        // SAFETY: `at` is aligned and inside the board's memory, which lives as long as we do; such words are only ever
        // used as atomics.
        unsafe { AtomicU64::from_ptr(at.cast()) }
    }

    /// The number of members that sleep.
    fn sleepers(&self) -> &AtomicU64 {
        self.word(self.base)
    }

    /// What a member that sleeps waits for: another member, plus 1.
    fn waits_on(&self, member: usize) -> &AtomicU64 {
        self.word(self.area(member).wrapping_add(8))
    }

    /// From now on until the nap is dropped this member must be rung when `on` has posted or is through with something. Look
    /// again before you sleep.
    pub(crate) fn nap(&self, on: usize) -> Nap<'_> {
        self.waits_on(self.me).store(on as u64 + 1, Ordering::Relaxed);
        self.sleepers().fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst); // pairs with `to_ring`
        Nap(self)
    }

    /// The members that sleep and may not have seen what this member has posted last.
    pub(crate) fn to_ring(&self) -> impl Iterator<Item = usize> {
        fence(Ordering::SeqCst); // either we see the nap, or the sleeper sees what we have posted
        let members = if self.sleepers().load(Ordering::Relaxed) > 0 { self.members } else { 0 };
        (0..members).filter(|&m| self.waits_on(m).load(Ordering::Relaxed) == self.me as u64 + 1)
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

    fn entry(&self, member: usize, call: u64) -> [&AtomicU64; 2] {
        let at = self.area(member).wrapping_add(DONE + (call % CALLS as u64) as usize * CALL);
        [self.word(at), self.word(at.wrapping_add(8))]
    }

    /// This member begins a call: it is written down, whether or not the member will post something.
    pub(crate) fn begin(&self, print: &Print) {
        self.tell(print);
        let call = self.calls.replace(self.calls.get() + 1);
        let [number, hash] = self.entry(self.me, call);
        number.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        hash.store(print.hash(), Ordering::Relaxed);
        number.store(call + 1, Ordering::Release);
    }

    /// The texts of the first of the last calls that differ between us and `member`.
    pub(crate) fn first_difference(&self, member: usize) -> Option<[String; 2]> {
        let hash_of = |member: usize, call: u64| {
            let [number, hash] = self.entry(member, call);
            let hash = (number.load(Ordering::Acquire) == call + 1).then(|| hash.load(Ordering::Relaxed))?;
            fence(Ordering::Acquire);
            (number.load(Ordering::Relaxed) == call + 1).then_some(hash)
        };
        let calls = self.calls.get();
        (calls.saturating_sub(CALLS as u64)..calls).find_map(|call| {
            let (mine, theirs) = (hash_of(self.me, call)?, hash_of(member, call)?);
            if mine == theirs { None } else { Some([self.told(self.me, mine)?, self.told(member, theirs)?]) }
        })
    }

    /// Posts the text of a call, unless it stands there.
    fn tell(&self, print: &Print) {
        let hash = print.hash();
        let i = (hash % TEXTS as u64) as usize;
        let mut texts = self.texts.borrow_mut();
        if texts[i] == hash {
            return;
        }
        texts[i] = hash;
        let at = self.area(self.me).wrapping_add(DONE + CALLS * CALL + i * TEXT);
        let text = print.text();
        let len = text.floor_char_boundary(TEXT - 16);
        self.word(at).store(0, Ordering::Release);
        // SAFETY: the entry is in our own area and long enough; a reader checks its hash before and after.
        unsafe { at.add(16).copy_from_nonoverlapping(text.as_ptr(), len) };
        self.word(at.wrapping_add(8)).store(len as u64, Ordering::Release);
        self.word(at).store(hash, Ordering::Release);
    }

    fn told(&self, member: usize, hash: u64) -> Option<String> {
        let at = self.area(member).wrapping_add(DONE + CALLS * CALL + (hash % TEXTS as u64) as usize * TEXT);
        if self.word(at).load(Ordering::Acquire) != hash {
            return None;
        }
        let len = self.word(at.wrapping_add(8)).load(Ordering::Acquire) as usize;
        let mut text = vec![0u8; len.min(TEXT - 16)];
        // SAFETY: inside the member's entry. If it is written meanwhile, the hash is another one afterwards.
        unsafe { text.as_mut_ptr().copy_from_nonoverlapping(at.add(16), text.len()) };
        fence(Ordering::Acquire);
        (self.word(at).load(Ordering::Relaxed) == hash).then(|| String::from_utf8_lossy(&text).into_owned())
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
        self.place_of(member, step, of).wrapping_add(from)
    }

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
