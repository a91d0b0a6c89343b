//! The documents say what is so: commands run as they are written, and places are those of the sources.

mod here;

use here::Here;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The lines that promise the same hash ask for the same field, and those of one process run and print it.
#[test]
fn the_commands_of_the_readme() {
    let readme = document("README.md");
    let block = readme.split("```").find(|text| text.contains("export PATH=")).expect("launchers see no alias");
    let commands = block.lines().map(|line| line.split('#').next().unwrap().trim());
    let size = "--cells 4096x4096 --steps 200";
    for line in block.lines().filter(|line| line.contains("the same field hash")) {
        assert!(line.contains(size) || line.contains("sbatch slurm/heat.sbatch"), "{line}");
    }
    assert!(document("slurm/heat.sbatch").contains(size));

    let here = Here::new();
    here.good("demo");
    let mut hashes = Vec::new();
    for command in commands.filter_map(|line| line.strip_prefix("physalia ")) {
        let printed = here.good(&command.replace(size, "--cells 64x48 --steps 20"));
        hashes.extend(printed.lines().filter(|line| line.contains("field hash")).map(str::to_string));
    }
    assert!(hashes.len() == 2 && hashes[0] == hashes[1], "{hashes:?}");
}

#[test]
fn the_demonstration_names_what_it_writes() {
    let here = Here::new();
    here.good("demo");
    let (readme, help) = (document("README.md"), here.good("demo --help"));
    let written = fs::read_dir(here.path(".")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for name in written.map(|name| format!("./{name}")) {
        assert!(readme.contains(&name) && help.contains(&name), "{name}");
    }
}

/// Every source with `unsafe` is in a place that CONTRIBUTING names, and every such place has some.
#[test]
fn where_unsafe_is() {
    let contributing = document("CONTRIBUTING.md");
    let paragraph = contributing.split("\n\n").find(|text| text.starts_with("**Safety.**")).unwrap();
    let sentence = paragraph.split(';').next().unwrap();
    let places: Vec<&str> = sentence.split('`').filter(|word| word.contains('/')).collect();
    let mut sources = Vec::new();
    for part in ["topology", "slurm", "collectives", "runtime", "apps", "benches", "tests/src"] {
        collect(&root().join(part), &mut sources);
    }
    let code = |line: &str| ["unsafe {", "unsafe fn", "unsafe impl"].iter().any(|words| line.contains(words));
    let mut found = Vec::new();
    for source in sources.iter().filter(|path| !path.ends_with("apps/tests/docs.rs")) {
        let name = source.strip_prefix(root()).unwrap().display().to_string();
        if fs::read_to_string(source).unwrap().lines().any(code) {
            let place = places.iter().find(|place| name.starts_with(*place));
            found.push(*place.unwrap_or_else(|| panic!("{name} has unsafe code, and CONTRIBUTING does not say so")));
        }
    }
    assert!(places.len() == 7 && places.iter().all(|place| found.contains(place)), "{places:?}, {found:?}");
}

/// All Rust sources under a folder.
fn collect(folder: &Path, sources: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            collect(&entry, sources);
        } else if entry.extension().is_some_and(|e| e == "rs") {
            sources.push(entry);
        }
    }
}
