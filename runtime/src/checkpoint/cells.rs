//! Cells as chunks, and back.

use super::manifest::{About, Manifest, Piece};
use crate::World;
use crate::chunk::{Chunk, Codec, DecodeError, Decoder, Encoder};
use crate::field::{Cell, Field, Region, copy};
use ndarray::s;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of cells in a chunk, at most.
const MOST: u64 = 4 << 20;
/// Bytes of chunks that are read at once, at least; fields of more than sixteen times as much are read in sixteen goes.
const BATCH: u64 = 256 << 20;

/// A rank's chunks of all fields, and where each will lie.
#[derive(Default)]
pub struct Sealed {
    pub(super) pieces: Vec<Piece>,
    pub(super) chunks: Vec<Vec<u8>>,
}

/// A field that can be written to a checkpoint and read from one.
pub trait Stored: private::Stored {}

impl<T: Cell, const D: usize> Stored for Field<T, D> {}

pub(super) mod private {
    use super::{About, Manifest, Path, Sealed, World};

    /// Fields of all kinds alike.
    pub trait Stored {
        /// What it is.
        fn about(&self, name: &str) -> About;
        /// Its cells as chunks, added to those of other fields. By all workers.
        fn seal(&self, stamp: u64, number: usize, into: &mut Sealed);
        /// Its cells from the chunks that have some of them. By all workers.
        ///
        /// # Errors
        /// If something cannot be read or was damaged: what, in words that name the file.
        fn unseal(&mut self, world: &World, folder: &Path, from: &Manifest, number: usize) -> Result<(), String>;
    }
}

/// Cells of a field.
struct Cells<T> {
    stamp: u64,
    field: usize,
    region: Region,
    cells: Vec<T>,
}

impl<T: Cell> Codec for Cells<T> {
    fn encode(&self, to: &mut Encoder) {
        self.stamp.encode(to);
        self.field.encode(to);
        self.region.begin.encode(to);
        self.region.end.encode(to);
        to.plain(&self.cells);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Cells<T>, DecodeError> {
        let (stamp, field, begin, end) = Codec::decode(from)?;
        Ok(Cells { stamp, field, region: Region { begin, end }, cells: from.plain::<T>()? })
    }
}

impl<T: Cell> Chunk for Cells<T> {
    const KIND: &'static str = "cells of a checkpoint";
    const VERSION: u32 = 1;
}

impl<T: Cell, const D: usize> private::Stored for Field<T, D> {
    fn about(&self, name: &str) -> About {
        About { name: name.into(), cell: super::type_of::<T>(), cells: self.grid().cells().into() }
    }

    fn seal(&self, stamp: u64, number: usize, into: &mut Sealed) {
        let views = self.views();
        let whole = views.iter().flat_map(|(region, view)| {
            region.parts(MOST / size_of::<T>() as u64).map(move |part| {
                let span =
                    |a: usize| (part.begin[a] - region.begin[a]) as usize..(part.end[a] - region.begin[a]) as usize;
                (part.clone(), view.slice(s![span(2), span(1), span(0)]))
            })
        });
        let whole: Vec<_> = whole.collect();
        let regions: Vec<Region> = whole.iter().map(|(region, _)| region.clone()).collect();
        let mut chunks = vec![Vec::new(); regions.len()];
        self.pool().each(whole.into_iter().zip(&mut chunks).collect(), |_, ((region, view), chunk)| {
            let mut cells = vec![T::zeroed(); region.cells() as usize];
            copy(&view, &mut cells);
            *chunk = Cells { stamp, field: number, region, cells }.seal();
        });
        let mut at = into.pieces.last().map_or(0, |last| last.at + last.bytes);
        for (region, chunk) in regions.iter().zip(chunks) {
            into.pieces.push(Piece::new(number, region, at, chunk.len() as u64));
            at += chunk.len() as u64;
            into.chunks.push(chunk);
        }
    }

    fn unseal(&mut self, world: &World, folder: &Path, from: &Manifest, number: usize) -> Result<(), String> {
        let mine: Vec<Region> = self.views().iter().map(|(region, _)| (*region).clone()).collect();
        let wanted = from.files.iter().flat_map(|file| {
            let here = |piece: &&Piece| piece.field == number && mine.iter().any(|m| m.and(&piece.region()).is_some());
            file.pieces.iter().filter(here).map(move |piece| (file.name.as_str(), piece))
        });
        let wanted: Vec<(&str, &Piece)> = wanted.collect();
        let mut open: BTreeMap<&str, File> = BTreeMap::new();
        for &(name, _) in &wanted {
            if !open.contains_key(name) {
                open.insert(name, File::open(folder.join(name)).map_err(|why| bad(folder, name, why))?);
            }
        }
        let all: u64 = wanted.iter().map(|(_, piece)| piece.bytes).sum();
        let (mut rest, mut count) = (&wanted[..], 0);
        while !rest.is_empty() {
            let mut bytes = 0;
            let fit = rest.iter().take_while(|(_, piece)| {
                let goes = bytes <= BATCH.max(all / 16);
                bytes += piece.bytes;
                goes
            });
            let (now, later) = rest.split_at(fit.count());
            rest = later;
            let mut read: Vec<Option<Result<Vec<T>, String>>> = now.iter().map(|_| None).collect();
            world.each(now.iter().zip(&mut read).collect(), |_, (&(name, piece), into)| {
                *into = Some(self::read(&open[name], piece, from.stamp).map_err(|why| bad(folder, name, why)));
            });
            for (&(_, piece), cells) in now.iter().zip(read) {
                let Some(cells) = cells else { return Err("the job ends".into()) };
                count += self.set_own(&piece.region(), &cells?);
            }
        }
        let missing = self.len() - count.min(self.len());
        if count == self.len() { Ok(()) } else { Err(format!("{missing} cells are in none of its files")) }
    }
}

fn bad(folder: &Path, name: &str, why: impl Display) -> String {
    format!("cannot read {}: {why}", folder.join(name).display())
}

/// A piece's cells, if they are those that were written.
fn read<T: Cell>(file: &File, piece: &Piece, stamp: u64) -> Result<Vec<T>, String> {
    let mut bytes = vec![0; usize::try_from(piece.bytes).map_err(|_| "a piece too long for this machine")?];
    let place = |why: &dyn Display| format!("at byte {}: {why}", piece.at);
    file.read_exact_at(&mut bytes, piece.at).map_err(|why| place(&why))?;
    let cells = Cells::<T>::open(&bytes).map_err(|why| place(&why))?;
    let right = (stamp, piece.field, piece.region(), piece.region().cells());
    if (cells.stamp, cells.field, cells.region, cells.cells.len() as u64) != right {
        return Err(place(&"these are cells of another checkpoint"));
    }
    Ok(cells.cells)
}
