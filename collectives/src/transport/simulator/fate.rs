//! Ranks that die: when, and how that becomes known.

use super::model::Dice;

/// When a rank dies. Both are places where it waits: a rank that computes is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// When it begins its wait of this number, counted from 1.
    AtWait(u64),
    /// In its first wait that lasts to this virtual time, or begins later.
    AtTimePs(u64),
}

impl Death {
    /// Whether it comes to a rank in its wait of this number, at this time.
    pub(super) fn comes(self, wait: u64, now: u64) -> bool {
        match self {
            Death::AtWait(number) => wait >= number,
            Death::AtTimePs(time) => now >= time,
        }
    }

    /// The time at which it ends a wait that has begun.
    pub(super) fn time(self) -> Option<u64> {
        match self {
            Death::AtWait(_) => None,
            Death::AtTimePs(time) => Some(time),
        }
    }
}

/// A rank of `size` and a time up to `within_ps`, by seed.
pub(super) fn draw(seed: u64, size: u32, within_ps: u64) -> (u32, Death) {
    let mut dice = Dice::new(seed, 2);
    (dice.up_to(u64::from(size) - 1) as u32, Death::AtTimePs(dice.up_to(within_ps)))
}
