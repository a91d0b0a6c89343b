//! Memory that a sender lends to one receiver, among threads.
//!
//! The receiver *claims* a loan, copies, and *returns* it. Claim, return and withdrawal are transitions of one atomic word, so a
//! sender that must leave either takes the loan back before any copy, or waits for the copy under way.

use super::memory::{Span, span_of};
use super::sync::{AtomicU8, Ordering, yield_now};
use super::{Payload, Pulled, Want};
use std::sync::Arc;

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
                Err(CLAIMED) => yield_now(), // a copy is under way; it ends
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
    /// A message for this payload, and the loan if it is one: of lent memory, if it is longer than `short` bytes.
    pub(super) fn of(payload: Payload, short: usize) -> (Message, Option<Arc<Loan>>) {
        match payload {
            Payload::Owned(bytes) => (Message::Short(bytes), None),
            Payload::Lent(span) if span.len() <= short => {
                // SAFETY: lent memory is alive and unwritten at least until the call that posts it returns.
                (Message::Short(unsafe { span.bytes() }.to_vec()), None)
            }
            Payload::Lent(span) => {
                let loan = Arc::new(Loan::new(span));
                (Message::Long(loan.clone()), Some(loan))
            }
        }
    }

    /// Brings it to where it is wanted; lengths have been compared. `None` if it was a loan that its sender has taken back.
    pub(super) fn deliver(self, want: Want) -> Option<Pulled> {
        match (self, want) {
            (Message::Short(bytes), Want::Any) => Some(Pulled::Bytes(bytes)),
            (Message::Short(bytes), Want::Into(span)) => {
                // SAFETY: a wanted span is exclusive memory of the receiver's flow, which is waiting for it.
                unsafe { span.fill(span_of(&bytes)) };
                Some(Pulled::Landed)
            }
            (Message::Long(loan), want) => {
                let claim = loan.claim()?;
                match want {
                    Want::Into(span) => {
                        // SAFETY: the destination is as above; the source is claimed, so its owner waits for the return.
                        unsafe { span.fill(claim.span()) };
                        Some(Pulled::Landed)
                    }
                    // SAFETY: claimed, as above.
                    Want::Any => Some(Pulled::Bytes(unsafe { claim.span().bytes() }.to_vec())),
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Message::Short(bytes) => bytes.len(),
            Message::Long(loan) => loan.span.len(),
        }
    }
}
