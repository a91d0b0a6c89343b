//! The example runs as it is, and has the bits of `physalia heat`.

use std::process::Command;

#[test]
fn it_has_the_bits_of_the_command() {
    for ranks in ["1", "3"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_own-stencil"));
        let output = command.args(["64", "48", "100"]).env("PHYSALIA_RANKS", ranks).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout);
        // docs/json.md has this hash, too.
        assert!(output.status.success() && said.ends_with("cell updates/s, hash da25427885ea1a51\n"), "{output:?}");
    }
}
