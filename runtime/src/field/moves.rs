//! Boxes that go to other ranks. A box travels as a [`Chunk`], and the map of owners has a new epoch.

use super::boxes::Boxes;
use super::cell::Cell;
use super::storage::Block;
use super::{Field, Region};
use crate::World;
use crate::chunk::{Chunk, Codec, DecodeError, Decoder, Encoder};
use physalia_collectives::Abort;
use physalia_collectives::check::Print;
use std::panic::Location;
use std::sync::Arc;

impl<T: Cell, const D: usize> Field<T, D> {
    /// Gives boxes to other ranks: pairs of a box and its new owner, the same on all ranks, later ones last. The cells keep
    /// their bits; ghosts are invalid until the next exchange. The boxes have the next epoch then, also if nothing changes, so
    /// halo plans must be made anew, and fields that are used together must be moved alike. Collective. Each box is one message,
    /// from its old owner to its new one; who has many has them twice for a moment.
    ///
    /// # Errors
    /// An agreed abort if a rank has no memory for what it gets: the field is as it was, and all go on. Or the job's abort.
    ///
    /// # Panics
    /// If there is no such box or rank.
    #[track_caller]
    pub fn move_boxes(&mut self, world: &mut World, moves: &[(usize, u32)]) -> Result<(), Abort> {
        let boxes = self.boxes.moved(moves, world.size());
        let which = [self.boxes.fingerprint(), boxes.fingerprint()];
        let print = Print::new::<Field<T, D>>("Field::move_boxes", which, Location::caller());
        world.merge_parts(print, vec![], |_, _| (), |_| vec![])?;
        let me = world.rank();
        let leaving = self.blocks.iter().filter(|block| boxes.owners()[block.id] != me);
        let messages = leaving.map(|block| (boxes.owners()[block.id], Moved::of(block).seal())).collect();
        let came = world.sparse_exchange::<u8>(messages)?;
        let place = |(_, bytes): (u32, Vec<u8>)| -> Result<Block<T>, String> {
            let moved = Moved::<T>::open(&bytes).map_err(|why| why.to_string())?;
            let mut block = Block::new(moved.id, boxes.region(moved.id), self.grid.ghosts(), self.pool())?;
            moved.into_block(&mut block);
            Ok(block)
        };
        let came: Result<Vec<Block<T>>, String> = came.into_iter().map(place).collect();
        let came = world.agree(came)?;
        self.blocks.retain(|block| boxes.owners()[block.id] == me);
        self.blocks.extend(came);
        self.blocks.sort_by_key(|block| block.id);
        self.boxes = Arc::new(boxes);
        Ok(())
    }
}

impl Boxes {
    /// With these boxes at their new owners, in the next epoch.
    ///
    /// # Panics
    /// If there is no such box or rank.
    pub(super) fn moved(&self, moves: &[(usize, u32)], ranks: u32) -> Boxes {
        let mut boxes = self.clone();
        for &(id, owner) in moves {
            assert!(id < self.len() && owner < ranks, "box {id} of {} to rank {owner} of {ranks}", self.len());
            boxes.owners[id] = owner;
        }
        boxes.epoch += 1;
        boxes
    }
}

/// A box on its way: its own cells, row after row.
struct Moved<T> {
    id: usize,
    region: Region,
    cells: Vec<T>,
}

impl<T: Cell> Moved<T> {
    fn of(block: &Block<T>) -> Moved<T> {
        let len = block.region.len(0) as usize;
        let cells = block.region.rows().flat_map(|at| block.part(at, len)).copied().collect();
        Moved { id: block.id, region: block.region.clone(), cells }
    }

    fn into_block(self, block: &mut Block<T>) {
        let len = block.region.len(0) as usize;
        for (at, row) in self.region.rows().zip(self.cells.chunks(len)) {
            block.part_mut(at, len).copy_from_slice(row);
        }
    }
}

impl<T: Cell> Codec for Moved<T> {
    fn encode(&self, to: &mut Encoder) {
        self.id.encode(to);
        self.region.begin.encode(to);
        self.region.end.encode(to);
        to.plain(&self.cells);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Moved<T>, DecodeError> {
        let (id, begin, end) = Codec::decode(from)?;
        let (region, cells) = (Region { begin, end }, from.plain::<T>()?);
        let right = (0..3).all(|a| begin[a] < end[a]) && cells.len() as u64 == region.cells();
        if !right {
            return Err(from.value(0, format!("{} cells of {begin:?} to {end:?}", cells.len())));
        }
        Ok(Moved { id, region, cells })
    }
}

impl<T: Cell> Chunk for Moved<T> {
    const KIND: &'static str = "box of a field";
    const VERSION: u32 = 1;
}
