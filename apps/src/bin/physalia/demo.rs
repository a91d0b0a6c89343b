//! `physalia demo`: both jobs on small input. Whatever it claims it has checked.

use crate::args;
use crate::job::{self, grouped, layout, wrong_use};
use crate::outputs::Outputs;
use crate::report::{self, Watch};
use physalia::prelude::*;
use physalia_apps::demo;
use physalia_apps::genomics::count::{Options, count};
use physalia_apps::picture::Picture;
use physalia_apps::publish::Aside;
use physalia_apps::stencil::exact::{Check, Verdict};
use physalia_apps::stencil::heat::{Heat, Start};
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

const PICTURE: &str = "./physalia-demo.png";
const READS: &str = "./physalia-demo.fastq";
const CELLS: [u64; 2] = [768, 512];
const STEPS: u64 = 400;
const K: usize = 31;
const SEED: u64 = 1;

#[derive(Serialize)]
struct Own {
    heat: Hot,
    kmers: Counted,
}

#[derive(Serialize)]
struct Hot {
    cells: [u64; 2],
    steps: u64,
    error_max: f64,
    field_hash: String,
    picture: String,
}

#[derive(Serialize)]
struct Counted {
    k: usize,
    bases: u64,
    kmers: u64,
    distinct: u64,
    unique: u64,
}

/// Runs the command.
pub fn main(args: &args::Demo) -> ExitCode {
    report::begin();
    let wanted = Outputs::of(&[("--json", &args.job.json)], &[]);
    match wanted.map(|outputs| outputs.and([("the picture", Path::new(PICTURE)), ("the reads", Path::new(READS))])) {
        Ok(outputs) => job::run(&args.job, &outputs, |world| one(world, &outputs)),
        Err(why) => wrong_use(&why),
    }
}

/// The job, on one rank.
fn one(world: &mut World, outputs: &Outputs<'_>) -> Outcome<()> {
    let json = outputs.begin(world, "--json")?;
    let (picture, reads) = (outputs.begin(world, "the picture")?, outputs.begin(world, "the reads")?);
    let watch = Watch::start(world)?;
    let title = format!("{}\n\n", layout(world));
    world.on_root(|| outputs.text(&title));
    let heat = hot(world, outputs, picture)?;
    let kmers = counted(world, outputs, reads)?;
    let seconds = watch.stop(world)?;
    let reported = report::write(world, json, "demo", seconds, &Own { heat, kmers });
    let last = format!("\nBoth are right. {:.1} s\n", seconds.run);
    world.on_root(|| outputs.text(&last));
    Ok(reported?)
}

/// The heat equation twice: once where the solution is known, once for the picture.
fn hot(world: &mut World, outputs: &Outputs<'_>, out: Option<Aside>) -> Outcome<Hot> {
    let heat = Heat::new(CELLS, 1.0, None)?;
    let mut u = heat.start::<f64>(world, Start::Sines)?;
    heat.advance(world, &mut u, STEPS)?;
    let check = heat.check(world, &u, STEPS)?;
    let Check { error: error_max, bound, .. } = check;
    let right = match check.verdict() {
        Verdict::Right => Ok(()),
        _ => Err(format!("heat: error {error_max:.2e}, where rounding allows {bound:.2e}")),
    };
    world.agree(right)?;

    u.fill(demo::drops(SEED, CELLS));
    heat.advance(world, &mut u, STEPS)?;
    let picture = Picture::of(world, &u)?;
    let written = picture.zip(out).map(|(picture, out)| out.whole(&picture.png())).transpose();
    world.agree(written)?;
    let field_hash = format!("{:016x}", u.hash(world)?);
    let text = format!(
        "Heat equation, {} x {} cells, {STEPS} steps\n  error    {error_max:.2e} against the exact discrete solution\n  \
         picture  {PICTURE}\n\n",
        CELLS[0], CELLS[1]
    );
    world.on_root(|| outputs.text(&text));
    Ok(Hot { cells: CELLS, steps: STEPS, error_max, field_hash, picture: PICTURE.into() })
}

/// Reads of a random genome, counted, and counted again by one hash map.
fn counted(world: &mut World, outputs: &Outputs<'_>, out: Option<Aside>) -> Outcome<Counted> {
    let reads = world.on_root(|| demo::reads(SEED));
    let written = reads.as_ref().zip(out).map(|(text, out)| out.whole(text.as_bytes())).transpose();
    world.agree(written)?;
    let counts = count(world, &Options::new(K, vec![READS.into()]))?;
    let right = match &reads {
        Some(text) if demo::plain_histogram(text, K) != counts.histogram => {
            Err("k-mers: the histogram is not that of a plain count")
        }
        _ => Ok(()),
    };
    world.agree(right)?;
    let text = format!(
        "{K}-mers of {READS}, {} bases of a random genome read 30 times with errors\n  {} k-mers, {} distinct, {} of them \
         unique: equal to a plain count\n  how many k-mers occur so often:\n{}",
        grouped(counts.bases),
        grouped(counts.kmers),
        grouped(counts.distinct),
        grouped(counts.unique),
        demo::bars(&counts.histogram)
    );
    world.on_root(|| outputs.text(&text));
    Ok(Counted { k: K, bases: counts.bases, kmers: counts.kmers, distinct: counts.distinct, unique: counts.unique })
}
