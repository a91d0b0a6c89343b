//! Rows of the time levels between: a few planes for each level, used again and again while a tile streams along.
//!
//! A worker has one ring and uses it for all its tiles, so that it stays in the worker's cache. Every level is computed on
//! the same whole lines: the outermost cells are made of stale ones, which never reach the tile, and no row needs a peel.

use super::point::ALONG;
use super::tile::{Extent, Tile};
use crate::field::Cell;
use physalia_topology::sys::{HUGE, Pages};

/// Memory of a worker for levels 1, 2, … of a tile.
pub(super) struct Ring<T> {
    cells: Memory<T>,
    /// For each level and field, a pointer to x = 0 for each row of its planes, twice over: neighbouring planes are then
    /// neighbours in the table wherever they begin. With `ALONG` entries more at both ends.
    rows: Vec<*mut T>,
    fields: usize,
    /// Planes that a level keeps.
    depth: usize,
    /// Rows of a plane.
    width: usize,
    /// Columns that every level computes, and the first row of planes.
    pub x: (isize, isize),
    m0: isize,
}

// SAFETY: the pointers are into the ring's own memory.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T: Cell> Ring<T> {
    /// Nothing yet.
    pub(super) fn new() -> Ring<T> {
        Ring { cells: Memory::new(), rows: vec![], fields: 0, depth: 1, width: 1, x: (0, 0), m0: 0 }
    }

    /// Makes room for a tile of so many levels of so many fields.
    pub(super) fn fit(
        &mut self,
        tile: &Tile,
        clip: &Extent,
        levels: usize,
        fields: usize,
        radius: usize,
        at_once: usize,
    ) {
        let (line, far) = (T::LINE as isize, ((levels - 1) * radius) as isize);
        let (x0, x1) = clip.grow(0, tile.x, far);
        let (m0, m1) = clip.grow(1, tile.m, far);
        let x = (x0.div_euclid(line) * line, (x1 + line - 1).div_euclid(line) * line);
        let (depth, width) = (2 * radius + at_once, (m1 - m0) as usize);
        self.m0 = m0;
        let same_room =
            self.x.1 - self.x.0 == x.1 - x.0 && self.rows.len() == 2 * ((levels - 1) * fields * depth * width + ALONG);
        if same_room && (self.fields, self.depth, self.width) == (fields, depth, width) {
            let moved = x.0 - self.x.0;
            self.x = x;
            self.rows.iter_mut().for_each(|row| *row = row.wrapping_offset(-moved));
            return;
        }
        self.rows.clear(); // until all is made
        // A line on the left for ghosts, then an odd number of lines: rows are not a power of two apart.
        let wide = (x1.max(x.1) - x.0) as usize + radius;
        let pitch = ((wide.div_ceil(T::LINE) + 1) | 1) * T::LINE;
        let plane = pitch * width;
        let level = depth * plane + T::LINE;
        let base = self.cells.room(level * (levels - 1) * fields + 4 * T::LINE);
        (self.x, self.fields, self.depth, self.width) = (x, fields, depth, width);
        self.rows.resize(ALONG, std::ptr::null_mut());
        for block in 0..(levels - 1) * fields {
            let first = base.wrapping_add(T::LINE + block * level).wrapping_offset(-x.0);
            let rows = |slot: usize| (0..width).map(move |m| first.wrapping_add(slot * plane + m * pitch));
            self.rows.extend((0..2 * depth).flat_map(|slot| rows(slot % depth)));
        }
        self.rows.resize(self.rows.len() + ALONG, std::ptr::null_mut());
    }

    /// The rows of a level (from 1) of a field, from row (m, s) on: rows of the plane follow one another, and after `width` of
    /// them those of the next plane. Valid for a whole ring of planes.
    #[inline(always)]
    pub(super) fn rows_from(&self, level: usize, field: usize, m: isize, s: isize) -> *const *mut T {
        let slot = s.rem_euclid(self.depth as isize) as usize;
        let block = (level - 1) * self.fields + field;
        let index = ALONG + (block * 2 * self.depth + slot) * self.width + (m - self.m0) as usize;
        debug_assert!(index < self.rows.len(), "row {m}, {s} of level {level}");
        self.rows.as_ptr().wrapping_add(index)
    }

    /// Rows of a plane.
    pub(super) fn width(&self) -> isize {
        self.width as isize
    }
}

/// Memory in huge pages, zeroed at first, made larger when more is wanted.
struct Memory<T> {
    pages: Option<Pages>,
    _cells: std::marker::PhantomData<T>,
}

impl<T: Cell> Memory<T> {
    fn new() -> Memory<T> {
        Memory { pages: None, _cells: std::marker::PhantomData }
    }

    /// Room for so many cells.
    fn room(&mut self, cells: usize) -> *mut T {
        let bytes = cells * size_of::<T>();
        match &mut self.pages {
            Some(pages) if pages.len() >= bytes => {} // what is there are numbers too
            pages => {
                let fresh = Pages::new(bytes.next_multiple_of(HUGE))
                    .unwrap_or_else(|e| panic!("no memory for {bytes} bytes of a tile's rows: {e}"));
                fresh.advise_huge();
                *pages = Some(fresh);
            }
        }
        self.pages.as_mut().map_or(std::ptr::null_mut(), |pages| pages.as_mut_ptr().cast())
    }
}
