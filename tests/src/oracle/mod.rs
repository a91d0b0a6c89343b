//! Plain serial programs that the real ones are held against.

pub mod heat;
pub mod kmers;
pub mod sums;
