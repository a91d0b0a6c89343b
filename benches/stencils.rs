//! The stencils that are measured, by `benches/stencils.rs` alone and by `peers/ours.rs` beside other programs.

use physalia::stencil::{Near, Value};

physalia::formula! {
    /// Five points in two axes.
    pub struct Heat5 {
        /// The share of the cell itself.
        pub half: f64,
        /// The share of each neighbour.
        pub eighth: f64,
    }
    impl Stencil<f64, 1, 1, 1> for |self, p| {
        let sum = (p.at(-1, 0, 0) + p.at(1, 0, 0)) + (p.at(0, -1, 0) + p.at(0, 1, 0));
        [p.at(0, 0, 0) * self.half + sum * self.eighth]
    }
}

/// The sum of the six neighbours `k` away.
#[inline(always)]
fn six<V: Value<f32>, P: Near<V>>(p: P, k: isize) -> V {
    (p.at(-k, 0, 0) + p.at(k, 0, 0)) + (p.at(0, -k, 0) + p.at(0, k, 0)) + (p.at(0, 0, -k) + p.at(0, 0, k))
}

physalia::formula! {
    /// The acoustic wave in three axes, order 8 in space.
    pub struct Wave {
        /// The share of the cell itself, and of the neighbours 1 to 4 away.
        pub near: [f32; 5],
    }
    impl Stencil<f32, 4, 1, 1> for |self, p| {
        let [k0, k1, k2, k3, k4] = self.near;
        let far = (six(p, 3) * k3 + six(p, 4) * k4) + (six(p, 1) * k1 + six(p, 2) * k2);
        [(p.at(0, 0, 0) * k0 - p.old()) + far]
    }
}
