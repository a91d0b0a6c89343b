//! What the program tells of itself: version, completions, manual pages.

use crate::args::Cli;
use crate::outputs::{complain, say};
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::Path;
use std::process::ExitCode;

/// Version, features, MPI and citation.
pub fn version() -> String {
    let features = [("mpi", cfg!(feature = "mpi")), ("hwloc", cfg!(feature = "hwloc"))];
    let features: Vec<&str> = features.iter().filter(|f| f.1).map(|f| f.0).collect();
    let features = if features.is_empty() { "none".into() } else { features.join(" ") };
    let mpi = physalia::collectives::job::mpi_version().unwrap_or_else(|| "none".into());
    let version = env!("CARGO_PKG_VERSION");
    format!("{version}\nfeatures: {features}\nMPI: {mpi}\nTo cite: {}", CITATION.replace("VERSION", version))
}

const CITATION: &str =
    "The Physalia developers. Physalia: one program on many cores and many machines, version VERSION, 2026.";

/// Prints a shell's completions.
pub fn completions(shell: Shell) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "physalia", &mut text);
    say(&String::from_utf8_lossy(&text));
    ExitCode::SUCCESS
}

/// Prints the manual page, or writes all pages to a folder.
pub fn man(folder: Option<&Path>) -> ExitCode {
    let mut command = Cli::command();
    command.build();
    let Some(folder) = folder else {
        say(&String::from_utf8_lossy(&page(command)));
        return ExitCode::SUCCESS;
    };
    match clap_mangen::generate_to(command, folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("physalia: cannot write manual pages to {}: {error}\n", folder.display()));
            ExitCode::FAILURE
        }
    }
}

fn page(command: clap::Command) -> Vec<u8> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text).expect("a vector takes everything");
    text
}
