//! The table of who waits where, among ranks of one process.

use crate::check::Print;
use std::fmt::Write;
use std::time::Duration;

/// How a rank stands.
pub(super) enum Standing {
    Computes,
    Waits { print: Print, time: Duration },
    Ended,
}

/// A line for each rank, in their order.
pub(super) fn roll_call(ranks: impl Iterator<Item = Standing>) -> String {
    let mut text = String::new();
    for (rank, standing) in ranks.enumerate() {
        // Writing to a String cannot fail.
        match standing {
            Standing::Ended => write!(text, "\n  rank {rank} has ended"),
            Standing::Waits { print, time } => write!(text, "\n  rank {rank} waits {time:.1?} in {}", print.text()),
            Standing::Computes => write!(text, "\n  rank {rank} is computing"),
        }
        .expect("a string grows");
    }
    text
}
