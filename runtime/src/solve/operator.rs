//! σ u − ∇·(c ∇u) on one level: what it does to a row of cells. Every cell goes by the same formula, so no bit depends on rows,
//! boxes or ranks.

use super::Number;
use super::axis::Axis;
use super::elliptic::Wall;
use crate::World;
use crate::field::{Field, Part, Transfer};
use physalia_collectives::Abort;

/// A row of the result, from u: box here, first cell, cells.
type RowOf<'r, T, const D: usize> = dyn Fn(&Field<T, D>, usize, [u64; 3], &mut [T]) + Sync + 'r;

/// The operator of one level.
#[derive(Debug)]
pub(super) struct Operator<T: Number, const D: usize> {
    /// Of each axis and cell: the coupling to the one before, and to the one behind; times c, where that is constant.
    lines: [[Vec<T>; 2]; D],
    /// c at each cell's lower face across each axis, ghosts included.
    faces: Option<[Field<T, D>; D]>,
    shift: T,
    periodic: [bool; D],
}

impl<T: Number, const D: usize> Operator<T, D> {
    pub(super) fn new(axes: &[Axis; D], shift: f64, c: f64, faces: Option<[Field<T, D>; D]>) -> Operator<T, D> {
        let line = |axis: &Axis| axis.couplings().map(|k| k.into_iter().map(|k| T::nearest(c * k)).collect());
        let periodic = axes.each_ref().map(|axis| axis.walls[0] == Wall::Periodic);
        Operator { lines: axes.each_ref().map(line), faces, shift: T::nearest(shift), periodic }
    }

    /// out = A u. Fills the ghosts of u.
    pub(super) fn apply(
        &self,
        world: &mut World,
        ghosts: &mut Transfer<T, D>,
        u: &mut Field<T, D>,
        out: &mut Field<T, D>,
    ) -> Result<(), Abort> {
        self.over(world, ghosts, u, out, &|u, b, at, out| self.row(u, b, at, out, |_, _, au, _| au))
    }

    /// out = f − A u. Fills the ghosts of u.
    pub(super) fn residual(
        &self,
        world: &mut World,
        ghosts: &mut Transfer<T, D>,
        f: &Field<T, D>,
        u: &mut Field<T, D>,
        out: &mut Field<T, D>,
    ) -> Result<(), Abort> {
        self.over(world, ghosts, u, out, &|u, b, at, out| {
            let f = f.blocks[b].part(at, out.len());
            self.row(u, b, at, out, |i, _, au, _| f[i] - au);
        })
    }

    /// out = u + ω (f − A u) / diagonal. Fills the ghosts of u.
    pub(super) fn smooth(
        &self,
        world: &mut World,
        ghosts: &mut Transfer<T, D>,
        f: &Field<T, D>,
        u: &mut Field<T, D>,
        out: &mut Field<T, D>,
        omega: T,
    ) -> Result<(), Abort> {
        self.over(world, ghosts, u, out, &|u, b, at, out| {
            let f = f.blocks[b].part(at, out.len());
            self.row(u, b, at, out, |i, u, au, diagonal| u + omega * (f[i] - au) / diagonal);
        })
    }

    /// out = ω f / diagonal: smoothing from zero. Zero where the diagonal is zero, which is so in a lone cell without Dirichlet
    /// walls. `any` lies as `out`; its values are not looked at. Local.
    pub(super) fn smooth_zero(&self, f: &Field<T, D>, any: &Field<T, D>, out: &mut Field<T, D>, omega: T) {
        let zero = T::default();
        out.each_row_mut(|b, at, out| {
            let f = f.blocks[b].part(at, out.len());
            let kept = |i: usize, diagonal: T| if diagonal == zero { zero } else { omega * f[i] / diagonal };
            self.row(any, b, at, out, |i, _, _, diagonal| kept(i, diagonal));
        });
    }

    /// Adds what walls bring to the right-hand side: a value at Dirichlet walls, the flux c ∂u/∂n out of the box at Neumann
    /// walls. Local.
    pub(super) fn add_walls(
        &self,
        axes: &[Axis; D],
        f: &mut Field<T, D>,
        wall: impl Fn(usize, bool, [f64; D]) -> f64 + Sync,
    ) {
        let last = f.grid().cells().map(|n| n - 1);
        f.each_row_mut(|b, at, row| {
            for (x, cell) in (at[0]..).zip(row) {
                let place: [u64; 3] = [x, at[1], at[2]];
                for axis in 0..D {
                    for (side, end) in [0, last[axis]].into_iter().enumerate().filter(|(_, end)| place[axis] == *end) {
                        let (i, width) = (place[axis] as usize, axes[axis].widths[place[axis] as usize]);
                        let scale = match axes[axis].walls[side] {
                            Wall::Periodic => continue,
                            Wall::Neumann => 1.0 / width,
                            Wall::Dirichlet => {
                                let mut face = place;
                                face[axis] += side as u64;
                                let c =
                                    self.faces.as_ref().map_or(1.0, |faces| faces[axis].blocks[b].value(face).wide());
                                c * self.lines[axis][side][i].wide()
                            }
                        };
                        let mut middle: [f64; D] = std::array::from_fn(|a| (place[a] as f64 + 0.5) * axes[a].widths[0]);
                        middle[axis] = if side == 0 { 0.0 } else { (end + 1) as f64 * axes[axis].widths[0] };
                        *cell = *cell + T::nearest(scale * wall(axis, side == 1, middle));
                    }
                }
            }
        });
    }

    /// Rows of `out` by `row` from u, whose ghosts travel while rows are computed that read none.
    fn over(
        &self,
        world: &mut World,
        ghosts: &mut Transfer<T, D>,
        u: &mut Field<T, D>,
        out: &mut Field<T, D>,
        row: &RowOf<'_, T, D>,
    ) -> Result<(), Abort> {
        if ghosts.idle() {
            out.each_row_mut(|b, at, out| row(u, b, at, out));
            return Ok(());
        }
        let passage = ghosts.start(world, u)?;
        out.each_row_of(Part::Interior, self.periodic, |b, at, out| row(u, b, at, out));
        passage.finish(u)?;
        out.each_row_of(Part::Edge, self.periodic, |b, at, out| row(u, b, at, out));
        Ok(())
    }

    /// Cells of a row by `finish(cell of the row, u, A u, diagonal)`.
    #[inline(always)]
    fn row(&self, u: &Field<T, D>, b: usize, at: [u64; 3], out: &mut [T], finish: impl Fn(usize, T, T, T) -> T) {
        let (n, [x, y, z]) = (out.len(), at);
        let part = |y: u64, z: u64| u.blocks[b].part([x, y, z], n);
        let around = &u.blocks[b].part([x.wrapping_sub(1), y, z], n + 2)[..n + 2];
        let (west, here, east) = (&around[..n], &around[1..n + 1], &around[2..]);
        let coupling = |axis: usize, at: u64| [0, 1].map(|side| self.lines[axis.min(D - 1)][side][at as usize]);
        let (lower, upper) = (&self.lines[0][0][x as usize..][..n], &self.lines[0][1][x as usize..][..n]);
        // Axes that are not there are compiled away.
        let (south, north) = if D > 1 { (part(y.wrapping_sub(1), z), part(y + 1, z)) } else { (here, here) };
        let (below, above) = if D > 2 { (part(y, z.wrapping_sub(1)), part(y, z + 1)) } else { (here, here) };
        let [ly, uy] = if D > 1 { coupling(1, y) } else { [T::default(); 2] };
        let [lz, uz] = if D > 2 { coupling(2, z) } else { [T::default(); 2] };
        let (south, north, below, above) = (&south[..n], &north[..n], &below[..n], &above[..n]);
        let shift = self.shift;
        match &self.faces {
            None => {
                for i in 0..n {
                    let u = here[i];
                    let (l, r) = (lower[i], upper[i]);
                    let mut au = l * (u - west[i]) + r * (u - east[i]);
                    let mut diagonal = l + r;
                    if D > 1 {
                        au = au + (ly * (u - south[i]) + uy * (u - north[i]));
                        diagonal = diagonal + (ly + uy);
                    }
                    if D > 2 {
                        au = au + (lz * (u - below[i]) + uz * (u - above[i]));
                        diagonal = diagonal + (lz + uz);
                    }
                    out[i] = finish(i, u, shift * u + au, shift + diagonal);
                }
            }
            Some(faces) => {
                let face = |axis: usize, y: u64, z: u64, n: usize| &faces[axis].blocks[b].part([x, y, z], n)[..n];
                let cx = face(0, y, z, n + 1);
                let (cx, cx1) = (&cx[..n], &cx[1..]);
                let (cy, cy1) = if D > 1 { (face(1, y, z, n), face(1, y + 1, z, n)) } else { (cx, cx) };
                let (cz, cz1) = if D > 2 { (face(2, y, z, n), face(2, y, z + 1, n)) } else { (cx, cx) };
                for i in 0..n {
                    let u = here[i];
                    let (l, r) = (lower[i] * cx[i], upper[i] * cx1[i]);
                    let mut au = l * (u - west[i]) + r * (u - east[i]);
                    let mut diagonal = l + r;
                    if D > 1 {
                        let (l, r) = (ly * cy[i], uy * cy1[i]);
                        au = au + (l * (u - south[i]) + r * (u - north[i]));
                        diagonal = diagonal + (l + r);
                    }
                    if D > 2 {
                        let (l, r) = (lz * cz[i], uz * cz1[i]);
                        au = au + (l * (u - below[i]) + r * (u - above[i]));
                        diagonal = diagonal + (l + r);
                    }
                    out[i] = finish(i, u, shift * u + au, shift + diagonal);
                }
            }
        }
    }
}

/// c at the lower face of each cell across each axis, and at the upper walls in ghosts; fills the ghosts of c. The mean of two
/// cells is harmonic, by their widths; a wall has the value of its cell.
pub(super) fn faces<T: Number, const D: usize>(
    world: &mut World,
    ghosts: &mut Transfer<T, D>,
    axes: &[Axis; D],
    c: &mut Field<T, D>,
) -> Result<[Field<T, D>; D], Abort> {
    ghosts.ghosts(world, c)?;
    let mut faces: [Field<T, D>; D] = std::array::from_fn(|_| c.like());
    for (axis, face) in faces.iter_mut().enumerate() {
        let (widths, n) = (&axes[axis].widths, axes[axis].len());
        let (closed, c) = (axes[axis].walls[0] != Wall::Periodic, &*c);
        let step: [u64; 3] = std::array::from_fn(|a| u64::from(a == axis));
        face.each_row_mut(|b, at, row| {
            let before = std::array::from_fn(|a| at[a].wrapping_sub(step[a]));
            let (own, other) = (c.blocks[b].part(at, row.len()), c.blocks[b].part(before, row.len()));
            for (k, face) in row.iter_mut().enumerate() {
                let i = at[axis] as usize + if axis == 0 { k } else { 0 };
                let (w, v) = (widths[i], widths[(i + n - 1) % n]);
                *face = if i == 0 && closed {
                    own[k]
                } else {
                    T::nearest((w + v) / (w / own[k].wide() + v / other[k].wide()))
                };
            }
        });
        ghosts.ghosts(world, face)?;
        if !closed {
            continue;
        }
        for (block, cells) in face.blocks.iter_mut().zip(&c.blocks) {
            let mut wall = block.region.clone();
            if wall.end[axis] < n as u64 {
                continue;
            }
            wall.begin[axis] = n as u64 - 1; // the last cells
            for at in wall.rows() {
                let (len, there) = (wall.len(0) as usize, std::array::from_fn(|a| at[a] + step[a]));
                block.part_mut(there, len).copy_from_slice(cells.part(at, len));
            }
        }
    }
    Ok(faces)
}
