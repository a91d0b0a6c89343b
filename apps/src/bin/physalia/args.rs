//! The command line: what may be asked, and in which words.

use clap::builder::TypedValueParser;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::ops::RangeInclusive;
use std::path::PathBuf;

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
    /// Solve the heat equation on the unit box, zero at its boundary
    Heat(Heat),
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

/// How a job is laid out, and its report.
#[derive(Args, Debug)]
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

/// `physalia heat`
#[derive(Args, Debug)]
pub struct Heat {
    /// Interior cells along each axis, x first: X, XxY or XxYxZ
    #[arg(long, default_value = "2048x2048", value_parser = cells)]
    pub cells: Cells,
    /// Time steps
    #[arg(long, default_value = "500", value_parser = count)]
    pub steps: u64,
    /// Numbers to compute with
    #[arg(long, value_enum, default_value_t = Float::F64)]
    pub float: Float,
    /// The field at the start: a product of sines, of which the solution is known, or random numbers
    #[arg(long, value_enum, default_value_t = Start::Sines)]
    pub start: Start,
    /// Seed of the random start
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Diffusivity
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub alpha: f64,
    /// Time step [default: 0.8 of the stability limit]
    #[arg(long, allow_negative_numbers = true)]
    pub dt: Option<f64>,
    /// Write a PNG of the field at the end; - is standard output
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// How the job is laid out.
    #[command(flatten)]
    pub job: Job,
}

/// Cells along each axis.
#[derive(Clone, Debug)]
pub struct Cells(pub Vec<u64>);

/// Numbers to compute with.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Float {
    /// 32 bits
    F32,
    /// 64 bits
    F64,
}

/// The field at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Start {
    /// A product of sines
    Sines,
    /// Even random numbers in [0, 1)
    Random,
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

fn cells(text: &str) -> Result<Cells, String> {
    let cells: Vec<u64> = text.split(['x', 'X', '×']).map(count).collect::<Result<_, _>>()?;
    match cells.len() {
        1..=3 if !cells.contains(&0) => Ok(Cells(cells)),
        1..=3 => Err("each axis needs at least one cell".into()),
        n => Err(format!("{n} axes: 1 to 3 are supported")),
    }
}

/// A whole number; also as `1e6` or `1_000_000`.
fn count(text: &str) -> Result<u64, String> {
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
    fn numbers_and_cells() {
        assert_eq!((count("1e6"), count("1_000"), count("0")), (Ok(1_000_000), Ok(1000), Ok(0)));
        for bad in ["", "-1", "1.5", "1e99", "99999999999999999999", "x"] {
            assert!(count(bad).is_err(), "{bad}");
        }
        assert_eq!(cells("48x40x36").unwrap().0, [48, 40, 36]);
        for bad in ["", "0x3", "1x2x3x4", "12x", "axb"] {
            assert!(cells(bad).is_err(), "{bad}");
        }
    }
}
