//! The arguments of simulations: what each has of its own, and what all have.

use crate::args::{Job, Record, count, positive};
use crate::choices::*;
use crate::values::*;
use clap::{Args, ValueEnum};
use physalia::stencil::Tune;
use physalia_apps::stencil::engine::How;
use physalia_apps::stencil::{gray_scott, patterns};
use std::path::PathBuf;

/// How a simulation is run; the same for all.
#[derive(Args, Debug)]
pub struct Running {
    /// The most steps that are done on a tile at once [default: a model chooses]; the result does not depend on it
    #[arg(long, value_name = "T", value_parser = block)]
    pub time_block: Option<usize>,
    /// Cells of a tile, for experiments [default: a model chooses]
    #[arg(long, value_name = "XxYxZ", value_parser = tile)]
    pub tile: Option<[usize; 3]>,
    /// Whether shapes of tiles are tried before the work
    #[arg(long, value_enum, default_value_t = Tuning::Off)]
    pub tune: Tuning,
    /// Where the best shape is remembered, for other jobs too
    #[arg(long, value_name = "FILE")]
    pub tune_file: Option<PathBuf>,
    /// Every so many steps, and at the end, look for cells that are infinite or no numbers, and stop if there are any
    #[arg(long, value_name = "N", value_parser = positive)]
    pub check_finite: Option<u64>,
    /// Write a PNG of the field at the end; - is standard output
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// What is written while it runs.
    #[command(flatten)]
    pub record: Record,
    /// How the job is laid out.
    #[command(flatten)]
    pub job: Job,
}

impl Running {
    /// As the library wants it.
    pub fn how(&self) -> How {
        let tune = match self.tune {
            Tuning::Off => Tune::Off,
            Tuning::Quick => Tune::Quick,
            Tuning::Full => Tune::Full,
        };
        How {
            time_block: self.time_block,
            tile: self.tile,
            instructions: None,
            tune,
            tune_file: self.tune_file.clone(),
        }
    }
}

/// Whether shapes are tried.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Tuning {
    /// The model chooses
    Off,
    /// Some are tried, for about a second
    Quick,
    /// Many are tried, for up to a minute
    Full,
}

/// `physalia heat`
#[derive(Args, Debug)]
pub struct Heat {
    /// Cells along each axis, x first: X, XxY or XxYxZ
    #[arg(long, default_value = "2048x2048", value_parser = cells)]
    pub cells: Cells,
    /// Time steps
    #[arg(long, default_value = "500", value_parser = count)]
    pub steps: u64,
    /// Numbers to compute with
    #[arg(long, value_enum, default_value_t = Float::F64)]
    pub float: Float,
    /// The field at the start: a product of waves, of which the solution is known, or random numbers
    #[arg(long, value_enum, default_value_t = Start::Sines)]
    pub start: Start,
    /// Seed of the random start
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Diffusivity
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub alpha: f64,
    /// Time step [default: 0.8 of the stability limit of Euler's method; implicit: 8 times that limit]
    #[arg(long, allow_negative_numbers = true)]
    pub dt: Option<f64>,
    /// Lengths of the box [default: 1 along each axis]
    #[arg(long, value_name = "LXxLYxLZ", value_parser = numbers)]
    pub domain: Option<Numbers>,
    /// What holds at the boundary, everywhere or by axis, as x=periodic,y=neumann: dirichlet (zero), neumann (no flux) or periodic
    #[arg(long, value_name = "KIND", default_value = "dirichlet", value_parser = by_axis::<HeatEnd>)]
    pub boundary: ByAxis<HeatEnd>,
    /// How steps are made
    #[arg(long, value_enum, default_value_t = Method::Euler)]
    pub method: Method,
    /// How it is run.
    #[command(flatten)]
    pub run: Running,
}

/// `physalia wave`
#[derive(Args, Debug)]
pub struct Wave {
    /// Cells along each axis, x first: X, XxY or XxYxZ
    #[arg(long, default_value = "1024x1024", value_parser = cells)]
    pub cells: Cells,
    /// Time steps
    #[arg(long, default_value = "500", value_parser = count)]
    pub steps: u64,
    /// Numbers to compute with
    #[arg(long, value_enum, default_value_t = Float::F64)]
    pub float: Float,
    /// Order of the differences in space: 2, 4, 6 or 8
    #[arg(long, default_value_t = 2)]
    pub order: usize,
    /// The field at the start [default: mode; with sources: rest; with absorbing ends: pulse]
    #[arg(long, value_enum)]
    pub start: Option<WaveStart>,
    /// Speed of waves
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub speed: f64,
    /// Time step [default: 0.8 of the stability limit]
    #[arg(long, allow_negative_numbers = true)]
    pub dt: Option<f64>,
    /// Lengths of the box [default: 1 along each axis]
    #[arg(long, value_name = "LXxLYxLZ", value_parser = numbers)]
    pub domain: Option<Numbers>,
    /// What holds at the boundary, everywhere or by axis, as x=free,y=absorbing: fixed (zero), free, periodic or absorbing
    #[arg(long, value_name = "KIND", default_value = "fixed", value_parser = by_axis::<WaveEnd>)]
    pub boundary: ByAxis<WaveEnd>,
    /// A cell that is driven by a Ricker wavelet; may be given several times
    #[arg(long, value_name = "X,Y,Z", value_parser = place)]
    pub source: Vec<Place>,
    /// Peak frequency of the sources [default: 10 times speed / shortest side of the box]
    #[arg(long, allow_negative_numbers = true)]
    pub frequency: Option<f64>,
    /// Cells whose values are noted after each step: X,Y,Z:X,Y,Z:… or a file with one X,Y,Z on each line
    #[arg(long, value_name = "CELLS", requires = "traces")]
    pub receivers: Option<String>,
    /// Write what the receivers note as a table (CSV)
    #[arg(long, value_name = "FILE", requires = "receivers")]
    pub traces: Option<PathBuf>,
    /// How it is run.
    #[command(flatten)]
    pub run: Running,
}

/// `physalia gray-scott`
#[derive(Args, Debug)]
pub struct GrayScott {
    /// Cells along each axis, x first: X, XxY or XxYxZ
    #[arg(long, default_value = "512x512", value_parser = cells)]
    pub cells: Cells,
    /// Time steps
    #[arg(long, default_value = "5000", value_parser = count)]
    pub steps: u64,
    /// Numbers to compute with
    #[arg(long, value_enum, default_value_t = Float::F64)]
    pub float: Float,
    /// Rates F and k of a known pattern
    #[arg(long, default_value = "mitosis", value_parser = patterns())]
    pub pattern: String,
    /// Rate F at which u is fed [default: the pattern's]
    #[arg(long, allow_negative_numbers = true)]
    pub feed: Option<f64>,
    /// Rate k at which v is killed [default: the pattern's]
    #[arg(long, allow_negative_numbers = true)]
    pub kill: Option<f64>,
    /// Diffusion of u
    #[arg(long, default_value_t = 0.16, allow_negative_numbers = true)]
    pub du: f64,
    /// Diffusion of v
    #[arg(long, default_value_t = 0.08, allow_negative_numbers = true)]
    pub dv: f64,
    /// Time step
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub dt: f64,
    /// Where v is at the start: on one block in the middle, or on many
    #[arg(long, value_enum, default_value_t = Blocks::Many)]
    pub start: Blocks,
    /// Seed of many blocks
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Periodic, or u = 1 and v = 0 all around
    #[arg(long, value_enum, default_value_t = Around::Periodic)]
    pub boundary: Around,
    /// How it is run.
    #[command(flatten)]
    pub run: Running,
}

/// `physalia life`
#[derive(Args, Debug)]
pub struct Life {
    /// Cells along x and y: XxY
    #[arg(long, default_value = "1024x1024", value_parser = cells)]
    pub cells: Cells,
    /// Generations
    #[arg(long, default_value = "1103", value_parser = count)]
    pub steps: u64,
    /// Who lives at the start: a pattern in the middle, or a random part of the cells
    #[arg(long, default_value = "r-pentomino", value_parser = starts())]
    pub start: String,
    /// A pattern from a file in the form RLE, instead
    #[arg(long, value_name = "FILE", conflicts_with = "start")]
    pub rle: Option<PathBuf>,
    /// The part of the cells that lives at a random start
    #[arg(long, default_value_t = 0.3, allow_negative_numbers = true)]
    pub density: f64,
    /// Seed of the random start
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// A torus, or dead cells all around
    #[arg(long, value_enum, default_value_t = Borders::Torus)]
    pub boundary: Borders,
    /// How it is run.
    #[command(flatten)]
    pub run: Running,
}

/// `physalia advect`
#[derive(Args, Debug)]
pub struct Advect {
    /// Cells along each axis, x first: X, XxY or XxYxZ
    #[arg(long, default_value = "1024x1024", value_parser = cells)]
    pub cells: Cells,
    /// Time steps
    #[arg(long, default_value = "500", value_parser = count)]
    pub steps: u64,
    /// Numbers to compute with
    #[arg(long, value_enum, default_value_t = Float::F64)]
    pub float: Float,
    /// Velocity along each axis [default: 1 along x, half as much along y, and so on]
    #[arg(long, value_name = "VX,VY,VZ", value_parser = velocity, allow_hyphen_values = true)]
    pub velocity: Option<Numbers>,
    /// The sum of |v| Δt / h over the axes, at most 1
    #[arg(long, default_value_t = 0.8, allow_negative_numbers = true)]
    pub cfl: f64,
    /// Time step [default: by --cfl]
    #[arg(long, allow_negative_numbers = true)]
    pub dt: Option<f64>,
    /// Lengths of the box [default: 1 along each axis]
    #[arg(long, value_name = "LXxLYxLZ", value_parser = numbers)]
    pub domain: Option<Numbers>,
    /// The field at the start: a wave, of which the solution is known, a hill, or random numbers
    #[arg(long, value_enum, default_value_t = Profile::Wave)]
    pub start: Profile,
    /// Seed of the random start
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How it is run.
    #[command(flatten)]
    pub run: Running,
}

/// `physalia poisson`
#[derive(Args, Debug)]
pub struct Poisson {
    /// Cells along each axis, x first: X, XxY or XxYxZ
    #[arg(long, default_value = "1024x1024", value_parser = cells)]
    pub cells: Cells,
    /// The share of the first residual that is small enough [default: 1e-8, or what rounding lets be reached]
    #[arg(long, allow_negative_numbers = true)]
    pub tolerance: Option<f64>,
    /// Iterations, at most
    #[arg(long, default_value = "100", value_parser = count)]
    pub iterations: u64,
    /// Numbers to compute with
    #[arg(long, value_enum, default_value_t = Float::F64)]
    pub float: Float,
    /// How it is solved
    #[arg(long, value_enum, default_value_t = Solver::Multigrid)]
    pub method: Solver,
    /// The coefficient: 1, or growing along the axes
    #[arg(long, value_enum, default_value_t = Medium::Even)]
    pub medium: Medium,
    /// Taken and not used: nothing is stepped
    #[arg(long, value_name = "T", value_parser = block)]
    pub time_block: Option<usize>,
    /// Taken and not used
    #[arg(long, value_name = "XxYxZ", value_parser = tile)]
    pub tile: Option<[usize; 3]>,
    /// Write the solution; the ending says how: .npy, .vti, .pvd, .nc, .zarr or .h5
    #[arg(long, value_name = "FILE", value_parser = crate::args::output)]
    pub output: Option<PathBuf>,
    /// Write a PNG of the solution; - is standard output
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// How the job is laid out.
    #[command(flatten)]
    pub job: Job,
}

fn patterns() -> Vec<&'static str> {
    gray_scott::PATTERNS.iter().map(|pattern| pattern.0).collect()
}

fn starts() -> Vec<&'static str> {
    patterns::NAMED.iter().map(|pattern| pattern.0).chain(["random"]).collect()
}
