//! gcc's OpenMP: a program in C, compiled when the benchmark begins into a folder that goes with it, and run once a batch, so
//! that its threads are gone while others are measured: with OMP_WAIT_POLICY=active they spin for minutes.

use crate::peers::Cores;
use crate::{BEFORE, Body, REGIONS};
use physalia::Outcome;
use std::process::Command;

/// The program.
pub struct OpenMp {
    folder: tempfile::TempDir,
}

impl OpenMp {
    /// Compiles it.
    ///
    /// # Errors
    /// Why there is none, in words: no C compiler, or no OpenMP.
    pub fn new() -> Result<OpenMp, String> {
        let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/regions/openmp.c");
        let mut compile = Command::new("cc");
        compile.args(["-O2", "-fopenmp", source, "-o"]).arg(folder.path().join("regions"));
        let ended = compile.output().map_err(|e| format!("cannot run cc: {e}"))?;
        if ended.status.success() {
            Ok(OpenMp { folder })
        } else {
            Err(format!("cc -fopenmp: {}", String::from_utf8_lossy(&ended.stderr).trim()))
        }
    }

    /// Microseconds a region of a batch.
    pub fn batch(&self, cores: &Cores, policy: &str, body: Body) -> Outcome<f64> {
        let mut program = Command::new(self.folder.path().join("regions"));
        program.args([body.0.as_nanos().to_string(), BEFORE.to_string(), REGIONS.to_string()]);
        program.env("OMP_WAIT_POLICY", policy).env("OMP_NUM_THREADS", cores.workers().len().to_string());
        program.env("OMP_DYNAMIC", "false");
        let places: Option<Vec<String>> = cores.workers().iter().map(|w| w.map(|core| format!("{{{core}}}"))).collect();
        if let Some(places) = places {
            program.env("OMP_PLACES", places.join(",")).env("OMP_PROC_BIND", "true");
        }
        let ended = program.output()?;
        let text = String::from_utf8_lossy(&ended.stdout);
        let wrong = || format!("the OpenMP program has said {text:?} and ended with {}", ended.status);
        Ok(text.trim().parse().map_err(|_| std::io::Error::other(wrong()))?)
    }
}
