//! The bodies with ranks as processes, started by mpirun.
#![cfg(feature = "mpi")]

use physalia_tests::launch::{launcher, most_ranks, mpirun, run_all as run_bodies};
use physalia_tests::mutants::{self, Mutant};
use physalia_tests::{Body, End, SCHEDULES, all, check_bad_end, clock};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
const BODIES: &str = env!("CARGO_BIN_EXE_bodies");

fn launch(ranks: u32, threads: u32, program: &str, words: &[&str]) -> clock::Ended {
    launch_with(ranks, threads, program, words, "on")
}

/// `board`: whether the ranks share memory (`on`), or have messages only, as between hosts (`off`).
fn launch_with(ranks: u32, threads: u32, program: &str, words: &[&str], board: &str) -> clock::Ended {
    clock::run(command(ranks, threads, program, board).args(words), LIMIT)
}

fn command(ranks: u32, threads: u32, program: &str, board: &str) -> Command {
    let mut command = mpirun(ranks);
    command.env("PHYSALIA_THREADS", threads.to_string()).env("PHYSALIA_BOARD", board).arg(program);
    command
}

fn run_all(ranks: u32, threads: u32, bodies: &[Body], board: &str) {
    let context = format!("{ranks} ranks × {threads} threads, board {board}");
    run_bodies(bodies, &context, || command(ranks, threads, BODIES, board), LIMIT);
}

/// Those of these numbers of ranks that this MPI is good for.
fn sizes(of: &[u32]) -> Vec<u32> {
    of.iter().copied().filter(|&ranks| ranks <= most_ranks()).collect()
}

fn well() -> Vec<Body> {
    all().into_iter().filter(|b| b.end == End::Well).collect()
}

/// One test, so that launches do not fight for the cores.
#[test]
fn all_bodies_on_one_to_eight_ranks() {
    for ranks in sizes(&[1, 2, 3, 4, 8]) {
        run_all(ranks, 1, &well(), "on");
    }
    let sums: Vec<Body> =
        well().into_iter().filter(|b| b.name.contains("sum") || b.name.contains("reduction")).collect();
    assert!(sums.len() >= 4, "{sums:?}");
    for (ranks, threads) in [(1, 2), (1, 4), (2, 2), (2, 4), (3, 2), (3, 4), (5, 1), (5, 2), (5, 4), (8, 2), (8, 4)] {
        if ranks <= most_ranks() {
            run_all(ranks, threads, &sums, "on");
        }
    }
}

#[test]
fn bad_ends_have_their_code_and_words() {
    for body in all().into_iter().filter(|b| b.end != End::Well) {
        for board in ["on", "off"] {
            check_bad_end(&body, &launch_with(most_ranks().min(3), 1, BODIES, &[body.name], board));
        }
    }
}

/// What goes by the board goes by messages, too: as it must between hosts.
#[test]
fn all_bodies_without_a_board() {
    for ranks in sizes(&[2, 3, 8]) {
        run_all(ranks, 1, &well(), "off");
    }
}

/// Nothing depends on the level of checking; what memory rests on is compared at every one.
#[test]
fn all_bodies_at_every_level() {
    let names: Vec<&str> = well().iter().map(|b| b.name).collect();
    for (level, board) in [("off", "off"), ("full:7", "on"), ("full", "off")] {
        let mut command = command(sizes(&[2, 3]).pop().expect("two"), 1, BODIES, board);
        let ended = clock::run(command.args(&names).env("PHYSALIA_CHECK", level), Duration::from_secs(180));
        let good = ended.stdout.lines().filter(|line| line.starts_with("ok ")).count();
        assert_eq!((ended.code, good), (Some(0), names.len()), "{level}: {ended:?}");
        let told = ended.stderr.matches(&format!("PHYSALIA_CHECK={level}")).count();
        assert_eq!(told, usize::from(level.starts_with("full")), "{level}: {}", ended.stderr);
    }
    for body in all() {
        if ["another_type", "another_length", "neighbours_with_another_block"].contains(&body.name) {
            let mut command = command(2, 1, BODIES, "off");
            command.arg(body.name);
            check_bad_end(&body, &clock::run(command.env("PHYSALIA_CHECK", "off"), Duration::from_secs(60)));
        }
    }
}

/// Every algorithm, MPI's own among them.
#[test]
fn reductions_and_vectors_by_every_schedule() {
    let names = ["reductions_of_every_order", "floats_keep_their_bits", "vectors_of_every_length"];
    for (i, schedule) in SCHEDULES.into_iter().enumerate() {
        let ranks = sizes(&[2, [3, 4, 5][i % 3]]).pop().expect("two ranks at least");
        let mut command = command(ranks, 1, BODIES, "on");
        let ended = clock::run(command.args(names).env("PHYSALIA_SCHEDULE", schedule), LIMIT);
        let good = ended.stdout.lines().filter(|line| line.starts_with("ok ")).count();
        assert_eq!((ended.code, good), (Some(0), names.len()), "{schedule} on {ranks} ranks: {ended:?}");
    }
}

/// Random programs of all collectives against what each must give.
#[test]
fn random_programs() {
    let seeds: Vec<String> = (0..8).map(|seed| seed.to_string()).collect();
    for ranks in sizes(&[1, 2, 3, 4, 5, 6, 7, 8]) {
        for board in ["on", "off"] {
            let ended = clock::run(command(ranks, 1, env!("CARGO_BIN_EXE_program"), board).args(&seeds), LIMIT);
            let good = ended.stdout.lines().filter(|line| line.starts_with("ok ")).count();
            assert_eq!((ended.code, good), (Some(0), seeds.len()), "{ranks} ranks, board {board}: {ended:?}");
        }
    }
}

/// Rank 0's level holds for all.
#[test]
fn a_level_that_differs_between_ranks() {
    for (first, others, told) in [("light", "full", 0), ("full:3", "off", 1)] {
        let mut command = mpirun(1);
        let [first, others] = [first, others].map(|level| format!("PHYSALIA_CHECK={level}"));
        command.args(["env", &first, BODIES, "all_to_all", ":", "-n", "1", "env", &others, BODIES, "all_to_all"]);
        let ended = clock::run(&mut command, Duration::from_secs(60));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stderr.matches("PHYSALIA_CHECK=full").count(), told, "{ended:?}");
    }
}

/// A setting that differs between ranks is no trap: all have a board, or none.
#[test]
fn a_board_that_one_rank_does_not_want() {
    let mut command = launcher();
    command.args(["-n", "1", "env", "PHYSALIA_BOARD=off", BODIES, "reductions", ":"]);
    command.args(["-n", if most_ranks() > 2 { "2" } else { "1" }, BODIES, "reductions"]);
    let ended = clock::run(&mut command, Duration::from_secs(60));
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// Messages longer than one MPI call can count go in pieces; here the limit is low.
#[test]
fn long_messages_go_in_pieces() {
    let names: Vec<&str> = well().iter().map(|b| b.name).collect();
    let mut command = command(most_ranks().min(3), 1, BODIES, "off");
    let ended = clock::run(command.args(&names).env("PHYSALIA_MPI_PIECE", "10007"), LIMIT);
    let good = ended.stdout.lines().filter(|line| line.starts_with("ok ")).count();
    assert_eq!((ended.code, good), (Some(0), names.len()), "{ended:?}");
}

/// One rank's copy of a right program is changed in one place: every job ends, and says where the ranks were.
#[test]
fn mutants_end_and_are_named() {
    for seed in 0..mutants::count() {
        let (mutant, board) = (Mutant::of(seed), if seed % 2 == 0 { "off" } else { "on" });
        if mutant.ranks > most_ranks() {
            continue;
        }
        let mut command = command(mutant.ranks, 1, env!("CARGO_BIN_EXE_mutant"), board);
        command.arg(seed.to_string());
        if mutant.loops() {
            command.env("PHYSALIA_STALL", "1:kill");
        }
        mutant.check(&clock::run(&mut command, Duration::from_secs(60)));
    }
}

/// Told, and ended only where that is asked for; here without the side channel (`tests/watch.rs` is with it).
#[test]
fn a_long_wait_is_told() {
    let told = "a long wait, seen from";
    for (stall, code, words) in [("1.2", 0, told), ("1.2:kill", 1, "as long as PHYSALIA_STALL allows:")] {
        // Without a board either, a rank speaks for itself, and whichever is first to end the job is the last to speak.
        for (board, rank_0, rank_1) in [("on", "rank 0 is computing", "rank 1 waits "), ("off", "", " waits ")] {
            let mut command = command(most_ranks().min(3), 1, env!("CARGO_BIN_EXE_waiting"), board);
            command.arg("3").env("PHYSALIA_WATCH", "off").env("PHYSALIA_STALL", stall);
            let ended = clock::run(&mut command, Duration::from_secs(60));
            assert_eq!(ended.code, Some(code), "{ended:?}");
            for words in [words, rank_0, rank_1, "barrier of () [0, 0] at tests/"] {
                assert!(ended.stderr.contains(words), "no {words:?} in {ended:?}");
            }
        }
    }
}

/// One after the other is good; on another thread, or two at once, is refused in words: MPI belongs to one thread.
#[test]
fn more_jobs_than_one() {
    let says = |mode: &str| {
        let ended = launch(2, 1, env!("CARGO_BIN_EXE_jobs"), &[mode]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    };
    assert_eq!(says("again").matches("again: 2 ranks\n").count(), 6);
    let elsewhere = says("elsewhere");
    assert_eq!(elsewhere.matches("here: 2 ranks\n").count(), 2);
    assert_eq!(elsewhere.matches("elsewhere: MPI was started by another thread").count(), 2, "{elsewhere}");
    let together = says("together");
    assert_eq!(together.matches("first: 2 ranks\n").count(), 2);
    assert_eq!(together.matches("second: two jobs at once in one MPI process").count(), 1, "{together}");
}

/// Waiting ranks leave the cores to those that work: seven that spun would use all of them.
#[test]
fn a_waiting_world_rests() {
    let ended = launch(most_ranks(), 1, env!("CARGO_BIN_EXE_waiting"), &["3"]);
    let number = |line: &str| line.split(": ").nth(1)?.split(' ').next()?.parse::<f64>().ok();
    let used = ended.stdout.lines().find_map(number).unwrap_or_else(|| panic!("{ended:?}"));
    assert!(used < 1.5, "{ended:?}");
}
