//! The side channel of ranks that are processes: who waits where, and who is gone, told without MPI. On one host under mpirun;
//! on several, which are network namespaces of this machine, where that can be done (root, iproute2).
#![cfg(feature = "mpi")]

use physalia::topology::sys::host_name;
use physalia_tests::{clock, skipped};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const WAITING: &str = env!("CARGO_BIN_EXE_waiting");
const BODIES: &str = env!("CARGO_BIN_EXE_bodies");

/// `mpirun` with these words; the ranks share nothing but messages and the side channel.
fn mpirun(words: &[&str], vars: &[(&str, &str)]) -> Command {
    let mut command = Command::new("mpirun");
    command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
    command.env("OMPI_MCA_rmaps_base_oversubscribe", "1");
    command.env("PHYSALIA_BOARD", "off").env("PHYSALIA_THREADS", "1").envs(vars.iter().copied());
    command.args(["--bind-to", "none"]).args(words);
    command
}

fn run(words: &[&str], vars: &[(&str, &str)]) -> clock::Ended {
    clock::run(&mut mpirun(words, vars), Duration::from_secs(60))
}

#[test]
fn one_roll_call_tells_who_waits_and_who_computes_in_which_phase() {
    let (told, kill) = ("physalia: a long wait, seen from ", "as long as PHYSALIA_STALL allows:");
    for (stall, code, words, most) in [("1.2", 0, told, 2), ("1.2:kill", 1, kill, 1)] {
        for board in ["off", "on"] {
            let vars = [("PHYSALIA_STALL", stall), ("PHYSALIA_BOARD", board)];
            let ended = run(&["-n", "4", WAITING, "4"], &vars);
            assert_eq!(ended.code, Some(code), "{ended:?}");
            // For all three ranks that wait: after 1.2 s, and again after twice that.
            let count = ended.stderr.matches(words).count();
            assert!((1..=most).contains(&count), "{ended:?}");
            let rank_0 = format!("\n  rank 0 on {} (process ", host_name());
            for words in [&*rank_0, ") is computing in phase \"asleep\"\n  ranks 1-3 wait ", " s in barrier of ()"] {
                assert_eq!(ended.stderr.matches(words).count(), count, "{words:?}: {ended:?}");
            }
        }
    }
}

/// mpirun ends the job itself, and what it says is enough: no other rank is said to be gone.
#[test]
fn a_killed_rank_is_named_by_one_of_both() {
    for name in ["killed_while_others_wait", "killed_while_others_compute"] {
        let ended = run(&["-n", "3", BODIES, name], &[]);
        assert!(ended.code != Some(0) && ended.took.as_secs() < 10, "{ended:?}");
        let ours = format!("physalia: rank 1 on {} (process ", host_name());
        assert!(ended.stderr.contains(&ours) || ended.stderr.contains("process rank 1 with PID "), "{ended:?}");
        assert!(!ended.stderr.contains("rank 0 on") && !ended.stderr.contains("rank 2 on"), "{ended:?}");
    }
}

/// A rank that ends the job by itself is not mourned besides.
#[test]
fn the_cause_of_an_end_is_told_alone() {
    for name in ["panic_while_others_wait", "exit_while_others_wait", "another_type"] {
        let ended = run(&["-n", "3", BODIES, name], &[]);
        assert!(!ended.stderr.contains("is gone"), "{ended:?}");
    }
}

/// The names of all sockets of side channels in this machine.
fn sockets() -> Vec<String> {
    let all = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let names = all.lines().filter_map(|line| line.rsplit(' ').next()?.strip_prefix('@').map(str::to_string));
    names.filter(|name| name.starts_with("physalia-")).collect()
}

/// One rank wants no side channel, so the door stays open for it. Whoever else comes is hung up on.
#[test]
#[cfg(target_os = "linux")]
fn strangers_and_a_rank_that_does_not_come_do_no_harm() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixStream};
    let words = ["-n", "2", WAITING, "4", ":", "-n", "1", "env", "PHYSALIA_WATCH=off", WAITING, "4"];
    let job = std::thread::spawn(move || run(&words, &[("PHYSALIA_STALL", "2")]));
    let (mut open, mut met, end) = (Vec::new(), 0, Instant::now() + Duration::from_secs(30));
    while !job.is_finished() && Instant::now() < end {
        for name in sockets() {
            for garbage in [&b""[..], b"physalia watch 1\0", &[0xff; 300]] {
                let stranger = SocketAddr::from_abstract_name(&name).and_then(|addr| UnixStream::connect_addr(&addr));
                if let Ok(mut stranger) = stranger {
                    stranger.write_all(garbage).ok();
                    open.push(stranger);
                    met += 1;
                }
            }
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    let ended = job.join().unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(met > 0, "the job was not met: {ended:?}");
    for words in
        ["\n  rank 2 is not connected, so nothing is known", "\n  rank 1 on ", " is computing in phase \"asleep\""]
    {
        assert!(ended.stderr.contains(words), "no {words:?} in {ended:?}");
    }
}

/// Two hosts, gone when dropped.
struct Hosts {
    tool: PathBuf,
    folder: tempfile::TempDir,
}

impl Hosts {
    /// `Err`: why there are none.
    fn up() -> Result<Hosts, String> {
        let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("machines/hosts");
        let hosts = Hosts { tool, folder: tempfile::tempdir().map_err(|e| e.to_string())? };
        let ended = hosts.call(&["up", "2"]);
        if ended.code == Some(0) { Ok(hosts) } else { Err(ended.stderr.trim().to_string()) }
    }

    fn call(&self, args: &[&str]) -> clock::Ended {
        let mut command = Command::new(&self.tool);
        command.arg("-d").arg(self.folder.path().join("hosts")).args(args);
        clock::run(&mut command, Duration::from_secs(60))
    }

    /// Two ranks on each, with these variables.
    fn mpirun(&self, vars: &[&str], words: &[&str]) -> clock::Ended {
        let head = ["exec", "head", "mpirun", "--bind-to", "none", "--oversubscribe", "--host", "h1:2,h2:2", "-n", "4"];
        let vars: Vec<&str> = vars.iter().flat_map(|var| ["-x", var]).collect();
        self.call(&[&head[..], &vars, words].concat())
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.call(&["down"]);
    }
}

#[test]
fn between_hosts() {
    let hosts = match Hosts::up() {
        Ok(hosts) => hosts,
        Err(why) => return skipped("several hosts", &why),
    };
    let one = ["PHYSALIA_THREADS=1"];
    // By the address that mpirun is reached at, and by name.
    for more in [&["PHYSALIA_STALL=1.5"][..], &["PHYSALIA_STALL=1.5", "PHYSALIA_INTERFACE=eth0"]] {
        let ended = hosts.mpirun(&[&one[..], more].concat(), &[WAITING, "4"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for words in
            ["seen from h1:\n  rank 0 on h1 (process ", ") is computing in phase \"asleep\"\n  ranks 1-3 wait "]
        {
            assert!(ended.stderr.contains(words), "no {words:?} in {ended:?}");
        }
        assert!(!ended.stderr.contains("seen from h2"), "{ended:?}");
    }
    let ended = hosts.mpirun(&["PHYSALIA_THREADS=1", "PHYSALIA_STALL=1.5:kill"], &[WAITING, "30"]);
    assert!(ended.code == Some(1) && ended.took.as_secs() < 15, "{ended:?}");
    assert_eq!(ended.stderr.matches("as long as PHYSALIA_STALL allows:\n  rank 0 on h1").count(), 1, "{ended:?}");
    // Nobody knows of an interface: each host speaks for itself, and it is said once why.
    let vars = ["PHYSALIA_THREADS=1", "PHYSALIA_STALL=1.5", "PHYSALIA_INTERFACE=nosuch0"];
    let ended = hosts.mpirun(&vars, &[WAITING, "4"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let why =
        "(ranks on other hosts speak for themselves: PHYSALIA_INTERFACE=nosuch0: rank 0's host has no such interface)";
    for (words, count) in [(why, 1), ("seen from h2:\n  ranks 0-1 are not connected", 2)] {
        assert_eq!(ended.stderr.matches(words).count(), count, "{words:?} in {ended:?}");
    }
}
