//! Makes a cluster of many-core machines program like one machine: the same closure runs as one rank, as N ranks in one
//! process, or as one rank of an MPI job, with a pool of workers in each rank.
//!
//! ```
//! use physalia::prelude::*;
//!
//! fn main() -> std::process::ExitCode {
//!     physalia::run(|world| {
//!         let n: u64 = world.from_root(|| "1000000".parse())?; // one rank reads, a failure is everyone's
//!         let quarter = |i| 1.0 / (1.0 + ((i as f64 + 0.5) / n as f64).powi(2));
//!         let pi = world.par(0..n).map(quarter).sum()? * 4.0 / n as f64; // ranks × workers, the same bits everywhere
//!         world.on_root(|| println!("{pi}"));
//!         Ok(())
//!     })
//! }
//! ```
//!
//! `cargo run` gives one rank with a worker for each core; `PHYSALIA_RANKS=4` four ranks in the process; `mpirun -n 4` (built
//! with `--features mpi`) four processes. The program does not change, and neither does the result.
//!
//! A name says who takes part: methods on [`World`] and [`Comm`] that take `&mut self` are collective (all ranks call them),
//! methods on a field or a pool are local unless they take the world, closures of `on_root` are `Send` and so cannot hold a
//! world.
#![deny(unsafe_code)] // but in `pool::team` and `stencil`

mod blocks;
pub mod checkpoint;
pub mod chunk;
mod dear;
pub mod exact;
pub mod fast;
pub mod field;
pub mod halo;
mod lanes;
mod launch;
pub mod log;
pub mod memory;
pub mod par;
pub mod phase;
mod pieces;
pub mod pool;
pub mod progress;
pub mod publish;
pub mod random;
mod simulate;
pub mod solve;
pub mod sort;
#[allow(unsafe_code)]
pub mod stencil;
mod total;
mod tree;
pub mod vector;
mod world;

pub use launch::{Launch, conclude, first_process, run};
pub use physalia_collectives as collectives;
pub use physalia_collectives::{Abort, Cause, Comm, Failure, Outcome};
pub use physalia_topology as topology;
pub use simulate::simulate;
pub use world::World;

/// What a program needs, to be imported whole.
pub mod prelude {
    pub use crate::field::{Field, Grid, Part, Rows, sweep};
    pub use crate::halo::{Flight, HaloPlan};
    pub use crate::random::Random;
    pub use crate::stencil::{Point, Stepper, Wall, Walls};
    pub use crate::{Launch, World};
    pub use physalia_collectives::{
        Abort, Associative, By, Cartesian, Cause, Comm, ExchangePlan, Failure, Fast, Fill, Graph, Link, Mailboxes, Max,
        Min, Op, Outcome, Overlap, Parts, Pending, Plain, Sum, Ticket, poll_here,
    };
}

/// The program of the README is compiled as all examples are.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
