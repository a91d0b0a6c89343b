//! Cells of boxes at their places in a file that has the cells of a region, z slowest, x fastest.

use physalia::field::{Cell, Field, Region};
use physalia::publish::Put;
use std::io;

/// This rank's cells of a region, as they are now.
pub(crate) struct Raster<T> {
    region: Region,
    boxes: Vec<(Region, Vec<T>)>,
}

/// All cells of a field.
pub(crate) fn all<T: Cell, const D: usize>(field: &Field<T, D>) -> Region {
    Region { begin: [0; 3], end: field.boxes().extent() }
}

impl<T: Cell> Raster<T> {
    /// Of the whole field.
    pub(crate) fn of<const D: usize>(field: &Field<T, D>) -> Raster<T> {
        Raster { region: all(field), boxes: field.snapshot() }
    }

    /// Of a part, which is small.
    pub(crate) fn part<const D: usize>(field: &Field<T, D>, region: Region) -> Raster<T> {
        let views = field.views();
        let parts = views.iter().filter_map(|(whole, view)| {
            let part = whole.and(&region)?;
            let [x, y, z] =
                [0, 1, 2].map(|a| (part.begin[a] - whole.begin[a]) as usize..(part.end[a] - whole.begin[a]) as usize);
            let mut cells = Vec::with_capacity(part.cells() as usize);
            for z in z {
                for y in y.clone() {
                    cells.extend(x.clone().map(|x| view[[z, y, x]]));
                }
            }
            Some((part, cells))
        });
        let boxes = parts.collect();
        Raster { region, boxes }
    }

    /// Writes the cells, from a place in the file on, each run of cells that are neighbours there at once. `order` makes the
    /// bytes of a run.
    pub(crate) fn write(&self, from: u64, put: &mut Put<'_>, order: impl Fn(&[T], &mut Vec<u8>)) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (at, cells) in self.runs() {
            order(cells, &mut bytes);
            put(from + at * size_of::<T>() as u64, &bytes)?;
            bytes.clear();
        }
        Ok(())
    }

    /// As `write`, in the byte order of this machine, which is little-endian.
    pub(crate) fn write_plain(&self, from: u64, put: &mut Put<'_>) -> io::Result<()> {
        const { assert!(cfg!(target_endian = "little"), "files say that their numbers are little-endian") };
        self.runs().try_for_each(|(at, cells)| put(from + at * size_of::<T>() as u64, bytes_of(cells)))
    }

    /// Cells that are neighbours in the file, and their place, counted in cells.
    fn runs(&self) -> impl Iterator<Item = (u64, &[T])> {
        let [nx, ny, _] = [0, 1, 2].map(|a| self.region.len(a));
        self.boxes.iter().flat_map(move |(part, cells)| {
            let len = [0, 1, 2].map(|a| part.len(a));
            let run = match () {
                () if len[0] < nx => len[0],
                () if len[1] < ny => len[0] * len[1],
                () => part.cells(),
            };
            let rows = run / len[0];
            let starts = part.rows().step_by(rows.max(1) as usize).map(move |at| {
                let [x, y, z] = std::array::from_fn(|a| at[a] - self.region.begin[a]);
                (z * ny + y) * nx + x
            });
            starts.zip(cells.chunks(run.max(1) as usize))
        })
    }
}

/// Cells as they lie in memory.
pub(crate) fn bytes_of<T: Cell>(cells: &[T]) -> &[u8] {
    bytemuck::cast_slice(cells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use physalia::field::{Boxes, Grid};
    use physalia::prelude::*;

    #[test]
    fn every_cell_is_at_its_place() {
        let value = |[x, y, z]: [u64; 3]| (x + 5000 * (y + 10 * z)) as f64;
        for (cuts, ranks) in [
            ([vec![0, 4100], vec![0, 5], vec![0, 2, 3]], 2),
            ([vec![0, 4096, 4100], vec![0, 5], vec![0, 3]], 2),
            ([vec![0, 4100], vec![0, 1, 4, 5], vec![0, 2, 3]], 3),
        ] {
            for part in [
                [[0, 0, 0], [4100, 5, 3]],
                [[0, 0, 1], [4100, 5, 2]],
                [[0, 3, 0], [4100, 4, 3]],
                [[4095, 0, 0], [4096, 5, 3]],
                [[7, 1, 0], [4099, 4, 2]],
            ] {
                let region = Region { begin: part[0], end: part[1] };
                let job = Launch::from_env().ranks(ranks).threads(1).run(|world| {
                    let boxes: usize = cuts.iter().map(|c| c.len() - 1).product();
                    let owners = (0..boxes as u32).map(|id| id % ranks).collect();
                    let grid = Grid::new([4100, 5, 3]);
                    let mut u = Field::<f64, 3>::with_boxes(world, grid, Boxes::with(cuts.clone(), owners))?;
                    u.fill(value);
                    let mut out = Vec::new();
                    let raster = Raster::part(&u, region.clone());
                    raster.write_plain(16, &mut |at, bytes| (out.push((at, bytes.to_vec())), Ok(())).1)?;
                    let mut again = Vec::new();
                    let copy = |cells: &[f64], bytes: &mut Vec<u8>| bytes.extend(bytes_of(cells));
                    raster.write(16, &mut |at, bytes| (again.push((at, bytes.to_vec())), Ok(())).1, copy)?;
                    assert_eq!(out, again);
                    if region == all(&u) {
                        let mut whole = Vec::new();
                        Raster::of(&u)
                            .write_plain(16, &mut |at, bytes| (whole.push((at, bytes.to_vec())), Ok(())).1)?;
                        assert_eq!(out, whole);
                    }
                    Ok(out)
                });
                let mut file = vec![0; 16 + region.cells() as usize * 8];
                for (at, bytes) in job.unwrap().into_iter().flatten() {
                    file[at as usize..at as usize + bytes.len()].copy_from_slice(&bytes);
                }
                let mut cells = file[16..].chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap()));
                for [x0, y, z] in region.rows() {
                    assert!((x0..region.end[0]).all(|x| cells.next() == Some(value([x, y, z]))), "{y} {z}");
                }
            }
        }
    }
}
