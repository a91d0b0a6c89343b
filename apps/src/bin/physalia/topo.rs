//! `physalia topo`: the plan of every rank as a table.

use crate::args;
use crate::job::{self, layout, wrong_use};
use crate::outputs::Outputs;
use crate::report::{self, Watch};
use physalia::prelude::*;
use physalia::topology::{self, Plan, Source};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;

/// What a rank tells of its place.
#[derive(Serialize, Deserialize)]
struct Place {
    rank: u32,
    host: String,
    source: String,
    workers: usize,
    pinned: bool,
    domains: Vec<Domain>,
    notes: Vec<String>,
}

/// A NUMA domain of a rank.
#[derive(Serialize, Deserialize)]
struct Domain {
    node: u32,
    nodes: Vec<u32>,
    /// The processors of this rank there.
    cpus: String,
    /// By worker: the processor that it is pinned to.
    workers: Vec<Option<u32>>,
}

#[derive(Serialize)]
struct Own {
    places: Vec<Place>,
}

/// Runs the command.
pub fn main(args: &args::Topo) -> ExitCode {
    report::begin();
    match Outputs::of(&[("--json", &args.job.json)], &[]) {
        Ok(outputs) => job::run(&args.job, &outputs, |world| one(world, &outputs)),
        Err(why) => wrong_use(&why),
    }
}

/// The job, on one rank.
fn one(world: &mut World, outputs: &Outputs<'_>) -> Outcome<()> {
    let json = outputs.begin(world, "--json")?;
    let watch = Watch::start(world)?;
    let mine = serde_json::to_vec(&place(world))?;
    let all = world.all_gather_v(&mine)?;
    let places: Vec<Place> = all.iter().map(serde_json::from_slice).collect::<Result<_, _>>()?;
    let seconds = watch.stop(world)?;
    let own = Own { places };
    let reported = report::write(world, json, "topo", seconds, &own);
    let text = format!("{}\n\n{}", layout(world), table(&own.places));
    world.on_root(|| outputs.text(&text));
    Ok(reported?)
}

fn place(world: &World) -> Place {
    let machine = topology::probe();
    let plan: &Plan = world.plan();
    let source = match machine.source {
        Source::Hwloc => "hwloc",
        Source::Sysfs => "sysfs",
        Source::Flat => "flat",
    };
    let workers_of = |d| plan.workers.iter().filter(move |w| w.domain == d).map(|w| w.core);
    let domain = |(d, domain): (usize, &topology::PlanDomain)| Domain {
        node: domain.nodes[0],
        nodes: domain.nodes.clone(),
        cpus: domain.cpus.to_string(),
        workers: workers_of(d).collect(),
    };
    Place {
        rank: world.rank(),
        host: world.host().into(),
        source: source.into(),
        workers: plan.threads(),
        pinned: plan.pinned,
        domains: plan.domains.iter().enumerate().map(domain).collect(),
        notes: plan.notes.iter().chain(&machine.notes).cloned().collect(),
    }
}

/// A line for each domain of each rank.
fn table(places: &[Place]) -> String {
    let mut rows = vec![["rank", "host", "seen by", "node", "cpus", "workers", "pinned to"].map(String::from)];
    for place in places {
        for (i, domain) in place.domains.iter().enumerate() {
            let first = |text: String| if i == 0 { text } else { String::new() };
            let pins: Vec<String> = domain.workers.iter().flatten().map(u32::to_string).collect();
            rows.push([
                first(place.rank.to_string()),
                first(place.host.clone()),
                first(place.source.clone()),
                domain.nodes.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
                domain.cpus.clone(),
                domain.workers.len().to_string(),
                if pins.is_empty() { "-".into() } else { pins.join(",") },
            ]);
        }
    }
    let width = |c: usize| rows.iter().map(|row| row[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &[String; 7]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_string() + "\n"
    };
    let mut text: String = rows.iter().map(line).collect();
    let mut notes: Vec<&String> = places.iter().flat_map(|p| &p.notes).collect();
    notes.sort_unstable();
    notes.dedup();
    notes.iter().for_each(|note| text += &format!("note: {note}\n"));
    text
}
