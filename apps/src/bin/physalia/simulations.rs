//! `physalia heat`, `wave`, `gray-scott`, `life` and `advect`: from arguments to simulations.

use crate::choices::{self, Around, Blocks, Borders, Float, Profile, WaveStart};
use crate::job::wrong_use;
use crate::sims;
use crate::simulate::{Asked, run};
use crate::values::{self, Cells, Numbers, Place};
use physalia_apps::stencil::advect::{self, Advect};
use physalia_apps::stencil::gray_scott::{self, GrayScott, PATTERNS, Rates};
use physalia_apps::stencil::heat::{self, Heat, Method};
use physalia_apps::stencil::life::{self, Life};
use physalia_apps::stencil::patterns::Pattern;
use physalia_apps::stencil::wave::{self, End, Setup, Wave};
use std::process::ExitCode;

/// The same for 1 to 3 axes and both kinds of numbers: the cells as an array, and the type.
macro_rules! on_axes {
    ($cells:expr, $float:expr, |$c:ident, $t:ident| $body:expr) => {{
        macro_rules! with {
            ($array:expr, $number:ty) => {{
                type $t = $number;
                let $c = $array;
                $body
            }};
        }
        match ($cells.0.as_slice(), $float) {
            (&[x], Float::F32) => with!([x], f32),
            (&[x], Float::F64) => with!([x], f64),
            (&[x, y], Float::F32) => with!([x, y], f32),
            (&[x, y], Float::F64) => with!([x, y], f64),
            (&[x, y, z], Float::F32) => with!([x, y, z], f32),
            (&[x, y, z], Float::F64) => with!([x, y, z], f64),
            _ => unreachable!("the parser takes 1 to 3 axes"),
        }
    }};
}

/// One number for each axis.
fn axes<const D: usize>(option: &str, given: &Option<Numbers>, usual: [f64; D]) -> Result<[f64; D], String> {
    match given {
        None => Ok(usual),
        Some(Numbers(all)) => {
            all.as_slice().try_into().map_err(|_| format!("{option} has {} numbers for {D} axes", all.len()))
        }
    }
}

/// A cell.
fn cell<const D: usize>(what: &str, Place(at): &Place) -> Result<[u64; D], String> {
    at.as_slice().try_into().map_err(|_| format!("a {what} at {at:?}, of {} coordinates, on {D} axes", at.len()))
}

/// Ends with what went well, or as wrong use.
fn ended(ran: Result<ExitCode, String>) -> ExitCode {
    ran.unwrap_or_else(|why| wrong_use(&why))
}

/// Runs the command.
pub fn heat(args: &sims::Heat) -> ExitCode {
    ended(on_axes!(&args.cells, args.float, |cells, T| heat_on::<T, _>(args, cells)))
}

fn heat_on<T: physalia_apps::stencil::engine::Compiled<D>, const D: usize>(
    args: &sims::Heat,
    cells: [u64; D],
) -> Result<ExitCode, String> {
    let method = match args.method {
        choices::Method::Euler => Method::Euler,
        choices::Method::Rk4 => Method::RungeKutta,
        choices::Method::Implicit => Method::Implicit,
    };
    let start = match args.start {
        choices::Start::Sines => heat::Start::Sines,
        choices::Start::Random => heat::Start::Random(args.seed),
    };
    let edges = std::array::from_fn(|a| args.boundary.0[a].into());
    let lengths = axes("--domain", &args.domain, [1.0; D])?;
    let heat = Heat::on(cells, lengths, edges, method, args.alpha, args.dt).map_err(|bad| bad.to_string())?;
    let asked = Asked { command: "heat", steps: args.steps, run: &args.run, traces: None, inputs: &[] };
    Ok(run::<T, D>(&asked, &heat.from(start)))
}

/// Runs the command.
pub fn wave(args: &sims::Wave) -> ExitCode {
    ended(on_axes!(&args.cells, args.float, |cells, T| wave_on::<T, _>(args, cells)))
}

fn wave_on<T: physalia_apps::stencil::engine::Compiled<D>, const D: usize>(
    args: &sims::Wave,
    cells: [u64; D],
) -> Result<ExitCode, String> {
    let ends: [End; D] = std::array::from_fn(|a| args.boundary.0[a].into());
    let start = match args.start {
        Some(WaveStart::Mode) => wave::Start::Mode,
        Some(WaveStart::Pulse) => wave::Start::Pulse,
        Some(WaveStart::Rest) => wave::Start::Rest,
        None if !args.source.is_empty() => wave::Start::Rest,
        None if ends.contains(&End::Absorbing) => wave::Start::Pulse,
        None => wave::Start::Mode,
    };
    let receivers = args.receivers.as_deref().map_or(Ok(Vec::new()), receivers)?;
    let columns = receivers.iter().map(|Place(at)| {
        let numbers: Vec<String> = at.iter().map(u64::to_string).collect();
        format!("u_{}", numbers.join("_"))
    });
    let wave = Wave::new(Setup {
        lengths: axes("--domain", &args.domain, [1.0; D])?,
        ends,
        order: args.order,
        speed: args.speed,
        dt: args.dt,
        start,
        sources: args.source.iter().map(|at| cell("source", at)).collect::<Result<_, _>>()?,
        frequency: args.frequency,
        receivers: receivers.iter().map(|at| cell("receiver", at)).collect::<Result<_, _>>()?,
        ..Setup::new(cells)
    })?;
    let traces = args.traces.as_deref().map(|path| (path, columns.collect()));
    let asked = Asked { command: "wave", steps: args.steps, run: &args.run, traces, inputs: &[] };
    Ok(run::<T, D>(&asked, &wave))
}

/// `1,2:3,4`, or a file with one cell on each line.
fn receivers(text: &str) -> Result<Vec<Place>, String> {
    let listed: Result<Vec<Place>, String> = text.split(':').map(values::place).collect();
    if listed.is_ok() || !std::path::Path::new(text).exists() {
        return listed.map_err(|why| format!("--receivers {text}: neither cells ({why}) nor a file"));
    }
    let lines = std::fs::read_to_string(text).map_err(|why| format!("cannot read {text}: {why}"))?;
    let lines = lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(i, line)| values::place(line).map_err(|why| format!("{text}, line {}: {why}", i + 1))).collect()
}

/// Runs the command.
pub fn gray_scott(args: &sims::GrayScott) -> ExitCode {
    ended(on_axes!(&args.cells, args.float, |cells, T| {
        let (_, feed, kill) = PATTERNS.into_iter().find(|pattern| pattern.0 == args.pattern).unwrap_or(PATTERNS[0]);
        let (feed, kill) = (args.feed.unwrap_or(feed), args.kill.unwrap_or(kill));
        let start = match args.start {
            Blocks::One => gray_scott::Start::Block,
            Blocks::Many => gray_scott::Start::Blocks(args.seed),
        };
        let rates = Rates { feed, kill, du: args.du, dv: args.dv, dt: args.dt };
        GrayScott::new(cells, rates, args.boundary == Around::Periodic, start).map(|simulation| {
            let asked = Asked { command: "gray-scott", steps: args.steps, run: &args.run, traces: None, inputs: &[] };
            run::<T, _>(&asked, &simulation)
        })
    }))
}

/// Runs the command.
pub fn life(args: &sims::Life) -> ExitCode {
    ended(life_of(args))
}

fn life_of(args: &sims::Life) -> Result<ExitCode, String> {
    let Cells(cells) = &args.cells;
    let cells = cells.as_slice().try_into().map_err(|_| format!("life has 2 axes, not {}", cells.len()))?;
    let start = match &args.rle {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|why| format!("cannot read {}: {why}", path.display()))?;
            life::Start::Pattern(Pattern::rle(&text).map_err(|why| format!("{}, {why}", path.display()))?)
        }
        None => match Pattern::named(&args.start) {
            Some(pattern) => life::Start::Pattern(pattern),
            None => life::Start::Random(args.density, args.seed),
        },
    };
    let life = Life::new(cells, args.boundary == Borders::Torus, start)?;
    let inputs = args.rle.as_slice();
    let asked = Asked { command: "life", steps: args.steps, run: &args.run, traces: None, inputs };
    Ok(run::<u8, 2>(&asked, &life))
}

/// Runs the command.
pub fn advect(args: &sims::Advect) -> ExitCode {
    ended(on_axes!(&args.cells, args.float, |cells, T| advect_on::<T, _>(args, cells)))
}

fn advect_on<T: physalia_apps::stencil::engine::Compiled<D>, const D: usize>(
    args: &sims::Advect,
    cells: [u64; D],
) -> Result<ExitCode, String> {
    let start = match args.start {
        Profile::Wave => advect::Start::Wave,
        Profile::Hill => advect::Start::Hill,
        Profile::Random => advect::Start::Random(args.seed),
    };
    let velocity = axes("--velocity", &args.velocity, std::array::from_fn(|a| 0.5f64.powi(a as i32)))?;
    let lengths = axes("--domain", &args.domain, [1.0; D])?;
    let advect = Advect::new(cells, lengths, velocity, args.cfl, args.dt, start)?;
    let asked = Asked { command: "advect", steps: args.steps, run: &args.run, traces: None, inputs: &[] };
    Ok(run::<T, D>(&asked, &advect))
}
