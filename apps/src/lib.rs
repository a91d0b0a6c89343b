//! The applications as a library: stencil simulations and genomics. The command `physalia` parses, calls and prints.
#![forbid(unsafe_code)]

pub mod demo;
pub mod genomics;
pub mod output;
pub mod picture;
pub mod stencil;

pub use physalia::publish;
