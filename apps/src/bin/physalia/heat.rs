//! `physalia heat`

use crate::args;
use crate::job::{self, layout, wrong_use};
use crate::outputs::Outputs;
use crate::report::{self, Watch};
use physalia::prelude::*;
use physalia_apps::output::{Moment, Recorder, Resumed};
use physalia_apps::picture::Picture;
use physalia_apps::stencil::exact::{Check, Verdict};
use physalia_apps::stencil::heat::{BadHeat, Heat, Real, Start};
use serde::Serialize;
use std::process::ExitCode;

#[derive(Serialize)]
struct Own {
    cells: Vec<u64>,
    steps: u64,
    resumed_from: Option<u64>,
    float: &'static str,
    dt: f64,
    cell_updates_per_s: f64,
    error_max: Option<f64>,
    error_bound: Option<f64>,
    check: String,
    field_hash: String,
}

/// Runs the command.
pub fn main(args: &args::Heat) -> ExitCode {
    report::begin();
    let record = &args.record;
    let files = [
        ("--json", &args.job.json),
        ("--picture", &args.picture),
        ("--output", &record.output),
        ("--movie", &record.movie),
        ("--csv", &record.csv),
    ];
    let outputs = record.check(&args.cells.0).and_then(|()| Outputs::of(&files, &[]));
    let outputs = match outputs {
        Ok(outputs) => outputs.and(record.slice.iter().map(|(_, path)| ("--slice", path.as_path()))),
        Err(why) => return wrong_use(&why),
    };
    let ran = match (args.cells.0.as_slice(), args.float) {
        (&[x], args::Float::F32) => run::<f32, 1>(args, [x], &outputs),
        (&[x], args::Float::F64) => run::<f64, 1>(args, [x], &outputs),
        (&[x, y], args::Float::F32) => run::<f32, 2>(args, [x, y], &outputs),
        (&[x, y], args::Float::F64) => run::<f64, 2>(args, [x, y], &outputs),
        (&[x, y, z], args::Float::F32) => run::<f32, 3>(args, [x, y, z], &outputs),
        (&[x, y, z], args::Float::F64) => run::<f64, 3>(args, [x, y, z], &outputs),
        _ => unreachable!("the parser takes 1 to 3 axes"),
    };
    ran.unwrap_or_else(|bad| wrong_use(&bad))
}

fn run<T: Real, const D: usize>(
    args: &args::Heat,
    cells: [u64; D],
    outputs: &Outputs<'_>,
) -> Result<ExitCode, BadHeat> {
    let heat = Heat::new(cells, args.alpha, args.dt)?;
    Ok(job::run(&args.job, outputs, |world| one::<T, D>(world, args, &heat, outputs)))
}

/// The job, on one rank.
fn one<T: Real, const D: usize>(
    world: &mut World,
    args: &args::Heat,
    heat: &Heat<D>,
    outputs: &Outputs<'_>,
) -> Outcome<()> {
    let (json, picture) = (outputs.begin(world, "--json")?, outputs.begin(world, "--picture")?);
    let start = match args.start {
        args::Start::Sines => Start::Sines,
        args::Start::Random => Start::Random(args.seed),
    };
    let wishes = args.record.wishes(&what::<T, D>(args, heat), args.steps, heat.geometry());
    let mut u = heat.start::<T>(world, start)?;
    let resumed = match &args.record.resume {
        Some(folder) => Some(Resumed::load(world, folder, &wishes, &mut [("u", &mut u)])?),
        None => None,
    };
    let first = resumed.as_ref().map_or(0, |resumed| resumed.moment().step);
    let mut recorder = Recorder::new(world, wishes, resumed.as_ref())?;
    let watch = Watch::start(world)?;
    let bar = world.progress("heat", args.steps);
    let mut step = first;
    loop {
        let moment = Moment { step, time: step as f64 * heat.dt() };
        recorder.at(world, moment, &[("u", &u)], &[("u", &u)])?;
        if step == args.steps {
            break;
        }
        let next = recorder.next(step);
        heat.advance(world, &mut u, next - step, |done| bar.set(step + done))?;
        step = next;
    }
    drop(bar);
    recorder.finish(world)?;
    let seconds = watch.stop(world)?;

    let check = if start == Start::Sines { Some(heat.check(world, &u, args.steps)?) } else { None };
    let own = Own {
        cells: args.cells.0.clone(),
        steps: args.steps,
        resumed_from: resumed.as_ref().map(|resumed| resumed.moment().step),
        float: std::any::type_name::<T>(),
        dt: heat.dt(),
        cell_updates_per_s: (heat.all_cells() as f64 * (args.steps - first) as f64) / seconds.run,
        error_max: check.map(|c| c.error),
        error_bound: check.map(|c| c.bound),
        check: verdict(check),
        field_hash: format!("{:016x}", u.hash(world)?),
    };
    let drawn = if args.picture.is_some() { Picture::of(world, &u)? } else { None };
    let picture = drawn.zip(picture).map(|(drawn, out)| out.whole(&drawn.png())).transpose();
    // What cannot be written is told after the summary: the work is done.
    let picture = world.agree(picture);
    let reported = report::write(world, json, "heat", seconds, &own);

    let cells = own.cells.iter().map(u64::to_string).collect::<Vec<_>>().join("x");
    let title = format!("heat {cells} {}, {} steps of {:.4e}, {}", own.float, own.steps, own.dt, layout(world));
    let mut lines = Vec::new();
    if let Some(Check { error, bound, .. }) = check {
        lines.push(("error", format!("{error:.3e} against the exact discrete solution (rounding allows {bound:.1e})")));
    }
    lines.push(("check", own.check));
    if let Some(step) = own.resumed_from {
        lines.push(("resumed", format!("from step {step}")));
    }
    lines.push(("speed", format!("{:.4e} cell updates/s", own.cell_updates_per_s)));
    lines.push(("field hash", own.field_hash));
    if let Ok(Some(picture)) = &picture {
        lines.push(("picture", picture.path.clone()));
    }
    lines.push(("time", format!("{:.3} s setup, {:.3} s run", seconds.setup, seconds.run)));
    world.on_root(|| outputs.print(&title, &lines));

    // Every rank has the same check, so all end alike.
    let wrong = check.filter(|c| c.verdict() == Verdict::Wrong);
    let why =
        |c: Check| format!("wrong result: the error {:.3e} is more than rounding allows ({:.1e})", c.error, c.bound);
    world.agree(wrong.map_or(Ok(()), |c| Err(why(c))))?;
    picture?;
    Ok(reported?)
}

/// The run in words: all that its bits depend on, but how far it goes.
fn what<T: Real, const D: usize>(args: &args::Heat, heat: &Heat<D>) -> String {
    let cells = heat.cells().map(|n| n.to_string()).join("x");
    let start = match args.start {
        args::Start::Sines => "sines".into(),
        args::Start::Random => format!("random {}", args.seed),
    };
    let float = std::any::type_name::<T>();
    format!("heat {cells} {float}, alpha {:?}, dt {:?}, start {start}", args.alpha, heat.dt())
}

/// What the check has found, in words.
fn verdict(check: Option<Check>) -> String {
    match check.map(|c| (c, c.verdict())) {
        None => "nothing: of a random start the solution is not known".into(),
        Some((_, Verdict::Right)) => "right".into(),
        Some((_, Verdict::Wrong)) => "wrong".into(),
        Some((c, Verdict::Nothing)) => format!(
            "nothing: the field has decayed to {:.1e}, which is less than rounding may change ({:.1e}); fewer steps leave more",
            c.peak, c.bound
        ),
    }
}
