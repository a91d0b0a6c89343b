//! The tiles of a rank's boxes as work for its workers.

use super::exchange::Exchange;
use super::isa;
use super::places::Geometry;
use super::shape::{Shape, tiles};
use super::tile::{Desk, Sweep, Tile};
use crate::World;
use crate::field::{Cell, Field};
use crate::pool::{Failed, Rule, worker_here};
use physalia_collectives::poll_here;
use std::sync::{Mutex, PoisonError};

/// Tiles of boxes in the order of their homes, and where each domain's begin.
pub(super) struct Work {
    tiles: Vec<(usize, Tile)>,
    cuts: Vec<usize>,
}

/// Computes tiles on the workers.
///
/// # Safety
/// As for `Sweep::tile`; tiles do not overlap.
pub(super) unsafe fn run<T: Cell>(world: &World, desks: &[Mutex<Desk<T>>], sweeps: &[Sweep<'_, T>], work: &Work) {
    if work.tiles.is_empty() {
        return;
    }
    let (abort, failed) = (world.abort_flag(), Failed::default());
    let ending = || abort.raised() || failed.raised();
    world.pool().feed(&work.cuts, Rule::HomeFirst, &ending, |feed| {
        failed.watch(|| {
            let desk = &desks[worker_here().unwrap_or(0)];
            let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(range) = feed.next() {
                for (index, tile) in &work.tiles[range.start as usize..range.end as usize] {
                    if ending() {
                        break;
                    }
                    // SAFETY: as the caller says; a tile is given out once.
                    unsafe { sweeps[*index].tile(tile, &mut desk) };
                    poll_here();
                }
            }
            isa::fence();
        });
    });
}

/// The tiles of this rank's boxes in the order of their homes; first those that have rows which are sent.
pub(super) fn work<T: Cell, const D: usize>(
    geometry: &Geometry<T>,
    shape: &Shape,
    exchange: &Exchange<T>,
    field: &Field<T, D>,
    radius: usize,
) -> [Work; 2] {
    let domains = field.pool().domains();
    let mut lists: [Vec<(usize, usize, Tile)>; 2] = [vec![], vec![]];
    for (index, block) in field.blocks.iter().enumerate() {
        let cells = geometry.lengths(&block.region);
        let local = |cell: [u64; 3]| -> [isize; 2] {
            let at = |axis: Option<usize>| axis.map_or(0, |a| (cell[a] - block.region.begin[a]) as isize);
            let [_, m, s] = geometry.axes();
            [at(m), at(s)]
        };
        let sent = exchange.sends.iter().flatten().filter(|c| c.piece.source == block.id);
        let mut sent: Vec<[isize; 2]> = sent.map(|c| local(c.piece.cell)).collect();
        sent.sort_unstable();
        sent.dedup();
        let depth = geometry.depth as isize;
        let edge = |a: usize, side: usize| {
            sent.iter().any(|row| if side == 0 { row[a] < depth } else { row[a] >= cells[a + 1] - depth })
        };
        let edges = [0, 1].map(|a| [0, 1].map(|side| edge(a, side)));
        for tile in tiles::<T>(shape, cells, edges, geometry.depth, radius + 1) {
            let has =
                |row: &[isize; 2]| (tile.m.0..tile.m.1).contains(&row[0]) && (tile.s.0..tile.s.1).contains(&row[1]);
            let middle = [(tile.m.0 + tile.m.1) / 2, (tile.s.0 + tile.s.1) / 2];
            let home = block.home(geometry.row_at(&block.region, middle[0], middle[1]));
            lists[usize::from(!sent.iter().any(has))].push((home, index, tile));
        }
    }
    lists.map(|mut list| {
        list.sort_by_key(|(home, ..)| *home);
        let cuts = (0..=domains).map(|d| list.partition_point(|(home, ..)| *home < d)).collect();
        Work { tiles: list.into_iter().map(|(_, index, tile)| (index, tile)).collect(), cuts }
    })
}
