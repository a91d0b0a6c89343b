//! The time-fused streaming tile: several steps in one pass over a tile.
//!
//! A tile's cells after n steps depend on cells up to n radii around it. They are computed in *levels*: level 1 from the
//! field, on a region that is larger than the tile by n − 1 radii, level 2 from level 1, and so on; the last one is the tile
//! itself and goes to memory. A level streams along the last axis, one radius behind the level below, so a few planes of each
//! are enough (`ring`), and they stay in the cache. Neighbouring tiles compute their overlap twice; so they need nothing of
//! each other, and the same code serves halos between ranks that are n radii deep.
//!
//! Local coordinates of a box: x, then *m*, then *s*, the streamed axis. In two axes m has one row and s is y; in three they
//! are y and z. Positions may be negative.
//!
//! Rows beyond a wall: fixed ones are in the field's table, mirrored ones are rows of the level itself, at other places.
//!
//! Time skewing and overlapped tiles: D. Wonnacott, "Achieving scalable locality with time skewing" (2002); M. Christen,
//! O. Schenk, H. Burkhart, "PATUS" (2011).

use super::ends::Ends;
use super::kernel::{Call, Kernel, MAX_AHEAD};
use super::point::{ACROSS, ALONG, Around, MAX_INPUTS, MAX_OUTPUTS, MAX_RADIUS, MAX_ROWS, Place, Side};
use super::ring::Ring;
use super::taps::{Sound, Taps};
use super::walls::About;
use crate::field::Cell;
use physalia_collectives::poll_here;
use std::ptr;

/// Where rows are: a table of pointers to x = 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<T> {
    /// The row at m = 0, s = 0.
    origin: *const *mut T,
    /// From plane to plane.
    pub width: isize,
    /// Rows that may be asked for.
    pub m: (isize, isize),
    pub s: (isize, isize),
}

// SAFETY: a table is read only; what may be done with its rows is said where it is used.
unsafe impl<T: Send> Send for Table<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Table<T> {}

impl<T> Table<T> {
    /// A table of rows m.0..m.1 of planes s.0..s.1, with `ALONG` entries more at both ends. It must not outlive `rows`.
    pub(super) fn of(rows: &[*mut T], m: (isize, isize), s: (isize, isize)) -> Table<T> {
        let width = m.1 - m.0;
        assert_eq!(rows.len() as isize, width * (s.1 - s.0) + 2 * ALONG as isize);
        Table { origin: rows.as_ptr().wrapping_add(ALONG).wrapping_offset(-(s.0 * width + m.0)), width, m, s }
    }

    #[inline(always)]
    fn from(&self, m: isize, s: isize) -> *const *mut T {
        self.origin.wrapping_offset(s * self.width + m)
    }

    /// # Safety
    /// The row is in the table.
    #[inline(always)]
    unsafe fn row(&self, m: isize, s: isize) -> *mut T {
        debug_assert!((self.m.0..self.m.1).contains(&m) && (self.s.0..self.s.1).contains(&s), "row {m}, {s}");
        // SAFETY: as the caller says.
        unsafe { *self.from(m, s) }
    }
}

/// A part of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub x: (isize, isize),
    pub m: (isize, isize),
    pub s: (isize, isize),
}

/// The grid's walls as a box sees them: cells are computed inside. Along axes that go on they are far away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent(pub [(isize, isize); 3]);

impl Extent {
    /// The part of a range grown on both sides that lies inside.
    #[inline(always)]
    pub(super) fn grow(&self, axis: usize, (lo, hi): (isize, isize), by: isize) -> (isize, isize) {
        ((lo - by).max(self.0[axis].0), (hi + by).min(self.0[axis].1))
    }

    #[inline(always)]
    fn has(&self, axis: usize, (lo, hi): (isize, isize)) -> bool {
        lo >= self.0[axis].0 && hi <= self.0[axis].1
    }
}

/// Some steps of one box.
pub(super) struct Sweep<'a, T: Cell> {
    pub kernel: Kernel<T>,
    /// The stencil that the kernel is of.
    pub stencil: *const (),
    pub dims: usize,
    /// Levels.
    pub steps: usize,
    pub clip: Extent,
    /// Where local (0, 0, 0) is in the grid; cells along periodic axes; steps done before.
    pub origin: [i64; 3],
    pub periods: [i64; 3],
    pub step: u64,
    /// The fields that are read, those that are stepped first; of the latter one step earlier, and where the results go.
    pub src: &'a [Table<T>],
    pub old: &'a [Table<T>],
    pub dst: &'a [Table<T>],
    pub dst_old: &'a [Table<T>],
    /// Of the fields that are stepped: about what rows beyond the low and high ends of m and s are mirrored, if they are.
    pub mirrors: &'a [[[Option<About>; 2]; 2]],
    pub ends: &'a [Ends<T>],
    pub taps: &'a Taps,
    pub sound: &'a Sound<'a, T>,
    /// Store past the caches at the last level.
    pub stream: bool,
    /// Rows to fetch ahead of the leading one; 0 for none.
    pub ahead: isize,
}

// SAFETY: workers share a sweep to run tiles of it that do not overlap; the stencil is Sync.
unsafe impl<T: Cell> Sync for Sweep<'_, T> {}

/// Cell updates between two looks at messages that travel meanwhile: some microseconds of work. A message between hosts needs
/// several: it is announced, taken, and comes in pieces.
const BETWEEN_POLLS: isize = 1 << 15;

/// Entries of a table around some rows beyond a wall.
const BEYOND: usize = ACROSS * ALONG;

/// What a worker needs for a tile.
pub(super) struct Desk<T> {
    call: Call<T>,
    /// Tables of rows some of which lie beyond walls.
    beyond: Vec<*mut T>,
    pub ring: Ring<T>,
}

// SAFETY: pointers that nobody follows between two tiles.
unsafe impl<T: Send> Send for Desk<T> {}

impl<T: Cell> Desk<T> {
    pub(super) fn new() -> Desk<T> {
        let call = Call {
            around: [Around { centre: ptr::null(), width: 0 }; MAX_INPUTS],
            old: [[ptr::null(); MAX_ROWS]; MAX_OUTPUTS],
            out: [[ptr::null_mut(); MAX_ROWS]; MAX_OUTPUTS],
            ahead: [ptr::null(); MAX_AHEAD],
            aheads: 0,
            x0: 0,
            x1: 0,
            stream: false,
            place: Place::default(),
        };
        Desk { call, beyond: vec![ptr::null_mut(); MAX_INPUTS * BEYOND + 2 * ALONG], ring: Ring::new() }
    }
}

impl<T: Cell> Sweep<'_, T> {
    /// Computes a tile.
    ///
    /// # Safety
    /// - The kernel's set of instructions is here, and `stencil` is what it was made for.
    /// - Tables of fields that are read have the rows of the tile grown by `steps` radii as far as the walls and, beyond those,
    ///   a radius more; each can be read from a line before the columns grown so to a line behind, and nobody writes them.
    /// - `old` likewise, grown by one radius less; `dst` and `dst_old` have the tile's rows, which nobody else uses. `dst` may be
    ///   `old` if there is one step.
    pub(super) unsafe fn tile(&self, tile: &Tile, desk: &mut Desk<T>) {
        let (r, n) = (self.kernel.radius as isize, self.steps as isize);
        let at_once = self.kernel.rows as isize;
        let (block_m, block_s) = if self.kernel.along_stream(self.dims) { (1, at_once) } else { (at_once, 1) };
        desk.ring.fit(tile, &self.clip, self.steps, self.kernel.outputs, self.kernel.radius, block_s as usize);
        let far = (n - 1) * r;
        let end = tile.s.1 + far;
        let mut head = self.clip.grow(2, tile.s, far).0;
        let updates = (tile.x.1 - tile.x.0) * (tile.m.1 - tile.m.0) * block_s * n;
        let mut since = 0;
        while head < end {
            since += updates;
            if since >= BETWEEN_POLLS {
                since = 0;
                poll_here();
            }
            for level in 1..=n {
                let left = (n - level) * r;
                let (lo, hi) = self.clip.grow(2, tile.s, left);
                let (m0, m1) = self.clip.grow(1, tile.m, left);
                let first = head - (level - 1) * r;
                let (mut s, s1) = (first.max(lo), (first + block_s).min(hi));
                while s < s1 {
                    let step_s = if s1 - s >= block_s { block_s } else { 1 };
                    let mut m = m0;
                    while m < m1 {
                        let whole = step_s == block_s && m1 - m >= block_m;
                        let rows = if whole { at_once } else { 1 };
                        // SAFETY: as the caller says; levels below have been computed so far as this one reads them.
                        unsafe { self.rows(tile, desk, level as usize, rows as usize, m, s) };
                        m += if whole { block_m } else { 1 };
                    }
                    s += step_s;
                }
            }
            head += block_s;
        }
    }

    /// The place of the j-th of some rows.
    #[inline(always)]
    fn place(&self, m: isize, s: isize, j: usize) -> (isize, isize) {
        if self.kernel.along_stream(self.dims) { (m, s + j as isize) } else { (m + j as isize, s) }
    }

    /// Some rows of one level, from the field or the level below.
    unsafe fn rows(&self, tile: &Tile, desk: &mut Desk<T>, level: usize, rows: usize, m: isize, s: isize) {
        // SAFETY: as the caller says.
        unsafe { self.gather(desk, level, rows, m, s) };
        let (ring, call) = (&desk.ring, &mut desk.call);
        let last = level == self.steps;
        (call.x0, call.x1) = if last { tile.x } else { ring.x };
        call.stream = last && self.stream;
        let [x, y, z] = self.origin;
        let (dy, dz) = if self.dims == 2 { (s, m) } else { (m, s) };
        let origin = [x, y + dy as i64, z + dz as i64];
        call.place = Place { origin, periods: self.periods, step: self.step + level as u64 - 1 };
        for n in 0..self.kernel.outputs {
            for j in 0..rows {
                let (m, s) = self.place(m, s, j);
                // SAFETY: as the caller says; rows of rings are there.
                unsafe {
                    call.out[n][j] = if last { self.dst[n].row(m, s) } else { *ring.rows_from(level, n, m, s) };
                    if self.kernel.leapfrog {
                        call.old[n][j] = match level {
                            1 => self.old[n].row(m, s),
                            2 => self.src[n].row(m, s),
                            _ => *ring.rows_from(level - 2, n, m, s),
                        };
                    }
                }
            }
        }
        call.aheads = 0;
        if level == 1 && self.ahead > 0 {
            // SAFETY: as the caller says.
            unsafe { self.fetch(tile, call, rows, m, s) };
        }
        let code = if rows > 1 { self.kernel.many } else { self.kernel.one };
        // SAFETY: the tables have these rows, which can be read as far as the ring's columns are from the tile.
        unsafe { code(self.stencil, call) };
        // SAFETY: rows that were just written, by this worker.
        unsafe { self.after(tile, desk, level, rows, m, s) };
    }

    /// Tells where the rows in reach are.
    unsafe fn gather(&self, desk: &mut Desk<T>, level: usize, rows: usize, m: isize, s: isize) {
        let (r, rows) = (self.kernel.radius as isize, rows as isize);
        // In two axes reach is along s, where tables have one row a plane.
        let (ms, ss) = match self.dims {
            1 => ((m, m + 1), (s, s + 1)),
            2 => ((m, m + 1), (s - r, s + rows + r)),
            _ if self.kernel.along_z => ((m - r, m + r + 1), (s - r, s + rows + r)),
            _ => ((m - r, m + rows + r), (s - r, s + r + 1)),
        };
        let inside = self.clip.has(1, ms) && self.clip.has(2, ss);
        for input in 0..self.kernel.inputs {
            desk.call.around[input] = if level == 1 || input >= self.kernel.outputs {
                Around { centre: self.src[input].from(m, s), width: self.src[input].width }
            } else if inside {
                let width = desk.ring.width();
                let first = desk.ring.rows_from(level - 1, input, m, ss.0);
                Around { centre: first.wrapping_offset((s - ss.0) * width), width }
            } else {
                let centre = ALONG + input * BEYOND + MAX_RADIUS * (ALONG + 1);
                let width = if self.dims == 2 { 1 } else { ALONG as isize };
                for s_row in ss.0..ss.1 {
                    for m_row in ms.0..ms.1 {
                        let to = centre as isize + (s_row - s) * width + (m_row - m);
                        // SAFETY: as the caller says.
                        desk.beyond[to as usize] = unsafe { self.beyond(&desk.ring, level - 1, input, m_row, s_row) };
                    }
                }
                Around { centre: desk.beyond.as_ptr().wrapping_add(centre), width }
            };
        }
    }

    /// A row of a level that may lie beyond the walls.
    unsafe fn beyond(&self, ring: &Ring<T>, level: usize, field: usize, m: isize, s: isize) -> *mut T {
        let mirror = |axis: usize, at: isize| -> Option<isize> {
            let (lo, hi) = self.clip.0[axis];
            let (side, k) = if at < lo {
                (0, lo - 1 - at)
            } else if at >= hi {
                (1, at - hi)
            } else {
                return Some(at);
            };
            let source = self.mirrors[field][axis - 1][side]?.source(k as usize)? as isize;
            Some(if side == 0 { lo + source } else { hi - 1 - source })
        };
        match (mirror(2, s), mirror(1, m)) {
            // SAFETY: as the caller says: a row of the ring, or one that never changes.
            (Some(s), Some(m)) => unsafe { *ring.rows_from(level, field, m, s) },
            // SAFETY: as above.
            _ => unsafe { self.src[field].row(m, s) },
        }
    }

    /// Which rows to fetch while these are computed.
    unsafe fn fetch(&self, tile: &Tile, call: &mut Call<T>, rows: usize, m: isize, s: isize) {
        let r = self.kernel.radius as isize;
        let planes = if self.kernel.along_z { rows as isize } else { 1 };
        let mut ahead = |table: &Table<T>, lead: isize| {
            for j in 0..rows {
                let (m, s) = self.place(m, s, j);
                let (m, s) = if self.dims == 2 {
                    (m, s + lead + self.ahead)
                } else {
                    // Past the last row of the tile's plane come the first rows of the next plane.
                    let (width, on) = (tile.m.1 - tile.m.0, m + self.ahead);
                    if on < tile.m.1 { (on, s + lead) } else { (on - width, s + lead + planes) }
                };
                let (m, s) = (m.clamp(table.m.0, table.m.1 - 1), s.min(table.s.1 - 1));
                if call.aheads < MAX_AHEAD {
                    // SAFETY: a row of the table.
                    call.ahead[call.aheads] = unsafe { table.row(m, s) };
                    call.aheads += 1;
                }
            }
        };
        self.src.iter().take(MAX_INPUTS).for_each(|table| ahead(table, r));
        if self.kernel.leapfrog {
            self.old.iter().for_each(|table| ahead(table, 0));
        }
    }

    /// What is to be done with rows that were computed: sources and receivers, ghosts at their ends, and what a leapfrog
    /// leaves for the next sweep.
    unsafe fn after(&self, tile: &Tile, desk: &Desk<T>, level: usize, rows: usize, m: isize, s: isize) {
        let call = &desk.call;
        let last = level == self.steps;
        let x = (call.x0, call.x1);
        for j in 0..rows {
            let (m, s) = self.place(m, s, j);
            let core = (tile.m.0..tile.m.1).contains(&m) && (tile.s.0..tile.s.1).contains(&s);
            let [_, y, z] = call.place.cell(0, Side::new(j, self.kernel.along_z));
            let place = [self.origin[0], y, z];
            for n in 0..self.kernel.outputs {
                let row = call.out[n][j];
                // SAFETY: the row was just written from x.0 to x.1 by this worker, and has room for ghosts.
                unsafe {
                    let own = if core { tile.x } else { (0, 0) };
                    self.taps.apply(self.sound, level - 1, (s, m, n), row, x, own);
                    self.ends[n].apply(row, x, &self.clip.0[0], self.kernel.radius, place, self.step + level as u64);
                    if last {
                        self.ends[n].wrap(row, tile.x);
                    }
                    if self.kernel.leapfrog && level + 1 == self.steps && core {
                        let to = self.dst_old[n].row(m, s);
                        to.offset(tile.x.0)
                            .copy_from_nonoverlapping(row.offset(tile.x.0), (tile.x.1 - tile.x.0) as usize);
                        self.ends[n].apply(
                            to,
                            tile.x,
                            &self.clip.0[0],
                            self.kernel.radius,
                            place,
                            self.step + level as u64,
                        );
                        self.ends[n].wrap(to, tile.x);
                    }
                }
            }
        }
    }
}
