//! Placement and locality on machines with several NUMA nodes, which `machines/numa-vm` simulates: a test that is outside has
//! one of the same name with `inside_` run in the guest. `PHYSALIA_TEST_NUMA=all` (`make numa`) has more machines.
#![cfg(feature = "mpi")]

use physalia_tests::{clock, guest, launch, program, skipped};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Far beyond any healthy run by a guest's clock, which may run ten times too fast. The limit is the guest's own.
const LIMIT: Duration = Duration::from_secs(7200);

#[test]
fn two_nodes() {
    outside("inside_two_nodes", &["--nodes", "2", "--cpus", "8"]);
}

#[test]
fn four_nodes() {
    if all() {
        outside("inside_four_nodes", &["--nodes", "4", "--cpus", "8"]);
    }
}

/// A node of three processors, two of which are off line, one of four, and one of memory alone.
#[test]
fn uneven_nodes() {
    if all() {
        outside("inside_uneven_nodes", &["--layout", "3:768M,4:768M,0:512M", "--offline", "1,2"]);
    }
}

/// Whether the machines that `make test` leaves out are wanted.
fn all() -> bool {
    std::env::var("PHYSALIA_TEST_NUMA").is_ok_and(|which| which == "all")
}

fn outside(name: &str, machine: &[&str]) {
    if program(env!("CARGO_BIN_EXE_bodies")).is_none() {
        return skipped(name, "the command `physalia` is not built");
    }
    if let Err(why) = guest::run(machine, name, Duration::from_secs(240)) {
        skipped(name, &why);
    }
}

#[test]
#[ignore = "runs in a guest"]
fn inside_two_nodes() {
    if guest::inside() {
        one_rank_spans(&[(0, "0-3"), (1, "4-7")]);
        ranks_keep_to_their_nodes(&[(0, "0-3"), (1, "4-7")]);
    }
}

#[test]
#[ignore = "runs in a guest"]
fn inside_four_nodes() {
    if guest::inside() {
        one_rank_spans(&[(0, "0-1"), (1, "2-3"), (2, "4-5"), (3, "6-7")]);
    }
}

#[test]
#[ignore = "runs in a guest"]
fn inside_uneven_nodes() {
    if guest::inside() {
        one_rank_spans(&[(0, "0"), (1, "3-6")]);
    }
}

/// `physalia topo` shows these nodes with these processors, and a worker on each.
fn one_rank_spans(nodes: &[(u64, &str)]) {
    let report = json(&mut physalia(&["topo", "--json", "-"]));
    let places = report["places"].as_array().expect("an array");
    assert_eq!(places.len(), 1, "{report:#}");
    assert_eq!(
        domains(&places[0]),
        nodes.iter().map(|&(node, cpus)| (node, cpus.to_string(), list(cpus))).collect::<Vec<_>>()
    );
    // And so it is, if one asks Linux: the workers lie on one processor each.
    let printed = ran(&mut Command::new(env!("CARGO_BIN_EXE_placed")));
    let workers: Vec<u64> = nodes.iter().flat_map(|(_, cpus)| list(cpus)).collect();
    for worker in &workers {
        assert_eq!(printed.split_whitespace().filter(|&place| place == worker.to_string()).count(), 1, "{printed}");
    }
}

/// `mpirun --bind-to numa` gives each rank a node: its workers and all its other threads stay there.
fn ranks_keep_to_their_nodes(nodes: &[(u64, &str)]) {
    let mpirun = |program: PathBuf, words: &[&str]| {
        let mut command = launch::bare();
        command.args(["--map-by", "numa", "--bind-to", "numa", "-n", &nodes.len().to_string()]);
        command.arg(program).args(words);
        command
    };
    let physalia = program(env!("CARGO_BIN_EXE_bodies")).expect("it was there outside");
    let report = json(&mut mpirun(physalia, &["topo", "--json", "-"]));
    let places = report["places"].as_array().expect("an array");
    assert_eq!((places.len(), &report["transport"]), (nodes.len(), &"mpi".into()), "{report:#}");
    for (place, &(node, cpus)) in places.iter().zip(nodes) {
        assert_eq!(domains(place), [(node, cpus.to_string(), list(cpus))]);
    }
    let printed = ran(&mut mpirun(env!("CARGO_BIN_EXE_placed").into(), &[]));
    let lines: Vec<&str> = printed.lines().filter(|line| line.starts_with("rank ")).collect();
    assert_eq!(lines.len(), nodes.len(), "{printed}");
    for (line, (_, cpus)) in lines.iter().zip(nodes) {
        let (mine, places) = (list(cpus), line.split_once(": ").expect("rank R: PLACES").1);
        assert!(places.split(' ').flat_map(list).all(|cpu| mine.contains(&cpu)), "{printed}");
        for cpu in mine {
            assert_eq!(places.split(' ').filter(|&place| place == cpu.to_string()).count(), 1, "{printed}");
        }
    }
}

/// Of each domain of a rank: its node, its processors, and those that its workers are pinned to.
fn domains(place: &Value) -> Vec<(u64, String, Vec<u64>)> {
    let one = |domain: &Value| {
        let workers = domain["workers"].as_array().expect("an array").iter().filter_map(Value::as_u64).collect();
        (domain["node"].as_u64().expect("a number"), domain["cpus"].as_str().expect("text").to_string(), workers)
    };
    place["domains"].as_array().expect("an array").iter().map(one).collect()
}

/// `0-1,4` in full.
fn list(cpus: &str) -> Vec<u64> {
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{cpus:?} is no list of processors"));
    let part = |part: &str| match part.split_once('-') {
        Some((first, last)) => number(first)..=number(last),
        None => number(part)..=number(part),
    };
    cpus.split(',').flat_map(part).collect()
}

fn physalia(words: &[&str]) -> Command {
    let mut command = Command::new(program(env!("CARGO_BIN_EXE_bodies")).expect("it was there outside"));
    command.args(words);
    command
}

fn json(command: &mut Command) -> Value {
    let printed = ran(command);
    serde_json::from_str(&printed).unwrap_or_else(|e| panic!("{e}: {printed}"))
}

/// What a command prints that ends well.
fn ran(command: &mut Command) -> String {
    let ended = clock::run(command, LIMIT);
    assert_eq!(ended.code, Some(0), "{command:?}: {ended:?}");
    ended.stdout
}
