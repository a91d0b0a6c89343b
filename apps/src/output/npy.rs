//! `.npy`: a field or a slice as numpy has it, C-ordered `[z, y, x]`, in one file that all ranks write.
//!
//! Format 1.0 (NEP 1): `\x93NUMPY`, version, length of the header, the header as a Python dictionary, padded to 64 bytes;
//! then the cells.

use super::Kind;
use super::raster::{Raster, all};
use physalia::field::{Cell, Field, Region};
use physalia::prelude::*;
use physalia::publish::Batch;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// The whole field, for a [`Writer`](physalia::publish::Writer). Axes are those of the grid. Collective; as
/// [`Batch::whole_file`].
///
/// # Errors
/// As [`Batch::whole_file`].
#[track_caller]
pub fn field<T: Cell, const D: usize>(world: &mut World, path: &Path, field: &Field<T, D>) -> Result<Batch, Abort> {
    let shape: Vec<u64> = field.grid().cells().into_iter().rev().collect();
    write(world, path, &shape, Raster::of(field))
}

/// The cells of a plane of a field of three axes, or of a line of one of two, with the axes that are left. Collective; as
/// [`Batch::whole_file`].
///
/// # Errors
/// As [`Batch::whole_file`].
///
/// # Panics
/// If the field has no such plane; see [`Plane::check`].
#[track_caller]
pub fn plane<T: Cell, const D: usize>(
    world: &mut World,
    path: &Path,
    field: &Field<T, D>,
    plane: Plane,
) -> Result<Batch, Abort> {
    let cells = field.grid().cells();
    plane.check(&cells).unwrap_or_else(|why| panic!("{why}"));
    let Region { mut begin, mut end } = all(field);
    (begin[plane.axis], end[plane.axis]) = (plane.at, plane.at + 1);
    let shape: Vec<u64> = (0..D).rev().filter(|&a| a != plane.axis).map(|a| cells[a]).collect();
    write(world, path, &shape, Raster::part(field, Region { begin, end }))
}

/// Where a slice lies: one cell of an axis. As text `z=10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    axis: usize,
    at: u64,
}

impl Plane {
    /// Whether a grid of these cells has it.
    ///
    /// # Errors
    /// In words, if not.
    pub fn check(&self, cells: &[u64]) -> Result<(), String> {
        match cells.get(self.axis) {
            None => Err(format!("there is no slice {self}: the grid has {} axes", cells.len())),
            Some(n) if self.at >= *n => {
                Err(format!("there is no slice {self}: the axis has {n} cells, 0 to {}", n - 1))
            }
            Some(_) => Ok(()),
        }
    }
}

impl fmt::Display for Plane {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}={}", ["x", "y", "z"][self.axis], self.at)
    }
}

impl FromStr for Plane {
    type Err = String;
    fn from_str(text: &str) -> Result<Plane, String> {
        let parsed = text.split_once('=').and_then(|(axis, at)| {
            let axis = ["x", "y", "z"].iter().position(|name| *name == axis)?;
            Some(Plane { axis, at: at.parse().ok()? })
        });
        parsed.ok_or_else(|| format!("{text:?} is no slice: an axis and a cell are wanted, as z=10"))
    }
}

fn write<T: Cell>(world: &mut World, path: &Path, shape: &[u64], raster: Raster<T>) -> Result<Batch, Abort> {
    let header = header(Kind::of::<T>(), shape);
    let first = world.rank() == 0;
    Batch::whole_file(world, path, move |put| {
        if first {
            put(0, &header)?;
        }
        raster.write_plain(header.len() as u64, put)
    })
}

fn header(kind: Kind, shape: &[u64]) -> Vec<u8> {
    let descr = match kind {
        Kind::Float(bytes) => format!("<f{bytes}"),
        Kind::Integer(sign, bytes) => {
            format!("{}{}{bytes}", if bytes == 1 { "|" } else { "<" }, if sign { "i" } else { "u" })
        }
    };
    let shape: String = shape.iter().map(|n| format!("{n},")).collect();
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    let padding = (10 + text.len() + 1).next_multiple_of(64) - (10 + text.len() + 1);
    text += &" ".repeat(padding);
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use physalia::publish::Writer;
    use std::fs;

    fn read(path: &Path) -> (String, Vec<u8>) {
        let bytes = fs::read(path).unwrap();
        assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
        let len = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert!(len.is_multiple_of(64) && bytes[len - 1] == b'\n');
        (String::from_utf8(bytes[10..len].to_vec()).unwrap().trim().into(), bytes[len..].to_vec())
    }

    #[test]
    fn fields_and_slices_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for ranks in [1, 3] {
            let job = Launch::from_env().ranks(ranks).threads(1).run(|world| {
                let mut u = Field::<f32, 3>::new(world, Grid::new([5, 4, 6]))?;
                u.fill(|[x, y, z]| (x + 10 * y + 100 * z) as f32);
                let mut line = Field::<u8, 1>::new(world, Grid::new([9]))?;
                line.fill(|[x]| x as u8);
                let mut writer = Writer::default();
                let batch = field(world, &path("u.npy"), &u)?;
                writer.submit(world, batch)?;
                for at in ["z=2", "y=3", "x=4"] {
                    let batch = plane(world, &path(at), &u, at.parse().unwrap())?;
                    writer.submit(world, batch)?;
                }
                let batch = field(world, &path("line.npy"), &line)?;
                writer.submit(world, batch)?;
                Ok(writer.finish(world)?)
            });
            job.unwrap();
            let numbers = |name: &str| {
                let (header, bytes) = read(&path(name));
                (header, bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect::<Vec<f32>>())
            };
            let expected = |zs: &[u64], ys: &[u64], xs: &[u64]| {
                let mut all = Vec::new();
                zs.iter().for_each(|z| {
                    ys.iter().for_each(|y| xs.iter().for_each(|x| all.push((x + 10 * y + 100 * z) as f32)))
                });
                all
            };
            let (xs, ys, zs) = ([0, 1, 2, 3, 4], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]);
            let head = |shape: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape},), }}");
            assert_eq!(numbers("u.npy"), (head("6,4,5"), expected(&zs, &ys, &xs)));
            assert_eq!(numbers("z=2"), (head("4,5"), expected(&[2], &ys, &xs)));
            assert_eq!(numbers("y=3"), (head("6,5"), expected(&zs, &[3], &xs)));
            assert_eq!(numbers("x=4"), (head("6,4"), expected(&zs, &ys, &[4])));
            let (header, bytes) = read(&path("line.npy"));
            assert!(header.contains("'|u1'") && header.contains("(9,)"), "{header}");
            assert_eq!(bytes, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        }
    }

    #[test]
    fn slices_in_words() {
        let plane: Plane = "y=7".parse().unwrap();
        assert_eq!(plane.to_string(), "y=7");
        assert!(plane.check(&[1, 8]).is_ok());
        assert!(
            plane.check(&[1, 7]).unwrap_err().contains("0 to 6") && plane.check(&[9]).unwrap_err().contains("1 axes")
        );
        for bad in ["", "z", "z=", "w=1", "z=-1", "z=1.5", "=1"] {
            assert!(bad.parse::<Plane>().is_err(), "{bad}");
        }
    }
}
