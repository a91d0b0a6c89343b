//! Where the rows come from that a box's stencil reads: own rows, rows of other boxes, what lies beyond walls. Pure.
//!
//! A box is seen with a *depth*: so many rows and columns around it as some steps reach. Rows beyond the grid are looked up
//! by their axis's wall, z before y.

use super::tile::Extent;
use super::walls::{About, Wall};
use crate::field::{Boxes, Cell, Region};

/// So far is nothing: the end of an axis that goes on.
const FAR: isize = 1 << 40;

/// What is the same for all boxes.
#[derive(Clone, Debug)]
pub(super) struct Geometry<T: Cell> {
    pub dims: usize,
    pub extent: [u64; 3],
    pub radius: usize,
    /// Cells around a box: radius × steps.
    pub depth: usize,
    /// Of each field that is read.
    pub walls: Vec<[[Wall<T>; 2]; 3]>,
}

/// What is found at a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A row of the grid.
    Row([u64; 2]),
    /// One number: that of this wall.
    Fixed { axis: usize, side: usize },
    /// Zeros.
    Zero,
    /// To be made before each step, by this wall.
    Made { axis: usize, side: usize },
}

impl<T: Cell> Geometry<T> {
    pub(super) fn is_periodic(&self, axis: usize) -> bool {
        self.walls[0][axis][0].is_periodic()
    }

    /// Cells along periodic axes; 0 for others.
    pub(super) fn periods(&self) -> [i64; 3] {
        [0, 1, 2].map(|axis| if self.is_periodic(axis) { self.extent[axis] as i64 } else { 0 })
    }

    /// Looks a row of a field up; y and z may be beyond the grid.
    pub(super) fn find(&self, input: usize, at: [i64; 2]) -> Found {
        let mut row = [0; 2];
        for axis in [2, 1] {
            let (n, i) = (self.extent[axis] as i64, at[axis - 1]);
            row[axis - 1] = if (0..n).contains(&i) {
                i as u64
            } else {
                let (side, k) = if i < 0 { (0, -1 - i) } else { (1, i - n) };
                match &self.walls[input][axis][side] {
                    Wall::Periodic => i.rem_euclid(n) as u64,
                    Wall::Fixed(_) => return Found::Fixed { axis, side },
                    Wall::Image(..) | Wall::Moving(_) => return Found::Made { axis, side },
                    Wall::Mirror(about) => match about.source(k as usize) {
                        None => return Found::Zero,
                        Some(source) if side == 0 => source as u64,
                        Some(source) => (n as u64 - 1).saturating_sub(source as u64),
                    },
                }
            };
        }
        Found::Row(row)
    }

    /// The walls as a box sees them.
    pub(super) fn clip(&self, region: &Region) -> Extent {
        Extent(self.axes().map(|axis| {
            let Some(axis) = axis else { return (0, 1) };
            let begin = region.begin[axis] as isize;
            if self.is_periodic(axis) { (-FAR, FAR) } else { (-begin, self.extent[axis] as isize - begin) }
        }))
    }

    /// Which axes of the grid x, m and s are.
    pub(super) fn axes(&self) -> [Option<usize>; 3] {
        match self.dims {
            1 => [Some(0), None, None],
            2 => [Some(0), None, Some(1)],
            _ => [Some(0), Some(1), Some(2)],
        }
    }

    /// A region's cells along x, m and s.
    pub(super) fn lengths(&self, region: &Region) -> [isize; 3] {
        self.axes().map(|axis| axis.map_or(1, |a| region.len(a) as isize))
    }

    /// A cell's local place: x, m, s.
    pub(super) fn local(&self, region: &Region, cell: [u64; 3]) -> [isize; 3] {
        self.axes().map(|axis| axis.map_or(0, |a| cell[a] as isize - region.begin[a] as isize))
    }

    /// The rows around a box that its stencil may read: m and s, from and to.
    pub(super) fn reach(&self, region: &Region) -> [(isize, isize); 2] {
        let (clip, lengths) = (self.clip(region), self.lengths(region));
        let (depth, radius) = (self.depth as isize, self.radius as isize);
        [1, 2].map(|a| {
            if self.axes()[a].is_none() {
                return (0, 1);
            }
            let (lo, hi) = clip.0[a];
            ((-depth).max(lo - radius), (lengths[a] + depth).min(hi + radius))
        })
    }

    /// The position in the grid, y and z, of local row (m, s).
    pub(super) fn row_at(&self, region: &Region, m: isize, s: isize) -> [i64; 2] {
        let [y, z] = [region.begin[1] as i64, region.begin[2] as i64];
        if self.dims == 2 { [y + s as i64, z + m as i64] } else { [y + m as i64, z + s as i64] }
    }

    /// About what rows beyond the ends of m and s are mirrored, by field that is stepped.
    pub(super) fn mirrors(&self, fields: usize) -> Vec<[[Option<About>; 2]; 2]> {
        let about = |input: usize, axis: Option<usize>, side: usize| match &self.walls[input][axis?][side] {
            Wall::Mirror(about) => Some(*about),
            _ => None,
        };
        let [_, m, s] = self.axes();
        (0..fields).map(|f| [m, s].map(|axis| [0, 1].map(|side| about(f, axis, side)))).collect()
    }

    /// Whether rows of some field must be made before each step.
    pub(super) fn makes_rows(&self) -> bool {
        self.walls.iter().any(|walls| (1..self.dims).any(|a| walls[a].iter().any(Wall::is_made)))
    }

    /// Whether the boxes divide x, so that rows go on in other boxes.
    pub(super) fn cuts_x(&self, boxes: &Boxes) -> bool {
        boxes.region(0).len(0) < self.extent[0]
    }
}

/// Cells that a box needs of a box: itself, or another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The local row that they are for, m and s; the place of the first one in it.
    pub row: (isize, isize),
    pub x: isize,
    /// Where they are: box, cell.
    pub source: usize,
    pub cell: [u64; 3],
    pub len: usize,
}

impl<T: Cell> Geometry<T> {
    /// All cells that a box needs of other boxes, or of itself across the ends of periodic axes, in an order that all ranks find
    /// alike. Without cuts of x these are whole rows, with them parts of rows.
    pub(super) fn needs(&self, boxes: &Boxes, id: usize, input: usize) -> Vec<Piece> {
        let region = boxes.region(id);
        let [(m0, m1), (s0, s1)] = self.reach(&region);
        let [nx, nm, ns] = self.lengths(&region);
        let cuts_x = self.cuts_x(boxes);
        let mut pieces = Vec::new();
        for s in s0..s1 {
            for m in m0..m1 {
                let own = (0..nm).contains(&m) && (0..ns).contains(&s);
                if own && !cuts_x {
                    continue;
                }
                let Found::Row([y, z]) = self.find(input, self.row_at(&region, m, s)) else { continue };
                let mut piece = |x: isize, len: isize| self.split(boxes, &region, (m, s), [y, z], x, len, &mut pieces);
                if cuts_x {
                    let [(lo, hi), ..] = self.clip(&region).0;
                    let depth = self.depth as isize;
                    let (x0, x1) = ((-depth).max(lo), (nx + depth).min(hi));
                    piece(x0, -x0);
                    if !own {
                        piece(0, nx);
                    }
                    piece(nx, x1 - nx);
                } else {
                    piece(0, nx);
                }
            }
        }
        pieces
    }

    /// Cells of a row, from local x on, at the boxes that have them.
    #[allow(clippy::too_many_arguments)] // a place and a range, of two boxes
    fn split(
        &self,
        boxes: &Boxes,
        region: &Region,
        row: (isize, isize),
        [y, z]: [u64; 2],
        mut x: isize,
        len: isize,
        pieces: &mut Vec<Piece>,
    ) {
        let end = x + len;
        while x < end {
            let at = (region.begin[0] as i64 + x as i64).rem_euclid(self.extent[0] as i64) as u64;
            let cell = Region { begin: [at, y, z], end: [at + 1, y + 1, z + 1] };
            let source = boxes.touching(&cell)[0];
            let len = ((boxes.region(source).end[0] - at) as isize).min(end - x);
            pieces.push(Piece { row, x, source, cell: [at, y, z], len: len as usize });
            x += len;
        }
    }

    /// The boxes that may need cells of a region, or of which it may need some.
    pub(super) fn near(&self, boxes: &Boxes, region: &Region) -> Vec<usize> {
        let mut spans: [Vec<(u64, u64)>; 3] = Default::default();
        for (axis, spans) in spans.iter_mut().enumerate() {
            let (n, depth) = (self.extent[axis] as i64, if axis < self.dims { self.depth as i64 } else { 0 });
            let (begin, end) = (region.begin[axis] as i64 - depth, region.end[axis] as i64 + depth);
            if !self.is_periodic(axis) || axis >= self.dims {
                spans.push((begin.max(0) as u64, end.min(n) as u64));
            } else if end - begin >= n {
                spans.push((0, n as u64));
            } else {
                let (begin, end) = (begin.rem_euclid(n) as u64, end.rem_euclid(n) as u64);
                if begin < end {
                    spans.push((begin, end));
                } else {
                    spans.extend([(begin, n as u64), (0, end)].into_iter().filter(|(a, b)| a < b));
                }
            }
        }
        let mut near: Vec<usize> = Vec::new();
        for &(x0, x1) in &spans[0] {
            for &(y0, y1) in &spans[1] {
                for &(z0, z1) in &spans[2] {
                    near.extend(boxes.touching(&Region { begin: [x0, y0, z0], end: [x1, y1, z1] }));
                }
            }
        }
        near.sort_unstable();
        near.dedup();
        near
    }
}
