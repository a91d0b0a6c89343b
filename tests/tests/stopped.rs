//! Who is stopped, or busy, or short of processor time, is not blamed for it. `PHYSALIA_TEST_STOPPED` is for how many seconds
//! a job is stopped (10).

use physalia_tests::clock::{self, Ended};
#[cfg(feature = "mpi")]
use physalia_tests::launch::mpirun;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const WAITING: &str = env!("CARGO_BIN_EXE_waiting");
const PROGRAM: &str = env!("CARGO_BIN_EXE_program");

/// Three ranks of a program, in process and as processes; to each, and to what it is called.
fn on_three_ranks(program: &str, check: impl Fn(Command, &str)) {
    let mut command = Command::new(program);
    command.env("PHYSALIA_RANKS", "3").env("PHYSALIA_THREADS", "1");
    check(command, "in process");
    #[cfg(feature = "mpi")]
    for board in ["on", "off"] {
        let mut command = mpirun(3);
        command.arg(program).env("PHYSALIA_BOARD", board);
        check(command, &format!("under mpirun, board {board}"));
    }
}

/// The processes of a program below process `pid`, or itself, in the order in which they were started.
fn processes(pid: u32, program: &str) -> Vec<u32> {
    let program = Path::new(program).canonicalize().unwrap();
    let parent = |p: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{p}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let below = |p: u32| std::iter::successors(Some(p), |&p| parent(p).filter(|&p| p > 1)).any(|p| p == pid);
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let mut found: Vec<u32> = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    found.retain(|&p| std::fs::read_link(format!("/proc/{p}/exe")).is_ok_and(|exe| exe == program) && below(p));
    found.sort_unstable();
    found
}

/// Waits until there are processes of the program, and they wait; gives those of them that are wanted: all, or rank 0's.
fn found(pid: u32, all: bool) -> Vec<u32> {
    let ranks = if processes(pid, WAITING) == [pid] { 1 } else { 3 };
    let there = (0..1000).any(|_| {
        sleep(Duration::from_millis(20));
        processes(pid, WAITING).len() >= ranks
    });
    assert!(there, "{ranks} processes of {WAITING} were to be started");
    sleep(Duration::from_secs(1));
    let is_0 = |p: &u32| {
        let vars = std::fs::read(format!("/proc/{p}/environ")).unwrap_or_default();
        vars.split(|&b| b == 0).any(|var| [&b"OMPI_COMM_WORLD_RANK=0"[..], b"PMI_RANK=0"].contains(&var))
    };
    let mut found = processes(pid, WAITING);
    found.retain(|p| all || ranks == 1 || is_0(p));
    assert!(!found.is_empty());
    found
}

fn signal(which: &str, processes: &[u32]) {
    let numbers = processes.iter().map(u32::to_string);
    assert!(Command::new("kill").arg(which).args(numbers).status().unwrap().success(), "{which} {processes:?}");
}

/// Stops processes for a while.
fn stop(processes: &[u32], time: Duration) {
    signal("-STOP", processes);
    sleep(time);
    signal("-CONT", processes);
}

fn is_right(ended: &Ended, context: &str) {
    assert_eq!(ended.code, Some(0), "{context}: {ended:?}");
}

/// Its clock has gone on meanwhile, but it has not waited.
#[test]
fn a_job_that_was_stopped_is_not_ended_for_it() {
    let seconds = std::env::var("PHYSALIA_TEST_STOPPED").map_or(10, |text| text.parse().expect("seconds"));
    on_three_ranks(WAITING, |mut command, how| {
        command.arg("3").env("PHYSALIA_STALL", "6:kill");
        let limit = Duration::from_secs(seconds + 60);
        let ended = clock::run_meanwhile(&mut command, limit, |pid| {
            stop(&found(pid, true), Duration::from_secs(seconds));
        });
        is_right(&ended, how);
        assert!(ended.took > Duration::from_secs(seconds), "{how}: it was not stopped: {ended:?}");
    });
}

/// The others tell whom they wait for, as often as the wait doubles, and wait on.
#[cfg(feature = "mpi")]
#[test]
fn a_rank_that_is_stopped_is_waited_for() {
    for board in ["on", "off"] {
        let mut command = mpirun(3);
        command.env("PHYSALIA_BOARD", board).env("PHYSALIA_STALL", "0.5").args([WAITING, "2"]);
        let ended = clock::run_meanwhile(&mut command, Duration::from_secs(60), |pid| {
            stop(&found(pid, false), Duration::from_secs(4));
        });
        is_right(&ended, board);
        assert!(ended.stderr.contains("a long wait, seen from"), "{ended:?}");
    }
}

/// So is one that does not compute, but waits for its disk again and again.
#[test]
fn a_rank_that_writes_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    on_three_ranks(WAITING, |mut command, how| {
        command.arg("3").arg(folder.path().join("file")).env("PHYSALIA_STALL", "0.5");
        let ended = clock::run(&mut command, Duration::from_secs(60));
        is_right(&ended, how);
        assert!(ended.stderr.contains("a long wait"), "{how}: {ended:?}");
    });
}

/// Processes that use all the time that they get.
struct Load(Vec<Child>);

impl Load {
    fn new(processes: usize) -> Load {
        let spin = || Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap();
        Load((0..processes).map(|_| spin()).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Random programs and a barrier after each: right, and slow, on a machine that has more to do.
#[test]
fn a_slow_machine_is_no_stall() {
    let _load = Load::new(4 * std::thread::available_parallelism().map_or(1, usize::from));
    on_three_ranks(PROGRAM, |mut command, how| {
        command.args(["1", "2", "3", "4", "5"]).env("PHYSALIA_STALL", "10:kill");
        let ended = clock::run(&mut command, Duration::from_secs(120));
        is_right(&ended, how);
        assert_eq!(ended.stdout.lines().count(), 5, "{how}: {ended:?}");
    });
}
