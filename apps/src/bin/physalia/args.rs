//! The command line: what may be asked, and in which words.

use crate::sims::{Advect, GrayScott, Heat, Life, Poisson, Wave};
use clap::builder::TypedValueParser;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use physalia_apps::output::npy::Plane;
use physalia_apps::output::{Geometry, Wishes, known};
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// Stencil simulations and k-mer counting on many cores and many machines.
///
/// The same command runs on a laptop, under mpirun and in a Slurm job, and gives the same bits everywhere. Exit codes: 0
/// right, 1 failed or wrong, 2 wrong use, 70 a rank left by itself.
#[derive(Debug, Parser)]
#[command(name = "physalia", version, styles = STYLES, max_term_width = 100, args_override_self = true, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const STYLES: Styles =
    Styles::styled().header(AnsiColor::Green.on_default().bold()).literal(AnsiColor::Cyan.on_default().bold());

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Solve the heat equation on a box
    Heat(Box<Heat>),
    /// Solve the wave equation on a box
    Wave(Box<Wave>),
    /// Let two substances react and diffuse, as Gray and Scott have it
    GrayScott(Box<GrayScott>),
    /// Play Conway's Game of Life
    Life(Box<Life>),
    /// Carry a field along with a constant velocity
    Advect(Box<Advect>),
    /// Solve Poisson's equation on the unit box, zero at its boundary
    Poisson(Box<Poisson>),
    /// Run an application as a file says
    ///
    /// The file is TOML: `application = "heat"`, and the application's options by their names. The options that follow the
    /// file go before those that it has.
    Run(Run),
    /// Count the k-mers of sequences
    #[command(subcommand)]
    Kmers(Kmers),
    /// Show which cores each rank's workers get
    Topo(Topo),
    /// Run both jobs on small input, check their results; makes ./physalia-demo.png and ./physalia-demo.fastq
    Demo(Demo),
    /// Measure
    #[command(subcommand)]
    Bench(Bench),
    /// Print a shell's completions
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write the pages of all commands to a folder
    Man {
        /// The folder
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
    },
}

/// `physalia run`
#[derive(Args, Debug)]
pub struct Run {
    /// The scenario
    #[arg(value_name = "FILE", required_unless_present = "template")]
    pub file: Option<PathBuf>,
    /// Options of the application, as on its own command line
    #[arg(value_name = "OPTION", trailing_var_arg = true, allow_hyphen_values = true)]
    pub options: Vec<OsString>,
    /// Print a scenario of this application, with all that it can be told, to start from
    #[arg(long, value_name = "APPLICATION", conflicts_with = "file")]
    pub template: Option<String>,
}

/// How a job is laid out, and its report.
#[derive(Args, Debug)]
#[command(next_help_heading = "Job")]
pub struct Job {
    /// Ranks in this process; under mpirun or srun, the number that was started [default: 1; or PHYSALIA_RANKS]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub ranks: Option<u32>,
    /// Worker threads of each rank [default: a rank's share of the cores; or PHYSALIA_THREADS]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub threads: Option<u32>,
    /// Write a report as one JSON object; - is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// What a simulation writes while it runs, and from where it goes on.
#[derive(Args, Debug)]
#[command(next_help_heading = "Files")]
pub struct Record {
    /// Write the fields; the ending says how: .npy, .vti, .pvd, .nc, .zarr or .h5
    #[arg(long, value_name = "FILE", value_parser = output)]
    pub output: Option<PathBuf>,
    /// Steps between two outputs (and slices), from the start on; each is a file of its own, named by its step [default: at
    /// the end only]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub output_every: Option<u64>,
    /// Write a slice as .npy, for instance z=10:plane.npy; may be given several times
    #[arg(long, value_name = "AXIS=CELL:FILE", value_parser = slice)]
    pub slice: Vec<(Plane, PathBuf)>,
    /// Write a movie (animated PNG) of the field, or of the middle z
    #[arg(long, value_name = "FILE")]
    pub movie: Option<PathBuf>,
    /// Steps between two frames [default: for 100 frames]
    #[arg(long, value_name = "N", value_parser = positive, requires = "movie")]
    pub movie_every: Option<u64>,
    /// Values that the colours of the movie span [default: those of its first frame]
    #[arg(long, value_name = "LOW,HIGH", value_parser = scale, requires = "movie", allow_hyphen_values = true)]
    pub movie_scale: Option<(f64, f64)>,
    /// Write step, time, sum, norm, least and largest value as a table
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Steps between two lines [default: for 100 lines]
    #[arg(long, value_name = "N", value_parser = positive, requires = "csv")]
    pub csv_every: Option<u64>,
    /// Write checkpoints to this folder; the last two are kept
    #[arg(long, value_name = "FOLDER")]
    pub checkpoint: Option<PathBuf>,
    /// Steps between two checkpoints [default: at the end only]
    #[arg(long, value_name = "N", value_parser = positive, requires = "checkpoint")]
    pub checkpoint_every: Option<u64>,
    /// Go on from the newest checkpoint in this folder, on any number of ranks, with the same bits
    #[arg(long, value_name = "FOLDER")]
    pub resume: Option<PathBuf>,
}

impl Record {
    /// As the library wants it. `what` is the run in words, by which its checkpoints are known.
    pub fn wishes(&self, what: &str, steps: u64, geometry: Geometry) -> Wishes {
        let hundredth = (steps / 100).max(1);
        let every = |file: &Option<PathBuf>, every: u64| Some((file.clone()?, every));
        Wishes {
            geometry,
            output: self.output.clone(),
            output_every: self.output_every.unwrap_or(0),
            slices: self.slice.clone(),
            movie: every(&self.movie, self.movie_every.unwrap_or(hundredth)),
            movie_scale: self.movie_scale,
            csv: every(&self.csv, self.csv_every.unwrap_or(hundredth)),
            checkpoint: every(&self.checkpoint, self.checkpoint_every.unwrap_or(0)),
            ..Wishes::new(what, steps)
        }
    }

    /// What can be said to be wrong before the job begins.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self, cells: &[u64]) -> Result<(), String> {
        if self.output_every.is_some() && self.output.is_none() && self.slice.is_empty() {
            return Err("--output-every without --output or --slice: there is nothing to write".into());
        }
        self.slice.iter().try_for_each(|(plane, _)| plane.check(cells))
    }
}

/// `physalia kmers`
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Kmers {
    /// Count canonical k-mers of FASTA and FASTQ files, plain or gzip
    ///
    /// Letters in either case; k-mers with another letter than A, C, G, T are skipped.
    Count(Count),
}

/// `physalia kmers count`
#[derive(Args, Debug)]
pub struct Count {
    /// Letters of a k-mer
    #[arg(short, value_name = "K", value_parser = clap::value_parser!(u8).range(1..=63))]
    pub k: u8,
    /// Write `count<TAB>number of k-mers` lines, ascending; - is standard output
    #[arg(long, value_name = "FILE")]
    pub histogram: Option<PathBuf>,
    /// Write `kmer<TAB>count` lines, sorted by k-mer; - is standard output
    #[arg(long, value_name = "FILE")]
    pub dump: Option<PathBuf>,
    /// Let one rank read each file from begin to end, for FASTQ that is wrapped over lines only far from its begin
    #[arg(long)]
    pub whole_files: bool,
    /// FASTA or FASTQ files, plain or gzip; - is standard input
    #[arg(required = true, value_name = "READS")]
    pub reads: Vec<PathBuf>,
    /// How the job is laid out.
    #[command(flatten)]
    pub job: Job,
}

/// `physalia topo`
#[derive(Args, Debug)]
pub struct Topo {
    /// How the job is laid out.
    #[command(flatten)]
    pub job: Job,
}

/// `physalia demo`
#[derive(Args, Debug)]
pub struct Demo {
    /// How the job is laid out.
    #[command(flatten)]
    pub job: Job,
}

/// `physalia bench`
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Bench {
    /// Collectives from 8 bytes to 16 MiB, beside MPI's own; for `mpirun -n 2`
    Collectives(Collectives),
    /// Border rows between neighbouring ranks, by mailboxes, by messages and by MPI's own; for `mpirun -n 2`
    Halo(Halo),
    /// How much of its memory each worker finds on its own NUMA node, loop by loop, beside plain rayon
    Locality(Locality),
}

/// `physalia bench collectives`
#[derive(Args, Debug)]
pub struct Collectives {
    /// The largest size in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20, value_parser = clap::value_parser!(u64).range(8..=1 << 32))]
    pub largest: u64,
    /// How the job is laid out.
    #[command(flatten)]
    pub job: Job,
}

/// `physalia bench halo`
#[derive(Args, Debug)]
pub struct Halo {
    /// Cells of a row, of 8 bytes each
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = size(1..=1 << 24))]
    pub width: usize,
    /// The most rows that go at once; 1, 2, 4 … up to that are measured
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = size(1..=1024))]
    pub deepest: usize,
    /// Let each rank also add up all that has come
    #[arg(long)]
    pub read: bool,
    /// How the job is laid out.
    #[command(flatten)]
    pub job: Job,
}

/// `physalia bench locality`
#[derive(Args, Debug)]
pub struct Locality {
    /// Loops over the memory
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = size(1..=1000))]
    pub loops: usize,
    /// How many times as costly the part of the first domain is
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub skew: u64,
    /// How many times as costly the first half of every domain's part is
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub skew_within: u64,
    /// Memory of each rank in MiB
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = size(1..=1 << 20))]
    pub mib: usize,
    /// How the job is laid out.
    #[command(flatten)]
    pub job: Job,
}

/// A whole number that fits a `usize`.
fn size(range: RangeInclusive<i64>) -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u32).range(range).map(|n| n as usize)
}

/// A file whose ending says how fields are written.
pub fn output(text: &str) -> Result<PathBuf, String> {
    known(Path::new(text)).map(|()| text.into())
}

fn slice(text: &str) -> Result<(Plane, PathBuf), String> {
    let (plane, file) = text.split_once(':').ok_or("an axis, a cell and a file are wanted, as z=10:plane.npy")?;
    match Path::new(file).extension() {
        Some(ending) if ending == "npy" => Ok((plane.parse()?, file.into())),
        _ => Err(format!("a slice is a .npy file, not {file:?}")),
    }
}

fn scale(text: &str) -> Result<(f64, f64), String> {
    let ends = text.split_once(',').and_then(|(low, high)| Some((low.parse::<f64>().ok()?, high.parse::<f64>().ok()?)));
    let ends = ends.filter(|(low, high)| low < high && (high - low).is_finite());
    ends.ok_or_else(|| format!("{text:?} is no scale: two numbers are wanted, the smaller one first, as 0,1.5"))
}

/// A number of steps.
pub fn positive(text: &str) -> Result<u64, String> {
    count(text).and_then(|n| if n == 0 { Err("at least 1".into()) } else { Ok(n) })
}

/// A whole number; also as `1e6` or `1_000_000`.
pub fn count(text: &str) -> Result<u64, String> {
    let plain = text.replace('_', "");
    let (digits, zeros) = plain.split_once(['e', 'E']).unwrap_or((&plain, "0"));
    let number = || 10u64.checked_pow(zeros.parse().ok()?)?.checked_mul(digits.parse().ok()?);
    number().ok_or_else(|| format!("{text:?} is no whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_and_files() {
        assert_eq!((count("1e6"), count("1_000"), count("0")), (Ok(1_000_000), Ok(1000), Ok(0)));
        for bad in ["", "-1", "1.5", "1e99", "99999999999999999999", "x"] {
            assert!(count(bad).is_err(), "{bad}");
        }
        assert_eq!((scale("-1,2.5"), positive("1e3")), (Ok((-1.0, 2.5)), Ok(1000)));
        for bad in ["", "1", "2,1", "1,1", "a,b", "-inf,1", "1,NaN"] {
            assert!(scale(bad).is_err(), "{bad}");
        }
        assert!(slice("z=3:a.npy").is_ok() && output("u.pvd").is_ok() && positive("0").is_err());
        for bad in ["z=3", "z=3:a.png", "w=3:a.npy", "z=x:a.npy"] {
            assert!(slice(bad).is_err(), "{bad}");
        }
        assert!(output("u.xyz").is_err() && output("u").is_err() && output("-").is_err());
    }
}
