//! `.zarr`: all fields of many moments as a Zarr v3 store, a folder that opens as one data set.
//!
//! A group with an array `(time, z, y, x)` for each field, one moment a chunk and space in regular chunks of up to 16 MiB,
//! uncompressed (`bytes`, little-endian); and the coordinates `time`, `step`, `z`, `y`, `x`. Chunks are files, written by
//! the ranks that own their first cell, to which the others send what they have of them. The metadata follow when all are on
//! disk: so a store never promises a moment that is not there. A run that is resumed goes on with it.
//!
//! "Zarr core specification", version 3.

mod chunks;
mod metadata;

use super::raster::all;
use super::{Geometry, Kind, Moment, Named};
use chunks::{Chunks, Filled};
use metadata::{Array, GROUP};
use physalia::field::Cell;
use physalia::prelude::*;
use physalia::publish::{Batch, CannotWrite, publish};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A store that is being written.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    /// Steps of the moments that it has; the same on all ranks.
    steps: Vec<u64>,
    begun: bool,
}

impl Store {
    /// A store in this folder, with what was written before the step from which the run is resumed; else from the beginning.
    /// Collective.
    ///
    /// # Errors
    /// An agreed failure if the folder cannot be made, or is there and is no store of ours; or the job's abort.
    #[track_caller]
    pub fn new(world: &mut World, folder: &Path, resumed: Option<u64>) -> Result<Store, Abort> {
        let mut steps = world.from_root(|| begin(folder))?;
        match resumed {
            Some(resumed) => steps.retain(|&step| step < resumed), // that of the checkpoint is written again
            None => steps.clear(),
        }
        Ok(Store { folder: folder.into(), steps, begun: false })
    }

    /// The fields of a moment, for a [`Writer`](physalia::publish::Writer). Collective: each rank sends the cells that lie
    /// in chunks of others; a copy of the cells.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If there are no fields, or they are not of one grid and on the same boxes.
    #[track_caller]
    pub fn add<T: Cell, const D: usize>(
        &mut self,
        world: &mut World,
        geometry: &Geometry,
        moment: Moment,
        fields: &Named<'_, T, D>,
    ) -> Result<Batch, Abort> {
        let (_, first) = fields.first().expect("a moment of no fields");
        assert!(fields.iter().all(|(_, field)| field.boxes() == first.boxes()), "fields on different boxes");
        let (cells, number) = (first.grid().cells(), self.steps.len() as u64);
        self.steps.push(moment.step);
        let layout = Chunks::of(&all(first), size_of::<T>());
        let mut files: Vec<(PathBuf, Vec<T>)> = Vec::new();
        for (name, field) in fields {
            let folder = self.folder.join(name).join("c").join(number.to_string());
            let mine = layout.collect(world, field)?;
            let file = |(at, cells): Filled<T>| {
                (at[..D].iter().rev().fold(folder.clone(), |path, n| path.join(n.to_string())), cells)
            };
            files.extend(mine.into_iter().map(file));
        }
        let write = move || {
            for (path, cells) in files {
                file(&path, bytemuck::cast_slice(&cells))?;
            }
            Ok(())
        };
        let axes: Vec<usize> = (0..D).rev().collect();
        let names: Vec<&str> = axes.iter().map(|&a| ["x", "y", "z"][a]).collect();
        let count = number + 1;
        let mut arrays = Vec::new();
        for (name, _) in fields {
            let shape = [count].into_iter().chain(axes.iter().map(|&a| cells[a])).collect();
            let chunk = [1].into_iter().chain(axes.iter().map(|&a| layout.side(a))).collect();
            let names = ["time"].into_iter().chain(names.iter().copied()).map(String::from).collect();
            arrays.push((name.to_string(), Array { kind: Kind::of::<T>(), shape, chunk, names }));
        }
        let mut values: Vec<(PathBuf, Vec<u8>)> = Vec::new();
        if !self.begun {
            for (&axis, name) in axes.iter().zip(&names) {
                let middles = (0..cells[axis]).flat_map(|n| geometry.middle(axis, n).to_le_bytes()).collect();
                values.push((self.folder.join(name).join("c/0"), middles));
                arrays.push((name.to_string(), Array::line(Kind::Float(8), name, cells[axis], cells[axis])));
            }
        }
        let at = |name: &str| self.folder.join(name).join("c").join(number.to_string());
        values.push((at("step"), moment.step.to_le_bytes().to_vec()));
        values.push((at("time"), moment.time.to_le_bytes().to_vec()));
        arrays.push((
            "step".into(),
            Array { names: vec!["time".into()], ..Array::line(Kind::Integer(false, 8), "", count, 1) },
        ));
        arrays.push(("time".into(), Array::line(Kind::Float(8), "time", count, 1)));
        let (root, names_it) = (self.folder.clone(), world.rank() == 0);
        self.begun = true;
        let name = move || {
            if !names_it {
                return Ok(());
            }
            values.iter().try_for_each(|(path, bytes)| file(path, bytes))?;
            for (name, array) in arrays {
                file(&root.join(name).join("zarr.json"), array.json().as_bytes())?;
            }
            Ok(())
        };
        Ok(Batch::default().then(write).then(name))
    }
}

/// A file in a folder that is made if need be.
fn file(path: &Path, bytes: &[u8]) -> Result<(), CannotWrite> {
    fs::create_dir_all(physalia::publish::folder_of(path)).map_err(|error| CannotWrite::new(path, error))?;
    publish(path, bytes).map(drop)
}

/// The steps that a store has.
fn begin(folder: &Path) -> Result<Vec<u64>, String> {
    let cannot = |why: &str| format!("cannot write {}: {why}", folder.display());
    let group = folder.join("zarr.json");
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(CannotWrite::new(folder, error).to_string());
        }
        _ => {}
    }
    let empty = fs::read_dir(folder).map_err(|error| cannot(&error.to_string()))?.next().is_none();
    if !empty && !fs::read_to_string(&group).is_ok_and(|text| text == GROUP) {
        return Err(cannot("it is there and is no store that physalia has written: name another"));
    }
    publish(&group, GROUP.as_bytes()).map_err(|why| why.to_string())?;
    let count = fs::read_to_string(folder.join("step/zarr.json")).ok().and_then(|text| metadata::first_side(&text));
    let step = |n: u64| {
        let bytes = fs::read(folder.join("step/c").join(n.to_string())).ok()?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    Ok((0..count.unwrap_or(0)).map_while(step).collect())
}

#[cfg(test)]
mod tests;
