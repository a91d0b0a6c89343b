//! `physalia topo`: the machines as drawings, the plan of every rank as a table, and what the user should know.

use crate::args;
use crate::job::{self, layout, wrong_use};
use crate::outputs::Outputs;
use crate::report::{self, Watch};
use physalia::prelude::*;
use physalia::topology::{self, Layout, Machine, Plan, Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
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
    /// From each domain, to each.
    distances: Vec<Vec<u32>>,
    notes: Vec<String>,
}

/// A NUMA domain of a rank.
#[derive(Serialize, Deserialize)]
struct Domain {
    /// The first of its nodes.
    node: u32,
    nodes: Vec<u32>,
    /// The processors of this rank there.
    cpus: String,
    /// By worker: the processor that it is pinned to.
    workers: Vec<Option<u32>>,
}

/// A machine, and the hosts that are like it.
#[derive(Serialize)]
struct Seen {
    hosts: Vec<String>,
    #[serde(flatten)]
    machine: Machine,
}

#[derive(Serialize)]
struct Own {
    layout: Layout,
    machines: Vec<Seen>,
    places: Vec<Place>,
    notes: Vec<String>,
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
    let machines = machines(world, &places)?;
    let seconds = watch.stop(world)?;
    let own = Own { layout: world.layout().clone(), machines, places, notes: world.notes().to_vec() };
    let reported = report::write(world, json, "topo", seconds, &own);
    let text = format!("{}\n\n{}", layout(world), text(&own));
    world.on_root(|| outputs.text(&text));
    Ok(reported?)
}

/// The machines of all hosts, each with the hosts that are like it: the first rank of each host looks. Collective.
fn machines(world: &mut World, places: &[Place]) -> Outcome<Vec<Seen>> {
    let mut hosts = BTreeSet::new();
    let firsts: Vec<bool> = places.iter().map(|place| hosts.insert(&place.host)).collect();
    let mine = if firsts[world.rank() as usize] { serde_json::to_vec(&topology::probe_host())? } else { Vec::new() };
    let all = world.all_gather_v(&mine)?;
    let mut machines: Vec<Seen> = Vec::new();
    for ((place, first), text) in places.iter().zip(firsts).zip(all.iter()) {
        if !first {
            continue;
        }
        let machine: Machine = serde_json::from_slice(text)?;
        match machines.iter_mut().find(|seen| seen.machine == machine) {
            Some(seen) => seen.hosts.push(place.host.clone()),
            None => machines.push(Seen { hosts: vec![place.host.clone()], machine }),
        }
    }
    Ok(machines)
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
        distances: plan.distances.clone(),
        notes: plan.notes.iter().chain(&machine.notes).cloned().collect(),
    }
}

/// The drawings, the table, and the notes.
fn text(own: &Own) -> String {
    let mut text = String::new();
    for Seen { hosts, machine } in &own.machines {
        text += &format!("{}: {}\n", hosts.join(", "), topology::draw(machine));
    }
    text += &table(&own.places);
    let machines = own.machines.iter().flat_map(|seen| &seen.machine.notes);
    let notes: BTreeSet<&String> =
        own.notes.iter().chain(own.places.iter().flat_map(|p| &p.notes)).chain(machines).collect();
    notes.iter().for_each(|note| text += &format!("note: {note}\n"));
    text
}

/// A line for each domain of each rank.
fn table(places: &[Place]) -> String {
    let mut rows =
        vec![["rank", "host", "seen by", "domain", "node", "cpus", "workers", "pinned to"].map(String::from)];
    for place in places {
        for (i, domain) in place.domains.iter().enumerate() {
            let first = |text: String| if i == 0 { text } else { String::new() };
            let pins: Vec<String> = domain.workers.iter().flatten().map(u32::to_string).collect();
            rows.push([
                first(place.rank.to_string()),
                first(place.host.clone()),
                first(place.source.clone()),
                i.to_string(),
                domain.nodes.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
                domain.cpus.clone(),
                domain.workers.len().to_string(),
                if pins.is_empty() { "-".into() } else { pins.join(",") },
            ]);
        }
    }
    let width = |c: usize| rows.iter().map(|row| row[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &[String; 8]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_string() + "\n"
    };
    rows.iter().map(line).collect()
}
