//! `.nc`: all fields of a moment as NetCDF, with the CF conventions (1.8), in one file that all ranks write.
//!
//! The classic format, with 64-bit offsets (CDF-2) where every array is smaller than 4 GiB and of at most 32-bit integers,
//! else CDF-5; both are read by the NetCDF library and what stands on it. Numbers are big-endian there, so cells are turned
//! round on the way. `u(time, z, y, x)` with coordinates in the middle of cells, and one time.
//!
//! "NetCDF Classic Format Specification", Unidata; CDF-5 as PnetCDF defines it.

use super::raster::{Raster, bytes_of};
use super::{Geometry, Kind, Moment, Named};
use physalia::field::Cell;
use physalia::prelude::*;
use physalia::publish::Batch;
use std::path::Path;

/// All fields of a moment, for a [`Writer`](physalia::publish::Writer). `title` is the file's attribute of this name.
/// Collective; as [`Batch::whole_file`].
///
/// # Errors
/// As [`Batch::whole_file`].
///
/// # Panics
/// If there are no fields, or they are not of one grid.
#[track_caller]
pub fn file<T: Cell, const D: usize>(
    world: &mut World,
    path: &Path,
    title: &str,
    geometry: &Geometry,
    moment: Moment,
    fields: &Named<'_, T, D>,
) -> Result<Batch, Abort> {
    let (_, first) = fields.first().expect("a file of no fields");
    assert!(fields.iter().all(|(_, field)| field.grid().cells() == first.grid().cells()), "fields of several grids");
    let cells = first.grid().cells();
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let layout = Layout::new(Kind::of::<T>(), &cells, &names, title);
    let mut head = layout.head;
    for axis in (0..D).rev() {
        (0..cells[axis]).for_each(|n| head.extend(geometry.middle(axis, n).to_be_bytes()));
    }
    head.extend(moment.time.to_be_bytes());
    debug_assert_eq!(head.len() as u64, layout.arrays[0]);
    let rasters: Vec<Raster<T>> = fields.iter().map(|(_, field)| Raster::of(field)).collect();
    let (writes, arrays) = (world.rank() == 0, layout.arrays);
    let bytes = cells.iter().product::<u64>() * size_of::<T>() as u64;
    Batch::whole_file(world, path, move |put| {
        if writes {
            put(0, &head)?;
        }
        for (at, raster) in arrays.into_iter().zip(rasters) {
            raster.write(at, put, turned)?;
            if writes {
                put(at + bytes, &[0; 3][..bytes.next_multiple_of(4) as usize - bytes as usize])?;
            }
        }
        Ok(())
    })
}

/// The bytes of cells, the most significant first.
fn turned<T: Cell>(cells: &[T], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(bytes_of(cells));
    bytes.chunks_exact_mut(size_of::<T>()).for_each(<[u8]>::reverse);
}

/// The head of a file, and where arrays begin.
struct Layout {
    /// Up to the first coordinate.
    head: Vec<u8>,
    arrays: Vec<u64>,
}

const DIMENSION: u32 = 10;
const VARIABLE: u32 = 11;
const ATTRIBUTE: u32 = 12;
const CHAR: u32 = 2;
const DOUBLE: u32 = 6;

impl Layout {
    fn new(kind: Kind, cells: &[u64], names: &[&str], title: &str) -> Layout {
        let (code, size) = match kind {
            Kind::Integer(true, 1) => (1, 1),
            Kind::Integer(true, 2) => (3, 2),
            Kind::Integer(true, 4) => (4, 4),
            Kind::Float(4) => (5, 4),
            Kind::Float(_) => (6, 8),
            Kind::Integer(false, 1) => (7, 1),
            Kind::Integer(false, 2) => (8, 2),
            Kind::Integer(false, 4) => (9, 4),
            Kind::Integer(true, _) => (10, 8),
            Kind::Integer(false, _) => (11, 8),
        };
        let bytes = cells.iter().product::<u64>() * size;
        let long = code > 6 || bytes >= (1 << 32) - 4;
        let axes: Vec<(usize, &str)> = (0..cells.len()).rev().map(|a| (a, ["x", "y", "z"][a])).collect();
        let head = |begins: &[u64]| {
            let mut out = Out { bytes: vec![b'C', b'D', b'F', if long { 5 } else { 2 }], long };
            out.count(0); // records
            out.list(DIMENSION, axes.len() + 1);
            out.text("time");
            out.count(1);
            for &(axis, name) in &axes {
                out.text(name);
                out.count(cells[axis]);
            }
            let program = format!("physalia {}", env!("CARGO_PKG_VERSION"));
            out.attributes(&[("Conventions", "CF-1.8"), ("title", title), ("source", &program)]);
            out.list(VARIABLE, axes.len() + 1 + names.len());
            let mut begins = begins.iter().copied().chain(std::iter::repeat(0));
            let mut begin = || begins.next().unwrap_or(0);
            for (i, &(axis, name)) in axes.iter().enumerate() {
                let long_name = format!("{name} of the middle of a cell");
                let about = [("axis", ["X", "Y", "Z"][axis]), ("long_name", &long_name), ("units", "1")];
                out.variable(name, &[i as u64 + 1], &about, DOUBLE, cells[axis] * 8, begin());
            }
            let about = [("axis", "T"), ("long_name", "time"), ("units", "1")];
            out.variable("time", &[0], &about, DOUBLE, 8, begin());
            let all: Vec<u64> = (0..=axes.len() as u64).collect();
            for name in names {
                out.variable(
                    name,
                    &all,
                    &[("long_name", *name), ("units", "1")],
                    code,
                    bytes.next_multiple_of(4),
                    begin(),
                );
            }
            out.bytes
        };
        let mut at = head(&[]).len() as u64;
        let mut begins = Vec::new();
        let sizes = axes.iter().map(|&(axis, _)| cells[axis] * 8).chain([8]);
        for size in sizes.chain(names.iter().map(|_| bytes.next_multiple_of(4))) {
            begins.push(at);
            at += size;
        }
        Layout { head: head(&begins), arrays: begins[axes.len() + 1..].to_vec() }
    }
}

/// The head being written.
struct Out {
    bytes: Vec<u8>,
    long: bool,
}

impl Out {
    fn number(&mut self, n: u32) {
        self.bytes.extend(n.to_be_bytes());
    }

    /// A number of things: 64 bits in CDF-5, else 32.
    fn count(&mut self, n: u64) {
        if self.long { self.bytes.extend(n.to_be_bytes()) } else { self.number(n.min(u32::MAX.into()) as u32) }
    }

    fn list(&mut self, what: u32, len: usize) {
        self.number(what);
        self.count(len as u64);
    }

    fn text(&mut self, text: &str) {
        self.count(text.len() as u64);
        self.bytes.extend(text.bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn attributes(&mut self, all: &[(&str, &str)]) {
        self.list(ATTRIBUTE, all.len());
        for (name, value) in all {
            self.text(name);
            self.number(CHAR);
            self.text(value);
        }
    }

    fn variable(&mut self, name: &str, axes: &[u64], about: &[(&str, &str)], code: u32, bytes: u64, begin: u64) {
        self.text(name);
        self.count(axes.len() as u64);
        axes.iter().for_each(|&axis| self.count(axis));
        self.attributes(about);
        self.number(code);
        self.count(bytes);
        self.bytes.extend(begin.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use physalia::field::{Field, Grid};
    use physalia::publish::Writer;

    /// Written, and the bytes of the file.
    fn bytes<T: Cell + From<u8>>(ranks: u32) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("u.nc");
        let job = Launch::from_env().ranks(ranks).threads(1).run(|world| {
            let mut u = Field::<T, 2>::new(world, Grid::new([5, 3]))?;
            u.fill(|[x, y]| T::from((x + 10 * y) as u8));
            let v = u.like();
            let moment = Moment { step: 1, time: 0.25 };
            let batch = file(world, &path, "a test", &Geometry::default(), moment, &[("u", &u), ("zero", &v)])?;
            let mut writer = Writer::default();
            writer.submit(world, batch)?;
            Ok(writer.finish(world)?)
        });
        job.unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn arrays_are_big_endian_where_the_head_says() {
        let file = bytes::<f32>(3);
        assert_eq!(&file[..4], b"CDF\x02");
        let layout = Layout::new(Kind::Float(4), &[5, 3], &["u", "zero"], "a test");
        assert_eq!(file.len() as u64, layout.arrays[1] + 60);
        assert_eq!(file[..layout.head.len()], layout.head);
        let doubles = |n: usize| f64::from_be_bytes(file[layout.head.len() + 8 * n..][..8].try_into().unwrap());
        let coordinates: Vec<f64> = (0..9).map(doubles).collect();
        assert_eq!(coordinates, [0.5, 1.5, 2.5, 0.5, 1.5, 2.5, 3.5, 4.5, 0.25]); // y, x, time
        let mut cells = file[layout.arrays[0] as usize..].chunks(4).map(|b| f32::from_be_bytes(b.try_into().unwrap()));
        (0..3).for_each(|y| (0..5).for_each(|x| assert_eq!(cells.next(), Some((x + 10 * y) as f32))));
        assert!((0..15).all(|_| cells.next() == Some(0.0)) && cells.next().is_none());
        assert_eq!(bytes::<f32>(1), file);
    }

    #[test]
    fn what_classic_files_cannot_hold_goes_to_cdf_5() {
        let file = bytes::<u8>(2);
        assert_eq!(&file[..4], b"CDF\x05");
        assert_eq!(file.len() % 4, 0);
        assert_eq!(Layout::new(Kind::Float(8), &[1 << 15, 1 << 14], &["u"], "").head[3], 5);
        assert_eq!(Layout::new(Kind::Float(8), &[1 << 14, 1 << 14], &["u"], "").head[3], 2);
    }
}
