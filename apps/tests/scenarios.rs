//! `physalia run`: scenarios in files, what is refused in them, and the examples.

mod here;

use here::Here;
use std::fs;
use std::path::{Path, PathBuf};

impl Here {
    fn scenario(&self, text: &str) {
        fs::write(self.path("s.toml"), text).unwrap();
    }
}

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/scenarios");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    files
}

#[test]
fn a_scenario_is_the_command_with_its_options() {
    let here = Here::new();
    here.scenario(
        "application = 'heat'\ncells = [40, 30]\nsteps = 2e1\nstart = 'random'\n[job]\nranks = 2\nthreads = 1\n",
    );
    let hash = |words: &str| here.report(words)["field_hash"].clone();
    let report = here.report("run s.toml");
    assert_eq!((&report["command"], &report["ranks"], &report["steps"]), (&"heat".into(), &2.into(), &20.into()));
    assert_eq!(report["field_hash"], hash("heat --cells 40x30 --steps 20 --start random"));
    let fewer = here.report("run s.toml --steps 7 --ranks=3");
    assert_eq!((&fewer["steps"], &fewer["ranks"]), (&7.into(), &3.into()));
    assert_eq!(fewer["field_hash"], hash("heat --cells 40x30 --steps 7 --start random"));
    assert_ne!(fewer["field_hash"], report["field_hash"]);
    here.scenario("application = 'heat'\nslice = ['x=1:a.npy', 'x=2:b.npy']\n");
    here.good("run s.toml --cells 9x9 --steps 1 --slice y=1:c.npy");
    assert!(here.path("c.npy").exists() && !here.path("a.npy").exists());
}

#[test]
fn what_is_wrong_has_file_line_key_and_what_is_allowed() {
    let here = Here::new();
    let heat = |rest: &str, line: usize, says: &str| {
        here.scenario(&format!("application = 'heat'\n{rest}\n"));
        let said = here.bad("run s.toml", 2);
        assert!(said.starts_with(&format!("physalia: s.toml:{line}: {says}")), "{rest}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    };
    heat("\n# hm\nstpes = 3", 4, "heat has no option \"stpes\"; there are: steps, ");
    heat("output_every = 3", 2, "heat has no option \"output_every\"; there are: output-every, ");
    heat("[output]\nevery = 3", 3, "heat has no option \"every\"; there are: output-every, ");
    heat("Steps = 3", 2, "heat has no option \"Steps\"; there are: steps, ");
    heat("steps = 3\nsteps = 4", 3, "duplicate key: steps");
    heat("steps = 3\n[more]\nsteps = 4", 4, "steps is given twice, on line 2 too");
    heat("[more]\napplication = 'heat'", 3, "application is given twice");
    heat("[steps]\nn = 3", 2, "steps is a table, but a value is wanted: Time steps");
    heat("steps = { n = 3 }", 2, "steps is a table, but a value is wanted: Time steps");
    heat("[[slice]]\nz = 3", 2, "slice is a table, but a value is wanted: Write a slice");
    heat("steps = true", 2, "steps is true or false, but a value is wanted: Time steps");
    heat("steps = 1979-05-27", 2, "steps is a date, but a value is wanted: Time steps");
    heat("steps = [1, [2]]", 2, "steps is an array, but a value is wanted: Time steps");
    heat("float = 64", 2, "float = 64, but one of these is wanted: f64, f32");
    heat("start = 'randon'", 2, "start = \"randon\", but one of these is wanted: random, sines");
    heat("steps = -3", 2, "steps = -3: \"-3\" is no whole number: Time steps");
    heat("cells = [0, 3]", 2, "cells = \"0x3\": each axis needs at least one cell: ");
    heat("ranks = 0", 2, "ranks = 0: 0 is not in 1..=65536: Ranks");
    heat("seed = 0x1_0000_0000_0000_0000", 2, "seed = 18446744073709551616: number too large to fit");
    heat("output = 'u.xyz'", 2, "output = \"u.xyz\": ");
    heat("steps = 3\n\ncsv-every = 3", 4, "csv-every needs csv, which is not given");
    heat("steps = many", 2, "");
    heat("steps", 2, "");
    for (text, says) in [
        ("", "s.toml:1: the key application is missing; it is one of "),
        ("\napplication = 'heta'", "s.toml:2: there is no application \"heta\"; there are: heat"),
        ("application = 3", "s.toml:1: application: a text is wanted, one of "),
        ("[job]\napplication = 'heat'", "s.toml:2: application stands in [job]; it goes above all tables"),
        ("application = 'topo'", "s.toml:1: there is no application \"topo\"; there are: "),
    ] {
        here.scenario(text);
        let said = here.bad("run s.toml", 2);
        assert!(said.starts_with(&format!("physalia: {says}")), "{said}");
    }
    fs::write(here.path("s.toml"), b"application = '\xff'").unwrap();
    assert!(here.bad("run s.toml", 2).contains("cannot read s.toml: stream did not contain valid UTF-8"));
    assert!(here.bad("run none.toml", 2).starts_with("physalia: cannot read none.toml: No such file"));
    assert!(here.bad("run", 2).contains("FILE"));
}

#[test]
fn options_that_follow_are_checked_like_typed_ones() {
    let here = Here::new();
    here.scenario("application = 'heat'\n");
    assert!(here.bad("run s.toml --stpes 3", 2).contains("a similar argument exists: '--steps'"));
    assert!(here.bad("run s.toml --cells 0x3", 2).contains("at least one cell"));
    assert!(here.bad("run s.toml more", 2).contains("unexpected argument 'more'"));
    assert!(here.bad("run s.toml --json - --picture -", 2).contains("would mix on standard output"));
}

#[test]
fn a_template_runs() {
    let here = Here::new();
    let text = here.good("run --template heat");
    assert!(text.contains("\n# Time steps\n# steps = 500\n") && text.contains("\n[files]\n"), "{text}");
    here.scenario(&text.replace("# steps = 500", "steps = 5").replace("# cells = \"2048x2048\"", "cells = '9x9'"));
    assert_eq!(here.report("run s.toml")["field_hash"], here.report("heat --cells 9x9 --steps 5")["field_hash"]);
    let said = here.bad("run --template haet", 2);
    assert!(said.starts_with("physalia: there is no application \"haet\"; there are: heat"), "{said}");
}

/// What each example writes is written, on a small grid.
#[test]
fn the_examples_run() {
    for file in examples() {
        let (here, name) = (Here::new(), file.file_stem().unwrap().to_string_lossy().into_owned());
        let steps = if name == "poisson" { "" } else { "--steps 6" }; // it iterates
        let text = fs::read_to_string(&file).unwrap();
        let report = here.report(&format!("run {} --cells 24x20 {steps} --ranks 2 --threads 1", file.display()));
        assert_eq!(report["command"], name.as_str());
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")));
        for key in ["picture", "output", "csv", "movie"] {
            let Some(path) = value(key).and_then(|rest| rest.split('"').next()) else { continue };
            let is_series = text.contains("\noutput-every = ") && !path.ends_with(".pvd") && !path.ends_with(".zarr");
            assert!((key == "output" && is_series) || here.path(path).exists(), "{name}: {path}");
        }
    }
}
