//! First touch: a page lies on the node of the worker that first writes it.
//!
//! The stores are plain ones, a page each. (An atomic operation, or `memset` by the kernel, would do as well; a read would not:
//! it sees the one page of zeros that all memory shares.)

use super::Homes;
use crate::pool::{Pool, Rule};
use physalia_topology::sys::{HUGE, page_bytes};
use std::hint::black_box;

/// Each domain's bytes are touched by its workers.
pub(crate) fn at_home(memory: &mut [u8], homes: &Homes, pool: &Pool) {
    let (mut chunks, mut cuts, mut rest) = (Vec::new(), vec![0], memory);
    for part in homes.parts() {
        let (mine, after) = rest.split_at_mut(part.len());
        chunks.extend(mine.chunks_mut(HUGE)); // a huge page is laid by one store, so by one worker
        cuts.push(chunks.len());
        rest = after;
    }
    pool.each_at(chunks, &cuts, Rule::HomeOnly, |_, chunk| touch(chunk));
}

/// Units of so many bytes are touched by workers of the domains in turn.
pub(crate) fn in_turn(memory: &mut [u8], unit: usize, pool: &Pool) {
    let mut units: Vec<Vec<&mut [u8]>> = (0..pool.domains()).map(|_| Vec::new()).collect();
    for (i, unit) in memory.chunks_mut(unit).enumerate() {
        units[i % pool.domains()].push(unit);
    }
    let (mut items, mut cuts) = (Vec::new(), vec![0]);
    for units in units {
        let mut units = units.into_iter().peekable();
        while units.peek().is_some() {
            items.push(units.by_ref().take((HUGE / unit).max(1)).collect::<Vec<_>>());
        }
        cuts.push(items.len());
    }
    pool.each_at(items, &cuts, Rule::HomeOnly, |_, units| units.into_iter().for_each(touch));
}

fn touch(memory: &mut [u8]) {
    memory.iter_mut().step_by(page_bytes()).for_each(|byte| *byte = black_box(0));
}
