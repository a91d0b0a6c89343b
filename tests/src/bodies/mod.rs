//! The bodies, by subject.

mod collectives;
mod ends;
mod fields;
mod files;
mod handles;
mod large;
mod mailboxes;
mod neighbours;
mod plans;
mod solvers;
mod sorts;
mod stencils;
mod sums;
mod ways;

use crate::Body;

/// All bodies.
pub(crate) fn all() -> Vec<Body> {
    [
        collectives::bodies(),
        large::bodies(),
        handles::bodies(),
        plans::bodies(),
        mailboxes::bodies(),
        fields::bodies(),
        files::bodies(),
        neighbours::bodies(),
        solvers::bodies(),
        sorts::bodies(),
        stencils::bodies(),
        sums::bodies(),
        ways::bodies(),
        ends::bodies(),
    ]
    .concat()
}
