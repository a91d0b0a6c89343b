//! One pattern of bits: sums, dot products and norms of nasty data on any number of ranks and threads, in process and under
//! mpirun, with a board and without, against the rule computed serially.

use physalia_tests::{bits, clock};
use std::process::Command;
use std::time::Duration;

const BITS: &str = env!("CARGO_BIN_EXE_bits");

fn lines(command: &mut Command, threads: u32, board: &str) -> Vec<String> {
    command.env("PHYSALIA_THREADS", threads.to_string()).env("PHYSALIA_BOARD", board);
    let ended = clock::run(command, Duration::from_secs(120));
    assert_eq!(ended.code, Some(0), "{command:?}: {ended:?}");
    ended.stdout.lines().map(String::from).collect()
}

fn in_process(ranks: u32, threads: u32, board: &str, words: &[&str]) -> Vec<String> {
    lines(Command::new(BITS).args(words).env("PHYSALIA_RANKS", ranks.to_string()), threads, board)
}

fn check(lines: &[String], expected: &[String], layout: &str) {
    assert_eq!(lines.len(), expected.len(), "{layout}");
    let wrong: Vec<_> = lines.iter().zip(expected).filter(|(is, must)| is != must).collect();
    assert!(wrong.is_empty(), "{layout}: {wrong:#?}");
}

#[test]
fn one_pattern_in_process() {
    let expected = bits::expected();
    for ranks in [1, 2, 3, 5, 8] {
        for threads in [1, 2, 4] {
            for board in ["on", "off"] {
                let layout = format!("{ranks} ranks × {threads} threads, board {board}");
                check(&in_process(ranks, threads, board, &[]), &expected, &layout);
            }
        }
    }
}

#[cfg(feature = "mpi")]
#[test]
fn one_pattern_under_mpirun() {
    let expected = bits::expected();
    for (ranks, threads) in [(1, 4), (2, 2), (3, 1), (3, 4), (5, 1), (5, 2), (8, 1), (8, 2)] {
        for board in ["on", "off"] {
            let mut command = Command::new("mpirun");
            // As root in a container, and with more ranks than cores, Open MPI wants to be told that this is meant.
            command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
            command.env("OMPI_MCA_rmaps_base_oversubscribe", "1");
            command.args(["--bind-to", "none", "-n", &ranks.to_string(), BITS]);
            let layout = format!("mpirun, {ranks} ranks × {threads} threads, board {board}");
            check(&lines(&mut command, threads, board), &expected, &layout);
        }
    }
}

/// The data tell: plain additions, which is what `.fast()` makes, have other bits, for every kind of sum.
#[test]
fn plain_additions_would_be_found_out() {
    let (expected, plain) = (bits::expected(), in_process(1, 1, "on", &["fast"]));
    assert_eq!(plain.len(), expected.len());
    for what in [": par sum", ": sum", ": dot", ": norm", ": field"] {
        let differ = expected.iter().zip(&plain).filter(|(rule, plain)| rule.contains(what) && rule != plain).count();
        assert!(differ > 0, "no {what} tells plain additions");
    }
}
