//! Input that can be read once, by rank 0: standard input and pipes, plain or gzip.
#![cfg(target_os = "linux")]

mod here;

use here::Here;
use std::process::Command;

/// By whatever name: standard input is read by rank 0, once, and may be gzip.
#[test]
fn standard_input_by_any_name() {
    let here = Here::new();
    here.reads();
    let expected = here.good("kmers count -k 31 --histogram - reads.fq");
    let zipped = Command::new("gzip").args(["-k", "reads.fq"]).current_dir(here.path("")).status();
    assert!(zipped.unwrap().success());
    for name in ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"] {
        for file in ["reads.fq", "reads.fq.gz"] {
            let reads = std::fs::File::open(here.path(file)).unwrap();
            let words = format!("kmers count -k 31 --histogram - --ranks 3 {name}");
            let output = here.command(&words).stdin(reads).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{file} as {name}");
        }
    }
    assert!(here.bad("kmers count -k 31 - /dev/stdin", 2).contains("standard input"));
    let script = format!(
        "{} kmers count -k 31 --ranks 3 --histogram - <(head -n 4000 reads.fq) <(tail -n +4001 reads.fq | gzip)",
        env!("CARGO_BIN_EXE_physalia")
    );
    let output = Command::new("bash").args(["-c", &script]).current_dir(here.path("")).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "process substitution");
}

/// The other ranks' standard input is another.
#[cfg(feature = "mpi")]
#[test]
fn streams_are_rank_0s_under_mpirun() {
    let here = Here::new();
    here.reads();
    let expected = here.good("kmers count -k 31 --histogram - reads.fq");
    for name in ["-", "/dev/stdin"] {
        let mut mpirun = Command::new("mpirun");
        mpirun.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
        mpirun.env("OMPI_MCA_rmaps_base_oversubscribe", "1").current_dir(here.path(""));
        mpirun.args(["--bind-to", "none", "-n", "3", env!("CARGO_BIN_EXE_physalia"), "kmers", "count", "-k", "31"]);
        let reads = std::fs::File::open(here.path("reads.fq")).unwrap();
        let output =
            mpirun.args(["--threads", "1", "--histogram", "-", "reads.fq", name]).stdin(reads).output().unwrap();
        let doubled: String = expected
            .lines()
            .map(|line| line.split_once('\t').unwrap())
            .map(|(count, number)| format!("{}\t{number}\n", 2 * count.parse::<u64>().unwrap()))
            .collect();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            doubled,
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
