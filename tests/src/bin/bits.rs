//! Prints sums, dot products and norms of nasty data, as bits, one a line: `bits`, or, with no order promised, `bits fast`.
#![forbid(unsafe_code)]

use physalia_tests::bits::computed;
use std::process::ExitCode;

fn main() -> ExitCode {
    let fast = std::env::args().nth(1).is_some_and(|word| word == "fast");
    physalia::run(|world| {
        let lines = computed(world, fast)?;
        let all = world.all_gather_v(lines.join("\n").as_bytes())?;
        assert!(all.iter().all(|text| text == lines.join("\n").as_bytes()), "the ranks have different sums");
        world.on_root(|| println!("{}", lines.join("\n")));
        Ok(())
    })
}
