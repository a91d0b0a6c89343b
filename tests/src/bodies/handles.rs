//! Handles that are waited for, forgotten, dropped and swapped: nothing may be lost or freed too early.
#![allow(clippy::forget_non_drop)] // the point is what happens without the handle, whether or not it has a `Drop`

use crate::{Body, well};
use physalia::prelude::*;
use std::time::Duration;

pub(super) fn bodies() -> Vec<Body> {
    use self as h;
    well![
        h::pendings_in_any_order,
        h::forgotten_and_dropped_pendings_land,
        h::overlap_survives_swaps_and_forgotten_tickets,
        h::what_was_given_away_leaves_while_its_sender_computes
    ]
}

fn pendings_in_any_order(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let a = world.start_all_reduce(vec![me; 3], Sum);
    let b = world.start_all_reduce(vec![1u64; 3000], Sum);
    let between = world.all_reduce(1u32, Sum)?;
    assert_eq!(b.wait()?, vec![u64::from(ranks); 3000]);
    assert_eq!(a.wait()?, vec![(0..ranks).sum::<u32>(); 3]);
    assert_eq!(between, ranks);
    Ok(())
}

fn forgotten_and_dropped_pendings_land(world: &mut World) -> Outcome<()> {
    let ranks = world.size();
    std::mem::forget(world.start_all_reduce(vec![1.0; 1000], Sum));
    drop(world.start_all_reduce(vec![2.0; 1000], Sum));
    // One outlives its communicator and is asked afterwards.
    let late = world.with_split(0, |sub| Ok(sub.start_all_reduce(vec![3u32], Sum)))?;
    assert_eq!(late.wait()?, [3 * ranks]);
    Ok(())
}

fn overlap_survives_swaps_and_forgotten_tickets(world: &mut World) -> Outcome<()> {
    let n = world.size() as usize;
    let me = u64::from(world.rank());
    // Long enough to be lent, not copied.
    let block = 1000;
    let src: Vec<u64> = (0..(n * block) as u64).map(|i| 1_000_000 * me + i).collect();
    let (mut forgotten, mut waited) = (vec![0; n * block], vec![0; n * block]);
    world.overlap(|o| {
        std::mem::forget(o.start_all_to_all_into(&src, &mut forgotten)?);
        let inside = o.par(0..10).map(|i| i).sum()?; // workers compute while it flies
        assert_eq!(inside, 45);
        let mut other = World::alone();
        std::mem::swap(&mut **o, &mut other);
        assert_eq!(o.size(), 1); // a swapped world is another world,
        let ticket = o.start_all_to_all_into(&src, &mut waited)?; // and the scope keeps its own
        std::mem::swap(&mut **o, &mut other);
        ticket.wait(o)?;
        Ok(())
    })?;
    let expected: Vec<u64> =
        (0..n as u64).flat_map(|r| (0..block as u64).map(move |i| 1_000_000 * r + me * block as u64 + i)).collect();
    assert!(forgotten == expected && waited == expected);
    Ok(())
}

/// Rank 0 gives a long message away and computes until rank 1 says that it has it.
fn what_was_given_away_leaves_while_its_sender_computes(world: &mut World) -> Outcome<()> {
    let job = world.from_root(|| Ok::<_, String>(std::process::id()))?;
    let there = std::env::temp_dir().join(format!("physalia-{job}-{}-there", world.size()));
    let text = world.from_root(|| Ok::<_, String>("x".repeat(3 << 20)))?;
    if world.rank() == 1 {
        std::fs::write(&there, "there")?;
    }
    if world.rank() == 0 && world.size() > 1 {
        let look = |_, ()| {
            if !there.exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        world.each(vec![(); 8000], look);
        assert!(there.exists(), "rank 1 has still not received what was sent 8 s ago");
    }
    world.barrier()?;
    world.on_root(|| std::fs::remove_file(&there).ok());
    assert_eq!(text.len(), 3 << 20);
    Ok(())
}
