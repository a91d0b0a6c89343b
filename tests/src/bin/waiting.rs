//! What waiting costs: rank 0 sleeps for so many seconds (2), all others wait for it in a barrier; then rank 0 prints the
//! processor seconds that all ranks have used meanwhile. With a file, rank 0 writes it and has it on its disk again and again
//! instead of sleeping.
//!
//! ```text
//! PHYSALIA_RANKS=8 waiting 5        mpirun -n 8 waiting 5 [FILE]
//! ```
#![forbid(unsafe_code)]

use physalia::prelude::*;
use physalia::topology::sys;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn write(path: &str, time: Duration) -> std::io::Result<()> {
    let (start, mut file) = (Instant::now(), std::fs::File::create(path)?);
    while start.elapsed() < time {
        file.write_all(&[7; 4096])?;
        file.sync_all()?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let seconds: f64 = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(2.0);
    physalia::run(|world| {
        world.each(vec![(); 64 * world.threads()], |_, ()| ()); // workers have worked
        world.barrier()?;
        let before = sys::usage().cpu_s;
        if world.rank() == 0 {
            let _phase = world.phase("asleep");
            match std::env::args().nth(2) {
                None => std::thread::sleep(Duration::from_secs_f64(seconds)),
                Some(path) => write(&path, Duration::from_secs_f64(seconds))?,
            }
        }
        world.barrier()?;
        let used = ((sys::usage().cpu_s - before) * 1e6) as u64;
        // In process, all ranks have one account.
        let used = if world.transport() == "mpi" { world.all_reduce(used, Sum)? } else { used };
        let line = format!("{} ranks waited {seconds} s: {:.3} s of processor time", world.size(), used as f64 / 1e6);
        world.on_root(|| println!("{line}"));
        Ok(())
    })
}
