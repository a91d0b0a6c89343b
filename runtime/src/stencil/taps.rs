//! Points where a simulation is driven and heard: sources add to a cell at each step, receivers note a cell's value.

use crate::field::Cell;

/// A cell where something is added or noted at each level.
pub(super) struct Tap<T> {
    /// Which of the fields that are stepped, and where: m, s, x.
    pub field: usize,
    pub at: [isize; 2],
    pub x: isize,
    pub what: What<T>,
}

pub(super) enum What<T> {
    /// A number for each level of the sweep, and how to add it.
    Source { amounts: Vec<T>, add: fn(T, T) -> T },
    /// Where the value of each level goes.
    Receiver { to: *mut T },
}

/// All taps of a box, in the order of rows.
pub(super) struct Taps<T>(Vec<Tap<T>>);

// SAFETY: of each receiver's places one worker writes each.
unsafe impl<T: Send> Send for Taps<T> {}
// SAFETY: as above; sources are only read.
unsafe impl<T: Sync> Sync for Taps<T> {}

impl<T: Cell> Taps<T> {
    pub(super) fn new(mut taps: Vec<Tap<T>>) -> Taps<T> {
        // Sources before receivers: what is heard is what was computed from.
        taps.sort_by_key(|tap| (tap.at[1], tap.at[0], tap.field, matches!(tap.what, What::Receiver { .. })));
        Taps(taps)
    }

    /// Adds and notes, in a row that was computed from `x.0` to `x.1` and of which the worker's own are `core`.
    ///
    /// # Safety
    /// The row can be read and written there; each core cell of a level is given once; receivers have room for the level.
    #[inline]
    pub(super) unsafe fn apply(
        &self,
        field: usize,
        level: usize,
        at: [isize; 2],
        row: *mut T,
        x: (isize, isize),
        core: (isize, isize),
    ) {
        if self.0.is_empty() {
            return;
        }
        let key = (at[1], at[0], field);
        let first = self.0.partition_point(|tap| (tap.at[1], tap.at[0], tap.field) < key);
        for tap in self.0[first..].iter().take_while(|tap| (tap.at[1], tap.at[0], tap.field) == key) {
            // SAFETY: as the caller says.
            unsafe {
                match &tap.what {
                    What::Source { amounts, add } if (x.0..x.1).contains(&tap.x) => {
                        let cell = row.offset(tap.x);
                        *cell = add(*cell, amounts[level]);
                    }
                    What::Receiver { to } if (core.0..core.1).contains(&tap.x) => *to.add(level) = *row.offset(tap.x),
                    _ => {}
                }
            }
        }
    }
}
