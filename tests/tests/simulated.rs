//! Bodies, mutants and a program of a thousand ranks, simulated.

use physalia::collectives::Schedules;
use physalia::collectives::simulator::{LogGp, Report, Simulation, charge_ps};
use physalia::prelude::*;
use physalia::simulate;
use physalia_tests::clock::{self, Ended};
use physalia_tests::mutants::Mutant;
use physalia_tests::{End, SCHEDULES, all, check_bad_end};
use std::time::Duration;

/// Bodies that move or compute so much that a schedule of them is enough.
const LARGE: [&str; 8] = [
    "megabytes",
    "reductions_go_along_a_fixed_tree",
    "solutions_are_those_of_one_rank",
    "sorts_are_stable_and_even",
    "sorts_of_plain_values",
    "sums_of_a_million",
    "what_was_given_away_leaves_while_its_sender_computes",
    "who_waits_for_whom_changes",
];

/// All bodies that end well, for some seeds each; even ones delay messages, so that they overtake each other.
fn run_all(ranks: u32) {
    for body in all().into_iter().filter(|b| b.end == End::Well) {
        let seeds = if LARGE.contains(&body.name) || ranks > 16 { 1 } else { 3 };
        for seed in 0..seeds {
            let simulation = Simulation::new(ranks).seed(seed).delays((1 - seed % 2) * 20_000_000);
            let report = clock::ends(move || simulate(simulation, body.run));
            report.values().unwrap_or_else(|abort| panic!("{body:?} on {ranks} ranks, seed {seed}: {abort}"));
        }
    }
}

macro_rules! sizes {
    ($($name:ident: $ranks:expr;)*) => {
        $(#[test]
        fn $name() {
            $ranks.into_iter().for_each(run_all);
        })*
    };
}

sizes! {
    one_rank_to_four: 1..5;
    five_ranks_to_seven: 5..8;
    eight_and_nine_ranks: 8..10;
    sixteen_ranks: [16];
    thirty_three_ranks: [33];
}

/// Every algorithm, wherever it is right; messages are late, and long ones lent.
#[test]
fn every_schedule() {
    let some = ["reductions_of_every_order", "vectors_of_every_length"];
    for schedule in SCHEDULES {
        for (ranks, seed) in [(3, 0), (6, 1), (16, 2), (33, 3)] {
            for body in all().into_iter().filter(|b| some.contains(&b.name)) {
                let schedules = Schedules::parse(schedule).expect("a setting");
                let simulation = Simulation::new(ranks).seed(seed).delays(20_000_000).eager(100).schedules(schedules);
                let report = clock::ends(move || simulate(simulation, body.run));
                report.values().unwrap_or_else(|abort| panic!("{body:?} by {schedule} on {ranks} ranks: {abort}"));
            }
        }
    }
}

fn value(rank: u32, place: u32) -> u64 {
    u64::from(rank) * 1_000_003 + u64::from(place)
}

/// Every kind of collective once. `work`: what a rank computes before, in ps. Gives what differs from rank to rank.
fn a_dozen(world: &mut World, work: u64) -> Outcome<Vec<u64>> {
    let (me, ranks) = (world.rank(), world.size());
    let root = ranks / 3;
    // Neither commutes nor associates: only the order of ranks gives the result.
    let op = |a: u64, b: u64| a.wrapping_mul(31).wrapping_sub(b);
    let over = |end: u32, place: u32| (0..end).map(|r| value(r, place)).reduce(op);
    charge_ps(work);
    world.barrier()?;
    assert_eq!(world.broadcast(root, me)?, root);
    assert_eq!(Some(world.all_reduce(value(me, 1), By(op))?), over(ranks, 1));
    let mut vector = [value(me, 2), value(me, 3)];
    world.all_reduce_into(&mut vector, By(op))?;
    assert_eq!(vector.map(Some), [over(ranks, 2), over(ranks, 3)]);
    assert_eq!(world.reduce(root, value(me, 4), By(op))?, over(ranks, 4).filter(|_| me == root));
    assert!(world.all_gather(value(me, 5))?.into_iter().eq((0..ranks).map(|r| value(r, 5))));
    let scan = world.scan(value(me, 6), By(op))?;
    let exscan = world.exscan(value(me, 6), By(op))?;
    assert_eq!((Some(scan), exscan), (over(me + 1, 6), over(me, 6)));
    let gathered = world.gather(root, value(me, 7))?;
    assert_eq!(gathered.is_some(), me == root);
    assert!(gathered.into_iter().flatten().eq((0..if me == root { ranks } else { 0 }).map(|r| value(r, 7))));
    let dealt: Vec<u64> = (0..ranks).map(|r| value(r, 8)).collect();
    assert_eq!(world.scatter(root, (me == root).then_some(&dealt))?, value(me, 8));
    // To the next rank, and from some to one far away.
    let partners = |from: u32| {
        [(from + 1) % ranks, (from * 7 + 5) % ranks].into_iter().take(1 + usize::from(from.is_multiple_of(5)))
    };
    let messages = partners(me).map(|to| (to, vec![value(me, to); me as usize % 3])).collect();
    let expected = (0..ranks).flat_map(|from| {
        partners(from).filter(|&to| to == me).map(move |to| (from, vec![value(from, to); from as usize % 3]))
    });
    assert!(world.sparse_exchange(messages)?.into_iter().eq(expected));
    let color = me % 5;
    let members = || (0..ranks).filter(|r| r % 5 == color);
    let below = world.with_split(color, |sub| {
        assert!(sub.all_gather(me)?.into_iter().eq(members()));
        Ok(sub.exscan(1u64, Sum)?.unwrap_or(0))
    })?;
    assert_eq!(below, members().filter(|&r| r < me).count() as u64);
    let sum = world.par(0..5000 * u64::from(ranks)).map(|i| i).sum()?;
    assert_eq!(sum, (0..5000 * u64::from(ranks)).sum::<u64>());
    Ok(vec![scan, below])
}

#[test]
fn a_dozen_collectives_on_a_thousand_ranks() {
    let run = |seed, delays| {
        let simulation = Simulation::new(1024).seed(seed).delays(delays);
        let Report { results, stats } = simulate(simulation, |world| {
            let late = 1_000_000 * u64::from(world.rank() % 100);
            a_dozen(world, late)
        });
        (results.into_iter().map(|r| r.unwrap_or_else(|a| panic!("{a}"))).collect::<Vec<_>>(), stats)
    };
    let (values, stats) = run(1, 3_000_000);
    assert_eq!(run(1, 3_000_000), (values.clone(), stats.clone()));
    let (others, other) = run(2, 3_000_000);
    assert_eq!(values, others);
    assert_eq!((stats.messages(), stats.bytes()), (other.messages(), other.bytes()));
    assert_ne!((stats.order, stats.makespan_ps()), (other.order, other.makespan_ps()));
}

#[test]
fn all_to_all_among_two_hundred() {
    let report = simulate(Simulation::new(200).delays(5_000_000), |world| {
        let (me, ranks) = (world.rank(), world.size());
        let send: Vec<u64> = (0..ranks).map(|q| value(me, q)).collect();
        assert!(world.all_to_all(&send)?.into_iter().eq((0..ranks).map(|r| value(r, me))));
        let mut long: Vec<u64> = (0..1000).map(|i| value(me, i)).collect();
        world.all_reduce_into(&mut long, Max)?;
        assert!(long.into_iter().eq((0..1000).map(|i| value(ranks - 1, i))));
        Ok(())
    });
    assert_eq!(report.values().unwrap().len(), 200);
}

/// As the command would end.
fn ended<T>(report: Report<T>) -> Ended {
    let (code, stderr) = match report.values() {
        Ok(_) => (0, String::new()),
        Err(abort) => (i32::from(abort.exit_code()), format!("physalia: {abort}\n")),
    };
    Ended { code: Some(code), stdout: String::new(), stderr, took: Duration::ZERO }
}

/// One rank's copy of a right program is changed in one place: every job ends, in every order, and says where the ranks were.
/// (Those that compute for ever are for the clock of the world.)
#[test]
fn mutants_end_and_are_named() {
    for number in (0..100).filter(|&number| !Mutant::of(number).loops()) {
        for seed in 0..12 {
            let mutant = Mutant::of(number);
            // Some where all that can be is lent, some where messages cost nothing and all is drawn.
            let free = LogGp { latency_ps: 0, overhead_ps: 0, gap_ps: 0, byte_gap_ps: 0 };
            let model = if seed % 4 == 3 { free } else { LogGp::default() };
            let simulation = Simulation::new(mutant.ranks).seed(seed).model(model);
            let simulation = simulation.delays(seed % 3 * 4_000_000).eager(if seed % 2 == 0 { 0 } else { 4096 });
            let report = clock::ends(move || simulate(simulation, |world| mutant.run(world)));
            Mutant::of(number).check(&ended(report));
        }
    }
}

/// Those that end by an abort, and do not compute for seconds where nothing can be seen.
#[test]
fn bad_ends_have_their_words() {
    let by_abort = |end| matches!(end, End::Badly { code: 1, .. });
    let deaf = ["panic_while_others_are_deaf", "early_ok_while_others_compute"];
    for body in all().into_iter().filter(|b| by_abort(b.end) && !deaf.contains(&b.name)) {
        for ranks in [2, 5] {
            for seed in 0..4 {
                let simulation = Simulation::new(ranks).seed(seed).delays(seed % 2 * 5_000_000);
                check_bad_end(&body, &ended(clock::ends(move || simulate(simulation, body.run))));
            }
        }
    }
}

/// A rank dies somewhere in a body: all others end, for that reason.
#[test]
fn a_death_anywhere_ends_the_job() {
    let mut told = 0;
    for body in all().into_iter().filter(|b| b.end == End::Well && !LARGE.contains(&b.name)) {
        let length = simulate(Simulation::new(4), body.run).stats.makespan_ps();
        for seed in 0..6 {
            let simulation = Simulation::new(4).seed(seed).death_by_seed(length).detection(length / 10);
            let report = clock::ends(move || simulate(simulation, body.run));
            let words: Vec<String> =
                report.results.into_iter().filter_map(|result| Some(result.err()?.to_string())).collect();
            told += usize::from(words.len() == 4);
            assert!(words.iter().all(|w| w.contains("is gone") && *w == words[0]), "{body:?}, seed {seed}: {words:?}");
        }
    }
    assert!(told > 100, "{told}");
}
