//! Geometric multigrid: V-cycles on σ u − ∇·(c ∇u) = f.
//!
//! Trottenberg, Oosterlee, Schüller, "Multigrid" (2001). Each level has the same discretisation on its own cells, with the means
//! of c; smoothers are damped Jacobi steps, whose dampings make a Chebyshev polynomial, so no order of cells enters.
//!
//! Corrections come back by linear interpolation. Residuals go up as means of the coarse cell's own ones, which is what a finite
//! volume balances, needs no ghosts, and converges best; as a preconditioner by the transpose of interpolation, and with as
//! many smoothings after as before a cycle from zero is symmetric then.
//!
//! With three smoothings a cycle multiplies the residual of Poisson's equation by 0.05 in one dimension, 0.09 in two, 0.1 in three
//! (at worst 0.13), whatever the number of cells.

use super::cg::conjugate_gradients;
use super::elliptic::Elliptic;
use super::iterate::{Report, Tolerance, iterate};
use super::levels::{Level, OCCUPIES, Plan};
use super::{Number, axis::Axis};
use crate::World;
use crate::field::Field;
use physalia_collectives::{Abort, Outcome};

/// c of σ u − ∇·(c ∇u) = f.
#[derive(Clone, Copy, Debug)]
pub enum Coefficient<'c, T, const D: usize> {
    /// The same everywhere.
    Constant(f64),
    /// A value for each cell, that of its centre.
    Cells(&'c Field<T, D>),
}

/// The levels of one problem, prepared once for any number of right-hand sides.
///
/// It holds 2 fields of the size of the first level's (one more without Dirichlet walls and σ, and one for each axis if c varies), and
/// of all coarser levels together about half as much again in 2 dimensions, and a quarter in 3; besides, some words for each cell
/// of an axis. No rank has more than its share, but for levels so coarse that fewer ranks have them.
#[derive(Debug)]
pub struct Multigrid<T: Number, const D: usize> {
    problem: Elliptic<D>,
    levels: Vec<Level<T, D>>,
}

impl<T: Number, const D: usize> Multigrid<T, D> {
    /// Prepares all levels for fields on the boxes of `like`, three smoothings before and after. Collective; it costs about as much
    /// as two cycles.
    ///
    /// # Errors
    /// An agreed abort if c is not a positive number everywhere, or if a rank has no memory; or the job's abort.
    ///
    /// # Panics
    /// If c lies on other boxes than `like`.
    #[track_caller]
    pub fn new(
        world: &mut World,
        like: &Field<T, D>,
        problem: &Elliptic<D>,
        c: Coefficient<'_, T, D>,
    ) -> Outcome<Multigrid<T, D>> {
        Multigrid::with(world, like, problem, c, 3, OCCUPIES)
    }

    /// As `new`, with so many smoothings before and after, and at least so many cells a rank on coarse levels: levels with
    /// fewer are dealt out to fewer ranks. Neither how cells are dealt out nor the number of ranks changes a bit.
    ///
    /// # Errors
    /// As `new`.
    ///
    /// # Panics
    /// As `new`, or if there are no smoothings or no cells a rank.
    #[track_caller]
    pub fn with(
        world: &mut World,
        like: &Field<T, D>,
        problem: &Elliptic<D>,
        c: Coefficient<'_, T, D>,
        smoothings: usize,
        cells_a_rank: u64,
    ) -> Outcome<Multigrid<T, D>> {
        assert!(smoothings > 0 && cells_a_rank > 0, "{smoothings} smoothings, {cells_a_rank} cells a rank");
        let cells = like.grid().cells();
        let axes = std::array::from_fn(|a| Axis::uniform(cells[a], problem.lengths[a], problem.walls[a]));
        let constant = match c {
            Coefficient::Constant(c) => c,
            Coefficient::Cells(c) => {
                like.must_lie_as(c.boxes_of());
                let worst = match c.not_finite(world)? {
                    None => c.min(world)?,
                    Some(bad) => bad,
                };
                if !(worst.value.is_finite() && worst.value > 0.0) {
                    let what = format!("the coefficient of cell {:?} is {}", worst.cell, worst.value);
                    world.agree(Err::<(), _>(what + ": a positive number is wanted"))?;
                }
                1.0
            }
        };
        if !(constant.is_finite() && constant > 0.0) {
            world.agree(Err::<(), _>(format!("a coefficient of {constant}: a positive number is wanted")))?;
        }
        let periodic = problem.periodic();
        let first = like.boxes();
        let plan = Plan { periodic, shift: problem.shift, constant, smoothings, occupies: cells_a_rank, first };
        let c = match c {
            Coefficient::Constant(_) => None,
            Coefficient::Cells(c) => {
                let grid = crate::field::Grid::new(cells);
                let mut own = Field::with_boxes(world, grid, first.clone())?;
                own.assign(c);
                Some(own)
            }
        };
        let mut levels = Level::build(world, &plan, axes, c)?;
        if problem.singular() {
            levels[0].f = Some(levels[0].u.like());
        }
        Ok(Multigrid { problem: *problem, levels })
    }

    /// Cells along each axis of all levels, and how many ranks have some; from the finest on.
    pub fn levels(&self) -> Vec<([u64; D], usize)> {
        let of = |level: &Level<T, D>| {
            let mut owners = level.u.boxes().owners().to_vec();
            owners.sort_unstable();
            owners.dedup();
            (level.u.grid().cells(), owners.len())
        };
        self.levels.iter().map(of).collect()
    }

    /// The centre of a cell.
    pub fn centre(&self, cell: [u64; D]) -> [f64; D] {
        std::array::from_fn(|a| (cell[a] as f64 + 0.5) * self.levels[0].axes[a].widths[0])
    }

    /// Adds what walls bring to the right-hand side. `wall(axis, upper, place)` is the value of u at a Dirichlet wall, or the flux
    /// c ∂u/∂n out of the box at a Neumann wall, at the middle of a cell's face there. Local.
    ///
    /// # Panics
    /// If f lies on other boxes.
    pub fn add_walls(&self, f: &mut Field<T, D>, wall: impl Fn(usize, bool, [f64; D]) -> f64 + Sync) {
        let first = &self.levels[0];
        f.must_lie_as(first.u.boxes_of());
        first.operator.add_walls(&first.axes, f, wall);
    }

    /// out = σ u − ∇·(c ∇u), with zero at Dirichlet walls and no flux through Neumann walls. Collective; one message to each
    /// neighbouring rank.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If the fields lie on other boxes.
    #[track_caller]
    pub fn apply(&mut self, world: &mut World, u: &Field<T, D>, out: &mut Field<T, D>) -> Result<(), Abort> {
        let Level { operator, ghosts, u: own, .. } = &mut self.levels[0];
        own.assign(u);
        out.must_lie_as(own.boxes_of());
        operator.apply(world, ghosts, own, out)
    }

    /// Solves from the u that is given, by V-cycles, until the Euclidean norm of f − A u is small. Without Dirichlet walls and σ
    /// there is a solution only if f has no mean: it is solved without its mean, and u has none then.
    ///
    /// Collective. A cycle sends 2 ν + 2 messages a level to each neighbouring rank (ν smoothings before and after), and makes
    /// no reduction; the residual costs one. A smoothing reads two fields and writes one, so does the residual; c reads one more for
    /// each axis.
    ///
    /// # Errors
    /// As [`iterate`]. That the tolerance is not reached is no error: the report tells.
    ///
    /// # Panics
    /// If the fields lie on other boxes.
    pub fn solve(
        &mut self,
        world: &mut World,
        f: &Field<T, D>,
        u: &mut Field<T, D>,
        until: Tolerance,
        most: u64,
    ) -> Outcome<Report> {
        self.take(world, f, Some(u))?;
        let report = iterate(world, until, most, |world, k| {
            if k > 0 {
                cycle(world, &mut self.levels, f, Manner { zero: false, symmetric: false })?;
            }
            let Level { operator, ghosts, u, other, f: own, .. } = &mut self.levels[0];
            operator.residual(world, ghosts, own.as_ref().unwrap_or(f), u, other)?;
            Ok(other.norm(world)?)
        })?;
        self.give(world, u)?;
        Ok(report)
    }

    /// As [`solve`](Multigrid::solve), by conjugate gradients with a V-cycle as preconditioner: fewer iterations where c jumps, at
    /// three more reductions and some vector steps each, with six more fields.
    ///
    /// # Errors
    /// As `solve`; as [`conjugate_gradients`].
    ///
    /// # Panics
    /// As `solve`.
    pub fn solve_by_cg(
        &mut self,
        world: &mut World,
        f: &Field<T, D>,
        u: &mut Field<T, D>,
        until: Tolerance,
        most: u64,
    ) -> Outcome<Report> {
        self.take(world, f, Some(u))?;
        let mut b = self.levels[0].u.like();
        b.assign(self.levels[0].f.as_ref().unwrap_or(f));
        let mut x = b.like();
        x.assign(u);
        let levels = std::cell::RefCell::new(&mut self.levels);
        let apply = |world: &mut World, p: &mut Field<T, D>, q: &mut Field<T, D>| {
            let Level { operator, ghosts, .. } = &mut levels.borrow_mut()[0];
            Ok(operator.apply(world, ghosts, p, q)?)
        };
        let precondition = |world: &mut World, r: &Field<T, D>, z: &mut Field<T, D>| {
            let mut levels = levels.borrow_mut();
            if let Some(own) = &mut levels[0].f {
                own.assign(r);
            }
            cycle(world, &mut levels, r, Manner { zero: true, symmetric: true })?;
            z.assign(&levels[0].u);
            Ok(())
        };
        let report = conjugate_gradients(world, &b, &mut x, until, most, apply, Some(precondition))?;
        self.levels[0].u.assign(&x);
        self.give(world, u)?;
        Ok(report)
    }

    /// One V-cycle from zero: z is near A⁻¹ r, by a symmetric operator; a preconditioner for [`conjugate_gradients`]. Collective.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If the fields lie on other boxes.
    pub fn precondition(&mut self, world: &mut World, r: &Field<T, D>, z: &mut Field<T, D>) -> Result<(), Abort> {
        self.take(world, r, None)?;
        cycle(world, &mut self.levels, r, Manner { zero: true, symmetric: true })?;
        z.assign(&self.levels[0].u);
        Ok(())
    }

    /// Takes over the start, and where f must have no mean, f without it.
    fn take(&mut self, world: &mut World, f: &Field<T, D>, u: Option<&Field<T, D>>) -> Result<(), Abort> {
        let Level { u: own, f: compatible, .. } = &mut self.levels[0];
        own.must_lie_as(f.boxes_of());
        if let Some(u) = u {
            own.assign(u);
        }
        if let Some(compatible) = compatible {
            let mean = T::nearest(f.sum(world)? / cells(f));
            compatible.update_with(f, |_, f| f - mean);
        }
        Ok(())
    }

    /// Gives the solution, without its mean if that is not fixed.
    fn give(&mut self, world: &mut World, u: &mut Field<T, D>) -> Result<(), Abort> {
        u.assign(&self.levels[0].u);
        if self.problem.singular() {
            let mean = T::nearest(u.sum(world)? / cells(u));
            u.map(|_, u| u - mean);
        }
        Ok(())
    }
}

fn cells<T: Number, const D: usize>(field: &Field<T, D>) -> f64 {
    field.grid().cells().iter().map(|&n| n as f64).product()
}

/// How a cycle goes.
#[derive(Clone, Copy)]
struct Manner {
    /// From zero, whatever u is.
    zero: bool,
    /// So that it is a symmetric operator.
    symmetric: bool,
}

/// One V-cycle on the first of these levels and all behind. `f` is the right-hand side of a level that has none of its own.
fn cycle<T: Number, const D: usize>(
    world: &mut World,
    levels: &mut [Level<T, D>],
    f: &Field<T, D>,
    manner: Manner,
) -> Result<(), Abort> {
    let Some((level, coarser)) = levels.split_first_mut() else { return Ok(()) };
    let Level { operator, ghosts, u, other, f: own, omegas, down, .. } = level;
    let f = own.as_ref().unwrap_or(f);
    let Some(down) = down else {
        // One cell, or cells that are not coupled.
        operator.smooth_zero(f, u, other, T::nearest(1.0));
        std::mem::swap(u, other);
        return Ok(());
    };
    for (k, &omega) in omegas.iter().enumerate() {
        if manner.zero && k == 0 {
            operator.smooth_zero(f, u, other, omega);
        } else {
            operator.smooth(world, ghosts, f, u, other, omega)?;
        }
        std::mem::swap(u, other);
    }
    operator.residual(world, ghosts, f, u, other)?;
    let next = coarser.first_mut().expect("a level below one with a way down");
    let target = next.f.as_mut().expect("the right-hand side of a coarse level");
    match &mut down.aside {
        Some(aside) => {
            aside.out.run(world, other, &mut aside.field)?;
            down.weights.gather(&aside.field, target, manner.symmetric);
        }
        None => {
            if manner.symmetric {
                ghosts.ghosts(world, other)?;
            }
            down.weights.gather(other, target, manner.symmetric);
        }
    }
    cycle(world, coarser, f, Manner { zero: true, ..manner })?;
    let next = &mut coarser[0];
    next.ghosts.ghosts(world, &mut next.u)?;
    match &mut down.aside {
        Some(aside) => {
            down.weights.interpolate(&next.u, &mut aside.field, false);
            aside.back.run(world, &aside.field, other)?;
            u.axpy(T::nearest(1.0), other);
        }
        None => down.weights.interpolate(&next.u, u, true),
    }
    for &omega in omegas.iter() {
        operator.smooth(world, ghosts, f, u, other, omega)?;
        std::mem::swap(u, other);
    }
    Ok(())
}
