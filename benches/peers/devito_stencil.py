"""A stencil by Devito, as stencils.py runs it: the equation as its users write it, compiled by gcc with OpenMP, blocks chosen by its
autotuner; under mpirun with DEVITO_MPI set, cut into slabs along the slowest axis. Prints one JSON object.

  devito_stencil.py --case CASE --cells N --steps S --batches B [--tuned JSON | --tune] [--check FILE]

--tune runs the autotuner ("aggressive"), without and with blocks along the rows, and tells what was fastest, which --tuned takes: so the
search is not repeated in every round. Time is Devito's own (DEVITO_PROFILING=advanced), of the generated code alone, without
Python around it. The first axis of Devito is the slowest.
"""
import argparse
import json
import os
import threading
import time

import numpy
import devito
from devito import Eq, Grid, Operator, TimeFunction, solve

CASES = {"heat-2d-f64": (2, numpy.float64), "heat-3d-f64": (3, numpy.float64), "heat-3d-f32": (3, numpy.float32),
         "wave-3d-f32": (3, numpy.float32)}


def copy_rate(ranks, meet):
    """Bytes per second, read and written, of a copy in pieces of 1 MiB by all threads: 512 MiB in all."""
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    length = (32 << 20) // ranks
    source, target = numpy.full(length, 1.0), numpy.full(length, 2.0)

    def part(k):
        for at in range(k * length // threads, (k + 1) * length // threads, 1 << 17):
            end = min(at + (1 << 17), (k + 1) * length // threads)
            target[at:end] = source[at:end]

    best = float("inf")
    for _ in range(6):
        team = [threading.Thread(target=part, args=(k,)) for k in range(1, threads)]
        meet()
        begin = time.perf_counter()
        for thread in team:
            thread.start()
        part(0)
        for thread in team:
            thread.join()
        meet()
        best = min(best, time.perf_counter() - begin)
    return 16 * length * ranks / best


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", choices=CASES, required=True)
    parser.add_argument("--cells", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batches", type=int, default=3)
    parser.add_argument("--tuned", type=json.loads, default={})
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--check")
    args = parser.parse_args()
    dims, dtype = CASES[args.case]
    n = args.cells

    # The mesh width is 1. Slabs: rows stay whole.
    cut = {"topology": ("*",) + (1,) * (dims - 1)} if devito.configuration["mpi"] else {}
    grid = Grid(shape=(n,) * dims, extent=(n - 1.0,) * dims, dtype=dtype, **cut)
    if args.case == "wave-3d-f32":
        u = TimeFunction(name="u", grid=grid, space_order=8, time_order=2)
        equation, dt, levels = Eq(u.dt2, u.laplace), 0.1 ** 0.5, 3
    else:
        u = TimeFunction(name="u", grid=grid, space_order=2, time_order=1)
        equation, dt, levels = Eq(u.dt, u.laplace), 0.125, 2
    update = Eq(u.forward, solve(equation, u.forward))

    def generated(inner):
        return Operator([update], opt=("advanced", {"blockinner": inner}))

    def run(operator, done, blocks):
        """The rate of a batch from step `done` on. Time level t lies in buffer t mod levels; the first one computed is levels - 1."""
        summary = operator.apply(time_m=done + levels - 2, time_M=done + levels - 3 + args.steps, dt=dt, autotune="off", **blocks)
        return n ** dims * args.steps / summary.globals["fdlike-nosetup"].time

    # This rank's planes. Beyond the grid Devito has a halo of zeros, which nobody writes.
    own = grid.distributor.glb_slices[grid.dimensions[0]]
    first, past = own.start or 0, n if own.stop is None else own.stop
    cells = [u.data[level].view(numpy.ndarray) for level in range(levels)]
    factors = (13, 11, 7)[3 - dims:]
    plane = sum(numpy.ix_(*(factor * numpy.arange(n) for factor in factors[1:]))) if dims > 2 else 7 * numpy.arange(n)
    for at in range(first, past):
        values = ((factors[0] * at + plane) % 64) / 64
        for level in cells:
            level[at - first] = values

    communicator, ranks = grid.distributor.comm, grid.distributor.nprocs
    meet = communicator.Barrier if ranks > 1 else lambda: None
    if args.tune:
        found = []
        for inner in (False, True):
            operator = generated(inner)
            operator.apply(time_M=max(args.steps, 16), dt=dt, autotune=("aggressive", "preemptive"))
            tried = operator._state.get("autotuning", [])
            tuned = tried[-1].get("tuned", {}) if tried else {}
            blocks = {key: size for key, size in tuned.items() if "blk" in key}
            # Ranks may have found different ones; the first rank's are for all.
            blocks = communicator.bcast(blocks) if ranks > 1 else blocks
            found.append((sorted(run(operator, 0, blocks) for _ in range(args.batches))[args.batches // 2], inner, blocks))
        rate, inner, blocks = max(found, key=lambda one: one[0])
        if first == 0:
            print(json.dumps({"rate": rate, "inner": inner, "blocks": blocks}, default=int))
        return
    operator, blocks = generated(args.tuned.get("inner", False)), args.tuned.get("blocks", {})
    done, rates = 0, []
    # The first batch warms up, or is all that is checked.
    for _ in range(1 if args.check else 1 + args.batches):
        meet()
        rates.append(run(operator, done, blocks))
        done += args.steps
    if args.check:
        last = cells[(done + levels - 2) % levels]
        with open(args.check, "r+b") as file:
            file.seek(8 * first * n ** (dims - 1))
            file.write(last.astype(numpy.float64).tobytes())
        return
    meet()
    copied = copy_rate(ranks, meet)
    if first == 0:
        print(json.dumps({"version": f"Devito {devito.__version__}", "rates": rates[1:], "copy": copied, "ranks": ranks,
                          "threads": int(os.environ.get("OMP_NUM_THREADS", "1"))}))


main()
