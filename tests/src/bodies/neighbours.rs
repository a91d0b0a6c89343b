//! Collectives of neighbours, on graphs and grids, against what each rank must get, computed from the numbers of all ranks.

use crate::dice::Dice;
use crate::{Body, End, well};
use physalia::prelude::*;

pub(super) fn bodies() -> Vec<Body> {
    use self as n;
    let bad = |name, run, says| Body { name, run, end: End::Badly { code: 1, says } };
    let mut all = well![
        n::neighbours_on_graphs,
        n::neighbours_on_grids,
        n::neighbours_of_other_types,
        n::neighbours_by_plan,
        n::neighbours_in_a_split,
        n::neighbours_that_disagree_are_refused,
    ];
    all.push(bad("neighbours_on_another_grid", neighbours_on_another_grid, &["neighbour_all_gather of u32 ["]));
    all.push(bad(
        "neighbours_with_another_block",
        neighbours_with_another_block,
        &["neighbour_all_to_all of u32 [", "neighbours.rs:"],
    ));
    all
}

/// A value that tells senders, edges and places apart.
fn value(from: u32, edge: usize, place: usize) -> u64 {
    u64::from(from) << 32 | (edge as u64) << 16 | place as u64
}

/// Where what is sent along an edge comes from: the rank, and its number among the sender's edges.
type Origin = (u32, usize);

/// One rank's edges as the program gives them, and what arrives with each source.
struct Edges {
    to: Vec<u32>,
    from: Vec<u32>,
    origins: Vec<Origin>,
}

/// The edges of rank `me` in the graph in which rank r sends to `to(r)`. Sources are taken round by round: the first edge of
/// each rank, beginning somewhere, then the second ones.
fn edges(me: u32, ranks: u32, to: impl Fn(u32) -> Vec<u32>) -> Edges {
    let mut of: Vec<Vec<Origin>> = (0..ranks)
        .map(|i| (i + me * 3) % ranks)
        .map(|r| to(r).iter().enumerate().filter(|e| *e.1 == me).map(|(edge, _)| (r, edge)).collect())
        .collect();
    let mut origins = Vec::new();
    while of.iter().any(|list| !list.is_empty()) {
        origins.extend(of.iter_mut().filter(|list| !list.is_empty()).map(|list| list.remove(0)));
    }
    Edges { to: to(me), from: origins.iter().map(|o| o.0).collect(), origins }
}

/// Every collective on a graph. `origins`: whose edge each source is, `None` at a wall.
fn check(world: &mut World, graph: &Graph, origins: &[Option<Origin>]) -> Outcome<()> {
    let (me, out) = (world.rank(), graph.destinations().len());
    let same = |parts: &Parts<u64>, what: &str, expected: &dyn Fn(Origin) -> Vec<u64>| {
        assert_eq!(parts.len(), origins.len());
        for (i, origin) in origins.iter().enumerate() {
            assert_eq!(parts[i], origin.map(expected).unwrap_or_default(), "{what}, from {origin:?}");
        }
    };
    let gathered = |rank: u32, len: usize| (0..len).map(|i| value(rank, 99, i)).collect::<Vec<_>>();
    let len = |rank: u32| [5, 0, 1300, 1, 64][rank as usize % 5];
    let part = |rank: u32, edge: usize, len: usize| (0..len).map(|i| value(rank, edge, i)).collect::<Vec<_>>();
    let edge_len = |rank: u32, edge: usize| [2, 900, 0, 31][(rank as usize + edge) % 4];
    let parts = |len: &dyn Fn(usize) -> usize| (0..out).map(|edge| part(me, edge, len(edge))).collect::<Vec<_>>();

    // All that can be started flies meanwhile; they are waited for from the last to the first.
    let gathering = world.start_neighbour_all_gather(graph, gathered(me, len(me)));
    let dealing = world.start_neighbour_all_to_all(graph, parts(&|edge| edge_len(me, edge)));
    for fixed in [0, 3, 1100] {
        let came = world.neighbour_all_gather(graph, &gathered(me, fixed))?;
        same(&came, "all_gather", &|(rank, _)| gathered(rank, fixed));
        let came = world.neighbour_all_to_all(graph, fixed, &parts(&|_| fixed).concat())?;
        same(&came, "all_to_all", &|(rank, edge)| part(rank, edge, fixed));
    }
    let came = world.neighbour_all_gather_v(graph, &gathered(me, len(me)))?;
    same(&came, "all_gather_v", &|(rank, _)| gathered(rank, len(rank)));
    let counts: Vec<u64> = (0..out).map(|edge| edge_len(me, edge) as u64).collect();
    let came = world.neighbour_all_to_all_v(graph, &parts(&|edge| edge_len(me, edge)).concat(), &counts)?;
    same(&came, "all_to_all_v", &|(rank, edge)| part(rank, edge, edge_len(rank, edge)));
    same(&dealing.wait()?, "started all_to_all", &|(rank, edge)| part(rank, edge, edge_len(rank, edge)));
    same(&gathering.wait()?, "started all_gather", &|(rank, _)| gathered(rank, len(rank)));
    Ok(())
}

fn neighbours_on_graphs(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let random = |seed: u64| {
        move |rank: u32| {
            let mut dice = Dice::of(seed, rank.into());
            (0..dice.below(6)).map(|_| dice.below(ranks.into()) as u32).collect::<Vec<_>>()
        }
    };
    let graphs: Vec<Box<dyn Fn(u32) -> Vec<u32>>> = vec![
        Box::new(|_| vec![]),
        Box::new(move |r| vec![(r + 1) % ranks]),
        Box::new(|_| vec![0]),
        Box::new(move |r| if r == 0 { (0..ranks).rev().collect() } else { vec![] }),
        Box::new(move |r| vec![r, (r + 1) % ranks, r, (r + 1) % ranks, 0]),
        Box::new(random(1)),
        Box::new(random(2)),
        Box::new(random(3)),
    ];
    for to in graphs {
        let Edges { to, from, origins } = edges(me, ranks, to);
        let graph = world.graph(&to, &from)?;
        let origins: Vec<_> = origins.into_iter().map(Some).collect();
        check(world, &graph, &origins)?;
    }
    Ok(())
}

/// Extents that all ranks fill, on one to three axes, and which axes are periodic.
fn grids(ranks: u32) -> Vec<(Vec<u32>, Vec<bool>)> {
    let shapes = [
        vec![ranks],
        vec![1, ranks],
        Cartesian::balanced(ranks, 2),
        Cartesian::balanced(ranks, 2).into_iter().rev().collect(),
        Cartesian::balanced(ranks, 3),
    ];
    let mut grids = Vec::new();
    for dims in shapes {
        for bits in 0..1u32 << dims.len() {
            grids.push((dims.clone(), (0..dims.len()).map(|axis| bits >> axis & 1 == 1).collect()));
        }
    }
    grids
}

/// The neighbour of `rank` on an axis, above or below, by plain counting: the last axis runs fastest.
fn neighbour(dims: &[u32], periodic: &[bool], rank: u32, axis: usize, above: bool) -> Option<u32> {
    let stride: u32 = dims[axis + 1..].iter().product();
    let (at, last) = (rank / stride % dims[axis], dims[axis] - 1);
    match above {
        true if at < last => Some(rank + stride),
        false if at > 0 => Some(rank - stride),
        _ if !periodic[axis] => None,
        true => Some(rank - at * stride),
        false => Some(rank + last * stride),
    }
}

/// What is sent down on an axis arrives from above, and the other way round.
fn origins(dims: &[u32], periodic: &[bool], me: u32) -> Vec<Option<Origin>> {
    (0..2 * dims.len()).map(|i| Some((neighbour(dims, periodic, me, i / 2, i % 2 == 1)?, i ^ 1))).collect()
}

fn neighbours_on_grids(world: &mut World) -> Outcome<()> {
    let me = world.rank();
    for (dims, periodic) in grids(world.size()) {
        let graph = world.cartesian(&Cartesian::new(&dims, &periodic));
        check(world, &graph, &origins(&dims, &periodic, me))?;
    }
    Ok(())
}

/// Types of which not every bit pattern is a value, and one of odd size.
fn neighbours_of_other_types(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let ring = world.cartesian(&Cartesian::new(&[ranks], &[true]));
    let (below, above) = ((me + ranks - 1) % ranks, (me + 1) % ranks);
    let letter = |rank: u32| char::from_u32('α' as u32 + rank).expect("a letter");
    assert_eq!(world.neighbour_all_gather(&ring, &[letter(me)])?.as_slice(), [letter(below), letter(above)]);
    let odd = |rank: u32| vec![rank % 2 == 1; 5000];
    let started = world.start_neighbour_all_gather(&ring, odd(me));
    assert_eq!(world.neighbour_all_gather_v(&ring, &odd(me))?.into_vec(), [odd(below), odd(above)].concat());
    assert_eq!(started.wait()?.into_vec(), [odd(below), odd(above)].concat());
    let triple = |rank: u32, way: u8| [rank as u8, way, 7];
    let came = world.neighbour_all_to_all(&ring, 1, &[triple(me, 0), triple(me, 1)])?;
    assert_eq!(came.as_slice(), [triple(below, 1), triple(above, 0)]);
    Ok(())
}

fn neighbours_by_plan(world: &mut World) -> Outcome<()> {
    let me = world.rank();
    for (dims, periodic) in grids(world.size()) {
        let len = |rank: u32, i: usize| [4, 0, 700, 33, 1][(rank as usize * 3 + i) % 5];
        let lens: Vec<[usize; 2]> = (0..dims.len()).map(|axis| [len(me, 2 * axis), len(me, 2 * axis + 1)]).collect();
        let mut plan = world.cartesian_plan::<u64>(&Cartesian::new(&dims, &periodic), &lens)?;
        let origins = origins(&dims, &periodic, me);
        for round in 0..3 {
            for i in 0..2 * dims.len() {
                let wall = neighbour(&dims, &periodic, me, i / 2, i % 2 == 1).is_none();
                let values = plan.outgoing(i);
                assert_eq!(values.len(), if wall { 0 } else { len(me, i) });
                values.iter_mut().enumerate().for_each(|(place, v)| *v = value(me, i, place + 1000 * round));
            }
            plan.start(world)?;
            plan.finish()?;
            for (i, origin) in origins.iter().enumerate() {
                let expected = origin.map(|(rank, edge)| {
                    (0..len(rank, edge)).map(|place| value(rank, edge, place + 1000 * round)).collect::<Vec<_>>()
                });
                assert_eq!(plan.incoming(i), expected.unwrap_or_default(), "from {origin:?}");
            }
        }
    }
    Ok(())
}

/// The ranks of a split have numbers of their own.
fn neighbours_in_a_split(world: &mut World) -> Outcome<()> {
    let me = world.rank();
    let color = me % 2;
    world.with_split(color, |half| {
        let (here, ranks) = (half.rank(), half.size());
        let ring = half.graph(&[(here + 1) % ranks], &[(here + ranks - 1) % ranks])?;
        let below = (here + ranks - 1) % ranks * 2 + color;
        assert_eq!(half.neighbour_all_gather(&ring, &[me])?.as_slice(), [below]);
        let refused = half.graph(&[0], &[]).expect_err("nobody expects it").to_string();
        assert!(refused.contains(" sends [1] edges to rank 0, which expects []"), "{refused}");
        Ok(())
    })
}

fn neighbours_that_disagree_are_refused(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let (above, below, last) = ((me + 1) % ranks, (me + ranks - 1) % ranks, ranks - 1);
    // One edge that nobody receives; one that nobody sends; one of two that is not expected.
    let sent = world.graph(if me == last { &[0] } else { &[] }, &[]);
    let due = world.graph(&[], if me == last { &[0] } else { &[] });
    let twice = world.graph(&[above, above], &[below]);
    let twice_at_0 = world.graph(&[above, above], &if me == 0 { vec![below] } else { vec![below, below] });
    for (refused, words) in [
        (sent, format!("rank {last} sends [1] edges to rank 0, which expects []")),
        (due, format!("rank 0 sends [] edges to rank {last}, which expects [1]")),
        (twice, format!("rank {last} sends [1, 1] edges to rank 0, which expects [1]")),
        (twice_at_0, format!("rank {last} sends [1, 1] edges to rank 0, which expects [1]")),
    ] {
        let refused = refused.expect_err("the two sides disagree").to_string();
        assert!(refused.contains(&words) && refused.contains("graph at tests/src/bodies/neighbours.rs:"), "{refused}");
    }
    // It was an agreement: the communicator goes on.
    let ring = world.graph(&[above], &[below])?;
    assert_eq!(world.neighbour_all_gather(&ring, &[me])?.as_slice(), [below]);
    // A graph stays with its communicator.
    let elsewhere =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Comm::alone().neighbour_all_gather(&ring, &[me])));
    assert!(elsewhere.is_err());
    Ok(())
}

fn neighbours_on_another_grid(world: &mut World) -> Outcome<()> {
    let grid = world.cartesian(&Cartesian::new(&[world.size()], &[world.rank() == 0]));
    world.neighbour_all_gather(&grid, &[1u32])?;
    Ok(())
}

fn neighbours_with_another_block(world: &mut World) -> Outcome<()> {
    let ring = world.cartesian(&Cartesian::new(&[world.size()], &[true]));
    let block = if world.rank() == 0 { 3 } else { 2 };
    world.neighbour_all_to_all(&ring, block, &vec![1u32; 2 * block])?;
    Ok(())
}
