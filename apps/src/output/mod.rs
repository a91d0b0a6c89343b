//! What a simulation writes while it runs: fields as files for other programs, slices, a movie, and tables.
//!
//! | file | what it is | module |
//! |---|---|---|
//! | `.npy` | a field, or a slice, of one moment, as numpy has it | `npy` |
//! | `.vti` | all fields of one moment in one VTK image | `vtk` |
//! | `.pvd` | VTK images of many moments, a file for each rank and moment | `vtk` |
//! | `.nc` | all fields of one moment, as NetCDF with the CF conventions | `netcdf` |
//! | `.zarr` | all fields of many moments, a Zarr v3 store | `zarr` |
//! | `.h5` | all fields of one moment, as HDF5, and `.xdmf` beside it | `hdf5` |
//! | `.png` | a movie | `movie` |
//! | `.csv` | numbers of many moments | `table` |
//!
//! All files appear whole, by rename, after everything that they speak of is on disk; `docs/outputs.md` tells their layout.
//! Cells are copied when a moment is due and written by a thread while the next steps run
//! ([`Writer`](physalia::publish::Writer)). [`Recorder`] does it for an application: at each moment at which something is
//! due it is shown the fields.

mod events;
pub mod hdf5;
pub mod movie;
pub mod netcdf;
pub mod npy;
mod raster;
mod recorder;
pub mod table;
pub mod vtk;
pub mod zarr;

pub use events::{Events, Moment};
pub use recorder::{Recorder, Resumed, Run, Wishes, known};

use physalia::field::{Cell, Field};
use physalia::publish::{Aside, CannotWrite, is_stdout};
use std::fs;
use std::path::{Path, PathBuf};

/// Fields of one grid, each under its name.
pub type Named<'f, T, const D: usize> = [(&'f str, &'f Field<T, D>)];

/// Where cells lie in space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    /// The lower corner of the first cell, x, y, z.
    pub origin: [f64; 3],
    /// The sides of a cell.
    pub spacing: [f64; 3],
}

impl Default for Geometry {
    /// Cells of side 1, from 0 on.
    fn default() -> Geometry {
        Geometry { origin: [0.0; 3], spacing: [1.0; 3] }
    }
}

impl Geometry {
    /// The middle of the n-th cell along an axis.
    pub fn middle(&self, axis: usize, n: u64) -> f64 {
        self.origin[axis] + (n as f64 + 0.5) * self.spacing[axis]
    }
}

/// What numbers a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With a sign or not, and bytes.
    Integer(bool, usize),
    /// Bytes.
    Float(usize),
}

impl Kind {
    pub(crate) fn of<T: Cell>() -> Kind {
        match std::any::type_name::<T>() {
            "f32" | "f64" => Kind::Float(size_of::<T>()),
            name => Kind::Integer(name.starts_with('i'), size_of::<T>()),
        }
    }
}

/// Whether a file can be written in the middle of a run: streams and devices take it only once, at the end.
pub(crate) fn can_be_replaced(path: &Path) -> bool {
    !is_stdout(path) && fs::metadata(path).map_or(true, |there| there.is_file())
}

/// Finds out whether a file can be written, before the work. A pipe is not touched: who reads there would take it for the end.
pub(crate) fn can_write(path: &Path) -> Result<(), CannotWrite> {
    if is_stdout(path) || fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        return Ok(());
    }
    Aside::new(path).map(drop)
}

/// For XML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `u.npy` at step 100 is `u-00000100.npy`.
pub(crate) fn at_step(path: &Path, step: u64) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_os_string();
    let mut name = stem;
    name.push(format!("-{step:08}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}
