//! Runs the mutant of a number: `mutant SEED`, on as many ranks as `mutant SEED --ranks` says.
#![forbid(unsafe_code)]

use physalia_tests::mutants::Mutant;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(Ok(seed)) = words.first().map(|word| word.parse()) else {
        eprintln!("mutant: a number is wanted");
        return ExitCode::from(2);
    };
    let mutant = Mutant::of(seed);
    if words.get(1).is_some_and(|word| word == "--ranks") {
        println!("{}: {mutant:?}", mutant.ranks);
        return ExitCode::SUCCESS;
    }
    physalia::run(|world| mutant.run(world))
}
