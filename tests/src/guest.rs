//! Tests that run in a simulated machine with several NUMA nodes (`machines/numa-vm`). The test that is outside starts its own
//! program once more, in the guest, where it runs another test of it, which is ignored everywhere else.
//!
//! A guest's clock is far from the wall's, so nothing inside looks at one; the limit is outside.

use crate::clock;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Guests one by one: each has use for all cores.
static ONE: Mutex<()> = Mutex::new(());

/// Whether this program runs in a guest.
pub fn inside() -> bool {
    std::env::var_os("NUMA_VM").is_some()
}

/// Runs the ignored test `name` of this program in a guest made by these options, within `limit`.
///
/// # Errors
/// Why there can be no guest here.
///
/// # Panics
/// If that test fails, or does not end in time.
pub fn run(options: &[&str], name: &str, limit: Duration) -> Result<(), String> {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    prepared()?;
    let mut command = Command::new(tool());
    command.args(["--timeout", &limit.as_secs().to_string()]).args(options).arg("--");
    command.arg(std::env::current_exe().map_err(|e| e.to_string())?);
    command.args([name, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    // What the tests' runner has told this program is not meant for the other.
    command.env_remove("RUST_TEST_THREADS").env("RUST_BACKTRACE", "0");
    let ended = clock::run(&mut command, limit + Duration::from_secs(60));
    assert!(ended.stdout.contains("running 1 test"), "{name} on {options:?}: {ended:?}");
    assert!(ended.code == Some(0), "{name} on {options:?}:\n{}\n{}", ended.stdout, ended.stderr);
    crate::tell(&ended.stderr);
    Ok(())
}

/// The kernel and the boot image, made once.
fn prepared() -> Result<(), String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("machines/numa-vm simulates x86-64 Linux on its like".into());
    }
    let ended = clock::run(Command::new(tool()).arg("--prepare"), Duration::from_secs(300));
    if ended.code == Some(0) { Ok(()) } else { Err(ended.stderr.trim().to_string()) }
}

fn tool() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("machines/numa-vm")
}
