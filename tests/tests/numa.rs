//! Placement and locality on machines with several NUMA nodes, which `machines/numa-vm` simulates: a test that is outside has
//! one of the same name with `inside_` run in the guest. `PHYSALIA_TEST_NUMA=all` (`make numa`) has more machines. Without MPI
//! only the plan for two nodes is looked at, which without hwloc is made of what `/sys` shows.

use physalia_tests::{guest, launch, program, skipped, tell};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

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
    cfg!(feature = "mpi") && std::env::var("PHYSALIA_TEST_NUMA").is_ok_and(|which| which == "all")
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
        let nodes = [(0, "0-3"), (1, "4-7")];
        one_rank_spans(&nodes);
        if cfg!(feature = "mpi") {
            most_work_is_done_at_home(2, 0.95);
            ranks_keep_to_their_nodes(&nodes);
        }
    }
}

#[test]
#[ignore = "runs in a guest"]
fn inside_four_nodes() {
    if guest::inside() {
        one_rank_spans(&[(0, "0-1"), (1, "2-3"), (2, "4-5"), (3, "6-7")]);
        most_work_is_done_at_home(4, 0.85);
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
    assert_eq!(places[0]["source"], if cfg!(feature = "hwloc") { "hwloc" } else { "sysfs" });
    assert_eq!(
        domains(&places[0]),
        nodes.iter().map(|&(node, cpus)| (node, cpus.to_string(), list(cpus))).collect::<Vec<_>>()
    );
    let all: Vec<String> = nodes.iter().map(|(_, cpus)| cpus.to_string()).collect();
    check_placed(&mut Command::new(env!("CARGO_BIN_EXE_placed")), &[&all.join(",")]);
}

/// And so it is, if one asks Linux: the ranks' threads may run on these processors only, each of which has a worker that may run
/// on no other; and the pages of fields lie at home.
fn check_placed(command: &mut Command, ranks: &[&str]) {
    let printed = ran(command);
    let lines: Vec<&str> = printed.lines().filter(|line| line.starts_with("rank ")).collect();
    assert_eq!(lines.len(), ranks.len(), "{printed}");
    for (line, cpus) in lines.iter().zip(ranks) {
        let (places, pages) =
            line.split_once(": ").and_then(|line| line.1.split_once("; ")).expect("rank R: PLACES; PAGES");
        let (mine, places) = (list(cpus), places.split(' ').collect::<Vec<_>>());
        for &cpu in &mine {
            assert_eq!(places.iter().filter(|&&place| place == cpu.to_string()).count(), 1, "{cpu} in {printed}");
        }
        // A rank's helpers (an MPI's, for one) may run wherever it may.
        assert!(places.iter().flat_map(|place| list(place)).all(|cpu| mine.contains(&cpu)), "{printed}");
        let (at_home, all) = pages.split_once(" of ").expect("N of M");
        let at_least = 1500 * 2000 * 8 / 4096 / ranks.len();
        assert!(at_home == all && all.parse().is_ok_and(|all: usize| all >= at_least), "{printed}");
    }
}

/// Each worker finds its memory on its own node: in nearly all of a loop of even cost; of one where the domains' cost is even,
/// but not that of their workers' parts; and in as much as balance allows where the first node's part costs three times as
/// much as others'. Each of these is the best of three runs, because the simulated processors take turns on few real ones,
/// and some may be late.
fn most_work_is_done_at_home(nodes: usize, even: f64) {
    let best_of_three = |skew: &[&str], good: &dyn Fn(f64, f64) -> bool| {
        let mut found = Vec::new();
        for _ in 0..3 {
            let report = json(physalia(&["bench", "locality", "--loops", "5", "--json", "-"]).args(skew));
            assert_eq!(report["domains"], nodes, "{report:#}");
            let shares = |key: &str| -> Vec<f64> {
                report[key].as_array().expect("an array").iter().filter_map(Value::as_f64).collect()
            };
            let (ours, rayon) = (shares("local"), shares("rayon_local"));
            assert_eq!((ours.len(), rayon.len()), (5, 5), "{report:#}");
            let least = ours.iter().copied().fold(1.0, f64::min);
            let busiest = report["busiest_over_mean"].as_f64().expect("a number");
            tell(&format!(
                "{nodes} nodes, {skew:?}: local {ours:.3?}, plain rayon {rayon:.3?}, busiest / mean {busiest:.2}\n"
            ));
            if good(least, busiest) {
                return;
            }
            found.push((least, busiest));
        }
        panic!("{nodes} nodes, {skew:?}: the smallest local share of five loops, and busiest over mean: {found:.3?}");
    };
    best_of_three(&[], &|local, _| local >= even);
    best_of_three(&["--skew-within", "3"], &|local, _| local >= even);
    best_of_three(&["--skew", "3"], &|local, busiest| local >= 0.80 && busiest <= 1.35);
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
    let all: Vec<&str> = nodes.iter().map(|&(_, cpus)| cpus).collect();
    check_placed(&mut mpirun(env!("CARGO_BIN_EXE_placed").into(), &[]), &all);
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

/// What a command prints that ends well. The limit is the guest's; and whoever looked every few milliseconds whether it has
/// ended would take a worker's processor away as often.
fn ran(command: &mut Command) -> String {
    let ended = command.output().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    assert!(ended.status.success(), "{command:?}: {ended:?}");
    String::from_utf8(ended.stdout).expect("it prints text")
}
