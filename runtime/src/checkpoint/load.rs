//! From a folder back to fields.

use super::cells::Stored;
use super::folder::Folder;
use super::manifest::{About, Manifest};
use super::type_of;
use crate::World;
use crate::chunk::Chunk;
use physalia_collectives::{Abort, Cause};
use serde::de::DeserializeOwned;
use std::fs;
use std::path::{Path, PathBuf};

/// The checkpoints of a folder, of which the newest that is whole will be loaded.
#[derive(Debug)]
pub struct Saved<M> {
    folder: PathBuf,
    /// Newest first; at least one.
    generations: Vec<(Manifest, M)>,
    notes: Vec<String>,
}

/// What the fields were loaded from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resumed<M> {
    /// What the program wanted to know.
    pub meta: M,
    /// The number of the checkpoint.
    pub generation: u64,
    /// Newer ones that could not be used, and why; rank 0 has told them.
    pub notes: Vec<String>,
}

/// The checkpoints of this folder; `None` if it has none, or is not there. `M` is the type with which they were written.
/// Collective; all ranks get the manifests from rank 0.
///
/// # Errors
/// An agreed failure if the folder cannot be read, holds something else, or there are checkpoints and none of them is whole, by
/// the lengths of their files, and of type `M`. Or the job's abort.
#[track_caller]
pub fn open<M: DeserializeOwned>(world: &mut World, folder: &Path) -> Result<Option<Saved<M>>, Abort> {
    let (manifests, notes) = world.from_root(|| look(&Folder::of(folder)))?;
    world.on_root(|| notes.iter().for_each(|note| crate::log::log_line(0, note)));
    // All ranks have the same manifests, and so the same outcome.
    let generations = manifests.into_iter().map(|manifest| {
        let meta = meta::<M>(&manifest)?;
        Ok((manifest, meta))
    });
    let generations: Vec<(Manifest, M)> = world.agree(generations.collect::<Result<_, String>>())?;
    Ok((!generations.is_empty()).then(|| Saved { folder: folder.into(), generations, notes }))
}

/// The manifests of the generations that seem whole, newest first, and what is wrong with others.
fn look(folder: &Folder) -> Result<(Vec<Manifest>, Vec<String>), String> {
    if !folder.exists() {
        return Ok(Default::default());
    }
    let (mut whole, mut notes) = (Vec::new(), Vec::new());
    for generation in folder.generations()?.into_iter().rev() {
        match seems_whole(folder, generation) {
            Ok(manifest) => whole.push(manifest),
            Err(why) => notes.push(not_used(generation, &why)),
        }
    }
    if whole.is_empty() && !notes.is_empty() { Err(notes.join("; ")) } else { Ok((whole, notes)) }
}

fn not_used(generation: u64, why: &str) -> String {
    format!("checkpoint {generation:06} is not used: {why}")
}

fn seems_whole(folder: &Folder, generation: u64) -> Result<Manifest, String> {
    let path = folder.manifest(generation);
    let cannot = |why: &dyn std::fmt::Display| format!("cannot read {}: {why}", path.display());
    let bytes = fs::read(&path).map_err(|why| cannot(&why))?;
    let manifest = Manifest::open(&bytes).map_err(|why| cannot(&why))?;
    if manifest.generation != generation {
        return Err(cannot(&format!("it is of checkpoint {:06}", manifest.generation)));
    }
    for file in &manifest.files {
        let path = folder.path(&file.name);
        let cannot = |why: &dyn std::fmt::Display| format!("cannot read {}: {why}", path.display());
        let bytes = fs::metadata(&path).map_err(|why| cannot(&why))?.len();
        if bytes != file.bytes {
            return Err(cannot(&format!("it has {bytes} bytes, and {} were written", file.bytes)));
        }
    }
    Ok(manifest)
}

fn meta<M: DeserializeOwned>(manifest: &Manifest) -> Result<M, String> {
    let (wanted, found) = (type_of::<M>(), &manifest.meta_type);
    if wanted != *found {
        return Err(format!("a checkpoint of another program: it tells of {found}, where {wanted} is wanted"));
    }
    postcard::from_bytes(&manifest.meta)
        .map_err(|why| format!("a checkpoint of another version of the program: its {wanted} cannot be read: {why}"))
}

impl<M> Saved<M> {
    /// What the program wanted to know of the newest checkpoint. Local; the same on all ranks.
    pub fn meta(&self) -> &M {
        &self.generations[0].1
    }

    /// The cells of these fields from the newest checkpoint of which every chunk that is needed is right, else from the one
    /// before. Fields may lie on any ranks and boxes; halos must be exchanged anew. What is not used is told on stderr.
    /// Collective; each rank reads the chunks that have cells of its own.
    ///
    /// # Errors
    /// An agreed failure if no checkpoint is whole, or has fields of these names, grids and types: fields may have changed
    /// then. Or the job's abort.
    #[track_caller]
    pub fn load(mut self, world: &mut World, fields: &mut [(&str, &mut dyn Stored)]) -> Result<Resumed<M>, Abort> {
        loop {
            let (manifest, _) = &self.generations[0];
            let numbers = fields.iter().map(|(name, field)| find(manifest, &field.about(name)));
            let numbers: Vec<usize> = world.agree(numbers.collect::<Result<_, _>>())?;
            let read = fields
                .iter_mut()
                .zip(numbers)
                .try_for_each(|((_, field), number)| field.unseal(world, &self.folder, manifest, number));
            let generation = manifest.generation;
            match world.agree(read) {
                Ok(()) => {
                    let (_, meta) = self.generations.swap_remove(0);
                    return Ok(Resumed { meta, generation, notes: self.notes });
                }
                Err(abort) => {
                    let Cause::Agreed { message, .. } = abort.cause() else { return Err(abort) };
                    if self.generations.len() == 1 {
                        return Err(abort);
                    }
                    let note = not_used(generation, message);
                    world.on_root(|| crate::log::log_line(0, &note));
                    self.notes.push(note);
                    self.generations.remove(0);
                }
            }
        }
    }
}

/// The number of a field in a checkpoint.
fn find(manifest: &Manifest, wanted: &About) -> Result<usize, String> {
    let number = manifest.fields.iter().position(|field| field == wanted);
    number.ok_or_else(|| {
        let there: Vec<String> = manifest.fields.iter().map(About::to_string).collect();
        format!("the checkpoint has {}, not {wanted}", there.join(", "))
    })
}
