//! `physalia kmers count`

use crate::args;
use crate::job::{self, grouped, layout, wrong_use};
use crate::outputs::Outputs;
use crate::report::{self, Watch};
use physalia::prelude::*;
use physalia_apps::genomics::count::{self, Options};
use physalia_apps::genomics::input;
use physalia_apps::publish::Output;
use serde::Serialize;
use std::process::ExitCode;

#[derive(Serialize)]
struct Own<'s> {
    k: usize,
    bases: u64,
    kmers: u64,
    distinct: u64,
    unique: u64,
    bases_per_s: f64,
    outputs: &'s [Output],
}

/// Runs the command.
pub fn main(args: &args::Count) -> ExitCode {
    report::begin();
    let wanted = [("--json", &args.job.json), ("--histogram", &args.histogram), ("--dump", &args.dump)];
    let outputs = match Outputs::of(&wanted, &args.reads) {
        Ok(outputs) => outputs,
        Err(why) => return wrong_use(&why),
    };
    if args.reads.iter().filter(|path| input::is_stdin(path)).count() > 1 {
        return wrong_use(&"standard input can be read only once");
    }
    let options = Options {
        histogram: args.histogram.clone(),
        dump: args.dump.clone(),
        whole_files: args.whole_files,
        ..Options::new(args.k.into(), args.reads.clone())
    };
    job::run(&args.job, &outputs, |world| one(world, args, &options, &outputs))
}

/// The job, on one rank.
fn one(world: &mut World, args: &args::Count, options: &Options, outputs: &Outputs<'_>) -> Outcome<()> {
    let json = outputs.begin(world, "--json")?;
    let watch = Watch::start(world)?;
    let counts = count::count(world, options)?;
    let seconds = watch.stop(world)?;
    let own = Own {
        k: counts.k,
        bases: counts.bases,
        kmers: counts.kmers,
        distinct: counts.distinct,
        unique: counts.unique,
        bases_per_s: counts.bases as f64 / seconds.run,
        outputs: &counts.outputs,
    };
    let reported = report::write(world, json, "kmers count", seconds, &own);

    let files = args.reads.len();
    let files = if files == 1 { args.reads[0].display().to_string() } else { format!("{files} files") };
    let title = format!("{}-mers of {files}, canonical, {}", counts.k, layout(world));
    let mut lines = vec![
        ("bases", grouped(counts.bases)),
        ("k-mers", grouped(counts.kmers)),
        ("distinct", grouped(counts.distinct)),
        ("unique", grouped(counts.unique)),
        ("largest count", grouped(counts.largest)),
        ("speed", format!("{:.4e} bases/s", own.bases_per_s)),
    ];
    lines.extend(counts.outputs.iter().map(|out| ("written", format!("{} ({} bytes)", out.path, grouped(out.bytes)))));
    lines.push(("time", format!("{:.3} s setup, {:.3} s run", seconds.setup, seconds.run)));
    world.on_root(|| outputs.print(&title, &lines));
    Ok(reported?)
}
