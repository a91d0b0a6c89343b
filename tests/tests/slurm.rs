//! The bodies and the batch scripts in a real Slurm cluster, whose nodes are network namespaces of this machine. Needs root,
//! Slurm and munge; skipped with the reason where something is missing.
#![cfg(feature = "mpi")]

use physalia_tests::{End, all, check_bad_end, clock, program, skipped};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A cluster of two nodes, gone when dropped.
struct Cluster {
    tool: PathBuf,
    folder: tempfile::TempDir,
}

impl Cluster {
    /// `Err`: why there is none.
    fn up() -> Result<Cluster, String> {
        let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("machines/slurm-cluster");
        let cluster = Cluster { tool, folder: tempfile::tempdir().map_err(|e| e.to_string())? };
        let ended = cluster.call(&["up", "2"]);
        if ended.code == Some(0) { Ok(cluster) } else { Err(ended.stderr.trim().to_string()) }
    }

    fn call(&self, args: &[&str]) -> clock::Ended {
        let mut command = Command::new(&self.tool);
        command.arg("-d").arg(self.folder.path().join("cluster")).args(args);
        clock::run(&mut command, Duration::from_secs(120))
    }

    fn on_head(&self, args: &[&str]) -> clock::Ended {
        self.call(&[&["exec", "head"], args].concat())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.call(&["down"]);
    }
}

#[test]
fn bodies_and_batch_scripts() {
    let cluster = match Cluster::up() {
        Ok(cluster) => cluster,
        Err(why) => return skipped("Slurm", &why),
    };
    bodies(&cluster);
    a_rank_is_killed(&cluster);
    a_rank_is_killed_and_srun_waits(&cluster);
    batch_scripts(&cluster);
}

fn srun<'a>(ranks: &'a str, names: &[&'a str]) -> Vec<&'a str> {
    [&["srun", "-K1", "-N2", "-n", ranks, "--overcommit", "--mpi=pmix", env!("CARGO_BIN_EXE_bodies")], names].concat()
}

fn bodies(cluster: &Cluster) {
    let names: Vec<&str> = all().iter().filter(|b| b.end == End::Well).map(|b| b.name).collect();
    for ranks in ["2", "3"] {
        let ended = cluster.on_head(&srun(ranks, &names));
        let good = ended.stdout.lines().filter(|line| line.starts_with("ok ")).count();
        assert!(ended.code == Some(0) && good == names.len(), "{ended:?}");
    }
}

fn a_rank_is_killed(cluster: &Cluster) {
    for body in all().into_iter().filter(|b| b.end == End::Killed || b.name == "exit_while_others_wait") {
        let ended = cluster.on_head(&srun("3", &[body.name]));
        // srun gives the highest code of its tasks, where those that it ended itself count too.
        assert!(ended.code != Some(0) && ended.took.as_secs() < 10, "{body:?}: {ended:?}");
        if body.end == End::Killed {
            check_bad_end(&body, &ended);
        } else {
            assert!(ended.stderr.contains("called exit while ranks were running"), "{ended:?}");
        }
    }
}

/// `srun` by itself leaves a job hanging when a rank is gone: the side channel ends it.
fn a_rank_is_killed_and_srun_waits(cluster: &Cluster) {
    for name in ["killed_while_others_wait", "killed_while_others_compute"] {
        let mut args = srun("3", &[name]);
        args[1] = "-K0";
        let ended = cluster.on_head(&args);
        assert!(ended.code != Some(0) && ended.took.as_secs() < 20, "{ended:?}");
        let said = |line: &str| line.contains("physalia: rank 1 on n") && line.contains(" is gone without a goodbye");
        assert!(ended.stderr.lines().any(said), "{ended:?}");
    }
}

/// `heat.sbatch` and `kmers.sbatch` with both launchers.
fn batch_scripts(cluster: &Cluster) {
    let Some(program) = program(env!("CARGO_BIN_EXE_bodies")) else {
        return skipped("batch scripts", "the command `physalia` is not built");
    };
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../slurm");
    let work = cluster.folder.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let reads = work.join("reads.fa");
    std::fs::write(&reads, ">a\nACGTACGTTGCATGTCGCATGATGCATGAGAGCT\n>b\nACGTTGCATGTCGCATGATGCATGAGAGCTTTT\n").unwrap();
    let mut hashes = Vec::new();
    for launcher in ["srun", "mpirun"] {
        let work = work.join(launcher);
        std::fs::create_dir(&work).unwrap();
        let submit = |script: &str, args: &[&str]| -> String {
            let export = format!("--export=ALL,LAUNCH={launcher},K=11,PHYSALIA={}", program.display());
            let chdir = format!("--chdir={}", work.display());
            let script = scripts.join(script).display().to_string();
            let ended =
                cluster.on_head(&[&["sbatch", "--parsable", "--overcommit", &export, &chdir, &script], args].concat());
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let job = ended.stdout.trim().to_string();
            let waited = cluster.call(&["wait", &job]);
            let name = script.rsplit('/').next().and_then(|s| s.strip_suffix(".sbatch")).expect("a script");
            let printed = std::fs::read_to_string(work.join(format!("{name}-{job}.out"))).unwrap_or_default();
            assert_eq!(waited.code, Some(0), "{launcher} {script}: {waited:?}\n{printed}");
            let json = std::fs::read_to_string(work.join(format!("{name}-{job}.json"))).unwrap();
            let report: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!((&report["transport"], &report["ranks"]), (&"mpi".into(), &2.into()), "{json}");
            assert_eq!((&report["hosts"], &report["threads_per_rank"]), (&2.into(), &2.into()), "{json}");
            json
        };
        let heat: serde_json::Value =
            serde_json::from_str(&submit("heat.sbatch", &["--cells=200x100", "--steps=50"])).unwrap();
        hashes.push(heat["field_hash"].as_str().expect("a hash").to_string());
        let kmers: serde_json::Value =
            serde_json::from_str(&submit("kmers.sbatch", &[&reads.display().to_string()])).unwrap();
        assert_eq!(kmers["kmers"], 47);
    }
    assert_eq!(hashes[0], hashes[1]);
}
