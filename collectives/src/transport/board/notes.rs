//! What a member tells of itself, for those that look for a reason: the texts of its calls, its last calls, what it waits in,
//! and what it sleeps for.
//!
//! The text of a call is posted only when the member's table does not have it.

use super::{Board, CALL, CALLS, DONE, TEXT, TEXTS};
use crate::check::Print;
use crate::transport::sync::{AtomicU64, Ordering, fence};
use std::time::{Duration, SystemTime};

impl Board {
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
        let text = print.text();
        let bytes = &text.as_bytes()[..text.floor_char_boundary(TEXT - 16)];
        let (hash_word, state, words) = self.text(self.me, hash);
        hash_word.store(0, Ordering::Relaxed);
        fence(Ordering::Release); // the old hash is gone before the new text comes
        for (word, part) in words.zip(bytes.chunks(8)) {
            let mut eight = [0; 8];
            eight[..part.len()].copy_from_slice(part);
            word.store(u64::from_ne_bytes(eight), Ordering::Relaxed);
        }
        // With the number of texts so far: the entry may have been another call's meanwhile, and be this one's again.
        self.texts_told.set(self.texts_told.get() + 1);
        state.store(self.texts_told.get() << 16 | bytes.len() as u64, Ordering::Release);
        hash_word.store(hash, Ordering::Release);
    }

    pub(crate) fn told(&self, member: usize, hash: u64) -> Option<String> {
        let (hash_word, state, words) = self.text(member, hash);
        if hash_word.load(Ordering::Acquire) != hash {
            return None;
        }
        let before = state.load(Ordering::Acquire);
        let len = (before & 0xffff) as usize;
        let mut text: Vec<u8> =
            words.take(len.div_ceil(8)).flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
        text.truncate(len);
        fence(Ordering::Acquire); // if any of it was another text's, then its entry has another hash or number now
        let same = hash_word.load(Ordering::Acquire) == hash && state.load(Ordering::Relaxed) == before;
        same.then(|| String::from_utf8_lossy(&text).into_owned())
    }

    /// The entry for the text of a call: its hash, its number and length, and words of text.
    fn text(&self, member: usize, hash: u64) -> (&AtomicU64, &AtomicU64, impl Iterator<Item = &AtomicU64>) {
        let at = self.area(member).wrapping_add(DONE + CALLS * CALL + (hash % TEXTS as u64) as usize * TEXT);
        let word = move |i: usize| self.word(at.wrapping_add(8 * i));
        (word(0), word(1), (2..TEXT / 8).map(word))
    }
}

/// The system's clock, which processes of a host share.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
