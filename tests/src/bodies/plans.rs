//! Exchanges with neighbours, prepared once.
#![allow(clippy::forget_non_drop)]

use crate::{Body, well};
use physalia::prelude::*;

pub(super) fn bodies() -> Vec<Body> {
    use self as p;
    well![p::a_ring_many_times, p::several_links_and_the_own_rank, p::links_that_do_not_match_are_refused]
}

fn a_ring_many_times(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let (left, right) = ((me + ranks - 1) % ranks, (me + 1) % ranks);
    for len in [1, 600, 5000] {
        let mut plan = world.exchange_plan::<f64>(&[Link { rank: right, len }], &[Link { rank: left, len }])?;
        for step in 0..20 {
            plan.outgoing(0).fill(f64::from(me * 100 + step));
            plan.start(world)?;
            world.par(0..1000).map(|i| i).sum()?; // a collective of all while the plan flies
            if step == 7 {
                plan.start(world)?; // as after a forgotten flight: the first is finished first
            }
            plan.finish()?;
            assert!(plan.incoming(0).iter().all(|&x| x == f64::from(left * 100 + step)), "step {step}");
        }
    }
    Ok(())
}

fn several_links_and_the_own_rank(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    // Two links to every rank, the own one too, of other lengths; one of no length.
    let links = |_: u32| -> Vec<Link> {
        (0..ranks).flat_map(|rank| [Link { rank, len: 3 }, Link { rank, len: 0 }, Link { rank, len: 700 }]).collect()
    };
    let mut plan = world.exchange_plan::<u32>(&links(me), &links(me))?;
    for (i, link) in links(me).iter().enumerate() {
        plan.outgoing(i).fill(me * 1000 + link.rank * 10 + i as u32 % 3);
    }
    plan.start(world)?;
    plan.finish()?;
    for (i, link) in links(me).iter().enumerate() {
        assert_eq!(plan.incoming(i), vec![link.rank * 1000 + me * 10 + i as u32 % 3; link.len]);
    }
    plan.start(world)?;
    std::mem::forget(plan); // its buffers stay with the flight, which lands at the end
    Ok(())
}

fn links_that_do_not_match_are_refused(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let (left, right) = ((me + ranks - 1) % ranks, (me + 1) % ranks);
    let len = if me == 0 { 6 } else { 5 };
    let refused = world.exchange_plan::<u8>(&[Link { rank: right, len }], &[Link { rank: left, len: 5 }]);
    let words = refused.expect_err("6 values for 5").to_string();
    assert!(words.contains(&format!("rank 0 sends [6] values to rank {}, which expects [5]", 1 % ranks)), "{words}");
    Ok(())
}
