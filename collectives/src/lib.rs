//! Typed, checked collectives among the ranks of a job, whose ranks are threads of one process or processes of an MPI job; for
//! tests, also ranks of a [`simulator`].
//!
//! A [`Comm`] is some ranks in order. Its methods that take `&mut self` are collective. Three rules carry the crate:
//!
//! 1. A communicator is a permission, not a place: `!Send + !Sync`, `&mut self` for collectives. What must outlive a
//!    careless `forget`, `drop` or `swap` lives in a core behind an `Rc` that the runtime holds too.
//! 2. Memory lent to a transfer is owned by the transfer, or by a stack frame that user code cannot leave before the
//!    transfer has landed or was withdrawn ([`Comm::overlap`]). Never by a handle's `Drop`.
//! 3. Every wait ends: it lands, or it sees the sticky abort flag, or it is proved that what it waits for cannot come.
//!
//! From above to below: `ops` (a file a collective, typed) → `core` (one call of a communicator) → `posting` (a collective on a
//! board, where all ranks share a host) or `flow` (one of messages) → `algo` (pure schedules of messages) and `transport`. The
//! costs in messages that the collectives name are those between hosts; on a board a rank posts its own part once. Programs use the crate `physalia`, which
//! re-exports what they need; this one is for libraries that want communicators without its pools and fields.
//!
//! ```
//! use physalia_collectives::{Comm, Sum};
//! let mut comm = Comm::alone();
//! assert_eq!(comm.all_reduce(2.5, Sum)?, 2.5);
//! # Ok::<(), physalia_collectives::Abort>(())
//! ```
#![deny(unsafe_code)]

mod algo;
mod borrow;
pub mod check;
mod comm;
mod core;
pub mod exit;
pub mod failure;
mod flow;
pub mod job;
pub mod level;
pub mod local;
mod nonblocking;
mod ops;
mod overlap;
mod pending;
mod plain;
mod posting;
mod rank;
pub mod simulator;
pub mod stall;
mod stuck;
#[allow(unsafe_code)]
mod transport;
#[cfg(feature = "mpi")]
mod watch;

/// MPI's own collectives, for benchmarks.
#[cfg(feature = "mpi")]
pub mod raw {
    pub use crate::transport::mpi_raw::{Number, Raw};
}

pub use algo::model::{Order, Schedules};
pub use comm::Comm;
pub use failure::{Abort, Cause, Failure, Outcome};
pub use ops::{
    Addable, Associative, By, Cartesian, ExchangePlan, Fast, Fill, Graph, Link, Mailboxes, Max, Min, Op, Sum,
};
pub use overlap::{Overlap, Ticket, overlap_on};
pub use pending::Pending;
pub use plain::{Parts, Plain};
pub use rank::{phase_here, poll_here};
