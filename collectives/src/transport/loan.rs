//! Memory that a sender lends to one receiver, among threads.
//!
//! The receiver *claims* a loan, copies, and *returns* it. Claim, return and withdrawal are transitions of one atomic word, so a
//! sender that must leave either takes the loan back before any copy, or waits for the copy under way.

use super::memory::Span;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const OPEN: u8 = 0;
const CLAIMED: u8 = 1;
const RETURNED: u8 = 2;
const WITHDRAWN: u8 = 3;

/// Memory lent to one receiver.
pub(crate) struct Loan {
    span: Span,
    state: AtomicU8,
}

// SAFETY: the span's memory is read by a receiver only between a claim and its return, and its owner keeps it alive and
// unwritten until the loan is returned or withdrawn (`Memory`'s promise, kept by `flow`).
unsafe impl Send for Loan {}
// SAFETY: as above; the state is atomic.
unsafe impl Sync for Loan {}

impl Loan {
    pub(super) fn new(span: Span) -> Loan {
        Loan { span, state: AtomicU8::new(OPEN) }
    }

    /// `None` if the loan was withdrawn.
    pub(super) fn claim(&self) -> Option<Claim<'_>> {
        self.state.compare_exchange(OPEN, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok().then_some(Claim(self))
    }

    pub(crate) fn returned(&self) -> bool {
        self.state.load(Ordering::Acquire) == RETURNED
    }

    /// Takes the loan back. True if it was open, so that its receiver will miss it.
    pub(crate) fn withdraw(&self) -> bool {
        loop {
            match self.state.compare_exchange(OPEN, WITHDRAWN, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return true,
                Err(CLAIMED) => std::thread::yield_now(), // a copy is under way; it ends
                Err(_) => return false,
            }
        }
    }
}

/// The right to read lent memory, until it is dropped: whatever happens here, the lender is not left waiting.
pub(super) struct Claim<'a>(&'a Loan);

impl Claim<'_> {
    pub(super) fn span(&self) -> Span {
        self.0.span
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.state.store(RETURNED, Ordering::Release);
    }
}

/// What one rank has for another.
pub(super) enum Message {
    Short(Vec<u8>),
    Long(Arc<Loan>),
}

impl Message {
    pub(super) fn len(&self) -> usize {
        match self {
            Message::Short(bytes) => bytes.len(),
            Message::Long(loan) => loan.span.len(),
        }
    }
}
