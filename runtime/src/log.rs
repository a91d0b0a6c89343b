//! Lines on stderr that say which rank speaks.

use std::fmt::Display;
use std::io::Write;

/// Writes `physalia[rank]: message` in one piece, so that lines of several ranks do not mix.
pub(crate) fn log_line(rank: u32, message: impl Display) {
    let line = format!("physalia[{rank}]: {message}\n");
    std::io::stderr().write_all(line.as_bytes()).ok(); // with stderr closed there is nobody to tell
}
