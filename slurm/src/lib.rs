//! How this process was launched: by whom, as which of how many ranks. A pure function of the environment's variables.
//!
//! The batch scripts that lie beside this crate start both flagship jobs under Slurm.
#![forbid(unsafe_code)]

mod launcher;

pub use launcher::{BadVariable, Kind, Launcher, launcher};
