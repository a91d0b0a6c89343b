//! Bodies: programs of a few lines that check themselves, run by every rank of a job. The same ones run in process
//! (`tests/in_process.rs`) and under mpirun (`tests/launched.rs`, through the binary `bodies`).
//!
//! A body that ends well returns `Ok` on every rank; a wrong result is a panic. A body that must not end well says how the
//! job must end instead: exit code and words on stderr.
#![forbid(unsafe_code)]

pub mod bits;
pub mod bodies;
pub mod clock;
pub mod dice;
pub mod guest;
pub mod launch;
pub mod mutants;
pub mod oracle;
pub mod programs;

use physalia::prelude::*;

/// A program of a few lines that checks itself.
#[derive(Clone, Copy)]
pub struct Body {
    /// What it shows.
    pub name: &'static str,
    /// The program.
    pub run: fn(&mut World) -> Outcome<()>,
    /// How the job must end.
    pub end: End,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// How a job with a body must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// On every rank with `Ok`.
    Well,
    /// With this exit code, and all of these words on stderr, from two ranks on. `HOST` stands for this host's name.
    Badly {
        /// The exit code.
        code: i32,
        /// Words on stderr.
        says: &'static [&'static str],
    },
    /// By the launcher, because a process was killed: not with 0. Not for ranks in one process, which die with it.
    Killed,
}

macro_rules! well {
    ($($path:ident :: $name:ident),* $(,)?) => {
        vec![$($crate::Body { name: stringify!($name), run: $path::$name, end: $crate::End::Well }),*]
    };
}
pub(crate) use well;

/// Says that a test was skipped, and why, also where the test runner keeps the output of tests that pass.
pub fn skipped(what: &str, why: &str) {
    tell(&format!("skipped: {what}: {why}\n"));
}

/// Writes to stderr, also where the test runner keeps the output of tests that pass.
pub fn tell(text: &str) {
    use std::io::Write;
    std::io::stderr().write_all(text.as_bytes()).ok();
}

/// The command `physalia`, built with the same features: it lies beside this binary of this crate.
pub fn program(binary: &str) -> Option<std::path::PathBuf> {
    Some(std::path::Path::new(binary).with_file_name("physalia")).filter(|path| path.exists())
}

/// Checks how a body that does not end well has ended.
///
/// # Panics
/// If it ended otherwise, or not in 10 s.
pub fn check_bad_end(body: &Body, ended: &clock::Ended) {
    let context = || format!("{body:?}: {ended:?}");
    assert!(ended.took.as_secs() < 10, "{}", context());
    match body.end {
        End::Well => unreachable!("only for bodies that do not end well"),
        End::Killed => assert_ne!(ended.code, Some(0), "{}", context()),
        End::Badly { code, says } => {
            assert_eq!(ended.code, Some(code), "{}", context());
            let host = physalia::topology::sys::host_name();
            for words in says {
                assert!(ended.stderr.contains(&words.replace("HOST", &host)), "no {words:?} in {}", context());
            }
            let ours = ended.stderr.lines().any(|line| line.starts_with("physalia: "));
            assert!(ours, "no line of our own in {}", context());
        }
    }
}

/// Settings of `PHYSALIA_SCHEDULE` by which every algorithm is taken wherever it gives the right result.
pub const SCHEDULES: [&str; 8] = [
    "all_reduce:slices,broadcast:binomial,all_gather:direct,all_to_all:direct,reduce:slices,gather:direct,scatter:direct",
    "all_reduce:gathered,broadcast:scatter_gather,all_gather:dissemination,all_to_all:dissemination,reduce:gathered,\
     gather:binomial,scatter:binomial,scan:gathered",
    "all_reduce:chain,broadcast:chain,all_gather:ring,all_to_all:pairwise,reduce:binomial,reduce_scatter:ring",
    "all_reduce:doubling,broadcast:tree,all_gather:doubling,scan:doubling,reduce_scatter:slices",
    "all_reduce:halving,barrier:dissemination,broadcast:native,all_to_all:native", // native under MPI
    "all_reduce:ring",
    "hosts:2,all_reduce:hosts,broadcast:hosts,all_gather:hosts,barrier:hosts",
    "hosts:3,all_reduce:hosts,broadcast:hosts,all_gather:hosts,barrier:hosts",
];

/// All bodies.
pub fn all() -> Vec<Body> {
    bodies::all()
}
