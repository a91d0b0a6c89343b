//! Runs random programs of collectives, each on all ranks: `program SEED…`. Prints `ok SEED` for each that ended well.
#![forbid(unsafe_code)]

use physalia_tests::programs::Program;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Ok(seeds) = std::env::args().skip(1).map(|word| word.parse()).collect::<Result<Vec<u64>, _>>() else {
        eprintln!("program: numbers are wanted");
        return ExitCode::from(2);
    };
    physalia::run(|world| {
        for &seed in &seeds {
            Program::of(seed, world.size()).run(world)?;
            world.barrier()?;
            world.on_root(|| println!("ok {seed}"));
        }
        Ok(())
    })
}
