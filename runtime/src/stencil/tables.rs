//! The tables of a box's rows: own ones, those of other boxes of the rank, halos, and what lies beyond walls.

use super::exchange::{Carried, Exchange, RowShape};
use super::places::{Found, Geometry, Piece};
use super::point::ALONG;
use super::tile::Table;
use super::walls::Wall;
use crate::field::storage::Raw;
use crate::field::{Boxes, Cell, Region};
use std::collections::HashMap;

/// A rank's boxes of one field, as pointers.
pub(super) type Raws<T> = Vec<Raw<T>>;

/// The tables of one field on all boxes of a rank, and the rows that are not in the field.
pub(super) struct FieldTables<T> {
    rows: Vec<Vec<*mut T>>,
    ranges: Vec<[(isize, isize); 2]>,
    /// Rows beyond fixed walls, halo rows where x is cut, and rows that are made before each step.
    extra: Vec<Vec<T>>,
    made: Vec<Made<T>>,
    /// Where x is cut: pieces from boxes of this rank.
    local: Vec<(*mut T, *const T, usize)>,
    /// Where x is cut: where the pieces of each message go.
    parts: Vec<(usize, Carried, *mut T)>,
    /// Where x is cut: rows made of such pieces, with their box and place.
    pieced: Vec<(usize, *mut T, [i64; 2])>,
}

/// A row that is made before each step.
struct Made<T> {
    row: *mut T,
    /// Of which box, where there: m, s.
    index: usize,
    at: (isize, isize),
    axis: usize,
    side: usize,
    place: [i64; 2],
    columns: (isize, isize),
}

// SAFETY: the pointers are to rows of a field that the stepper borrows, of messages of its exchange, and of `extra`.
unsafe impl<T: Send> Send for FieldTables<T> {}

impl<T: Cell> FieldTables<T> {
    /// The tables of field `input`. If it takes part in an exchange: its number there, and the parity of the rounds.
    pub(super) fn new(
        geometry: &Geometry<T>,
        boxes: &Boxes,
        input: usize,
        raws: &Raws<T>,
        exchange: Option<(&Exchange<T>, usize, usize)>,
        shape: RowShape,
    ) -> FieldTables<T> {
        let cuts_x = geometry.cuts_x(boxes);
        let mut tables = FieldTables {
            rows: vec![],
            ranges: vec![],
            extra: vec![],
            made: vec![],
            local: vec![],
            parts: vec![],
            pieced: vec![],
        };
        for (index, raw) in raws.iter().enumerate() {
            // Boxes that divide x have rows of different lengths.
            let shape = RowShape { lead: raw.lead, pitch: raw.pitch, margin: shape.margin };
            let mut fixed: HashMap<(usize, usize), *mut T> = HashMap::new();
            let mut zero = None;
            let region = boxes.region(raw.id);
            let [(m0, m1), (s0, s1)] = geometry.reach(&region);
            let [nx, nm, ns] = geometry.lengths(&region);
            let mut arrive: HashMap<(isize, isize), *mut T> = HashMap::new();
            let mut parts: Vec<(usize, Carried)> = Vec::new();
            if let Some((exchange, field, parity)) = exchange {
                for (i, list) in exchange.recvs.iter().enumerate() {
                    for carried in list.iter().filter(|c| c.id == raw.id && c.field == field) {
                        if cuts_x {
                            parts.push((i, *carried));
                        } else {
                            arrive.insert(carried.piece.row, exchange.arrives(i, carried, parity));
                        }
                    }
                }
            }
            let mut rows = Vec::with_capacity(((m1 - m0) * (s1 - s0)) as usize + 2 * ALONG);
            rows.resize(ALONG, std::ptr::null_mut());
            for s in s0..s1 {
                for m in m0..m1 {
                    let place = geometry.row_at(&region, m, s);
                    let own = (0..nm).contains(&m) && (0..ns).contains(&s);
                    let row = match geometry.find(input, place) {
                        _ if own => raw.row(place.map(i64::cast_unsigned)),
                        Found::Row(at) if cuts_x => {
                            let row = tables.extra_row(shape, T::default());
                            tables.pieced.push((index, row, at.map(u64::cast_signed)));
                            row
                        }
                        Found::Row([y, z]) => {
                            let cell = [region.begin[0], y, z];
                            let source = boxes.touching(&Region { begin: cell, end: cell.map(|c| c + 1) })[0];
                            match (raws.iter().find(|raw| raw.id == source), arrive.get(&(m, s))) {
                                (Some(raw), _) => raw.row([y, z]),
                                (None, Some(&row)) => row,
                                (None, None) => tables.extra_row(shape, T::default()),
                            }
                        }
                        Found::Fixed { axis, side } => *fixed.entry((axis, side)).or_insert_with(|| {
                            let Wall::Fixed(value) = geometry.walls[input][axis][side] else {
                                unreachable!("a fixed wall")
                            };
                            tables.extra_row(shape, value)
                        }),
                        Found::Zero => *zero.get_or_insert_with(|| tables.extra_row(shape, T::default())),
                        Found::Made { axis, side } => {
                            let row = tables.extra_row(shape, T::default());
                            let periods = geometry.periods();
                            let place = [0, 1].map(|a| match periods[a + 1] {
                                0 => place[a],
                                n => place[a].rem_euclid(n),
                            });
                            let reach = geometry.radius as isize;
                            let columns = (-reach, nx + reach);
                            tables.made.push(Made { row, index, at: (m, s), axis, side, place, columns });
                            row
                        }
                    };
                    rows.push(row);
                }
            }
            rows.resize(rows.len() + ALONG, std::ptr::null_mut());
            let row = |at: (isize, isize)| rows[ALONG + ((at.1 - s0) * (m1 - m0) + (at.0 - m0)) as usize];
            if cuts_x {
                for Piece { row: at, x, source, cell, len } in geometry.needs(boxes, raw.id, input) {
                    if let Some(from) = raws.iter().find(|raw| raw.id == source) {
                        let column = (cell[0] - boxes.region(source).begin[0]) as usize;
                        let from = from.row([cell[1], cell[2]]).wrapping_add(column);
                        tables.local.push((row(at).wrapping_offset(x), from, len));
                    }
                }
                let to = |(i, c): (usize, Carried)| (i, c, row(c.piece.row).wrapping_offset(c.piece.x));
                tables.parts.extend(parts.into_iter().map(to));
            }
            tables.rows.push(rows);
            tables.ranges.push([(m0, m1), (s0, s1)]);
        }
        tables
    }

    /// A row of this table's own, with a line of room on both sides of its pitch.
    fn extra_row(&mut self, shape: RowShape, value: T) -> *mut T {
        let mut row = vec![value; 2 * shape.margin + shape.pitch];
        let first = row.as_mut_ptr().wrapping_add(shape.margin + shape.lead);
        self.extra.push(row);
        first
    }

    /// The table of a box.
    pub(super) fn table(&self, index: usize) -> Table<T> {
        let [m, s] = self.ranges[index];
        Table::of(&self.rows[index], m, s)
    }

    /// Copies parts of rows to where they are read, after the exchange has come, and sets the ghosts at walls of rows that are made
    /// of parts: `ends(box, row, y and z)`.
    ///
    /// # Safety
    /// Nobody else uses the rows meanwhile.
    pub(super) unsafe fn fill_parts(&self, exchange: &Exchange<T>, ends: impl Fn(usize, *mut T, [i64; 2])) {
        for &(to, from, len) in &self.local {
            // SAFETY: a box's own cells and its ghosts, which do not overlap.
            unsafe { to.copy_from(from, len) };
        }
        for (i, carried, to) in &self.parts {
            let from = exchange.part(*i, carried);
            // SAFETY: ghosts of a row that have room for the piece.
            unsafe { to.copy_from_nonoverlapping(from, carried.piece.len) };
        }
        self.pieced.iter().for_each(|&(index, row, place)| ends(index, row, place));
    }

    /// Makes the rows beyond walls that change, as they are after `step` steps.
    ///
    /// # Safety
    /// Nobody else uses the rows meanwhile.
    pub(super) unsafe fn make_rows(
        &self,
        geometry: &Geometry<T>,
        boxes: &Boxes,
        raws: &Raws<T>,
        input: usize,
        step: u64,
    ) {
        // Rows beyond y first: those beyond z may be their images.
        for axis in 1..geometry.dims {
            for made in self.made.iter().filter(|made| made.axis == axis) {
                let region = boxes.region(raws[made.index].id);
                let (m, s) = made.at;
                let n = geometry.extent[axis] as i64;
                let at = made.place[axis - 1];
                let k = if made.side == 0 { -1 - at } else { at - n };
                let (columns, x0) = (made.columns, region.begin[0] as i64);
                match &geometry.walls[input][axis][made.side] {
                    Wall::Moving(f) => {
                        for x in columns.0..columns.1 {
                            let at = x0 + x as i64;
                            let period = geometry.periods()[0];
                            let at = if period > 0 { at.rem_euclid(period) } else { at };
                            let value = f([at, made.place[0], made.place[1]], step);
                            // SAFETY: a cell of the row.
                            unsafe { *made.row.offset(x) = value };
                        }
                    }
                    Wall::Image(about, f) => {
                        let source = about.source(k as usize).map(|j| {
                            let at_source = if made.side == 0 { j as i64 } else { n - 1 - j as i64 };
                            let by = (at_source - at) as isize;
                            let along_s = geometry.dims == 2 || axis == 2;
                            let (m, s) = if along_s { (m, s + by) } else { (m + by, s) };
                            let [(m0, m1), (s0, _)] = self.ranges[made.index];
                            self.rows[made.index][ALONG + ((s - s0) * (m1 - m0) + (m - m0)) as usize]
                        });
                        for x in columns.0..columns.1 {
                            // SAFETY: cells of rows of the table, with their room on both sides.
                            unsafe {
                                *made.row.offset(x) =
                                    source.map_or(T::default(), |row| f(*row.offset(x), k as usize + 1));
                            }
                        }
                    }
                    _ => unreachable!("a wall whose rows are made"),
                }
            }
        }
    }
}
