//! More than one job in a process: `jobs again` runs three in turn, `jobs elsewhere` a second one on another thread, `jobs
//! together` two at once. Prints how each has ended.
#![forbid(unsafe_code)]

use physalia::Launch;
use physalia::prelude::*;
use std::process::ExitCode;
use std::sync::Barrier;

fn job(begun: Option<&Barrier>) -> Result<u64, Abort> {
    let values = Launch::from_env().run(|world| {
        if world.rank() == 0 {
            begun.map(Barrier::wait); // the other one tries now
            begun.map(Barrier::wait);
        }
        Ok(world.all_reduce(1u64, Sum)?)
    })?;
    Ok(values[0])
}

fn say(name: &str, result: &Result<u64, Abort>) {
    match result {
        Ok(ranks) => println!("{name}: {ranks} ranks"),
        Err(abort) => println!("{name}: {abort}"),
    }
}

fn main() -> ExitCode {
    let first = physalia::first_process();
    let (mode, barrier) = (std::env::args().nth(1), Barrier::new(2));
    match mode.as_deref() {
        Some("again") => (0..3).for_each(|_| say("again", &job(None))),
        Some("elsewhere") => {
            say("here", &job(None));
            say("elsewhere", &std::thread::spawn(|| job(None)).join().expect("it returns"));
        }
        Some("together") => std::thread::scope(|scope| {
            scope.spawn(|| {
                if first {
                    barrier.wait();
                    say("second", &Launch::from_env().run(|_| Ok(0u64)).map(|v| v[0]));
                    barrier.wait();
                }
            });
            say("first", &job(first.then_some(&barrier)));
        }),
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}
