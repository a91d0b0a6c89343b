//! Checkpoints: fields as they are at one moment, from which a later run goes on with the same bits, on any number of ranks.
//!
//! ```
//! use physalia::checkpoint::{Checkpoints, open};
//! use physalia::prelude::*;
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path().join("run");
//! let mut world = World::alone();
//! let mut u = Field::<f64, 2>::new(&mut world, Grid::new([6, 4]))?;
//! u.fill(|[x, y]| (x + 10 * y) as f64);
//! let mut checkpoints = Checkpoints::new(&mut world, &folder)?;
//! checkpoints.write(&mut world, &(17u64, 0.5), &[("u", &u)])?;
//!
//! let saved = open::<(u64, f64)>(&mut world, &folder)?.expect("there is one");
//! let mut v = Field::<f64, 2>::new(&mut world, Grid::new([6, 4]))?;
//! let resumed = saved.load(&mut world, &mut [("u", &mut v)])?;
//! assert_eq!((resumed.meta, v.hash(&mut world)?), ((17, 0.5), u.hash(&mut world)?));
//! # Ok::<(), Failure>(())
//! ```
//!
//! A folder holds two *generations*, `000007.*` and `000008.*`: of each a file of every rank that has cells, and a manifest,
//! which appears last, after all files are on disk and rank 0 has seen them. A job that dies in between leaves the last
//! whole generation; the next one replaces what it has left. The older generation goes only after the newer one is whole.
//!
//! A rank's file is a row of chunks (see [`chunk`](crate::chunk)) of at most 4 MiB of cells of one field; the manifest is a
//! chunk, too, and knows where each lies. So every byte has a checksum, which is compared when it is read. A generation of
//! which a byte is wrong or missing is not used: the other one is, and it is said which file was damaged. Ranks read only
//! the chunks that have cells of theirs.
//!
//! Encoding is the workers' work and takes as much memory as the fields' cells; [`Checkpoints::start`] gives that to a
//! [`Writer`], so that the next steps are computed while it is written.

mod cells;
mod folder;
mod load;
mod manifest;
#[cfg(test)]
mod tests;

pub use cells::Stored;
pub use load::{Resumed, Saved, open};

use crate::World;
use crate::chunk::Chunk;
use crate::publish::{Aside, Batch, CannotWrite, Writer};
use cells::Sealed;
use folder::Folder;
use manifest::{File, Manifest};
use physalia_collectives::Abort;
use serde::{Deserialize, Serialize};
use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A folder to which a job writes its checkpoints. One job at a time may.
#[derive(Debug)]
pub struct Checkpoints {
    folder: Folder,
    /// The number of the last one that was there or begun.
    last: u64,
    /// On rank 0, by what its thread has done.
    there: Arc<Mutex<There>>,
}

/// What the folder has.
#[derive(Debug)]
struct There {
    newest: Option<u64>,
    /// The generation that stays when there is one more.
    kept: Option<u64>,
}

/// What a rank tells rank 0 of its file.
#[derive(Serialize, Deserialize)]
struct Told {
    host: String,
    file: Option<File>,
}

impl Checkpoints {
    /// Checkpoints in this folder, which is made if it is not there. What it has of earlier checkpoints stays until there
    /// are two newer ones. Collective.
    ///
    /// # Errors
    /// An agreed failure if the folder cannot be made or read, or holds something else than checkpoints; or the job's abort.
    #[track_caller]
    pub fn new(world: &mut World, folder: &Path) -> Result<Checkpoints, Abort> {
        let folder = Folder::of(folder);
        let newest = world.from_root(|| {
            folder.make()?;
            folder.generations().map(|all| all.last().copied())
        })?;
        let there = Arc::new(Mutex::new(There { newest, kept: newest }));
        Ok(Checkpoints { folder, last: newest.unwrap_or(0), there })
    }

    /// Keeps this generation instead of the newest one: that from which the job was resumed, where the newest was damaged.
    /// Local; all ranks do it alike.
    pub fn keep<M>(&mut self, resumed: &Resumed<M>) {
        if resumed.generation <= self.last {
            lock(&self.there).kept = Some(resumed.generation);
        }
    }

    /// Writes a generation and waits until it is on disk. Collective.
    ///
    /// # Errors
    /// As [`start`](Checkpoints::start), or if something cannot be written.
    ///
    /// # Panics
    /// As [`start`](Checkpoints::start).
    #[track_caller]
    pub fn write<M: Serialize>(
        &mut self,
        world: &mut World,
        meta: &M,
        fields: &[(&str, &dyn Stored)],
    ) -> Result<(), Abort> {
        let mut writer = Writer::default();
        self.start(world, &mut writer, meta, fields)?;
        writer.finish(world)
    }

    /// Takes the fields as they are now, each under its name, with what the program wants to know of the moment, the same on
    /// all ranks (rank 0's is kept). They are written while the job goes on, by `writer`, which tells what could not be.
    /// Collective; each rank tells rank 0 some 50 bytes for each of its chunks of 4 MiB.
    ///
    /// # Errors
    /// As [`Writer::submit`].
    ///
    /// # Panics
    /// If two fields have the same name, or `meta` is what postcard cannot write.
    #[track_caller]
    pub fn start<M: Serialize>(
        &mut self,
        world: &mut World,
        writer: &mut Writer,
        meta: &M,
        fields: &[(&str, &dyn Stored)],
    ) -> Result<(), Abort> {
        let names: Vec<&str> = fields.iter().map(|field| field.0).collect();
        assert!((1..names.len()).all(|i| !names[..i].contains(&names[i])), "two fields of one name: {names:?}");
        writer.make_room(world)?;
        let (rank, folder) = (world.rank(), self.folder.clone());
        let generation = self.last + 1;
        let stamp = world.from_root(|| Ok::<_, String>(RandomState::new().hash_one(generation)))?;
        let mut sealed = Sealed::default();
        for (number, (_, field)) in fields.iter().enumerate() {
            field.seal(stamp, number, &mut sealed);
        }
        let Sealed { pieces, chunks } = sealed;
        let bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let file = (!chunks.is_empty()).then(|| File { name: folder::file_name(generation, rank), bytes, pieces });
        let path = file.as_ref().map(|file| folder.path(&file.name));
        let told = Told { host: world.host().into(), file };
        let told = postcard::to_stdvec(&told).expect("plain data can be written to memory");
        let told = world.gather_v(0, &told)?;
        let write = move || {
            let Some(path) = path else { return Ok(()) };
            let mut out = Aside::new(&path)?;
            for chunk in chunks {
                out.write(&chunk)?; // and is freed
            }
            out.publish().map(drop)
        };
        let manifest = told.map(|told| {
            let told: Vec<Told> = told
                .iter()
                .map(|bytes| postcard::from_bytes(bytes).expect("what a rank wrote, rank 0 reads"))
                .collect();
            let hosts: Vec<String> = told.iter().map(|told| told.host.clone()).collect();
            let files = told.into_iter().filter_map(|told| told.file).collect();
            let meta = postcard::to_stdvec(meta).expect("what the program wants to know can be written");
            let fields = fields.iter().map(|(name, field)| field.about(name)).collect();
            (Manifest { generation, stamp, meta_type: type_of::<M>(), meta, fields, files }, hosts)
        });
        let there = self.there.clone();
        let name = move || {
            let Some((manifest, hosts)) = manifest else { return Ok(()) };
            let path = folder.manifest(generation);
            let mut there = lock(&there);
            see(&folder, &manifest, &hosts, there.newest)
                .map_err(|why| CannotWrite::new(&path, io::Error::other(why)))?;
            Aside::new(&path)?.whole(&manifest.seal())?;
            let files: Vec<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
            folder.clear(generation, &files, there.kept);
            *there = There { newest: Some(generation), kept: Some(generation) };
            Ok(())
        };
        writer.submit(world, Batch::default().then(write).then(name))?;
        self.last = generation;
        Ok(())
    }
}

/// Whether rank 0 sees what the others have written, and nobody else writes here.
fn see(folder: &Folder, manifest: &Manifest, hosts: &[String], before: Option<u64>) -> Result<(), String> {
    let newest = folder.generations()?.last().copied();
    if newest != before {
        return Err("another job has written a checkpoint to this folder: give each job a folder of its own".into());
    }
    for file in &manifest.files {
        let seen = fs::metadata(folder.path(&file.name)).map(|data| data.len());
        if !matches!(seen, Ok(bytes) if bytes == file.bytes) {
            let host = folder::rank_of(&file.name).and_then(|rank| hosts.get(rank as usize));
            return Err(format!(
                "rank 0 does not see {}, which was written on {}: the folder must be one that all hosts share",
                file.name,
                host.map_or("another host", String::as_str)
            ));
        }
    }
    Ok(())
}

fn lock(there: &Mutex<There>) -> MutexGuard<'_, There> {
    there.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A type by its name, without modules.
fn type_of<M>() -> String {
    crate::chunk::plain_name(std::any::type_name::<M>())
}
