//! Both jobs under mpirun: the same results as in one process.
#![cfg(feature = "mpi")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn mpirun(folder: &Path, ranks: u32, words: &str) -> Output {
    let mut command = Command::new("mpirun");
    command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
    command.env("OMPI_MCA_rmaps_base_oversubscribe", "1");
    command.args(["--bind-to", "none", "-n", &ranks.to_string(), env!("CARGO_BIN_EXE_physalia")]);
    command.args(words.split_whitespace()).current_dir(folder).output().unwrap()
}

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

fn alone(folder: &Path, words: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_physalia"));
    report(&command.args(words.split_whitespace()).current_dir(folder).output().unwrap())
}

#[test]
fn heat_has_one_hash() {
    let here = tempfile::tempdir().unwrap();
    for cells in ["512x384", "48x40x36"] {
        let expected = alone(here.path(), &format!("heat --cells {cells} --steps 50 --json -"));
        for (ranks, threads) in [(1, 2), (2, 1), (3, 4), (4, 2), (8, 1)] {
            let words = format!("heat --cells {cells} --steps 50 --threads {threads} --json -");
            let launched = report(&mpirun(here.path(), ranks, &words));
            assert_eq!(launched["field_hash"], expected["field_hash"], "{cells} on {ranks} × {threads}");
            assert!(launched["error_max"].as_f64().unwrap() <= 1e-12);
            assert_eq!((&launched["transport"], &launched["ranks"]), (&"mpi".into(), &ranks.into()));
            assert!(launched["mpi"].as_str().unwrap().contains("MPI"));
        }
    }
}

#[test]
fn all_simulations_have_one_hash() {
    let here = tempfile::tempdir().unwrap();
    for (number, words) in [
        "wave --cells 61x43 --order 8 --boundary periodic --steps 20",
        "wave --cells 19x17x13 --order 4 --boundary absorbing --source 9,9,9 --steps 20 --float f32",
        "gray-scott --cells 61x31 --steps 40",
        "life --cells 97x61 --start random --steps 40",
        "advect --cells 53x31 --steps 40",
        "heat --cells 1x31 --boundary neumann --steps 40",
        "heat --cells 23x19 --method implicit --steps 5",
        "poisson --cells 37x29",
    ]
    .into_iter()
    .enumerate()
    {
        let expected = alone(here.path(), &format!("{words} --json -"));
        for (ranks, threads, block) in [(2, 2, 3), ([3, 4, 6][number % 3], 1, [1, 8][number % 2])] {
            let words = format!("{words} --threads {threads} --time-block {block} --json -");
            let launched = report(&mpirun(here.path(), ranks, &words));
            assert_eq!(launched["field_hash"], expected["field_hash"], "{words} on {ranks}");
            assert_eq!(launched["error_max"], expected["error_max"], "{words} on {ranks}");
        }
    }
}

#[test]
fn kmers_have_one_histogram_and_one_dump() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("reads.fq"), physalia_apps::demo::reads(4)).unwrap();
    for k in [21, 55] {
        alone(here.path(), &format!("kmers count -k {k} --histogram h --dump d --json - reads.fq"));
        let read = |name: &str| std::fs::read(here.path().join(name)).unwrap();
        let expected = (read("h"), read("d"));
        assert!(expected.1.len() > 1 << 20);
        for (ranks, threads) in [(1, 1), (2, 2), (3, 1), (4, 1), (8, 1)] {
            let words = format!("kmers count -k {k} --histogram h2 --dump d2 --threads {threads} --json - reads.fq");
            report(&mpirun(here.path(), ranks, &words));
            assert!((read("h2"), read("d2")) == expected, "k = {k} on {ranks} × {threads}");
        }
    }
}

#[test]
fn one_voice_and_one_exit_code() {
    let here = tempfile::tempdir().unwrap();
    let bad = |ranks, words: &str, code: i32, says: &str| {
        let output = mpirun(here.path(), ranks, words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert_eq!(said.matches(says).count(), 1, "{says:?} in {said}");
    };
    bad(3, "kmers count -k 21 missing.fa", 1, "missing.fa: No such file");
    bad(3, "heat --ranks 2", 2, "2 ranks are asked for, but");
    bad(2, "heat --dt 5", 2, "stability limit");
    bad(2, "heat --what", 2, "unexpected argument");
    bad(4, "heat --cells 9x9 --steps 1 --json no/such/folder.json", 1, "cannot write no/such/folder.json");
}

/// Each process reads the scenario; those of other hosts may have none, or another.
#[test]
fn scenarios_are_the_same_for_all() {
    let here = tempfile::tempdir().unwrap();
    let folders = ["a", "b"].map(|name| here.path().join(name));
    let good = "application = 'heat'\ncells = [40, 30]\nsteps = 20\n[job]\nthreads = 1\njson = '-'\n";
    let run = |texts: [Option<&str>; 2]| {
        let mut command = Command::new("mpirun");
        command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
        command.env("OMPI_MCA_rmaps_base_oversubscribe", "1");
        for (i, (folder, text)) in folders.iter().zip(texts).enumerate() {
            std::fs::remove_dir_all(folder).ok();
            std::fs::create_dir(folder).unwrap();
            if let Some(text) = text {
                std::fs::write(folder.join("s.toml"), text).unwrap();
            }
            let then: &[&str] = if i > 0 { &[":"] } else { &[] };
            command.args(then).args(["--bind-to", "none", "-n", "1", "-wdir"]).arg(folder);
            command.args([env!("CARGO_BIN_EXE_physalia"), "run", "s.toml", "--steps", "21"]);
        }
        command.output().unwrap()
    };
    let alone = alone(here.path(), "heat --cells 40x30 --steps 21 --json -");
    let commented = format!("# the same\n{good}");
    let launched = report(&run([Some(good), Some(&commented)]));
    assert_eq!((&launched["field_hash"], &launched["ranks"]), (&alone["field_hash"], &2.into()));

    let other = good.replace("40", "41");
    let wrong = good.replace("cells", "cels");
    for (texts, says) in [
        ([Some(good), Some(&*other)], ": it reads another scenario"),
        ([Some(good), Some(&*wrong)], ": s.toml:2: heat has no option \"cels\"; there are: cells, "),
        ([Some(&*wrong), Some(good)], "physalia: s.toml:2: heat has no option \"cels\"; there are: cells, "),
        ([Some(&*wrong), Some(&*wrong)], "physalia: s.toml:2: heat has no option \"cels\"; there are: cells, "),
        ([Some(good), None], ": cannot read s.toml: No such file"),
        ([None, None], "physalia: cannot read s.toml: No such file"),
    ] {
        let output = run(texts);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_eq!((said.matches(says).count(), said.matches("physalia:").count()), (1, 1), "{says:?} in {said}");
        assert_eq!(texts[0] == Some(good), said.contains("physalia: rank 1 on "), "{said}");
    }
}

/// Ranks whose masks overlap in part are told so once, with the cure, and are not pinned; ranks with masks of their own are.
#[test]
fn masks_of_ranks() {
    let online =
        physalia::topology::sys::affinity().map(|mask| mask.iter().take(2).collect::<Vec<_>>()).unwrap_or_default();
    let [a, b] = online[..] else { return eprintln!("skipped: fewer than two processors") };
    let topo = |masks: [String; 2]| {
        let mut command = Command::new("mpirun");
        command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
        command.env("OMPI_MCA_rmaps_base_oversubscribe", "1");
        for (i, mask) in masks.iter().enumerate() {
            let then: &[&str] = if i > 0 { &[":"] } else { &[] };
            command.args(then).args(["--bind-to", "none", "-n", "1", "taskset", "-c", mask]);
            command.args([env!("CARGO_BIN_EXE_physalia"), "topo", "--json", "-"]);
        }
        command.output().unwrap()
    };
    let pinned = |report: &Value| {
        let places = report["places"].as_array().unwrap().iter();
        places.map(|place| place["pinned"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    let apart = topo([a.to_string(), b.to_string()]);
    let seen = report(&apart);
    assert_eq!((pinned(&seen), &seen["layout"]["all_workers"]), (vec![true, true], &2.into()));
    assert!(!String::from_utf8_lossy(&apart.stderr).contains("overlap"), "{apart:?}");
    let over = topo([a.to_string(), format!("{a},{b}")]);
    assert_eq!(pinned(&report(&over)), [false, false]);
    let said = String::from_utf8_lossy(&over.stderr);
    assert_eq!(said.matches("physalia[0]: the CPU masks of").count(), 1, "{said}");
    assert!(
        said.contains("rank 0 and rank 1 on") && said.contains("overlap in part") && said.contains("--bind-to none"),
        "{said}"
    );
}

/// Started by another MPI's launcher, every process would be a job of its own.
#[test]
fn another_launcher_is_refused() {
    for vars in [
        [("PMI_RANK", "0"), ("PMI_SIZE", "3"), ("PMI_FD", "999")],
        [("SLURM_PROCID", "0"), ("SLURM_STEP_NUM_TASKS", "3"), ("SLURM_STEP_ID", "0")],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_physalia")).arg("topo").envs(vars).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(said.contains("started as one of 3 ranks by") && said.contains("srun --mpi=list"), "{said}");
    }
}
