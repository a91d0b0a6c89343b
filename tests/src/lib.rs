//! Bodies: programs of a few lines that check themselves, run by every rank of a job. The same ones run in process
//! (`tests/in_process.rs`) and under mpirun (`tests/launched.rs`, through the binary `bodies`).
//!
//! A body that ends well returns `Ok` on every rank; a wrong result is a panic. A body that must not end well says how the
//! job must end instead: exit code and words on stderr.
#![forbid(unsafe_code)]

pub mod bodies;
pub mod clock;

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
}

macro_rules! well {
    ($($path:ident :: $name:ident),* $(,)?) => {
        vec![$($crate::Body { name: stringify!($name), run: $path::$name, end: $crate::End::Well }),*]
    };
}
pub(crate) use well;

/// All bodies.
pub fn all() -> Vec<Body> {
    bodies::all()
}
