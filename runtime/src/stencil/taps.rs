//! Points where a simulation is driven and heard: sources add to a cell at each step, receivers note a cell's value.

use super::places::Geometry;
use crate::World;
use crate::field::{Boxes, Cell, Region};
use physalia_collectives::Abort;

/// What is added to a cell by the step that comes after so many.
pub(super) type Amount<T> = Box<dyn Fn(u64) -> T + Send>;

/// A point, by field and cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub field: usize,
    pub cell: [u64; 3],
}

/// The points of a stepper, and what was heard.
pub(super) struct Points<T> {
    pub sources: Vec<(At, Amount<T>)>,
    pub receivers: Vec<At>,
    pub add: Option<fn(T, T) -> T>,
    /// Of this rank's receivers: which one after how many steps, and what.
    heard: Vec<[u64; 2]>,
    values: Vec<T>,
}

impl<T: Cell> Points<T> {
    pub(super) fn none() -> Points<T> {
        Points { sources: vec![], receivers: vec![], add: None, heard: vec![], values: vec![] }
    }

    /// What sources add in each level of a sweep.
    pub(super) fn amounts(&self, step: u64, steps: usize) -> Vec<Vec<T>> {
        let of = |(_, amount): &(At, Amount<T>)| (0..steps as u64).map(|level| amount(step + level)).collect();
        self.sources.iter().map(of).collect()
    }

    /// Keeps what the receivers of this rank have heard in a sweep: `heard[receiver × steps + level]`.
    pub(super) fn keep(&mut self, mine: &[usize], heard: &[T], step: u64, steps: usize) {
        for &receiver in mine {
            for level in 0..steps {
                self.heard.push([receiver as u64, step + level as u64 + 1]);
                self.values.push(heard[receiver * steps + level]);
            }
        }
    }

    /// What all receivers have heard since the last call, in the order of steps; on rank 0.
    #[track_caller]
    pub(super) fn gather(&mut self, world: &mut World) -> Result<Option<Vec<Vec<T>>>, Abort> {
        let (heard, values) = (std::mem::take(&mut self.heard), std::mem::take(&mut self.values));
        let heard = world.gather_v(0, &heard)?;
        let values = world.gather_v(0, &values)?;
        let Some((heard, values)) = heard.zip(values) else { return Ok(None) };
        let mut all: Vec<([u64; 2], T)> =
            heard.as_slice().iter().copied().zip(values.as_slice().iter().copied()).collect();
        all.sort_by_key(|(at, _)| *at);
        let mut traces = vec![Vec::new(); self.receivers.len()];
        all.into_iter().for_each(|([receiver, _], value)| traces[receiver as usize].push(value));
        Ok(Some(traces))
    }
}

/// A point as a box sees it.
#[derive(Clone, Copy, Debug)]
struct Tap {
    /// Row: s, m, field.
    row: (isize, isize, usize),
    receives: bool,
    x: isize,
    /// Which source or receiver.
    number: usize,
}

/// The points of a box, in the order of rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Taps(Vec<Tap>);

impl Taps {
    /// Those that a box's tiles meet: receivers of its own, sources also around it, as often as periodic axes show them.
    pub(super) fn new<T: Cell>(geometry: &Geometry<T>, region: &Region, sources: &[At], receivers: &[At]) -> Taps {
        let mut taps = Vec::new();
        for (number, at) in receivers.iter().enumerate().filter(|(_, at)| region.contains(at.cell)) {
            let [x, m, s] = geometry.local(region, at.cell);
            taps.push(Tap { row: (s, m, at.field), receives: true, x, number });
        }
        let (lengths, periods, depth) = (geometry.lengths(region), geometry.periods(), geometry.depth as isize);
        for (number, at) in sources.iter().enumerate() {
            let local = geometry.local(region, at.cell);
            // All places along an axis where the cell is seen.
            let seen: [Vec<isize>; 3] = std::array::from_fn(|a| {
                let period = geometry.axes()[a].map_or(0, |axis| periods[axis] as isize);
                let near = |at: &isize| (-depth..lengths[a] + depth).contains(at);
                match period {
                    0 => Some(local[a]).filter(near).into_iter().collect(),
                    period => {
                        let first = (local[a] + depth).rem_euclid(period) - depth;
                        (first..lengths[a] + depth).step_by(period as usize).collect()
                    }
                }
            });
            for &x in &seen[0] {
                for &m in &seen[1] {
                    taps.extend(seen[2].iter().map(|&s| Tap { row: (s, m, at.field), receives: false, x, number }));
                }
            }
        }
        // Sources before receivers: what is heard is what the next step computes from.
        taps.sort_by_key(|tap| (tap.row, tap.receives));
        Taps(taps)
    }

    /// Adds and notes, in a row of a level that was computed from `x.0` to `x.1` and of which the worker's own are `core`.
    ///
    /// # Safety
    /// The row can be read and written there; each core cell of a level is given once.
    #[inline]
    pub(super) unsafe fn apply<T: Cell>(
        &self,
        sound: &Sound<'_, T>,
        level: usize,
        row: (isize, isize, usize),
        cells: *mut T,
        x: (isize, isize),
        core: (isize, isize),
    ) {
        if self.0.is_empty() {
            return;
        }
        let first = self.0.partition_point(|tap| tap.row < row);
        for tap in self.0[first..].iter().take_while(|tap| tap.row == row) {
            let columns = if tap.receives { core } else { x };
            if !(columns.0..columns.1).contains(&tap.x) {
                continue;
            }
            // SAFETY: as the caller says; the places of a receiver are its own.
            unsafe {
                let cell = cells.offset(tap.x);
                if tap.receives {
                    *sound.heard.add(tap.number * sound.steps + level) = *cell;
                } else if let Some(add) = sound.add {
                    *cell = add(*cell, sound.amounts[tap.number][level]);
                }
            }
        }
    }
}

/// What is added and heard in a sweep.
pub(super) struct Sound<'a, T> {
    pub amounts: &'a [Vec<T>],
    pub add: Option<fn(T, T) -> T>,
    /// Room for `steps` values of each receiver.
    pub heard: *mut T,
    pub steps: usize,
}

/// The receivers whose cells a rank has.
pub(super) fn mine(receivers: &[At], boxes: &Boxes, rank: u32) -> Vec<usize> {
    let own = |at: &At| {
        let cell = Region { begin: at.cell, end: at.cell.map(|c| c + 1) };
        boxes.owners()[boxes.touching(&cell)[0]] == rank
    };
    receivers.iter().enumerate().filter(|(_, at)| own(at)).map(|(i, _)| i).collect()
}
