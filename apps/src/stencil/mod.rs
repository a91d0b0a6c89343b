//! Stencil simulations: each a kernel and its own check.

pub mod exact;
pub mod heat;
pub mod poisson;
