//! Programs that must not compile, and one that must. The first line of each names what rustc has to say (`//~ E0277`, or
//! words of an error that has no code; ` | ` between several). Every error must be one of them, so that a program is refused
//! for the right reason.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The library as cargo has built it for this very test, and the folder of its dependencies.
fn library() -> (PathBuf, PathBuf) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--workspace", "--lib", "--offline", "--message-format=json"]);
    for (feature, on) in [("mpi", cfg!(feature = "mpi")), ("hwloc", cfg!(feature = "hwloc"))] {
        if on {
            cargo.args(["--features", feature]);
        }
    }
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let text = String::from_utf8_lossy(&built.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut artifacts = messages.filter(|m| m["reason"] == "compiler-artifact" && m["target"]["name"] == "physalia");
    let files = artifacts.next().expect("cargo names what it has built")["filenames"].clone();
    let files = files.as_array().expect("a list").iter().filter_map(|f| f.as_str()).map(PathBuf::from);
    let rlib = files.into_iter().find(|f| f.extension().is_some_and(|e| e == "rlib")).expect("a library");
    // The copy without a hash lies beside the folder of dependencies.
    let folder = rlib.parent().expect("a folder");
    let deps = if folder.ends_with("deps") { folder.to_path_buf() } else { folder.join("deps") };
    (rlib, deps)
}

fn rustc(source: &Path, library: &Path, deps: &Path) -> Output {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
    command.args(["--edition=2024", "--emit=metadata", "--error-format=short", "-Aunused"]);
    command.args(["--crate-type=bin", "--crate-name=refused"]);
    command.arg("-L").arg(format!("dependency={}", deps.display()));
    command.arg(format!("--extern=physalia={}", library.display()));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("refused.rmeta");
    command.arg("-o").arg(out).arg(source).output().expect("rustc runs")
}

#[test]
fn programs_are_refused_for_the_right_reason() {
    let (library, deps) = library();
    let mut seen = 0;
    let mut wrong = String::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reject")).unwrap() {
        let source = entry.unwrap().path();
        let text = std::fs::read_to_string(&source).unwrap();
        let expected =
            text.lines().next().and_then(|l| l.strip_prefix("//~ ")).expect("first line: //~ EXPECTED").trim();
        let result = rustc(&source, &library, &deps);
        let said = String::from_utf8_lossy(&result.stderr).into_owned();
        let errors: Vec<_> = said.lines().filter(|l| l.contains("error") && !l.contains("aborting due to")).collect();
        let right = match expected {
            "compiles" => result.status.success(),
            _ => {
                !result.status.success()
                    && !errors.is_empty()
                    && errors.iter().all(|l| expected.split(" | ").any(|e| l.contains(e)))
            }
        };
        if !right {
            wrong += &format!("{}: expected {expected}, rustc said:\n{said}\n", source.display());
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(seen >= 17, "{seen} programs");
}
