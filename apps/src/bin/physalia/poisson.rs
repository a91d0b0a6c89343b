//! `physalia poisson`

use crate::choices::{self, Float};
use crate::job::{self, layout, wrong_use};
use crate::outputs::Outputs;
use crate::report::{self, Watch};
use crate::sims;
use physalia::prelude::*;
use physalia::solve::Number;
use physalia_apps::output::{Geometry, Moment, Recorder, Wishes};
use physalia_apps::picture::Picture;
use physalia_apps::stencil::engine::Real;
use physalia_apps::stencil::poisson::{Medium, Method, Poisson, Solved};
use physalia_apps::stencil::roofline::copy_bandwidth;
use physalia_apps::stencil::room::room;
use serde::Serialize;
use std::process::ExitCode;

#[derive(Serialize)]
struct Own {
    cells: Vec<u64>,
    tolerance: f64,
    float: &'static str,
    steps: u64,
    residual: f64,
    converged: bool,
    cell_updates_per_s: f64,
    copy_bytes_per_s: f64,
    time_block: usize,
    error_max: Option<f64>,
    error_bound: f64,
    check: &'static str,
    field_hash: String,
}

/// Runs the command.
pub fn main(args: &sims::Poisson) -> ExitCode {
    report::begin();
    let files = [("--json", &args.job.json), ("--picture", &args.picture), ("--output", &args.output)];
    let outputs = match Outputs::of(&files, &[]) {
        Ok(outputs) => outputs,
        Err(why) => return wrong_use(&why),
    };
    let ran = match (args.cells.0.as_slice(), args.float) {
        (&[x], Float::F32) => run::<f32, 1>(args, [x], &outputs),
        (&[x], Float::F64) => run::<f64, 1>(args, [x], &outputs),
        (&[x, y], Float::F32) => run::<f32, 2>(args, [x, y], &outputs),
        (&[x, y], Float::F64) => run::<f64, 2>(args, [x, y], &outputs),
        (&[x, y, z], Float::F32) => run::<f32, 3>(args, [x, y, z], &outputs),
        (&[x, y, z], Float::F64) => run::<f64, 3>(args, [x, y, z], &outputs),
        _ => unreachable!("the parser takes 1 to 3 axes"),
    };
    ran.unwrap_or_else(|bad| wrong_use(&bad))
}

fn run<T: Number + Real, const D: usize>(
    args: &sims::Poisson,
    cells: [u64; D],
    outputs: &Outputs<'_>,
) -> Result<ExitCode, String> {
    let medium = match args.medium {
        choices::Medium::Even => Medium::Even,
        choices::Medium::Graded => Medium::Graded,
    };
    let poisson = Poisson::new(cells, medium).map_err(|bad| bad.to_string())?;
    if args.tolerance.is_some_and(|t| !(t > 0.0 && t < 1.0)) {
        return Err(format!(
            "a tolerance of {}: a number above 0 and below 1 is wanted",
            args.tolerance.unwrap_or(0.0)
        ));
    }
    Ok(job::run(&args.job, outputs, |world| one::<T, D>(world, args, &poisson, outputs)))
}

/// The job, on one rank.
fn one<T: Number + Real, const D: usize>(
    world: &mut World,
    args: &sims::Poisson,
    poisson: &Poisson<D>,
    outputs: &Outputs<'_>,
) -> Outcome<()> {
    let (json, picture) = (outputs.begin(world, "--json")?, outputs.begin(world, "--picture")?);
    // The solution, the right-hand side, the solver's own, and half of that again for all coarser levels.
    let bytes = poisson.all_cells() as f64 * size_of::<T>() as f64;
    room(world, bytes * 8.0)?;
    let copy_bytes_per_s = copy_bandwidth(world, bytes as u64)?;
    let widths = std::array::from_fn(|a| poisson.cells().get(a).map_or(1.0, |&n| 1.0 / n as f64));
    let wishes = Wishes {
        geometry: Geometry { spacing: widths, ..Geometry::default() },
        output: args.output.clone(),
        ..Wishes::new("poisson", 0)
    };
    let mut recorder = Recorder::new(world, wishes, None)?;
    let (tolerance, method) = (
        args.tolerance.unwrap_or(poisson.tolerance::<T>()),
        match args.method {
            choices::Solver::Multigrid => Method::Multigrid,
            choices::Solver::Cg => Method::ConjugateGradients,
        },
    );
    let watch = Watch::start(world)?;
    let solved: Solved<T, D> = poisson.solve(world, method, tolerance, args.iterations)?;
    recorder.at(world, Moment { step: 0, time: 0.0 }, &[("u", &solved.u)], &[])?;
    recorder.finish(world)?;
    let seconds = watch.stop(world)?;

    let right = solved.right() && solved.report.converged;
    let iterations = solved.report.iterations;
    let own = Own {
        cells: poisson.cells().to_vec(),
        tolerance,
        float: std::any::type_name::<T>(),
        steps: iterations,
        residual: solved.report.last(),
        converged: solved.report.converged,
        cell_updates_per_s: poisson.all_cells() as f64 * iterations as f64 / seconds.run,
        copy_bytes_per_s,
        time_block: 1,
        error_max: Some(solved.error_max).filter(|error| error.is_finite()),
        error_bound: solved.bound,
        check: if right { "right" } else { "wrong" },
        field_hash: format!("{:016x}", solved.u.hash(world)?),
    };
    let drawn = if args.picture.is_some() { Picture::of(world, &solved.u)? } else { None };
    let picture = drawn.zip(picture).map(|(drawn, out)| out.whole(&drawn.png())).transpose();
    let picture = world.agree(picture);
    let reported = report::write(world, json, "poisson", seconds, &own);

    let cells = own.cells.iter().map(u64::to_string).collect::<Vec<_>>().join("x");
    let title = format!("poisson {cells} {}, {}", own.float, layout(world));
    let error = format!("{:.3e} against the exact solution (at most {:.1e})", solved.error_max, solved.bound);
    let mut lines = vec![
        ("error", error),
        ("check", own.check.into()),
        ("iterations", format!("{iterations}, each to {:.3} of the residual", solved.report.rate())),
        ("residual", format!("{:.3e}, from {:.3e}", own.residual, solved.report.first())),
        ("boxes", solved.u.boxes().to_string()),
        ("field hash", own.field_hash.clone()),
        ("time", format!("{:.3} s setup, {:.3} s run", seconds.setup, seconds.run)),
    ];
    if let Ok(Some(picture)) = &picture {
        lines.push(("picture", picture.path.clone()));
    }
    world.on_root(|| outputs.print(&title, &lines));
    let why = match (solved.report.converged, solved.right()) {
        (false, _) => Err(format!("not solved: after {iterations} iterations the residual is {:.3e}", own.residual)),
        (_, false) => {
            Err(format!("wrong result: the error {:.3e} is more than {:.1e}", solved.error_max, solved.bound))
        }
        _ => Ok(()),
    };
    world.agree(why)?;
    picture?;
    Ok(reported?)
}
