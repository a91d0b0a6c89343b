//! Gray and Scott's reaction of two substances that diffuse (Pearson, "Complex patterns in a simple system", 1993):
//! u_t = Du Δu − u v² + F (1 − u), v_t = Dv Δv + u v² − (F + k) v, by explicit Euler, with cells of side 1.
//!
//! Periodic, or with u = 1 and v = 0 all around. It is stable as a diffusion while 2 D Δt max(Du, Dv) ≤ 1, and as a reaction while
//! steps are short besides the rates, which are below 1 + F + k.

use super::axis::{by_x, index, sizes};
use super::engine::{Compiled, Engine, How, Real, Simulation, by_lines};
use physalia::prelude::*;
use physalia::stencil::{Near, Value, Wall, Walls};

/// A step of both substances: v, then u.
#[derive(Clone, Copy, Debug)]
pub struct React<T, const D: usize> {
    feed: T,
    feed_and_kill: T,
    du: T,
    dv: T,
    dt: T,
}

impl<T: Real, const D: usize> React<T, D> {
    /// The neighbours' sum less as many times the cell.
    #[inline(always)]
    fn around<V: Value<T>, P: Near<V>>(p: P, k: usize, here: V) -> V {
        let x = p.of(k, -1, 0, 0) + p.of(k, 1, 0, 0);
        let sum = match D {
            1 => x,
            2 => x + (p.of(k, 0, -1, 0) + p.of(k, 0, 1, 0)),
            _ => x + (p.of(k, 0, -1, 0) + p.of(k, 0, 1, 0)) + (p.of(k, 0, 0, -1) + p.of(k, 0, 0, 1)),
        };
        sum - here * T::from_f64(2.0 * D as f64)
    }

    #[inline(always)]
    fn formula<V: Value<T>, P: Near<V>>(&self, p: P) -> [V; 2] {
        let (v, u) = (p.of(0, 0, 0, 0), p.of(1, 0, 0, 0));
        let (spread_v, spread_u) = (Self::around(p, 0, v), Self::around(p, 1, u));
        let made = u * v * v;
        let du = (spread_u * self.du - made) + (V::all(T::from_f64(1.0)) - u) * self.feed;
        let dv = (spread_v * self.dv + made) - v * self.feed_and_kill;
        [v + dv * self.dt, u + du * self.dt]
    }
}
by_lines!({T: Real, const D: usize} React<T, D>: T, 1, 2, 2);

/// Rates of the reaction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// F.
    pub feed: f64,
    /// k.
    pub kill: f64,
    /// Diffusion of u.
    pub du: f64,
    /// Diffusion of v.
    pub dv: f64,
    /// Time step.
    pub dt: f64,
}

/// Rates that give known patterns: name, F, k (Munafo, "Stable localized moving patterns in the 2-D Gray-Scott model", 2014).
pub const PATTERNS: [(&str, f64, f64); 8] = [
    ("spots", 0.030, 0.062),
    ("stripes", 0.022, 0.051),
    ("coral", 0.0545, 0.062),
    ("mitosis", 0.0367, 0.0649),
    ("worms", 0.078, 0.061),
    ("maze", 0.029, 0.057),
    ("holes", 0.039, 0.058),
    ("waves", 0.014, 0.045),
];

/// What v is at the start; u is 1 everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// 0.7 on a block of six cells a side in the middle.
    Block,
    /// 0.7 on many such blocks, by a seed.
    Blocks(u64),
}

/// A simulation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GrayScott<const D: usize> {
    cells: [u64; D],
    rates: Rates,
    periodic: bool,
    start: Start,
}

impl<const D: usize> GrayScott<D> {
    /// A simulation, periodic or with u = 1, v = 0 all around.
    ///
    /// # Errors
    /// In words, if the parameters make none, or an unstable one.
    pub fn new(cells: [u64; D], rates: Rates, periodic: bool, start: Start) -> Result<GrayScott<D>, String> {
        sizes(cells, [1.0; D])?;
        let Rates { feed, kill, du, dv, dt } = rates;
        for (name, value) in [("feed", feed), ("kill", kill), ("du", du), ("dv", dv), ("dt", dt)] {
            if !(value.is_finite() && value >= 0.0) || (name == "dt" && !value.is_normal()) {
                return Err(format!("{name} = {value}: a positive number is wanted"));
            }
        }
        let limit = 1.0 / (2.0 * D as f64 * du.max(dv) + 1.0 + feed + kill);
        let diffusive = 1.0 / (2.0 * D as f64 * du.max(dv));
        if dt > diffusive {
            return Err(format!(
                "a time step of {dt:e} is over the stability limit {diffusive:e} (1 / (2 axes max(du, dv))); below {limit:e} nothing overshoots"
            ));
        }
        Ok(GrayScott { cells, rates, periodic, start })
    }
}

impl<T: Compiled<D>, const D: usize> Simulation<T, D> for GrayScott<D> {
    fn what(&self) -> String {
        let around = if self.periodic { "periodic" } else { "fixed" };
        let float = std::any::type_name::<T>();
        format!("gray-scott {} {float}, {:?}, {around}, start {:?}", by_x(&self.cells), self.rates, self.start)
    }

    fn cells(&self) -> [u64; D] {
        self.cells
    }

    fn dt(&self) -> f64 {
        self.rates.dt
    }

    fn is_periodic(&self) -> bool {
        self.periodic
    }

    fn names(&self) -> &'static [&'static str] {
        &["v", "u"]
    }

    fn fill(&self, fields: &mut [Field<T, D>]) {
        fields[1].fill(|_| T::from_f64(1.0));
        let cells = self.cells;
        let v = match self.start {
            Start::Block => {
                fields[0].fill(|at| {
                    let inside = (0..D).all(|a| (at[a] + 3).wrapping_sub(cells[a] / 2) < 6);
                    T::from_f64(if inside { 0.7 } else { 0.0 })
                });
                return;
            }
            Start::Blocks(seed) => Random::new(seed),
        };
        // Of blocks of eight cells a side one in thirty is filled but for its rim.
        let blocks = cells.map(|n| n.div_ceil(8));
        fields[0].fill(|at| {
            let inside = (0..D).all(|a| (1..7).contains(&(at[a] % 8)));
            let chosen = v.unit(index(blocks, at.map(|c| c / 8))) < 1.0 / 30.0;
            T::from_f64(if inside && chosen { 0.7 } else { 0.0 })
        });
    }

    fn engine(&self, _: &mut World, _: &[Field<T, D>], how: &How, step: u64) -> Outcome<Engine<T, D>> {
        let Rates { feed, kill, du, dv, dt } = self.rates;
        let [feed, feed_and_kill, du, dv, dt] = [feed, feed + kill, du, dv, dt].map(T::from_f64);
        let around = |value: f64| if self.periodic { Wall::Periodic } else { Wall::fixed(T::from_f64(value)) };
        let walls = [Walls::all(around(0.0)), Walls::all(around(1.0))];
        Ok(T::react(React { feed, feed_and_kill, du, dv, dt }, walls, how, step))
    }

    fn figures(&self, world: &mut World, fields: &[Field<T, D>]) -> Result<Vec<(&'static str, f64)>, Abort> {
        Ok(vec![("sum_u", fields[1].sum(world)?), ("sum_v", fields[0].sum(world)?)])
    }
}
