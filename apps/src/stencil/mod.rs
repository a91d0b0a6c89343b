//! Stencil simulations: each a kernel and its own check. Those that go in steps are [`Simulation`](engine::Simulation)s, which the
//! command runs, all by the same driver: a new one is a file with its equation and a few lines of arguments.

pub mod advect;
pub mod axis;
pub mod engine;
pub mod exact;
pub mod gray_scott;
pub mod heat;
pub mod life;
pub mod patterns;
pub mod poisson;
pub mod roofline;
pub mod room;
pub mod wave;

use crate::output::Geometry;
use axis::Edge;

/// Where cells lie on a box: a point is in the middle of its cell.
fn geometry<const D: usize>(cells: [u64; D], lengths: [f64; D], edges: [Edge; D]) -> Geometry {
    let mut geometry = Geometry::default();
    for a in 0..D {
        let h = 1.0 / edges[a].per_length(cells[a], lengths[a]);
        geometry.spacing[a] = h;
        geometry.origin[a] = (edges[a].first() - 0.5) * h;
    }
    geometry
}
