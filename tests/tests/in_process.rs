//! The bodies with ranks as threads of one process.

use physalia::Launch;
use physalia_tests::mutants::{self, Mutant};
use physalia_tests::programs::Program;
use physalia_tests::{Body, End, SCHEDULES, all, check_bad_end, clock};
use std::process::Command;
use std::time::Duration;

fn run_all(ranks: u32, threads: usize) {
    for body in all().into_iter().filter(|b| b.end == End::Well) {
        let result =
            clock::ends(move || Launch::from_env().ranks(ranks).threads(threads).run(body.run).map(|v| v.len()));
        match result {
            Ok(values) => assert_eq!(values, ranks as usize),
            Err(abort) => panic!("{body:?} on {ranks} ranks × {threads} threads: {abort}"),
        }
    }
}

macro_rules! layouts {
    ($($name:ident: $ranks:literal, $threads:literal;)*) => {
        $(#[test]
        fn $name() {
            run_all($ranks, $threads);
        })*
    };
}

layouts! {
    one_rank: 1, 1;
    one_rank_of_two: 1, 2;
    one_rank_of_four: 1, 4;
    two_ranks: 2, 1;
    two_ranks_of_two: 2, 2;
    three_ranks: 3, 1;
    three_ranks_of_four: 3, 4;
    four_ranks: 4, 1;
    five_ranks: 5, 1;
    five_ranks_of_two: 5, 2;
    eight_ranks_of_two: 8, 2;
    sixteen_ranks: 16, 1;
    thirty_three_ranks: 33, 1;
}

/// Random programs of all collectives against what each must give.
#[test]
fn random_programs() {
    for ranks in (1..=9).chain([16, 33]) {
        for seed in 0..8u64 {
            let program = Program::of(seed, ranks);
            let words = format!("seed {seed} on {ranks} ranks: {program:?}");
            let job = Launch::from_env().ranks(ranks).threads(1);
            let ended = clock::ends(move || job.run(move |world| program.run(world)).map(drop));
            ended.unwrap_or_else(|abort| panic!("{abort}\n{words}"));
        }
    }
}

/// The same by messages alone.
#[test]
fn random_programs_without_a_board() {
    for ranks in ["2", "3", "5", "8", "16"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_program"));
        command.env("PHYSALIA_RANKS", ranks).env("PHYSALIA_THREADS", "1").env("PHYSALIA_BOARD", "off");
        let ended = clock::run(command.args((0..8).map(|seed| seed.to_string())), Duration::from_secs(60));
        assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 8), "{ranks} ranks: {ended:?}");
    }
}

/// A process of its own, with a board or without.
fn bodies(names: &[&str], ranks: &str, board: &str) -> clock::Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bodies"));
    command.args(names).env("PHYSALIA_RANKS", ranks).env("PHYSALIA_THREADS", "2").env("PHYSALIA_BOARD", board);
    clock::run(&mut command, Duration::from_secs(60))
}

/// What goes by the board goes by messages, too: as it must between hosts.
#[test]
fn all_bodies_without_a_board() {
    let names: Vec<&str> = all().iter().filter(|b| b.end == End::Well).map(|b| b.name).collect();
    for ranks in ["2", "3", "8"] {
        let ended = bodies(&names, ranks, "off");
        assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), names.len()), "{ended:?}");
    }
}

/// Every algorithm, wherever it is right.
#[test]
fn all_bodies_by_every_schedule() {
    let names: Vec<&str> = all().iter().filter(|b| b.end == End::Well).map(|b| b.name).collect();
    let some = ["reductions_of_every_order", "floats_keep_their_bits", "vectors_of_every_length"];
    for schedule in SCHEDULES {
        for (ranks, names) in [("4", &names[..]), ("2", &some), ("3", &some), ("7", &some), ("8", &some)] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_bodies"));
            command.args(names).env("PHYSALIA_RANKS", ranks).env("PHYSALIA_SCHEDULE", schedule);
            let ended = clock::run(&mut command, Duration::from_secs(120));
            assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), names.len()), "{schedule}: {ended:?}");
        }
    }
}

/// Grids and graphs of more ranks, also where their number has several factors.
#[test]
fn neighbours_on_more_ranks() {
    let some: Vec<Body> =
        all().into_iter().filter(|b| b.end == End::Well && b.name.starts_with("neighbours_")).collect();
    assert!(some.len() >= 5, "{some:?}");
    for ranks in [6, 7, 9, 16] {
        for body in some.clone() {
            let run = move || Launch::from_env().ranks(ranks).threads(1).run(body.run).map(|v| v.len());
            let values = clock::ends(run).unwrap_or_else(|abort| panic!("{body:?} on {ranks} ranks: {abort}"));
            assert_eq!(values, ranks as usize);
        }
    }
}

/// A process of its own, at a level of checking.
fn at_level(names: &[&str], level: &str, board: &str) -> clock::Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bodies"));
    command.args(names).env("PHYSALIA_RANKS", "3").env("PHYSALIA_THREADS", "2").env("PHYSALIA_BOARD", board);
    clock::run(command.env("PHYSALIA_CHECK", level), Duration::from_secs(120))
}

/// Nothing depends on the level, neither results nor an order of events.
#[test]
fn all_bodies_at_every_level() {
    let names: Vec<&str> = all().iter().filter(|b| b.end == End::Well).map(|b| b.name).collect();
    for (level, board) in [("off", "on"), ("off", "off"), ("full:7", "on"), ("full:8", "off"), ("full", "off")] {
        let ended = at_level(&names, level, board);
        assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), names.len()), "{level}: {ended:?}");
        let told = ended.stderr.matches(&format!("PHYSALIA_CHECK={level}")).count();
        assert_eq!(told, usize::from(level.starts_with("full")), "{level}: {}", ended.stderr);
    }
}

/// What memory rests on is compared at every level; what it does not, is not at level `off`.
#[test]
fn types_and_lengths_are_compared_when_checks_are_off() {
    for body in all() {
        match body.name {
            "another_type" | "another_length" | "neighbours_with_another_block" | "mailboxes_of_another_type" => {
                check_bad_end(&body, &at_level(&[body.name], "off", "off"));
            }
            "another_line" => {
                check_bad_end(&body, &at_level(&[body.name], "full", "off"));
                let ended = at_level(&[body.name], "off", "off");
                assert_eq!(ended.code, Some(0), "{ended:?}");
                check_bad_end(&body, &at_level(&[body.name], "off", "on")); // the stamp is the flag
            }
            _ => {}
        }
    }
}

#[test]
fn a_level_that_is_none_is_refused_by_name() {
    let ended = at_level(&["reductions"], "most", "on");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("PHYSALIA_CHECK=most: `off`, `light`, `full`"), "{ended:?}");
}

/// Each in a process of its own: some leave it.
#[test]
fn bad_ends_have_their_code_and_words() {
    for (ranks, board) in [("2", "on"), ("5", "on"), ("2", "off"), ("5", "off")] {
        for body in all().into_iter().filter(|b| matches!(b.end, End::Badly { .. })) {
            check_bad_end(&body, &bodies(&[body.name], ranks, board));
        }
    }
}

#[test]
fn more_jobs_than_one() {
    for (mode, lines) in [("again", 3), ("elsewhere", 2), ("together", 2)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jobs"));
        let ended = clock::run(command.arg(mode).env("PHYSALIA_RANKS", "2"), Duration::from_secs(30));
        assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), lines), "{ended:?}");
    }
}

/// With nobody to read why it failed, a job still ends with its code.
#[test]
fn a_closed_stderr_is_no_failure_of_its_own() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_bodies"));
    command.arg("err_while_others_wait").env("PHYSALIA_RANKS", "2").stderr(writer);
    assert_eq!(command.status().unwrap().code(), Some(1));
}

/// Waiting ranks and their workers leave the cores to those that work: one that spun would use all of a core, all together
/// use less than a hundredth of one.
#[test]
fn a_waiting_world_rests() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waiting"));
    command.arg("10").env("PHYSALIA_RANKS", "8").env("PHYSALIA_THREADS", "2");
    let ended = clock::run(&mut command, Duration::from_secs(60));
    assert!(waited(&ended) < 0.1, "{ended:?}");
    // The same as pinned workers do it, which spin for a while.
    let mut command = Command::new(env!("CARGO_BIN_EXE_waiting"));
    command.arg("2").env("PHYSALIA_RANKS", "1").env("PHYSALIA_IDLE", "1000").env_remove("PHYSALIA_THREADS");
    let ended = clock::run(&mut command, Duration::from_secs(60));
    assert!(waited(&ended) < 0.02, "{ended:?}");
    command.env("PHYSALIA_IDLE", "spin");
    let ended = clock::run(&mut command, Duration::from_secs(60));
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    assert!(cores == 1 || waited(&ended) > 0.2, "they do not spin: {ended:?}");
}

/// One rank's copy of a right program is changed in one place: every job ends, and says where the ranks were.
#[test]
fn mutants_end_and_are_named() {
    for seed in 0..mutants::count() {
        let mutant = Mutant::of(seed);
        let mut command = Command::new(env!("CARGO_BIN_EXE_mutant"));
        command.arg(seed.to_string()).env("PHYSALIA_RANKS", mutant.ranks.to_string()).env("PHYSALIA_THREADS", "1");
        command.env("PHYSALIA_BOARD", if seed % 2 == 0 { "off" } else { "on" });
        if mutant.loops() {
            command.env("PHYSALIA_STALL", "0.3:kill");
        }
        mutant.check(&clock::run(&mut command, Duration::from_secs(30)));
    }
}

/// Told, and ended only where that is asked for.
#[test]
fn a_long_wait_is_told() {
    for (stall, code, words) in [("0.3", 0, "a long wait:"), ("0.3:kill", 1, "as long as PHYSALIA_STALL allows:")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waiting"));
        command.arg("1").env("PHYSALIA_RANKS", "3").env("PHYSALIA_STALL", stall);
        let ended = clock::run(&mut command, Duration::from_secs(60));
        assert_eq!(ended.code, Some(code), "{ended:?}");
        for words in [words, "rank 0 is computing", "rank 1 waits ", "barrier of () [0, 0] at tests/"] {
            assert!(ended.stderr.contains(words), "no {words:?} in {ended:?}");
        }
    }
}

/// Processor seconds, as `waiting` prints them.
fn waited(ended: &clock::Ended) -> f64 {
    let number = |line: &str| line.split(": ").nth(1)?.split(' ').next()?.parse().ok();
    ended.stdout.lines().find_map(number).unwrap_or_else(|| panic!("{ended:?}"))
}
