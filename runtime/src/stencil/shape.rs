//! How many steps a sweep fuses, and how large its tiles are: a model of what that costs. The choice never changes the result.
//!
//! A sweep of T steps reads and writes memory once instead of T times; its tiles compute their overlap twice, (T − 1) radii on
//! each side. The rows between should fit the worker's cache. The model adds, for a cell and step: the bytes that pass to and
//! from memory divided by T; the loads of a core, times the overlap; and those rows that its own cache does not hold until they
//! are read again. It was fitted to measurements: in two axes columns of some thousand bytes, in three whole rows are best, but for wide stencils.

use super::places::Geometry;
use super::tile::Tile;
use crate::field::{Boxes, Cell};

/// The largest number of steps that are fused.
pub const MAX_TIME_BLOCK: usize = 64;
/// Of a core, in bytes a nanosecond: from and to memory, from a cache that it shares, and from its own. Only ratios matter.
const MEMORY: f64 = 18.0;
const SHARED: f64 = 100.0;
const OWN: f64 = 320.0;
/// Bytes of a core's nearest cache.
const NEAREST: f64 = 48.0 * 1024.0;

/// Steps of a sweep, and cells of its tiles along x, m and s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub steps: usize,
    pub tile: [usize; 3],
}

/// What the model knows of a stencil and its grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub dims: usize,
    pub radius: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub leapfrog: bool,
    /// Rows side by side, and whether they lie along the streamed axis.
    pub rows: usize,
    pub along_stream: bool,
    /// Bytes of a number; numbers of a line.
    pub bytes: usize,
    /// Cells of the largest box along x, m, s.
    pub cells: [usize; 3],
    pub workers: usize,
    pub cache_bytes: usize,
}

impl Facts {
    /// The best shape with at most so many steps.
    pub(super) fn best(&self, most: usize) -> Shape {
        let shapes = (1..=most.min(MAX_TIME_BLOCK)).filter(|t| *t <= 4 || t % 2 == 0).map(|steps| self.shape(steps));
        let best = shapes.min_by(|a, b| self.cost(a).total_cmp(&self.cost(b)));
        best.unwrap_or_else(|| self.shape(1))
    }

    /// All shapes of so many steps that are worth a thought.
    pub(super) fn shapes(&self, steps: usize) -> Vec<Shape> {
        // In three axes parts of rows pay where no levels lie between.
        let whole = |tile: &[usize; 3]| self.dims < 3 || steps == 1 || tile[0] == self.cells[0];
        self.tiles().into_iter().filter(whole).map(|tile| Shape { steps, tile }).collect()
    }

    /// The best tile for so many steps.
    pub(super) fn shape(&self, steps: usize) -> Shape {
        let best = self.shapes(steps).into_iter().min_by(|a, b| self.cost(a).total_cmp(&self.cost(b)));
        best.unwrap_or(Shape { steps, tile: self.cells })
    }

    /// Tiles worth a thought.
    fn tiles(&self) -> Vec<[usize; 3]> {
        let [nx, nm, ns] = self.cells;
        let line = 64 / self.bytes;
        let least = (2 * line).max(self.radius + 1).next_multiple_of(line);
        let halves = |n: usize, least: usize| -> Vec<usize> {
            let mut all = vec![n];
            let mut size = n.next_power_of_two() / 2;
            while size >= least {
                all.push(size);
                size /= 2;
            }
            all
        };
        let columns = halves(nx, least.max(256));
        let ms = if self.dims > 2 { halves(nm, 8) } else { vec![1] };
        let streams = if self.dims > 1 { halves(ns, 16) } else { vec![1] };
        let mut tiles = Vec::new();
        for &x in &columns {
            for &m in &ms {
                tiles.extend(streams.iter().map(|&s| [x, m, s]));
            }
        }
        tiles
    }

    /// Nanoseconds a cell and step, as the model has it.
    pub(super) fn cost(&self, shape: &Shape) -> f64 {
        let (t, r) = (shape.steps as f64, self.radius as f64);
        let [tx, tm, ts] = std::array::from_fn(|a| shape.tile[a].min(self.cells[a]).max(1) as f64);
        let far = (t - 1.0) * r;
        let grown = |size: f64, whole: usize, there: bool| {
            if there && size < whole as f64 { (size + far) / size } else { 1.0 }
        };
        // Levels are on average grown by half of what the first one is; columns are computed in full by every level.
        let (nx, nm, ns) = (self.cells[0], self.cells[1], self.cells[2]);
        let across_x = if tx < nx as f64 { (tx + 2.0 * far) / tx } else { 1.0 };
        let more = across_x * grown(tm, nm, self.dims > 2) * grown(ts, ns, self.dims > 1);
        // Numbers that pass to and from memory: each input and output once a sweep, around a tile some more.
        let twice = self.leapfrog && shape.steps > 1;
        let around = |size: f64, whole: usize, there: bool| {
            if there && size < whole as f64 { 1.0 + 2.0 * (far + r) / size } else { 1.0 }
        };
        let read_more = around(tm, nm, self.dims > 2) * around(ts, ns, self.dims > 1);
        let reads = (self.inputs + if twice { self.outputs } else { 0 }) as f64 * read_more;
        let plain = self.outputs as f64 * if self.leapfrog { 2.0 } else { 1.0 };
        let memory = (reads + plain) * self.bytes as f64 / t / MEMORY;
        // Work: loads of all points of a star, and a store.
        let points = (2 * self.radius * self.dims + 1) * self.inputs + self.outputs;
        let loads = (points * self.bytes) as f64 / OWN;
        // Planes in reach, of fields and of the rings between; those that do not fit the cache come from the next one.
        let at_once = if self.along_stream { self.rows } else { 1 } as f64;
        let planes = if self.dims > 1 { 2.0 * r + at_once } else { 1.0 };
        let wide = (tx + 2.0 * far) * self.bytes as f64 * planes;
        let high = |by: f64| if self.dims > 2 { tm + 2.0 * by } else { 1.0 };
        let set = wide * (self.inputs as f64 * high(far + r) + (t - 1.0) * self.outputs as f64 * high(far));
        let beyond = |room: f64| (1.0 - room / set).max(0.0);
        let again = (self.inputs * self.bytes) as f64 * planes / at_once;
        let [near, far_off, last] = [0.75, 4.0, 16.0].map(|times| beyond(times * self.cache_bytes as f64));
        let spilled = again * ((near + far_off) / SHARED + last / MEMORY);
        // A leapfrog's level before the last one is kept too.
        let copied = if twice { (2 * self.outputs * self.bytes) as f64 / t / MEMORY } else { 0.0 };
        // Rows of the own planes that the nearest cache does not hold from row to row.
        let near_rows = at_once * (2.0 * r + 1.0) + 2.0 * r;
        let nearest = near_rows * tx * (self.inputs * self.bytes) as f64;
        let from_second = if self.dims > 2 { (1.0 - 0.75 * NEAREST / nearest).max(0.0) } else { 0.0 };
        let far_rows = from_second * (2 * self.radius * self.inputs * self.bytes) as f64 / (2.0 * SHARED);
        let work = (loads + spilled + far_rows) * more + copied;
        // Short rows cost their begin: some tens of nanoseconds for each level.
        let begin = 25.0 / (tx * self.rows as f64);
        // Workers that have nothing to do at the end.
        let tiles: f64 = [(tx, nx), (tm, nm), (ts, ns)].iter().map(|&(size, n)| (n as f64 / size).ceil()).product();
        let rounds = (tiles / self.workers as f64).ceil();
        let idle = rounds * self.workers as f64 / tiles;
        // They overlap in part, better where no rings lie between.
        let both = if shape.steps == 1 { 0.25 } else { 0.5 };
        (memory.max(work) + both * memory.min(work) + begin * more) * idle.max(1.0)
    }
}

/// The tiles of a box. `edges` says at which ends of m and s other ranks wait for rows, `depth` for how many: these have tiles
/// of their own. Columns have at least `least` cells.
pub(super) fn tiles<T: Cell>(
    shape: &Shape,
    cells: [isize; 3],
    edges: [[bool; 2]; 2],
    depth: usize,
    least: usize,
) -> Vec<Tile> {
    let [tx, tm, ts] = shape.tile.map(|n| n.max(1) as isize);
    let line = T::LINE as isize;
    let columns = even(cells[0], tx.max(least as isize), line, least as isize);
    // Ends are as deep as others need, and not so thin that their overlap is most of the work.
    let thick = |a: usize, size: isize| (depth as isize).max((depth as isize * 4).min(size)).min(cells[a + 1]);
    let parts = |a: usize, size: isize| -> Vec<(isize, isize)> {
        let n = cells[a + 1];
        let (lo, hi) = (if edges[a][0] { thick(a, size) } else { 0 }, if edges[a][1] { thick(a, size) } else { 0 });
        if lo + hi >= n {
            return even(n, size, 1, 1);
        }
        let inner = even(n - lo - hi, size, 1, 1).into_iter().map(|(from, to)| (from + lo, to + lo));
        [(0, lo)].into_iter().chain(inner).chain([(n - hi, n)]).filter(|(from, to)| from < to).collect()
    };
    let (ms, ss) = (parts(0, tm), parts(1, ts));
    let mut tiles = Vec::new();
    for &s in &ss {
        for &m in &ms {
            tiles.extend(columns.iter().map(|&x| Tile { x, m, s }));
        }
    }
    tiles
}

/// A length in parts of about a size, each but the last a multiple of a unit, none much smaller than the others, nor than `least`
/// unless it is the only one.
fn even(n: isize, size: isize, unit: isize, least: isize) -> Vec<(isize, isize)> {
    let count = ((n + size / 2) / size).max(1);
    let units = (n + unit - 1) / unit;
    let count = count.min(units).max(1);
    let parts = |count: isize| -> Vec<(isize, isize)> {
        let cut = |i: isize| (units * i / count * unit).min(n);
        (0..count).map(|i| (cut(i), cut(i + 1))).filter(|(a, b)| a < b).collect()
    };
    let wide = |count: &isize| parts(*count).iter().all(|(a, b)| b - a >= least);
    parts((1..=count).rev().find(wide).unwrap_or(1))
}

/// The facts of a stencil on the boxes of this rank, or of any if it has none.
pub(super) fn largest<T: Cell>(geometry: &Geometry<T>, boxes: &Boxes) -> [usize; 3] {
    let mut most = [1; 3];
    for id in 0..boxes.len() {
        let lengths = geometry.lengths(&boxes.region(id));
        for a in 0..3 {
            most[a] = most[a].max(lengths[a] as usize);
        }
    }
    most
}
