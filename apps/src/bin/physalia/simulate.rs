//! Runs a simulation, whichever it is: its steps, what is written meanwhile, and its report.

use crate::job::{self, layout, wrong_use};
use crate::outputs::Outputs;
use crate::report::{self, Seconds, Watch};
use crate::sims::Running;
use physalia::checkpoint::Stored;
use physalia::field::Cell;
use physalia::prelude::*;
use physalia_apps::output::table::Table;
use physalia_apps::output::{Moment, Recorder, Resumed};
use physalia_apps::picture::Picture;
use physalia_apps::publish::Aside;
use physalia_apps::stencil::engine::{Engine, Simulation, Verified};
use physalia_apps::stencil::exact::{Check, Verdict};
use physalia_apps::stencil::roofline::copy_bandwidth;
use physalia_apps::stencil::room::room;
use serde::Serialize;
use serde_json::{Map, Number, Value};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a command asks for beside its simulation.
pub struct Asked<'a> {
    /// Its name.
    pub command: &'static str,
    /// Time steps.
    pub steps: u64,
    /// How it is run.
    pub run: &'a Running,
    /// A table of what receivers note, and its columns.
    pub traces: Option<(&'a Path, Vec<String>)>,
    /// Files that were read.
    pub inputs: &'a [PathBuf],
}

#[derive(Serialize)]
struct Own {
    cells: Vec<u64>,
    steps: u64,
    resumed_from: Option<u64>,
    float: &'static str,
    dt: f64,
    cell_updates_per_s: f64,
    copy_bytes_per_s: f64,
    roofline: f64,
    time_block: usize,
    #[serde(flatten)]
    figures: Map<String, Value>,
    error_max: Option<f64>,
    error_bound: Option<f64>,
    check: String,
    field_hash: String,
}

/// What a job has come to before it is told.
struct Done {
    seconds: Seconds,
    resumed_from: Option<u64>,
    copy_bytes_per_s: f64,
    time_block: usize,
}

/// Runs it.
pub fn run<T: Cell, const D: usize>(asked: &Asked<'_>, simulation: &dyn Simulation<T, D>) -> ExitCode {
    report::begin();
    let (run, record) = (asked.run, &asked.run.record);
    let traces = asked.traces.as_ref().map(|traces| traces.0.to_path_buf());
    let files = [
        ("--json", &run.job.json),
        ("--picture", &run.picture),
        ("--output", &record.output),
        ("--movie", &record.movie),
        ("--csv", &record.csv),
        ("--traces", &traces),
    ];
    let outputs = record.check(&simulation.cells()).and_then(|()| Outputs::of(&files, asked.inputs));
    match outputs {
        Ok(outputs) => {
            let outputs = outputs.and(record.slice.iter().map(|(_, path)| ("--slice", path.as_path())));
            job::run(&run.job, &outputs, |world| one(world, asked, simulation, &outputs))
        }
        Err(why) => wrong_use(&why),
    }
}

/// The job, on one rank.
fn one<T: Cell, const D: usize>(
    world: &mut World,
    asked: &Asked<'_>,
    simulation: &dyn Simulation<T, D>,
    outputs: &Outputs<'_>,
) -> Outcome<()> {
    let (json, picture) = (outputs.begin(world, "--json")?, outputs.begin(world, "--picture")?);
    let all_cells = simulation.cells().iter().map(|&n| n as f64).product::<f64>();
    let bytes = all_cells * size_of::<T>() as f64;
    room(world, bytes * simulation.arrays() as f64)?;
    let copy_bytes_per_s = copy_bandwidth(world, bytes as u64)?;
    let grid = asked.run.how().grid(simulation);
    let mut fields = Vec::new();
    for _ in simulation.names() {
        fields.push(Field::<T, D>::new(world, grid)?);
    }
    simulation.fill(&mut fields);
    let done = stepped(world, asked, simulation, &mut fields, copy_bytes_per_s)?;
    told(world, asked, simulation, &fields, done, outputs, [json, picture])
}

/// All steps, and what is written meanwhile.
fn stepped<T: Cell, const D: usize>(
    world: &mut World,
    asked: &Asked<'_>,
    simulation: &dyn Simulation<T, D>,
    fields: &mut [Field<T, D>],
    copy_bytes_per_s: f64,
) -> Outcome<Done> {
    let (run, steps, names) = (asked.run, asked.steps, simulation.names());
    let wishes = run.record.wishes(&simulation.what(), steps, simulation.geometry());
    let resumed = match &run.record.resume {
        Some(folder) => {
            let mut kept: Vec<(&str, &mut dyn Stored)> = Vec::new();
            kept.extend(names.iter().copied().zip(fields.iter_mut().map(|field| field as &mut dyn Stored)));
            Some(Resumed::load(world, folder, &wishes, &mut kept)?)
        }
        None => None,
    };
    let resumed_from = resumed.as_ref().map(|resumed| resumed.moment().step);
    let mut step = resumed_from.unwrap_or(0);
    let mut traces = match &asked.traces {
        Some((path, columns)) => {
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            Some(Table::new(world, path, &columns, resumed_from.map(|step| step + 1))?)
        }
        None => None,
    };
    let publishes = run.record.checkpoint.is_some();
    let mut recorder = Recorder::new(world, wishes, resumed.as_ref())?;
    let mut engine = simulation.engine(world, fields, &run.how(), step)?;
    engine.advance(world, fields, 0)?;
    let time_block = engine.fused();

    let watch = Watch::start(world)?;
    let bar = world.progress(asked.command, steps);
    let all_cells = simulation.cells().iter().map(|&n| n as f64).product::<f64>();
    // So that the bar is seen to move; more at once where that is quick, as each begin costs a pass over the fields' ends.
    let mut stride = ((4e8 / all_cells) as u64).max(1).next_multiple_of(time_block as u64);
    // What receivers note is kept until the end of a batch.
    let receivers = asked.traces.as_ref().map_or(1, |(_, columns)| columns.len().max(1)) as u64;
    let most_steps = ((1 << 20) / receivers).next_multiple_of(time_block as u64);
    let began = (std::time::Instant::now(), step);
    loop {
        let moment = Moment { step, time: step as f64 * simulation.dt() };
        let shown: Vec<(&str, &Field<T, D>)> = names.iter().copied().zip(&*fields).take(simulation.shown()).collect();
        let kept: Vec<(&str, &dyn Stored)> =
            names.iter().copied().zip(fields.iter().map(|f| f as &dyn Stored)).collect();
        recorder.at(world, moment, &shown, &kept)?;
        if step == steps {
            break;
        }
        let mut next = recorder.next(step).min(step + stride);
        if let Some(every) = run.check_finite {
            next = next.min((step / every + 1) * every);
        }
        let batch = std::time::Instant::now();
        engine.advance(world, fields, next - step)?;
        if next == step + stride && world.all_reduce([batch.elapsed().as_secs_f64()], Max)?[0] < BATCH_S {
            stride = (2 * stride).min(most_steps.max(stride));
        }
        if let Some(table) = &mut traces {
            noted(world, table, &mut engine, step..next, simulation.dt())?;
            if publishes {
                table.publish(world)?;
            }
        }
        step = next;
        if run.check_finite.is_some_and(|every| step % every == 0 || step == steps) {
            finite(world, names, fields, step)?;
        }
        let rate = all_cells * (step - began.1) as f64 / began.0.elapsed().as_secs_f64();
        bar.tell(&format!(
            "{} {:.2} G cells/s, {:.0} % of copy",
            asked.command,
            rate / 1e9,
            100.0 * rate * bytes_per_update(simulation) / copy_bytes_per_s
        ));
        bar.set(step);
    }
    drop(bar);
    recorder.finish(world)?;
    if let Some(table) = traces {
        table.finish(world)?;
    }
    Ok(Done { seconds: watch.stop(world)?, resumed_from, copy_bytes_per_s, time_block })
}

/// Steps are done for about so long before the bar moves.
const BATCH_S: f64 = 0.5;

/// Bytes that a cell's update needs from and to memory, if no steps are fused.
fn bytes_per_update<T: Cell, const D: usize>(simulation: &dyn Simulation<T, D>) -> f64 {
    (simulation.traffic() * size_of::<T>()) as f64
}

/// What receivers have noted of some steps, into their table.
fn noted<T: Cell, const D: usize>(
    world: &mut World,
    table: &mut Table,
    engine: &mut Engine<T, D>,
    steps: std::ops::Range<u64>,
    dt: f64,
) -> Outcome<()> {
    let traces = engine.traces(world)?.unwrap_or_default();
    for (i, step) in steps.enumerate() {
        let values: Vec<f64> = traces.iter().map(|trace| trace[i].as_f64()).collect();
        table.add(world, Moment { step: step + 1, time: (step + 1) as f64 * dt }, &values)?;
    }
    Ok(())
}

/// Refuses to go on from what is no number.
fn finite<T: Cell, const D: usize>(
    world: &mut World,
    names: &[&str],
    fields: &[Field<T, D>],
    step: u64,
) -> Outcome<()> {
    for (name, field) in names.iter().zip(fields) {
        let found = field.not_finite(world)?;
        let why = found.map(|found| format!("after step {step}, {name} is {} at {:?}", found.value, found.cell));
        world.agree(why.map_or(Ok(()), Err))?;
    }
    Ok(())
}

/// The report, and the summary for people.
fn told<T: Cell, const D: usize>(
    world: &mut World,
    asked: &Asked<'_>,
    simulation: &dyn Simulation<T, D>,
    fields: &[Field<T, D>],
    done: Done,
    outputs: &Outputs<'_>,
    [json, picture]: [Option<Aside>; 2],
) -> Outcome<()> {
    let Done { seconds, resumed_from, copy_bytes_per_s, time_block } = done;
    let verified = simulation.check(world, fields, asked.steps)?;
    let figures = simulation.figures(world, fields)?;
    let check = match verified {
        Verified::By(check) => Some(check),
        Verified::Not(_) => None,
    };
    let mut hash = 0u64;
    for field in &fields[..simulation.shown()] {
        hash = hash.rotate_left(23).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(field.hash(world)?);
    }
    let all_cells = simulation.cells().iter().map(|&n| n as f64).product::<f64>();
    let rate = all_cells * (asked.steps - resumed_from.unwrap_or(0)) as f64 / seconds.run;
    let own = Own {
        cells: simulation.cells().to_vec(),
        steps: asked.steps,
        resumed_from,
        float: std::any::type_name::<T>(),
        dt: simulation.dt(),
        cell_updates_per_s: rate,
        copy_bytes_per_s,
        roofline: rate * bytes_per_update(simulation) / copy_bytes_per_s,
        time_block,
        figures: figures.iter().map(|(name, value)| (name.to_string(), number::<T>(*value))).collect(),
        error_max: check.map(|c| c.error),
        error_bound: check.map(|c| c.bound),
        check: verdict(verified),
        field_hash: format!("{hash:016x}"),
    };
    let drawn = if asked.run.picture.is_some() { Picture::of(world, &fields[0])? } else { None };
    let picture = drawn.zip(picture).map(|(drawn, out)| out.whole(&drawn.png())).transpose();
    // What cannot be written is told after the summary: the work is done.
    let picture = world.agree(picture);
    let reported = report::write(world, json, asked.command, seconds, &own);

    let cells = own.cells.iter().map(u64::to_string).collect::<Vec<_>>().join("x");
    let (command, float, layout) = (asked.command, own.float, layout(world));
    let title = format!("{command} {cells} {float}, {} steps of {:.4e}, {layout}", own.steps, own.dt);
    let mut lines = Vec::new();
    if let Some(Check { error, bound, .. }) = check {
        lines.push(("error", format!("{error:.3e} against the exact discrete solution (rounding allows {bound:.1e})")));
    }
    lines.push(("check", own.check));
    if let Some(step) = resumed_from {
        lines.push(("resumed", format!("from step {step}")));
    }
    lines.extend(own.figures.iter().map(|(name, value)| (name.as_str(), value.to_string())));
    let share = format!("{:.0} % of what copies allow without fusing; {time_block} steps fused", 100.0 * own.roofline);
    lines.push(("speed", format!("{rate:.4e} cell updates/s ({share})")));
    lines.push(("boxes", fields[0].boxes().to_string()));
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

/// A figure; of fields of whole numbers a whole one.
fn number<T: Cell>(value: f64) -> Value {
    let whole = !std::any::type_name::<T>().starts_with('f');
    if whole { Value::from(value as u64) } else { Number::from_f64(value).map_or(Value::Null, Value::Number) }
}

/// What the check has found, in words.
fn verdict(verified: Verified) -> String {
    let check = match verified {
        Verified::Not(why) => return format!("nothing: {why}"),
        Verified::By(check) => check,
    };
    match check.verdict() {
        Verdict::Right => "right".into(),
        Verdict::Wrong => "wrong".into(),
        Verdict::Nothing => format!(
            "nothing: the field has decayed to {:.1e}, which is less than rounding may change ({:.1e}); fewer steps leave more",
            check.peak, check.bound
        ),
    }
}
