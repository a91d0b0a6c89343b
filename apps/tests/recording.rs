//! What `physalia heat` writes while it runs, and that it goes on from a checkpoint with the same bits.

mod here;

use here::Here;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUN: &str = "heat --cells 40x30 --steps 25 --start random --seed 3";

fn hash(report: &serde_json::Value) -> String {
    report["field_hash"].as_str().unwrap().to_string()
}

/// Names under a folder of this folder.
fn names(here: &Here, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(here.path(folder)).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const ALL: &str =
    "--output u.pvd --output-every 10 --slice y=4:y.npy --movie m.png --movie-every 5 --csv t.csv --csv-every 5";

#[test]
fn a_stopped_run_leaves_what_an_unstopped_one_leaves() {
    let straight = Here::new();
    let expected = hash(&straight.report(&format!("{RUN} {ALL} --ranks 2")));
    assert_eq!(expected, hash(&straight.report(RUN)), "writing changes nothing");
    for (before, after) in [(1, 3), (3, 2), (4, 1)] {
        let here = Here::new();
        // It stops somewhere; its last checkpoint is that of step 14.
        here.good(&format!("{RUN} --steps 20 {ALL} --checkpoint run --checkpoint-every 7 --ranks {before}"));
        fs::remove_file(here.path("run/000003.manifest")).unwrap(); // of step 20
        let report = here.report(&format!("{RUN} {ALL} --resume run --checkpoint run --ranks {after}"));
        assert_eq!((hash(&report), report["resumed_from"].as_u64()), (expected.clone(), Some(14)));
        assert_eq!(names(&here, "run")[0], "000002.manifest");
        for file in ["t.csv", "m.png", "u.pvd", "y-00000000.npy", "y-00000010.npy", "y-00000020.npy", "y-00000025.npy"]
        {
            let [one, other] = [&straight, &here].map(|here| fs::read(here.path(file)).unwrap());
            assert!(one == other, "{file} on {before} and then {after} ranks");
        }
    }
    let table = fs::read_to_string(straight.path("t.csv")).unwrap();
    let steps: Vec<&str> = table.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(steps, ["0", "5", "10", "15", "20", "25"]);
    let pieces = names(&straight, "u");
    let at = |step: u64| [".pvti", ".rank-00000.vti", ".rank-00001.vti"].map(|end| format!("{step:08}{end}"));
    assert_eq!(pieces, [0, 10, 20, 25].map(at).concat());
}

/// Killed at some moment, also in the middle of a file: it goes on from what is whole.
#[test]
fn a_killed_run_goes_on() {
    let here = Here::new();
    let run = "heat --cells 300x200 --start random";
    let words = format!(
        "{run} --steps 1e9 --ranks 2 --checkpoint run --checkpoint-every 3 --csv t.csv --output u.pvd --output-every 50"
    );
    let newest = || {
        let names = if here.path("run").exists() { names(&here, "run") } else { Vec::new() };
        let last = names.into_iter().rfind(|name| name.ends_with("manifest"));
        last.map_or(0, |name| name.split('.').next().unwrap().parse::<u64>().unwrap())
    };
    let mut resumed = 0;
    for _ in 0..2 {
        let wanted = newest() + 2;
        let goes_on = if resumed > 0 { " --resume run" } else { "" };
        let mut child = here.command(&format!("{words}{goes_on}")).stderr(Stdio::piped()).spawn().unwrap();
        let start = Instant::now();
        while newest() < wanted {
            assert!(child.try_wait().unwrap().is_none(), "it ends");
            if start.elapsed() > Duration::from_secs(60) {
                child.kill().unwrap();
                panic!("no checkpoint comes: {:?}", child.wait_with_output());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let said = here.bad(&format!("{run} --steps 1 --resume run"), 1);
        let step = said.split("is of step ").nth(1).and_then(|rest| rest.split(',').next()?.parse::<u64>().ok());
        let step = step.unwrap_or_else(|| panic!("{said}"));
        assert!(step >= resumed + 6, "{step} after {resumed}");
        resumed = step;
        let last = format!("--steps {}", step + 5);
        let [one, other] =
            ["--ranks 3", "--resume run"].map(|words| hash(&here.report(&format!("{run} {last} {words}"))));
        assert_eq!(one, other, "from step {step}");
    }
}

/// The field at the end, in every form, is the same cells.
#[test]
fn every_form_has_the_same_cells() {
    let here = Here::new();
    for (ranks, name) in [(1, "one"), (3, "three")] {
        for form in ["npy", "vti", "nc", "h5"] {
            here.good(&format!("{RUN} --output {name}.{form} --ranks {ranks}"));
        }
    }
    for form in ["npy", "vti", "nc", "h5"] {
        let [one, three] = ["one", "three"].map(|name| fs::read(here.path(&format!("{name}.{form}"))).unwrap());
        assert!(one == three, "{form}");
    }
    here.good(&format!("{RUN} --output u.zarr --ranks 1"));
    let npy = fs::read(here.path("one.npy")).unwrap();
    let cells = &npy[npy.len() - 40 * 30 * 8..];
    let vti = fs::read(here.path("one.vti")).unwrap();
    assert!(vti.windows(cells.len()).any(|window| window == cells));
    let turned: Vec<u8> = cells.chunks(8).flat_map(|cell| cell.iter().rev().copied()).collect();
    assert!(fs::read(here.path("one.nc")).unwrap().ends_with(&turned));
    assert_eq!(fs::read(here.path("u.zarr/u/c/0/0/0")).unwrap(), cells);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let here = Here::new();
    for (words, code, why) in [
        ("--output u.xyz", 2, "says no form of a field"),
        ("--output-every 5", 2, "nothing to write"),
        ("--slice z=3:a.npy", 2, "the grid has 2 axes"),
        ("--slice y=30:a.npy", 2, "0 to 29"),
        ("--movie-every 5", 2, "--movie"),
        ("--output a.npy --slice y=3:a.npy", 2, "are the same file"),
        ("--output no/such.npy", 1, "there is no folder no"),
        ("--output no/such.pvd", 1, "there is no folder no"),
        ("--movie no/such.png", 1, "there is no folder no"),
        ("--csv no/such.csv", 1, "there is no folder no"),
        ("--slice y=3:no/such.npy", 1, "there is no folder no"),
        ("--checkpoint no/such", 1, "there is no folder no"),
        ("--resume nothing", 1, "there is no checkpoint in nothing"),
    ] {
        let said = here.bad(&format!("{RUN} --steps 1e12 {words}"), code);
        assert!(said.contains(why), "{words}: {said}");
    }
    here.good(&format!("{RUN} --checkpoint run"));
    let said = here.bad("heat --cells 40x30 --steps 25 --resume run", 1);
    assert!(
        said.contains("is of another run: heat 40x30 f64, domain 1.0x1.0, ") && said.contains("start random 3"),
        "{said}"
    );
    let said = here.bad(&format!("{RUN} --steps 10 --resume run"), 1);
    assert!(said.contains("is of step 25, behind the last one, 10"), "{said}");
    let said = here.bad("heat --cells 40x31 --steps 25 --resume run", 1);
    assert!(said.contains("the checkpoint has u of 40 × 30 f64, not u of 40 × 31 f64"), "{said}");
}

/// Streams take a table once, at the end.
#[test]
fn a_table_on_standard_output_comes_once() {
    let here = Here::new();
    let table = here.good(&format!("{RUN} --csv - --csv-every 1"));
    assert!(table.starts_with("step,time,sum,norm,min,max\n0,0.0,") && table.lines().count() == 27, "{table}");
    here.good(&format!("{RUN} --csv /dev/null --movie /dev/null"));
    assert!(here.bad(&format!("{RUN} --csv /dev/full"), 1).contains("cannot write /dev/full"));
}

/// On a disk that becomes full the job ends with the file named, and what was whole before stays.
#[test]
fn a_full_disk_leaves_what_was_whole() {
    let here = Here::new();
    fs::create_dir(here.path("small")).unwrap();
    let mount = |size: &str| {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(here.path("small"));
        mount.output().is_ok_and(|output| output.status.success())
    };
    let run = "heat --cells 128x128 --steps 40";
    for (what, words, whole) in [
        ("npy", "--output small/u.npy --output-every 10", "small/u-00000000.npy"),
        ("pvd", "--output small/u.pvd --output-every 10", "small/u.pvd"),
        ("zarr", "--output small/u.zarr --output-every 10", "small/u.zarr/u/zarr.json"),
        ("checkpoint", "--checkpoint small/run --checkpoint-every 10", "small/run/000001.manifest"),
    ] {
        if !mount("400k") {
            return println!("skipped: no small file system can be mounted here");
        }
        let said = here.bad(&format!("{run} {words} --ranks 2"), 1);
        let kept = fs::read(here.path(whole)).map(|bytes| bytes.len());
        let parts = all_files(&here.path("small")).iter().filter(|name| name.ends_with(".part")).count();
        let resumed = match what {
            "checkpoint" => Some(here.report(&format!("{run} --resume small/run"))["resumed_from"].as_u64()),
            _ => None,
        };
        let unmounted = Command::new("umount").arg(here.path("small")).output();
        assert!(unmounted.is_ok_and(|output| output.status.success()));
        assert!(said.contains("cannot write small/") && said.contains("No space left on device"), "{what}: {said}");
        assert!(kept.is_ok_and(|len| len > 0) && parts == 0, "{what}");
        assert!(resumed.is_none_or(|step| matches!(step, Some(10 | 20))), "{what}: {resumed:?}");
    }
}

fn all_files(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files.extend(all_files(&entry)) } else { files.push(entry.display().to_string()) }
    }
    files
}
