//! What a rank knows of calls: which it has begun itself, and what the heads of others have shown of theirs.
//!
//! A head is compared with our own call of that number when it comes, or, if it is early, when this rank begins that call.

use super::Call;
use crate::check::Print;
use crate::failure::{Abort, Cause, host};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// So many calls of a communicator are remembered, to compare late heads with.
const REMEMBERED: usize = 256;

/// What a head says of its call.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    pub from: u32,
    pub comm: u64,
    pub seq: u64,
    pub print: u64,
    pub rolling: u64,
}

struct Begun {
    seq: u64,
    print: Print,
    rolling: u64,
}

/// For keys that are hashes already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers")
    }
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// All calls that matter still.
pub(super) struct Ledger {
    me: u32,
    /// Calls are compared; else only counted.
    compares: bool,
    /// Calls that this rank has begun, by communicator; the latest last.
    begun: RefCell<HashMap<u64, VecDeque<Begun>, BuildHasherDefault<AsItIs>>>,
    /// Communicators that have ended. (Their numbers are never used again.)
    ended: RefCell<HashSet<u64>>,
    /// Heads of calls that this rank has not begun yet.
    early: RefCell<HashMap<(u64, u64), Vec<Shown>>>,
    /// Texts of calls, by fingerprint, as peers have told them.
    texts: RefCell<HashMap<u64, String>>,
    /// To whom this rank has told which text.
    told: RefCell<HashSet<(u32, u64)>>,
}

impl Ledger {
    pub(super) fn new(me: u32, compares: bool) -> Ledger {
        Ledger {
            me,
            compares,
            begun: RefCell::default(),
            ended: RefCell::default(),
            early: RefCell::default(),
            texts: RefCell::default(),
            told: RefCell::default(),
        }
    }

    /// This rank begins a call. Does not return if somebody has shown another one of that number.
    pub(super) fn enter(&self, call: &Call) {
        let mut begun = self.begun.borrow_mut();
        let calls = begun.entry(call.comm).or_default();
        if calls.len() == if self.compares { REMEMBERED } else { 1 } {
            calls.pop_front();
        }
        let mine = Begun { seq: call.seq, print: call.print, rolling: call.rolling };
        let mut early = self.early.borrow_mut();
        if !early.is_empty() {
            early.remove(&(call.comm, call.seq)).iter().flatten().for_each(|shown| self.same(&mine, shown));
        }
        calls.push_back(mine);
    }

    /// Compares what a head shows with our own call of that number, now or when it comes to that.
    pub(super) fn compare(&self, shown: Shown) {
        if !self.compares {
            return;
        }
        let begun = self.begun.borrow();
        let calls = begun.get(&shown.comm);
        let (first, last) = (calls.and_then(|c| c.front()), calls.and_then(|c| c.back()));
        if last.is_none_or(|last| last.seq < shown.seq) {
            if !self.ended.borrow().contains(&shown.comm) {
                self.early.borrow_mut().entry((shown.comm, shown.seq)).or_default().push(shown);
            }
        } else if let (Some(calls), Some(first)) = (calls, first)
            && let Some(mine) = shown.seq.checked_sub(first.seq).and_then(|i| calls.get(i as usize))
        {
            self.same(mine, &shown);
        }
    }

    fn same(&self, mine: &Begun, theirs: &Shown) {
        if (mine.print.hash(), mine.rolling) == (theirs.print, theirs.rolling) {
            return;
        }
        let text = match theirs.print {
            print if print == mine.print.hash() => {
                format!("{} too, but an earlier call of it differed", mine.print.text())
            }
            print => self.text_of(print),
        };
        let calls = [(self.me, mine.print.text()), (theirs.from, text)];
        let cause = Cause::Mismatch { host: host().into(), calls };
        crate::exit::leave(1, &Abort::new(cause).to_string())
    }

    /// Whether this rank has begun that call, and perhaps ended it.
    pub(super) fn has_begun(&self, comm: u64, seq: u64) -> bool {
        let begun = self.begun.borrow();
        let last = begun.get(&comm).and_then(|calls| calls.back());
        last.is_some_and(|last| last.seq >= seq) || self.ended.borrow().contains(&comm)
    }

    /// The call's text if `to` has not been told it yet, else nothing.
    pub(super) fn text_for(&self, to: u32, call: &Call) -> String {
        if self.told.borrow_mut().insert((to, call.print.hash())) { call.print.text() } else { String::new() }
    }

    /// What a peer has told of a fingerprint.
    pub(super) fn text_of(&self, print: u64) -> String {
        self.texts.borrow().get(&print).cloned().unwrap_or_else(|| "another call".into())
    }

    /// A peer tells the text of a fingerprint.
    pub(super) fn learn(&self, print: u64, text: &[u8]) {
        if !text.is_empty() {
            self.texts.borrow_mut().insert(print, String::from_utf8_lossy(text).into_owned());
        }
    }

    pub(super) fn forget(&self, comm: u64) {
        self.ended.borrow_mut().insert(comm);
        self.begun.borrow_mut().remove(&comm);
        self.early.borrow_mut().retain(|key, _| key.0 != comm);
    }
}
