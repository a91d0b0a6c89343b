//! Members that sleep: among threads, who posts something rings those who wait for it.

use super::Board;
use crate::transport::sync::{AtomicU64, Ordering, fence};

/// A member that sleeps, or is about to.
pub(crate) struct Nap<'b>(&'b Board);

impl Drop for Nap<'_> {
    fn drop(&mut self) {
        self.0.waits_on(self.0.me).store(0, Ordering::Relaxed);
        self.0.sleepers().fetch_sub(1, Ordering::Relaxed);
    }
}

impl Board {
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
}
