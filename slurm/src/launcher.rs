//! Which launcher started this process, and which variables to believe.
//!
//! Launchers nest: an `mpirun` inside a Slurm job starts its daemons by `srun`, so its ranks inherit the *daemon's* step
//! variables (every rank then has `SLURM_PROCID=0`). The innermost launcher is right: first Open MPI's variables, then
//! those of Hydra (MPICH, Intel MPI), then those of a Slurm *step*. A batch script has `SLURM_PROCID` and `SLURM_NTASKS`
//! too, but no step: a plain process there was started by nobody, and runs alone.

use std::fmt;

/// A family of launchers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Open MPI's `mpirun`.
    OpenMpi,
    /// `mpiexec` of MPICH, Intel MPI and their kin.
    Hydra,
    /// `srun`.
    Srun,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Kind::OpenMpi => "mpirun (Open MPI)",
            Kind::Hydra => "mpiexec (MPICH or Intel MPI)",
            Kind::Srun => "srun",
        })
    }
}

/// This process is a rank that a launcher started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launcher {
    /// By whom.
    pub kind: Kind,
    /// Which rank.
    pub rank: u32,
    /// Of how many.
    pub size: u32,
    /// Which of this host's ranks, where the launcher tells.
    pub local_rank: Option<u32>,
    /// Of how many on this host, where the launcher tells.
    pub local_size: Option<u32>,
}

/// A launcher's variable that is no sensible number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadVariable {
    name: String,
    value: String,
}

impl fmt::Display for BadVariable {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let BadVariable { name, value } = self;
        write!(
            f,
            "the environment has {name}={value:?}, which no launcher sets; unset it, or start under the launcher itself"
        )
    }
}

impl std::error::Error for BadVariable {}

/// Rank, size, rank on the host, size on the host: the variables of each launcher, the innermost first.
const LAUNCHERS: [(Kind, [&str; 4]); 3] = [
    (
        Kind::OpenMpi,
        ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"],
    ),
    (Kind::Hydra, ["PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"]),
    (Kind::Srun, ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", ""]),
];

/// Who started this process as a rank, from the environment's variables; `None` if nobody did.
///
/// # Errors
/// If a launcher's variables are no numbers, or its rank is not below its size.
pub fn launcher(var: impl Fn(&str) -> Option<String>) -> Result<Option<Launcher>, BadVariable> {
    let number = |name: &str| {
        let Some(value) = var(name).filter(|_| !name.is_empty()) else { return Ok(None) };
        let bad = || BadVariable { name: name.into(), value: value.chars().take(80).collect() };
        value.trim().parse::<u32>().map(Some).map_err(|_| bad())
    };
    for (kind, [rank, size, local_rank, local_size]) in LAUNCHERS {
        // Both must be there: each alone is left over from something else.
        let (Some(rank_text), Some(_)) = (var(rank), var(size)) else { continue };
        let (Some(r), Some(s)) = (number(rank)?, number(size)?) else { continue };
        if r >= s {
            return Err(BadVariable { name: rank.into(), value: format!("{rank_text}, of {s} ranks") });
        }
        let (local_rank, local_size) = (number(local_rank)?, number(local_size)?);
        return Ok(Some(Launcher { kind, rank: r, size: s, local_rank, local_size }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &str) -> Result<Option<Launcher>, BadVariable> {
        let find = |name: &str| {
            vars.split_whitespace().find_map(|v| v.split_once('=').filter(|v| v.0 == name)).map(|v| v.1.to_string())
        };
        launcher(find)
    }

    fn is(vars: &str, kind: Kind, rank: u32, size: u32) {
        let got = read(vars).unwrap().unwrap_or_else(|| panic!("{vars}: nobody"));
        assert_eq!((got.kind, got.rank, got.size), (kind, rank, size), "{vars}");
    }

    /// Recorded from Open MPI 4.1.4 and Slurm 22.05; Hydra's from MPICH's manual.
    #[test]
    fn recorded_environments() {
        // mpirun by itself
        is(
            "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_LOCAL_SIZE=2 PMIX_RANK=1",
            Kind::OpenMpi,
            1,
            2,
        );
        // mpirun in a batch script, a rank on another node: the step is its daemon's
        is(
            "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 PMIX_RANK=1 SLURM_PROCID=0 SLURM_NTASKS=1 SLURM_STEPID=0 \
             SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=1 SLURM_LOCALID=0",
            Kind::OpenMpi,
            1,
            2,
        );
        // srun --mpi=pmix and --mpi=none, two tasks and one
        let srun = "SLURM_JOB_ID=1 SLURM_STEPID=0 SLURM_STEP_ID=0 SLURM_LOCALID=1 SLURM_NPROCS=2";
        is(&format!("{srun} SLURM_PROCID=1 SLURM_NTASKS=2 SLURM_STEP_NUM_TASKS=2 PMIX_RANK=1"), Kind::Srun, 1, 2);
        is(&format!("{srun} SLURM_PROCID=0 SLURM_NTASKS=2 SLURM_STEP_NUM_TASKS=2"), Kind::Srun, 0, 2);
        is("SLURM_PROCID=0 SLURM_NTASKS=1 SLURM_STEP_NUM_TASKS=1 SLURM_STEP_ID=0", Kind::Srun, 0, 1);
        // MPICH's mpiexec, by itself and in a step
        is("PMI_RANK=3 PMI_SIZE=4 PMI_FD=6", Kind::Hydra, 3, 4);
        is("PMI_RANK=3 PMI_SIZE=4 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=2", Kind::Hydra, 3, 4);
    }

    #[test]
    fn plain_processes_are_alone() {
        assert_eq!(read(""), Ok(None));
        // The batch script of `sbatch -N2 -n2`: a process there was started by nobody.
        let batch = "SLURM_PROCID=0 SLURM_NTASKS=2 SLURM_NPROCS=2 SLURM_LOCALID=0 SLURM_JOB_ID=4 SLURM_NNODES=2";
        assert_eq!(read(batch), Ok(None));
        assert_eq!(read("OMPI_COMM_WORLD_SIZE=2"), Ok(None));
    }

    #[test]
    fn nonsense_is_named() {
        for (vars, name) in [
            ("OMPI_COMM_WORLD_RANK=x OMPI_COMM_WORLD_SIZE=2", "OMPI_COMM_WORLD_RANK"),
            ("PMI_RANK=0 PMI_SIZE=-1", "PMI_SIZE"),
            ("SLURM_PROCID=2 SLURM_STEP_NUM_TASKS=2", "SLURM_PROCID"),
            ("SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=0", "SLURM_PROCID"),
            ("PMI_RANK=0 PMI_SIZE=2 MPI_LOCALRANKID=99999999999", "MPI_LOCALRANKID"),
        ] {
            let why = read(vars).unwrap_err().to_string();
            assert!(why.contains(name), "{vars}: {why}");
        }
    }
}
