#!/usr/bin/env python3
"""Our stencils beside those of other projects on the same work, in turn: benches/README.md says what is compared and how.

  benches/peers/stencils.py [--size full|small] [--only NAME,...] [--rounds 5] [--threads 2] [--json FILE]

Installs and builds what it needs in target/peers; what cannot be had is skipped with a line that says why. First each program's
result is compared with ours on a small grid; then they run in turn, `--rounds` times, each time as processes of their own. Exit
code 1: a result is not ours.
"""
import argparse
import array
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
PEERS = TARGET / "peers"

# Bytes of memory that a step moves for each cell if steps are not fused, and by how much results may differ by rounding.
CASES = {
    "heat-2d-f64": {"axes": 2, "bytes": 16, "tolerance": 1e-13},
    "heat-3d-f64": {"axes": 3, "bytes": 16, "tolerance": 1e-13},
    "heat-3d-f32": {"axes": 3, "bytes": 8, "tolerance": 1e-5},
    "wave-3d-f32": {"axes": 3, "bytes": 12, "tolerance": 1e-4},
}


class Run:
    """One program in one layout: `ours`, `openmp`, `devito`, `petsc`, and variants after a colon."""

    def __init__(self, label, ranks=1, threads=1, mpi=False):
        self.label, self.ranks, self.threads, self.mpi = label, ranks, threads, mpi
        self.program, _, self.form = label.partition(":")

    def name(self):
        return f"{self.label} {self.ranks}x{self.threads}{' mpi' if self.mpi else ''}"


def comparisons(threads):
    """By name: case, cells of an axis and steps of a batch (full, small), and the runs; the first is what others are compared to."""

    def all_of(*labels):
        return [Run(label, 1, threads) for label in labels]

    ours, split = Run("ours", 1, threads), [Run("ours", threads, 1, True), Run("ours", threads, 1)]
    mpi = [Run(label, threads, 1, True) for label in ("ours", "openmp", "devito", "petsc:global", "petsc:local")]
    one = all_of("ours", "ours:closure", "openmp", "devito")
    return {
        "heat-2d-f64": ("heat-2d-f64", (8192, 512), (48, 16), one),
        "heat-3d-f64": ("heat-3d-f64", (512, 64), (24, 8), one + mpi[3:]),
        "heat-3d-f32": ("heat-3d-f32", (512, 64), (24, 8), one),
        "wave-3d-f32": ("wave-3d-f32", (512, 64), (12, 8), all_of("ours", "openmp", "devito")),
        "mpi": ("heat-2d-f64", (8192, 512), (48, 16), mpi),
        "in-cache": ("heat-2d-f64", (256, 256), (3200, 320), all_of("ours", "ours:closure", "openmp")),
        "ranks": ("heat-2d-f64", (8192, 512), (48, 16), [ours] + split),
        "scaling": ("heat-2d-f64", (4096, 512), (96, 16), [Run("ours", 1, 1, True), Run("ours", 2, 1, True)]),
    }


def skip(what, why):
    print(f"skipped: {what}: {why}", flush=True)


def succeeds(*command, **more):
    if not shutil.which(command[0]):
        return False
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more).returncode == 0


class Tools:
    """What is there to run. `has` holds the programs: ours, openmp, devito, petsc, mpi."""

    def __init__(self, cflags):
        self.has, self.cflags = {"ours"}, cflags.split()
        (PEERS / "programs").mkdir(parents=True, exist_ok=True)
        if shutil.which("mpicc") and shutil.which("mpirun"):
            self.has.add("mpi")
        else:
            skip("everything under MPI", "no mpicc or no mpirun (Debian: libopenmpi-dev openmpi-bin)")
        with_mpi = ["--features", "mpi"] if "mpi" in self.has else []
        cargo = [os.environ.get("CARGO", "cargo"), "build", "--release", "-q", "-p", "physalia-benches", "--bin", "stencil-peer"]
        subprocess.run(cargo + with_mpi, cwd=ROOT, check=True)
        if shutil.which("gcc"):
            self.has.add("openmp")
            for case in CASES:
                self.compile("gcc", "openmp", "openmp.c", case, ["-fopenmp"])
                if "mpi" in self.has:
                    self.compile("mpicc", "openmp-mpi", "openmp.c", case, ["-fopenmp", "-DWITH_MPI"])
        else:
            skip("openmp", "no gcc")
        self.petsc()
        self.devito()

    def compile(self, compiler, name, source, case, options):
        macro = "-DCASE_" + case.replace("-", "_")
        out = PEERS / "programs" / f"{name}-{case}"
        subprocess.run([compiler, *self.cflags, macro, HERE / source, "-o", out, *options, "-lm"], check=True)

    def petsc(self):
        if "mpi" not in self.has:
            return
        if not succeeds("pkg-config", "--exists", "petsc") and os.geteuid() == 0 and shutil.which("apt-get"):
            quiet = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
            succeeds("apt-get", "install", "-y", "-q", "--no-install-recommends", "libpetsc-real-dev", "pkg-config", env=quiet)
        found = subprocess.run(["pkg-config", "--cflags", "--libs", "petsc"], capture_output=True, text=True) \
            if shutil.which("pkg-config") else None
        if not found or found.returncode != 0:
            return skip("petsc", "not installed (Debian: libpetsc-real-dev pkg-config)")
        for case in ("heat-2d-f64", "heat-3d-f64"):
            self.compile("mpicc", "petsc", "petsc.c", case, found.stdout.split())
        self.has.add("petsc")

    def devito(self):
        python = PEERS / "venv" / "bin" / "python"
        if not succeeds(python, "-c", "import devito"):
            if not succeeds(sys.executable, "-m", "venv", PEERS / "venv"):
                return skip("devito", "no environment can be made (Debian: python3-venv)")
            if not succeeds(python, "-m", "pip", "install", "-q", "devito"):
                return skip("devito", "pip cannot install it")
        self.has.add("devito")
        wants_mpi = "mpi" in self.has and not succeeds(python, "-c", "import mpi4py.MPI")
        if wants_mpi and not succeeds(python, "-m", "pip", "install", "-q", "mpi4py"):
            skip("devito under MPI", "pip cannot install mpi4py")
        elif "mpi" in self.has:
            self.has.add("devito-mpi")

    def can(self, run):
        return run.program in self.has and (not run.mpi or "mpi" in self.has) and not (
            run.program == "devito" and run.mpi and "devito-mpi" not in self.has)

    def call(self, run, case, cells, steps, batches, more=(), mode=None):
        """Runs it once; gives what it prints."""
        env = dict(os.environ, OMP_NUM_THREADS=str(run.threads), OMP_PROC_BIND="true", OMP_PLACES="cores", OMP_WAIT_POLICY="active",
                   OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        if run.program == "ours":
            command = [TARGET / "release" / "stencil-peer", "--threads", str(run.threads)]
            command += [] if run.mpi else ["--ranks", str(run.ranks)]
            command += ["--form", run.form] if run.form else []
        elif run.program == "devito":
            command = [PEERS / "venv" / "bin" / "python", HERE / "devito_stencil.py"]
            env.update(DEVITO_LANGUAGE="openmp", DEVITO_ARCH="gcc", DEVITO_LOGGING="ERROR", DEVITO_PROFILING="advanced")
            env.update({"DEVITO_MPI": mode or "diag2"} if run.mpi else {})
        else:
            name = "openmp-mpi" if run.program == "openmp" and run.mpi else run.program
            command = [PEERS / "programs" / f"{name}-{case}"] + (["--form", run.form] if run.form else [])
        common = ["--case", case, "--cells", str(cells), "--steps", str(steps), "--batches", str(batches), *more]
        if run.mpi:
            # With fewer cores than ranks nothing is bound, and who waits gives way.
            crowded = run.ranks * run.threads > len(os.sched_getaffinity(0))
            where = ["--oversubscribe", "--bind-to", "none"] if crowded else [
                "--map-by", f"slot:pe={run.threads}", "--bind-to", "core"]
            env["OMPI_MCA_mpi_yield_when_idle"] = "1" if crowded else "0"
            command = ["mpirun", "-n", str(run.ranks), *where, *command]
        done = subprocess.run(command + common, env=env, cwd=PEERS, capture_output=True, text=True, timeout=3600)
        if done.returncode != 0:
            raise RuntimeError(f"{run.name()}, {case}, {cells} cells: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        return json.loads(lines[-1]) if lines else {}


def check(tools, runs, case):
    """Whether all give our result on a small grid, but for rounding; gives the largest distances."""
    cells, steps, distances = {2: 37, 3: 29}[CASES[case]["axes"]], 10, {}
    ours = None
    for run in runs:
        file = PEERS / "check"
        file.write_bytes(b"")
        tools.call(run, case, cells, steps, 1, ["--check", str(file)])
        result = array.array("d", file.read_bytes())
        file.unlink()
        ours = ours or result
        if len(result) != cells ** CASES[case]["axes"]:
            sys.exit(f"stencils: {run.name()}, {case}: {len(result)} cells")
        # A NaN is as far as can be: a comparison with it is false.
        far = max(abs(a - b) if abs(a - b) < 1e300 else float("inf") for a, b in zip(ours, result))
        if not far <= CASES[case]["tolerance"]:
            sys.exit(f"stencils: {run.name()}, {case}: a cell is {far} from ours; not the same work")
        distances[run.name()] = far
    if max(map(abs, ours)) < 0.1:
        sys.exit(f"stencils: {case}: all cells are near zero: nothing was compared")
    return distances


def tune(tools, run, case, cells, steps):
    """What Devito's autotuner, and under MPI the choice of its way of exchanging, found to be fastest."""
    found = []
    for mode in ("basic", "diag2", "full") if run.mpi else (None,):
        tuned = tools.call(run, case, cells, steps, 3, ["--tune"], mode)
        found.append((tuned["rate"], mode, tuned))
    return max(found, key=lambda one: one[0])[1:]


def compare(tools, name, comparison, small, rounds):
    case, cells, steps, runs = comparison
    cells, steps = cells[small], steps[small]
    runs = [run for run in runs if tools.can(run)]
    print(f"\n{name}: {case}, {cells} cells along each axis, {steps} steps a batch, {rounds} rounds", flush=True)
    if not runs or runs[0].program != "ours":
        return skip(name, "nothing of ours to compare with")
    distances = check(tools, runs, case)
    tuned = {run: tune(tools, run, case, cells, steps) for run in runs if run.program == "devito"}
    told = {run: [] for run in runs}
    for round in range(rounds):
        # Turns are taken forth and back, so that nobody always follows the same.
        for run in runs if round % 2 == 0 else runs[::-1]:
            mode, found = tuned.get(run, (None, None))
            told[run].append(tools.call(run, case, cells, steps, 3, ["--tuned", json.dumps(found)] if found else [], mode))
    rows = []
    for run in runs:
        each = [statistics.median(one["rates"]) for one in told[run]]
        # Only ours measures the copy in the caches, which is that of others too.
        key = "copy_in_cache" if name == "in-cache" else "copy"
        copies = [one[key] for one in told[run if key in told[run][0] else runs[0]]]
        shares = [rate * CASES[case]["bytes"] / copy for rate, copy in zip(each, copies)]
        rows.append({"run": run.name(), "version": told[run][0].get("version"), "cells_per_s": statistics.median(each),
                     "least": min(each), "most": max(each), "rounds": each, "copy_bytes_per_s": statistics.median(copies),
                     "share_of_copy": statistics.median(shares), "time_block": told[run][0].get("time_block"),
                     "tuned": tuned.get(run), "distance": distances[run.name()]})
    print(f"{'program ranks x threads':26} {'G cells/s':>10} {'least':>8} {'most':>8} {'ours/it':>8} {'of copy':>8} {'T':>3}  version")
    for row in rows:
        row["ours_to_it"] = rows[0]["cells_per_s"] / row["cells_per_s"]
        rates = [row[key] / 1e9 for key in ("cells_per_s", "least", "most")]
        print(f"{row['run']:26} {rates[0]:10.3f} {rates[1]:8.3f} {rates[2]:8.3f} {row['ours_to_it']:8.2f} "
              f"{row['share_of_copy']:8.2f} {row['time_block'] or 1:3}  {row['version'] or ''}", flush=True)
    return {"name": name, "case": case, "cells": cells, "steps": steps, "rows": rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("full", "small"), default="full", help="small: to see whether everything runs")
    parser.add_argument("--only", help="names, by commas: " + ", ".join(comparisons(2)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cflags", default="-O3 -march=native -Wall", help="of gcc, for the peers written in C")
    parser.add_argument("--json", help="where a report goes")
    args = parser.parse_args()
    wanted = comparisons(args.threads)
    names = args.only.split(",") if args.only else list(wanted)
    unknown = [name for name in names if name not in wanted]
    if unknown or args.rounds < 1 or args.threads < 1:
        parser.error(f"no comparison {', '.join(unknown)}" if unknown else "at least one round and one thread")
    tools = Tools(args.cflags)
    results = [compare(tools, name, wanted[name], args.size == "small", args.rounds) for name in names]
    if args.json:
        report = {"size": args.size, "threads": args.threads, "rounds": args.rounds, "cflags": args.cflags,
                  "comparisons": [one for one in results if one]}
        pathlib.Path(args.json).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, subprocess.SubprocessError) as why:
        sys.exit(f"stencils: {why}")
