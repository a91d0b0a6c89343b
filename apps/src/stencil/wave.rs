//! The wave equation u_tt = c² Δu on a box, by leapfrog in time and central differences of order 2, 4, 6 or 8 in space.
//!
//! u⁺ = 2 u − u⁻ + Σ Cₐ² δₐ² u, Cₐ = c Δt / hₐ. A product of standing waves is an eigenvector of −δₐ² with eigenvalue
//! σₐ = Σ wₖ (2 − 2 cos kθₐ); so at rest at the start it is cos(n ω Δt) times as high after n steps, cos ω Δt = 1 − ½ Σ Cₐ² σₐ,
//! which is what the result is held against. Stable while no mode has Σ Cₐ² σₐ > 4.
//!
//! At absorbing ends there is a layer in which the wave is damped: u_tt + 2 s u_t = c² Δu, s growing with the square of the
//! depth, u⁺ = (2 u − (1 − d) u⁻ + …) / (1 + d), d = s Δt (a sponge; Israeli and Orszag, "Approximation of radiation boundary
//! conditions", 1981).
//!
//! # The bound
//!
//! What rounding adds at a step goes on as a wave of its own; after m more steps the sum of the magnitudes of what one cell has
//! become is taken to be at most (m + 1) 2ᴰ (an estimate: over the steps and orders of the tests below it stays under that, at 1.0
//! to 2.2 (m + 1)). So n steps leave at most n (n + 1) / 2 · 2ᴰ · 2 P ε, with P = 4 + 2 D · order the roundings of a step, each of at most ε of
//! the largest value; and the reference's angle is off by some ε for each step.

use super::axis::{Edge, by_x, product, sizes};
use super::engine::{Compiled, Engine, How, Real, Simulation, Source, Verified, WaveSteps, by_lines};
use super::exact::Check;
use crate::output::Geometry;
use physalia::prelude::*;
use physalia::stencil::{Near, Value};
use std::f64::consts::PI;

/// A step, of order 2 R in space.
#[derive(Clone, Copy, Debug)]
pub struct Leap<T, const R: usize, const D: usize> {
    /// Weight of the cell itself.
    pub centre: T,
    /// Weights of cells 1 to 4 away, by axis.
    pub near: [[T; 4]; 3],
}

impl<T: Real, const R: usize, const D: usize> Leap<T, R, D> {
    /// The neighbours k away.
    #[inline(always)]
    fn around<V: Value<T>, P: Near<V>>(&self, p: P, k: isize) -> V {
        let weight = |axis: usize| self.near[axis][k as usize - 1];
        let x = (p.at(-k, 0, 0) + p.at(k, 0, 0)) * weight(0);
        if D == 1 {
            return x;
        }
        let y = (p.at(0, -k, 0) + p.at(0, k, 0)) * weight(1);
        if D == 2 {
            return x + y;
        }
        (x + y) + (p.at(0, 0, -k) + p.at(0, 0, k)) * weight(2)
    }

    /// All but the level before.
    #[inline(always)]
    fn ahead<V: Value<T>, P: Near<V>>(&self, p: P) -> V {
        let around = match R {
            1 => self.around(p, 1),
            2 => self.around(p, 2) + self.around(p, 1),
            3 => self.around(p, 3) + self.around(p, 2) + self.around(p, 1),
            _ => self.around(p, 4) + self.around(p, 3) + self.around(p, 2) + self.around(p, 1),
        };
        p.at(0, 0, 0) * self.centre + around
    }

    #[inline(always)]
    fn formula<V: Value<T>, P: Near<V>>(&self, p: P) -> [V; 1] {
        [self.ahead(p) - p.old()]
    }
}
by_lines!({T: Real, const R: usize, const D: usize} Leap<T, R, D>: T, R, 1, 1);

/// The same, damped by a field that is read.
#[derive(Clone, Copy, Debug)]
pub struct Damped<T, const R: usize, const D: usize>(pub Leap<T, R, D>);

impl<T: Real, const R: usize, const D: usize> Damped<T, R, D> {
    #[inline(always)]
    fn formula<V: Value<T>, P: Near<V>>(&self, p: P) -> [V; 1] {
        let (damping, old) = (p.of(1, 0, 0, 0), p.old());
        [((self.0.ahead(p) - old) + damping * old) / (damping + T::from_f64(1.0))]
    }
}
by_lines!({T: Real, const R: usize, const D: usize} Damped<T, R, D>: T, R, 2, 1);

/// What the field is at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The longest standing wave that fits; the solution is known.
    Mode,
    /// A round hill in the middle.
    Pulse,
    /// Nothing, for sources.
    Rest,
}

/// What holds at both ends of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Held at zero: waves are thrown back turned over.
    Fixed,
    /// Free: waves are thrown back as they are.
    Free,
    /// The axis goes on at its other end.
    Periodic,
    /// Waves leave.
    Absorbing,
}

impl End {
    fn edge(self) -> Edge {
        match self {
            End::Fixed | End::Absorbing => Edge::Zero,
            End::Free => Edge::Mirror,
            End::Periodic => Edge::Periodic,
        }
    }
}

/// What makes a simulation.
#[derive(Clone, Debug)]
pub struct Setup<const D: usize> {
    /// Cells along each axis.
    pub cells: [u64; D],
    /// Lengths of the box.
    pub lengths: [f64; D],
    /// The ends of each axis.
    pub ends: [End; D],
    /// Order in space: 2, 4, 6 or 8.
    pub order: usize,
    /// The speed c.
    pub speed: f64,
    /// The time step; else 0.8 of the stability limit.
    pub dt: Option<f64>,
    /// The field at the start.
    pub start: Start,
    /// Cells that are driven, by a Ricker wavelet of this peak frequency.
    pub sources: Vec<[u64; D]>,
    /// Else ten widths of a wave along the shortest axis.
    pub frequency: Option<f64>,
    /// Cells whose values are noted.
    pub receivers: Vec<[u64; D]>,
}

impl<const D: usize> Setup<D> {
    /// Standing waves on the unit box, of order 2, with speed 1.
    pub fn new(cells: [u64; D]) -> Setup<D> {
        Setup {
            cells,
            lengths: [1.0; D],
            ends: [End::Fixed; D],
            order: 2,
            speed: 1.0,
            dt: None,
            start: Start::Mode,
            sources: vec![],
            frequency: None,
            receivers: vec![],
        }
    }
}

/// A simulation.
#[derive(Clone, Debug)]
pub struct Wave<const D: usize> {
    setup: Setup<D>,
    dt: f64,
    frequency: f64,
}

/// Weights of neighbours 1, 2, … away in the second difference of an order (Fornberg, "Generation of finite difference formulas
/// on arbitrarily spaced grids", 1988).
pub fn weights(order: usize) -> [f64; 4] {
    match order {
        2 => [1.0, 0.0, 0.0, 0.0],
        4 => [4.0 / 3.0, -1.0 / 12.0, 0.0, 0.0],
        6 => [1.5, -3.0 / 20.0, 1.0 / 90.0, 0.0],
        _ => [1.6, -0.2, 8.0 / 315.0, -1.0 / 560.0],
    }
}

/// What the second difference of an order makes of a wave that turns by an angle from point to point: minus this times it.
pub fn symbol(order: usize, angle: f64) -> f64 {
    let term = |(k, w): (usize, f64)| w * 4.0 * (0.5 * (k + 1) as f64 * angle).sin().powi(2);
    weights(order).into_iter().enumerate().map(term).sum()
}

impl<const D: usize> Wave<D> {
    /// A simulation.
    ///
    /// # Errors
    /// In words, if the parameters make none, or an unstable one.
    pub fn new(setup: Setup<D>) -> Result<Wave<D>, String> {
        let Setup { cells, lengths, ends, order, speed, .. } = setup;
        sizes(cells, lengths)?;
        if ![2, 4, 6, 8].contains(&order) {
            return Err(format!("order {order}: 2, 4, 6 or 8 is wanted"));
        }
        if !(speed.is_normal() && speed > 0.0) {
            return Err(format!("a speed of {speed}: a positive number is wanted"));
        }
        let per = |a: usize| ends[a].edge().per_length(cells[a], lengths[a]);
        let steepest: f64 = (0..D).map(|a| per(a).powi(2)).sum::<f64>() * symbol(order, PI);
        let limit = 2.0 / (speed * steepest.sqrt());
        let dt = setup.dt.unwrap_or(0.8 * limit);
        if !(limit.is_normal() && dt.is_normal() && dt > 0.0) {
            return Err(format!("a time step of {dt}: a positive number is wanted"));
        }
        if dt > limit {
            return Err(format!(
                "a time step of {dt:e} is over the stability limit {limit:e} (2 / (c root of the sum of {:.3}/h^2))",
                symbol(order, PI)
            ));
        }
        let shortest = lengths.iter().copied().fold(f64::INFINITY, f64::min);
        let frequency = setup.frequency.unwrap_or(10.0 * speed / shortest);
        if !(frequency.is_normal() && frequency > 0.0) {
            return Err(format!("a frequency of {frequency}: a positive number is wanted"));
        }
        let places =
            setup.sources.iter().map(|at| ("source", at)).chain(setup.receivers.iter().map(|at| ("receiver", at)));
        for (what, at) in places {
            if (0..D).any(|a| at[a] >= cells[a]) {
                return Err(format!("a {what} at {} on {} cells", by_x(at), by_x(&cells)));
            }
        }
        Ok(Wave { setup, dt, frequency })
    }

    /// C² of each axis.
    fn courant(&self) -> [f64; D] {
        let s = &self.setup;
        std::array::from_fn(|a| (s.speed * self.dt * s.ends[a].edge().per_length(s.cells[a], s.lengths[a])).powi(2))
    }

    /// ω Δt of the longest standing wave. By the half angle: its cosine would lose half of the digits.
    pub fn turn(&self) -> f64 {
        let s = &self.setup;
        let angle = |a: usize| s.ends[a].edge().angle(s.cells[a]);
        let quarter: f64 = (0..D).map(|a| self.courant()[a] * symbol(s.order, angle(a))).sum::<f64>() / 4.0;
        2.0 * quarter.sqrt().min(1.0).asin()
    }

    fn modes(&self) -> [Vec<f64>; D] {
        std::array::from_fn(|a| self.setup.ends[a].edge().wave(self.setup.cells[a]))
    }

    /// How far rounding may carry the result from the exact one.
    pub fn rounding_bound<T: Real>(&self, steps: u64) -> f64 {
        let (n, roundings) = (steps as f64, (4 + 2 * D * self.setup.order) as f64);
        T::EPSILON * (n * (n + 1.0) / 2.0 * 2f64.powi(D as i32) * 2.0 * roundings + 8.0 * (n + 1.0))
    }

    /// How strongly a cell is damped: s Δt.
    fn damping(&self, at: [u64; D]) -> f64 {
        let s = &self.setup;
        let along = |a: usize| {
            let n = s.cells[a];
            let width = (n / 5).clamp(1, 200).min(n);
            let depth = width.saturating_sub(at[a].min(n - 1 - at[a])) as f64 / width as f64;
            // So that a wave that crosses the layer twice is 10⁻³ as high; more would throw long waves back.
            let most = 1.5 * 1e3f64.ln() * self.courant()[a].sqrt() / width as f64;
            if s.ends[a] == End::Absorbing { most * depth * depth } else { 0.0 }
        };
        (0..D).map(along).sum()
    }

    /// What a source adds at a step.
    fn ricker(&self) -> impl Fn(u64) -> f64 + Send + 'static {
        let (dt, frequency) = (self.dt, self.frequency);
        let strength = self.courant().into_iter().fold(0.0, f64::max);
        move |step| {
            let turned = (PI * (step as f64 * dt * frequency - 1.2)).powi(2);
            strength * (1.0 - 2.0 * turned) * (-turned).exp()
        }
    }
}

impl<T: Compiled<D>, const D: usize> Simulation<T, D> for Wave<D> {
    fn what(&self) -> String {
        let Setup { cells, lengths, ends, order, speed, start, sources, .. } = &self.setup;
        let float = std::any::type_name::<T>();
        let driven = if sources.is_empty() { String::new() } else { format!(" at {:?}", self.frequency) };
        format!(
            "wave {} {float}, order {order}, domain {}, boundary {ends:?}, speed {speed:?}, dt {:?}, start {start:?}, sources {sources:?}{driven}",
            by_x(cells),
            by_x(lengths),
            self.dt
        )
    }

    fn cells(&self) -> [u64; D] {
        self.setup.cells
    }

    fn dt(&self) -> f64 {
        self.dt
    }

    fn geometry(&self) -> Geometry {
        let s = &self.setup;
        super::geometry(s.cells, s.lengths, s.ends.map(End::edge))
    }

    fn radius(&self) -> usize {
        self.setup.order / 2
    }

    fn is_periodic(&self) -> bool {
        self.setup.ends[0] == End::Periodic
    }

    fn names(&self) -> &'static [&'static str] {
        &["u", "u_before"]
    }

    fn shown(&self) -> usize {
        1
    }

    fn arrays(&self) -> usize {
        4 + usize::from(self.setup.ends.contains(&End::Absorbing))
    }

    fn traffic(&self) -> usize {
        3 + usize::from(self.setup.ends.contains(&End::Absorbing))
    }

    fn fill(&self, fields: &mut [Field<T, D>]) {
        let s = &self.setup;
        match s.start {
            Start::Rest => {}
            Start::Mode => {
                let (modes, before) = (self.modes(), self.turn().cos());
                fields[0].fill(|at| T::from_f64(product(&modes, at)));
                fields[1].fill(|at| T::from_f64(before * product(&modes, at)));
            }
            Start::Pulse => {
                let shortest = s.cells.iter().copied().min().unwrap_or(1) as f64;
                let hill = |at: [u64; D]| {
                    let from = |a: usize| (at[a] as f64 - 0.5 * (s.cells[a] - 1) as f64) / (0.04 * shortest).max(1.0);
                    T::from_f64((-(0..D).map(|a| from(a).powi(2)).sum::<f64>()).exp())
                };
                fields.iter_mut().for_each(|field| field.fill(hill));
            }
        }
    }

    fn engine(&self, _: &mut World, fields: &[Field<T, D>], how: &How, step: u64) -> Outcome<Engine<T, D>> {
        let s = &self.setup;
        let courant = self.courant();
        let weights = weights(s.order);
        let near = std::array::from_fn(|a| weights.map(|w| T::from_f64(if a < D { w * courant[a] } else { 0.0 })));
        let centre = T::from_f64(2.0 - 2.0 * weights.iter().sum::<f64>() * courant.iter().sum::<f64>());
        let damping = s.ends.contains(&End::Absorbing).then(|| {
            let mut damping = fields[0].like();
            damping.fill(|at| T::from_f64(self.damping(at)));
            damping
        });
        let source = |&at: &[u64; D]| -> Source<T, D> {
            let ricker = self.ricker();
            (at, Box::new(move |step| T::from_f64(ricker(step))))
        };
        let sources = s.sources.iter().map(source).collect();
        let leap = WaveSteps { radius: s.order / 2, centre, near, damping, sources, receivers: s.receivers.clone() };
        Ok(T::leap(leap, Edge::walls(s.ends.map(End::edge), s.order / 2), how, step))
    }

    fn check(&self, world: &mut World, fields: &[Field<T, D>], steps: u64) -> Result<Verified, Abort> {
        if self.setup.ends.contains(&End::Absorbing) {
            return Ok(Verified::Not("of absorbing ends the solution is not known"));
        }
        if self.setup.start != Start::Mode || !self.setup.sources.is_empty() {
            return Ok(Verified::Not("the solution is known of standing waves alone"));
        }
        let (modes, height) = (self.modes(), (steps as f64 * self.turn()).cos());
        let error = fields[0].max_of(world, |at, value| (value.as_f64() - height * product(&modes, at)).abs())?;
        Ok(Verified::By(Check { error, bound: self.rounding_bound::<T>(steps), peak: 1.0 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the bound rests on: the sum of magnitudes of the response to one cell, over as many steps as reach no wall.
    #[test]
    fn responses_grow_no_faster_than_said() {
        fn sum<const D: usize>(n: u64, order: usize, steps: u64, part: f64) -> f64
        where
            f64: Compiled<D>,
        {
            let free =
                Wave::new(Setup { order, start: Start::Rest, ends: [End::Periodic; D], ..Setup::new([n; D]) }).unwrap();
            let setup = Setup { dt: Some(part * free.dt / 0.8), ..free.setup };
            let wave = Wave::new(setup).unwrap();
            let (mut world, how) = (World::alone(), How::default());
            let grid = how.grid::<f64, D>(&wave);
            let mut fields = [0, 1].map(|_| Field::<f64, D>::new(&mut world, grid).unwrap());
            fields[0].set([n / 2; D], 1.0);
            let mut engine = wave.engine(&mut world, &fields, &how, 0).unwrap();
            let mut most = 0f64;
            for step in 1..=steps {
                engine.advance(&mut world, &mut fields, 1).unwrap();
                let mut sizes = fields[0].like();
                sizes.update_with(&fields[0], |_, u| u.abs());
                most = most.max(sizes.sum(&mut world).unwrap() / (step + 1) as f64);
            }
            most
        }
        for order in [2, 4, 6, 8] {
            for part in [0.3, 0.8, 1.0] {
                let all =
                    [sum::<1>(400, order, 60, part), sum::<2>(160, order, 40, part), sum::<3>(48, order, 14, part)];
                for (axes, most) in all.into_iter().enumerate() {
                    let said = f64::from(1 << (axes + 1)); // 2ᴰ
                    assert!(
                        (0.9..said).contains(&most),
                        "order {order}, {} axes, {part} of the limit: {most}",
                        axes + 1
                    );
                }
            }
        }
    }

    #[test]
    fn bad_parameters_are_named() {
        let why = |change: fn(&mut Setup<2>)| {
            let mut setup = Setup::new([30, 20]);
            change(&mut setup);
            Wave::new(setup).unwrap_err()
        };
        assert!(why(|s| s.order = 3).contains("2, 4, 6 or 8"));
        assert!(why(|s| s.dt = Some(1.0)).contains("stability limit 2.67"), "{}", why(|s| s.dt = Some(1.0)));
        assert!(why(|s| s.speed = -1.0).contains("a speed of -1"));
        assert!(why(|s| s.sources = vec![[30, 1]]).contains("a source at 30x1 on 30x20 cells"));
        assert!(why(|s| s.receivers = vec![[3, 20]]).contains("a receiver at 3x20"));
        assert!(why(|s| s.frequency = Some(f64::NAN)).contains("a frequency of NaN"));
        assert!(why(|s| s.cells = [0, 4]).contains("at least one"));
    }
}
