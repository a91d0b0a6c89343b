//! One box in memory: its cells with ghosts around, row after row.
//!
//! Each row's first own cell begins a cache line, with a line or more of room before it, and the memory has a line more at both
//! ends, so that whole lines around a row can be read and x-ghosts have a place. Rows have an odd number of lines, and planes an odd number of rows:
//! neighbours in y and z would else fall into the same cache sets.
//!
//! The memory is a [`NumaVec`]: each domain of workers has a part of the box, which it touches first and then computes.

use super::boxes::Region;
use super::cell::Cell;
use crate::memory::{Locality, NumaVec};
use crate::pool::Pool;
use ndarray::{ArrayView3, ArrayViewMut3, ShapeBuilder};
use std::io;
use std::sync::Arc;

const LINE: usize = 64;
/// Bytes of rows that a worker takes at a time: at most some of its L2 cache; of a small box less, so that each worker has
/// some, but not so little that giving it out would show.
const BAND: std::ops::RangeInclusive<usize> = 8 << 10..=128 << 10;
/// Bytes of a row that a worker takes at a time, where rows are cut.
const LONG: usize = 32 << 10;
/// As many bands as each worker has of a box that is small enough.
const BANDS: usize = 4;

/// The cells of one box. Positions are global; ghost cells may be asked for too.
pub(crate) struct Block<T> {
    pub id: usize,
    pub region: Region,
    ghosts: [usize; 3],
    layout: Layout,
    /// Rows that a worker takes at a time.
    most: usize,
    cells: NumaVec<T>,
}

/// Where rows lie, in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// Before the first row, and behind the last one.
    margin: usize,
    /// Before a row's first own cell: x-ghosts, at the end of this.
    lead: usize,
    /// From row to row.
    pitch: usize,
    /// From plane to plane.
    plane: usize,
    /// All.
    count: usize,
}

impl Layout {
    /// Rows of `len[0]` own cells, with ghosts around; `None` if so many cells cannot be addressed.
    fn of<T>(len: [u64; 3], ghosts: [usize; 3]) -> Option<Layout> {
        let line = (LINE / size_of::<T>()).max(1);
        let side = |a: usize| usize::try_from(len[a]).ok()?.checked_add(2 * ghosts[a]);
        let lead = ghosts[0].max(1).next_multiple_of(line);
        let behind = usize::try_from(len[0]).ok()?.checked_add(ghosts[0])?;
        let lines = (behind.div_ceil(line) + lead / line) | 1;
        let rows = if len[2] > 1 { side(1)? | 1 } else { side(1)? };
        let pitch = lines.checked_mul(line)?;
        let plane = pitch.checked_mul(rows)?;
        let count = plane.checked_mul(side(2)?)?.checked_add(2 * line)?;
        let addressed = count.checked_mul(size_of::<T>()).is_some_and(|bytes| bytes <= isize::MAX as usize);
        addressed.then_some(Layout { margin: line, lead, pitch, plane, count })
    }
}

/// Cells before a row's first own one, from row to row, and before all rows, in boxes of so many cells along x.
pub(crate) fn row_shape<T>(len: u64, ghosts: usize) -> [usize; 3] {
    let layout = Layout::of::<T>([len, 1, 1], [ghosts, 0, 0]).expect("boxes as large are there");
    [layout.lead, layout.pitch, layout.margin]
}

impl<T: Cell> Block<T> {
    /// Zeros, at home with the workers of the pool.
    ///
    /// # Errors
    /// If the box is larger than memory can be addressed, or the system gives none so long.
    pub(crate) fn new(id: usize, region: Region, ghosts: [usize; 3], pool: &Arc<Pool>) -> Result<Block<T>, String> {
        let len = [0, 1, 2].map(|a| region.len(a));
        let layout = Layout::of::<T>(len, ghosts).ok_or_else(|| {
            let [x, y, z] = len;
            format!("a box of {x} × {y} × {z} cells of {} bytes is larger than memory can be addressed", size_of::<T>())
        })?;
        let count = layout.count;
        let cells = NumaVec::new(pool, count).map_err(|_| {
            format!("no memory for {:.1} GiB of cells", (count * size_of::<T>()) as f64 / (1u64 << 30) as f64)
        })?;
        let part = size_of_val(&*cells) / (BANDS * pool.threads());
        let most = (part.clamp(*BAND.start(), *BAND.end()) / (layout.pitch * size_of::<T>())).max(1);
        Ok(Block { id, region, ghosts, layout, most, cells })
    }

    pub(crate) fn like(&self, pool: &Arc<Pool>) -> Block<T> {
        Block::new(self.id, self.region.clone(), self.ghosts, pool).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Where the row of (y, z) begins: its first own cell. Global positions, ghosts counted from below zero.
    fn row_start(&self, y: i64, z: i64) -> usize {
        let local = |at: i64, axis: usize| {
            let local = at - self.region.begin[axis].cast_signed() + self.ghosts[axis] as i64;
            debug_assert!((0..(self.region.len(axis) as i64 + 2 * self.ghosts[axis] as i64)).contains(&local));
            local as usize
        };
        let Layout { margin, lead, pitch, plane, .. } = self.layout;
        margin + local(z, 2) * plane + local(y, 1) * pitch + lead
    }

    /// The cells of the row, with ghosts at both ends.
    pub(crate) fn row(&self, y: i64, z: i64) -> &[T] {
        let start = self.row_start(y, z) - self.ghosts[0];
        &self.cells[start..start + self.region.len(0) as usize + 2 * self.ghosts[0]]
    }

    /// `len` cells from x on, ghosts or not.
    pub(crate) fn part(&self, [x, y, z]: [u64; 3], len: usize) -> &[T] {
        let start = self.cell(x, y, z);
        &self.cells[start..start + len]
    }

    pub(crate) fn part_mut(&mut self, [x, y, z]: [u64; 3], len: usize) -> &mut [T] {
        let start = self.cell(x, y, z);
        &mut self.cells[start..start + len]
    }

    fn cell(&self, x: u64, y: u64, z: u64) -> usize {
        let x = (x.cast_signed() - self.region.begin[0].cast_signed()) as isize;
        debug_assert!(x >= -(self.ghosts[0] as isize));
        let row = self.row_start(y.cast_signed(), z.cast_signed());
        row.checked_add_signed(x).expect("a cell of the box or its halo")
    }

    /// The domain that has the middle of a row.
    pub(crate) fn home(&self, [y, z]: [i64; 2]) -> usize {
        self.cells.home(self.row_start(y, z) + self.region.len(0) as usize / 2)
    }

    /// Where its rows are, for code that goes by pointers.
    pub(crate) fn raw(&mut self) -> Raw<T> {
        let [_, y, z] = self.region.begin;
        let first = self.row_start(y.cast_signed(), z.cast_signed());
        let Layout { lead, pitch, plane, .. } = self.layout;
        let rows = [1, 2].map(|a| self.region.len(a));
        Raw { id: self.id, first: self.cells.as_mut_ptr().wrapping_add(first), begin: [y, z], rows, lead, pitch, plane }
    }

    /// The cells without ghosts, axes `[z, y, x]`.
    pub(crate) fn view(&self) -> ArrayView3<'_, T> {
        let [nx, ny, nz] = [0, 1, 2].map(|a| self.region.len(a) as usize);
        let [x, y, z] = self.region.begin;
        let shape = (nz, ny, nx).strides((self.layout.plane, self.layout.pitch, 1));
        ArrayView3::from_shape(shape, &self.cells[self.cell(x, y, z)..]).expect("a box lies inside its memory")
    }

    pub(crate) fn value(&self, cell: [u64; 3]) -> T {
        self.part(cell, 1)[0]
    }

    pub(crate) fn value_mut(&mut self, cell: [u64; 3]) -> &mut T {
        &mut self.part_mut(cell, 1)[0]
    }

    /// Where its pages lie.
    pub(crate) fn locality(&self) -> io::Result<Locality> {
        self.cells.locality()
    }

    /// Of pieces of the box that begin with the cells given, in ascending order, where each domain's begin.
    pub(crate) fn cuts(&self, pieces: usize, begin: impl Fn(usize) -> [u64; 3]) -> Vec<usize> {
        self.cells.homes().cuts(pieces, |piece| {
            let [x, y, z] = begin(piece);
            self.cell(x, y, z) * size_of::<T>()
        })
    }

    /// The box's own rows in spans for workers who read them.
    pub(crate) fn spans(&self) -> impl Iterator<Item = Span> {
        let ([x, y0, z0], [_, y1, z1]) = (self.region.begin, self.region.end);
        (z0..z1).flat_map(move |z| {
            (y0..y1).step_by(self.most).map(move |y| {
                let rows = (y1 - y).min(self.most as u64);
                let home = self.cells.home(self.cell(x, y + rows / 2, z));
                Span { home, start: [x, y, z], rows }
            })
        })
    }

    /// The box's own rows for which `choose((y, z))`, in bands for workers. Neighbouring chosen rows of one plane share a band.
    pub(crate) fn bands(&mut self, ghosts: [usize; 3], choose: impl Fn([u64; 2]) -> bool) -> Vec<Band<'_, T>> {
        let (region, most) = (self.region.clone(), self.most);
        let Layout { margin, lead, pitch, plane: whole, .. } = self.layout;
        let mut bands: Vec<Band<'_, T>> = Vec::new();
        let (homes, cells) = self.cells.homes_and_values();
        let planes = cells[margin..].chunks_mut(whole).enumerate().skip(ghosts[2]);
        for (z, (before, mut plane)) in (region.begin[2]..region.end[2]).zip(planes) {
            let mut at = 0; // rows of the plane that are split off already
            let mut y = region.begin[1];
            while y < region.end[1] {
                let count = (y..region.end[1]).take(most).take_while(|&y| choose([y, z])).count();
                if count > 0 {
                    let first = (y - region.begin[1]) as usize + ghosts[1];
                    let (_, rest) = plane.split_at_mut((first - at) * pitch);
                    let (mine, rest) = rest.split_at_mut(count * pitch);
                    (plane, at) = (rest, first + count);
                    let start = [region.begin[0], y, z];
                    let home =
                        homes.home((margin + before * whole + (first + count / 2) * pitch + lead) * size_of::<T>());
                    bands.push(Band { home, start, len: region.len(0) as usize, lead, pitch, cells: mine });
                }
                y += count.max(1) as u64;
            }
        }
        bands
    }

    /// The box's own cells in bands for workers. A row that is longer than a worker should take at a time is cut, so that
    /// several workers share it.
    pub(crate) fn pieces_mut(&mut self, ghosts: [usize; 3]) -> Vec<Band<'_, T>> {
        let (homes, base) = (self.cells.homes().clone(), self.cells.as_ptr().addr());
        let bands = self.bands(ghosts, |_| true);
        let home = |cells: &[T]| homes.home(cells.as_ptr().addr() - base);
        bands.into_iter().flat_map(|band| band.cut(home)).collect()
    }

    /// The box's own cells in pieces for workers who read them, cut as by `pieces_mut`.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece> {
        let row = self.region.len(0) as usize;
        self.spans().flat_map(move |Span { home, start: [x, y, z], rows }| {
            let most = if rows == 1 { shared_row::<T>(row) } else { row };
            (0..row).step_by(most).map(move |from| {
                let (start, len) = ([x + from as u64, y, z], most.min(row - from));
                let home = if most < row { self.cells.home(self.cell(start[0], y, z) + len / 2) } else { home };
                Piece { home, start, rows, len }
            })
        })
    }

    /// The cells without ghosts, axes `[z, y, x]`, to be written.
    pub(crate) fn view_mut(&mut self) -> ArrayViewMut3<'_, T> {
        let [nx, ny, nz] = [0, 1, 2].map(|a| self.region.len(a) as usize);
        let [x, y, z] = self.region.begin;
        let first = self.cell(x, y, z);
        let shape = (nz, ny, nx).strides((self.layout.plane, self.layout.pitch, 1));
        ArrayViewMut3::from_shape(shape, &mut self.cells[first..]).expect("a box lies inside its memory")
    }

    /// The cell, or ghost, at a place counted from below zero; `None` if it is farther off than the halo.
    pub(crate) fn value_near(&self, at: [i64; 3]) -> Option<T> {
        self.is_near(at).then(|| self.value(at.map(i64::cast_unsigned)))
    }

    /// Whether a place counted from below zero is a cell or a ghost of the box.
    pub(crate) fn is_near(&self, at: [i64; 3]) -> bool {
        (0..3).all(|a| {
            let ghosts = self.ghosts[a] as i64;
            (self.region.begin[a].cast_signed() - ghosts..self.region.end[a].cast_signed() + ghosts).contains(&at[a])
        })
    }
}

/// Cells of a long row that one worker takes at a time: as equal as can be, and not more than `LONG` bytes.
fn shared_row<T>(cells: usize) -> usize {
    let most = (LONG / size_of::<T>()).max(1);
    cells.div_ceil(cells.div_ceil(most).max(1)).max(1)
}

/// The rows of a box, as pointers. Around each row's own cells its lead before and the rest of the pitch behind may be used too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<T> {
    pub id: usize,
    /// The first own cell.
    pub first: *mut T,
    begin: [u64; 2],
    rows: [u64; 2],
    pub lead: usize,
    pub pitch: usize,
    plane: usize,
}

impl<T> Raw<T> {
    /// The first own cell of a row of the box.
    ///
    /// # Panics
    /// If it is no row of the box.
    pub(crate) fn row(&self, [y, z]: [u64; 2]) -> *mut T {
        let [y, z] = [y - self.begin[0], z - self.begin[1]];
        assert!(y < self.rows[0] && z < self.rows[1], "row {y}, {z} of {:?}", self.rows);
        self.first.wrapping_add(z as usize * self.plane + y as usize * self.pitch)
    }
}

/// Some neighbouring rows of one plane of a box, to be read by one worker.
pub(crate) struct Span {
    /// The domain that has the middle one.
    pub home: usize,
    start: [u64; 3],
    rows: u64,
}

#[cfg(test)]
impl Span {
    /// The first cell of each row.
    pub(crate) fn rows(&self) -> impl Iterator<Item = [u64; 3]> + use<> {
        let [x, y, z] = self.start;
        (y..y + self.rows).map(move |y| [x, y, z])
    }
}

/// Some neighbouring rows of one plane of a box, to be written by one worker.
pub(crate) struct Band<'f, T> {
    /// The domain that has the middle one.
    pub home: usize,
    start: [u64; 3],
    len: usize,
    lead: usize,
    pitch: usize,
    cells: &'f mut [T],
}

impl<T> Band<'_, T> {
    /// Each row: its first cell's position, and its cells without ghosts.
    pub(crate) fn each_row(self, mut f: impl FnMut([u64; 3], &mut [T])) {
        let [x, y, z] = self.start;
        for (y, row) in (y..).zip(self.cells.chunks_mut(self.pitch)) {
            f([x, y, z], &mut row[self.lead..self.lead + self.len]);
        }
    }

    /// The band, or if it is one long row, that in parts, each with the home of its middle.
    fn cut<'f>(self, home: impl Fn(&[T]) -> usize) -> Vec<Band<'f, T>>
    where
        Self: 'f,
    {
        let most = shared_row::<T>(self.len);
        if self.cells.len() > self.pitch || most >= self.len {
            return vec![self];
        }
        let [x, y, z] = self.start;
        let row = &mut self.cells[self.lead..self.lead + self.len];
        let part = |(i, cells): (usize, &'f mut [T])| Band {
            home: home(&cells[cells.len() / 2..]),
            start: [x + (i * most) as u64, y, z],
            len: cells.len(),
            lead: 0,
            pitch: cells.len(),
            cells,
        };
        row.chunks_mut(most).enumerate().map(part).collect()
    }
}

/// Some of a box's cells, to be read by one worker.
pub(crate) struct Piece {
    /// The domain that has the middle one.
    pub home: usize,
    start: [u64; 3],
    rows: u64,
    /// Cells of each of its rows.
    pub len: usize,
}

impl Piece {
    /// The first cell of each row.
    pub(crate) fn rows(&self) -> impl Iterator<Item = [u64; 3]> + use<> {
        let [x, y, z] = self.start;
        (y..y + self.rows).map(move |y| [x, y, z])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::World;
    use physalia_topology::PlanDomain;

    /// A pool of so many domains.
    fn pool(domains: usize) -> Arc<Pool> {
        let mut plan = World::alone().plan().clone();
        let worker = plan.workers[0].clone();
        plan.workers = (0..domains).map(|domain| physalia_topology::Worker { domain, ..worker.clone() }).collect();
        plan.pinned = true; // else workers are of no domain
        plan.domains = vec![PlanDomain { ..plan.domains[0].clone() }; domains];
        Arc::new(Pool::new(&plan, crate::pool::Idle::Auto, World::alone().abort_flag()).unwrap())
    }

    /// Who writes rows, who reads them and who adds them up have the same homes, and those are where the memory is.
    #[test]
    fn rows_have_the_home_of_their_memory() {
        for (domains, len) in
            [(1, [700u64, 50, 40]), (2, [700, 50, 40]), (3, [700, 50, 40]), (2, [5, 4, 3]), (4, [9000, 7, 1])]
        {
            let region = Region { begin: [0, 3, 2], end: [len[0], 3 + len[1], 2 + len[2]] };
            let ghosts = [1, 1, 2];
            let mut block = Block::<f32>::new(0, region.clone(), ghosts, &pool(domains)).unwrap();
            let read: Vec<(usize, Vec<[u64; 3]>)> = block.spans().map(|s| (s.home, s.rows().collect())).collect();
            assert!(read.iter().flat_map(|(_, rows)| rows).copied().eq(region.rows()));
            for (home, rows) in &read {
                let [x, y, z] = rows[rows.len() / 2];
                assert_eq!(*home, block.cells.home(block.cell(x, y, z)));
            }
            let cuts = block.cuts(read.len(), |i| read[i].1[read[i].1.len() / 2]);
            assert!((0..read.len()).all(|i| (cuts[read[i].0]..cuts[read[i].0 + 1]).contains(&i)), "{cuts:?}");
            let homes: Vec<usize> = read.iter().map(|(home, _)| *home).collect();
            assert!(homes.is_sorted());
            let bytes = block.cells.len() * size_of::<f32>();
            assert!(bytes < (4 << 20) * domains || (0..domains).all(|d| homes.contains(&d)), "{homes:?}");
            let written: Vec<usize> = block.bands(ghosts, |_| true).iter().map(|band| band.home).collect();
            assert_eq!(written, homes);
        }
    }

    /// Long rows are cut, every cell is in one piece, and who reads a piece is at home where who writes it is.
    #[test]
    fn several_workers_share_a_long_row() {
        for (domains, len, pieces) in [(1, [100_000u64, 1, 1], 13), (3, [400_000, 1, 1], 49), (2, [40_000, 3, 2], 30)] {
            let region = Region { begin: [0, 3, 2], end: [len[0], 3 + len[1], 2 + len[2]] };
            let ghosts = if len[1] == 1 { [2, 0, 0] } else { [2, 1, 2] };
            let mut block = Block::<f32>::new(0, region.clone(), ghosts, &pool(domains)).unwrap();
            let read: Vec<Piece> = block.pieces().collect();
            let mut homes = Vec::new();
            for band in block.pieces_mut(ghosts) {
                let (home, mut rows) = (band.home, Vec::new());
                band.each_row(|at, row| {
                    rows.push((at, row.len()));
                    row.iter_mut().for_each(|cell| *cell += 1.0);
                });
                homes.push((home, rows));
            }
            let rows = |piece: &Piece| piece.rows().map(|at| (at, piece.len)).collect();
            assert_eq!(read.iter().map(|piece| (piece.home, rows(piece))).collect::<Vec<_>>(), homes);
            assert_eq!(homes.len(), pieces);
            assert!((0..domains).all(|d| homes.iter().any(|(home, _)| *home == d)));
            assert!(block.view().iter().all(|&cell| cell == 1.0));
            assert_eq!(block.cells.iter().sum::<f32>() as u64, region.cells()); // and no ghost
        }
    }
}
