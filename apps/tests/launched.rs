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
