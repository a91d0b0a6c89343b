//! The JSON report of a job: what every command tells, and what is the command's own. `docs/json.md` describes it.

use physalia::prelude::*;
use physalia::topology::sys;
use physalia_apps::publish::Aside;
use serde::Serialize;
use std::sync::OnceLock;
use std::time::Instant;

/// The version of the report's form; raised when a key changes its meaning or goes.
const SCHEMA: u32 = 1;

/// When the program began, as near as it can tell.
pub fn begin() -> Instant {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    *BEGIN.get_or_init(Instant::now)
}

#[derive(Serialize)]
struct Report<'w, T> {
    schema: u32,
    version: &'static str,
    command: &'static str,
    transport: &'static str,
    mpi: Option<String>,
    ranks: u32,
    threads_per_rank: usize,
    hosts: u32,
    seconds: Seconds,
    process_peak_rss_bytes: u64,
    sent_bytes: u64,
    cpu_s: f64,
    #[serde(flatten)]
    own: &'w T,
}

/// Wall-clock seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Seconds {
    /// Until the work began.
    pub setup: f64,
    /// Of the work.
    pub run: f64,
    /// Until the report was written.
    pub total: f64,
}

/// A stop watch for the work of a job.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    setup: f64,
    start: Instant,
}

impl Watch {
    /// The work begins, on all ranks. Collective.
    #[track_caller]
    pub fn start(world: &mut World) -> Result<Watch, Abort> {
        world.barrier()?;
        Ok(Watch { setup: begin().elapsed().as_secs_f64(), start: Instant::now() })
    }

    /// The work is done, on all ranks. Collective.
    #[track_caller]
    pub fn stop(self, world: &mut World) -> Result<Seconds, Abort> {
        world.barrier()?;
        Ok(Seconds { setup: self.setup, run: self.start.elapsed().as_secs_f64(), total: 0.0 })
    }
}

/// Writes the report to what was begun for it, if it was asked for. Collective.
///
/// # Errors
/// An agreed failure if it cannot be written; or the job's abort. The work is done then: a command prints its summary first,
/// and fails after it.
#[track_caller]
pub fn write(
    world: &mut World,
    out: Option<Aside>,
    command: &'static str,
    seconds: Seconds,
    own: &impl Serialize,
) -> Result<(), Abort> {
    let sent_bytes = world.sent_bytes();
    let sent_bytes = world.all_reduce(sent_bytes, Sum)?;
    let usage = sys::usage();
    let process_peak_rss_bytes = world.all_reduce(usage.peak_rss_bytes, Max)?;
    let mpi = world.transport() == "mpi";
    // In process all ranks have one account.
    let cpu_ns = (usage.cpu_s * 1e9) as u64;
    let cpu_ns = if mpi { world.all_reduce(cpu_ns, Sum)? } else { cpu_ns };
    let report = Report {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        command,
        transport: world.transport(),
        mpi: if mpi { world.mpi_version() } else { None },
        ranks: world.size(),
        threads_per_rank: world.threads(),
        hosts: world.hosts(),
        seconds: Seconds { total: begin().elapsed().as_secs_f64(), ..seconds },
        process_peak_rss_bytes,
        sent_bytes,
        cpu_s: cpu_ns as f64 / 1e9,
        own,
    };
    let written = out.map(|out| {
        let text = serde_json::to_string_pretty(&report).expect("a report is plain data") + "\n";
        out.whole(text.as_bytes()).map(drop)
    });
    world.agree(written.unwrap_or(Ok(())))
}
