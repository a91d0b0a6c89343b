//! Runs bodies by name, each on all ranks, one after the other in one job. Prints `ok NAME` for each that ended well.
//!
//! ```text
//! bodies NAME…          under mpirun, or in process with PHYSALIA_RANKS
//! bodies --list         names of the bodies that end well, one a line
//! ```
#![forbid(unsafe_code)]

use physalia_tests::{Body, End, all};
use std::process::ExitCode;

fn find<'n>(known: &[Body], name: &'n String) -> Result<Body, &'n String> {
    known.iter().find(|b| b.name == name).copied().ok_or(name)
}

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let known = all();
    if names == ["--list"] {
        known.iter().filter(|b| b.end == End::Well).for_each(|b| println!("{}", b.name));
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<Body> = match names.iter().map(|name| find(&known, name)).collect() {
        Ok(chosen) => chosen,
        Err(name) => {
            eprintln!("bodies: no body is called {name}");
            return ExitCode::from(2);
        }
    };
    physalia::run(|world| {
        for body in &chosen {
            (body.run)(world)?;
            if body.end == End::Well {
                world.barrier()?; // `ok` means: on every rank
                world.on_root(|| println!("ok {}", body.name));
            }
        }
        Ok(())
    })
}
