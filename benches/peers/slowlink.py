#!/usr/bin/env python3
"""How much of the exchange between two hosts is hidden behind computing, when the link between them is slow.

  benches/peers/slowlink.py [--cells 8192] [--steps 160] [--time-block 1,8] [--rounds 5] [--rate 100] [--delay 2]
                            [--program heat|stencil-peer] [--relay-always] [--json FILE]

Makes two hosts on this machine (tests/machines/hosts; needs root, iproute2 and Open MPI), gives each half of the cores, and runs
heat on both by mpirun over TCP, in turn with the link as it is and with one of --rate Mbit/s each way and --delay ms. The
exchange alone takes bytes / rate + delay, times the number of exchanges: a border of T rows of N cells of 8 bytes each way at
once, after every T steps, without the headers of TCP. "measured" is what it takes indeed: the time of the same exchanges of a grid with so few
rows that there is nothing to hide them behind. Hidden is what the slow link does not add to the time, in shares of the first
and of the second.

Kernels without netem have the link slowed down by a program (tests/machines/slowlink.py), which takes a part of the cores that
compute. With --relay-always the link as it is goes through that program too, without rate and delay.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
HOSTS = ROOT / "tests" / "machines" / "hosts"


def missing():
    """Why there can be no such hosts here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    tools = [tool for tool in ("mpirun", "ip", "tc", "unshare", "taskset") if not shutil.which(tool)]
    if tools:
        return f"needs {', '.join(tools)} (Debian: openmpi-bin iproute2 util-linux)"
    return None if len(os.sched_getaffinity(0)) >= 2 else "needs two cores, one for each host"


class Hosts:
    """Two hosts, h1 and h2, while this lives."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="slowlink-")
        self.call("up", "2")
        return self

    def __exit__(self, *_):
        subprocess.run([HOSTS, "-d", self.folder, "down"], stdout=subprocess.DEVNULL)

    def call(self, *words):
        done = subprocess.run([HOSTS, "-d", self.folder, *words], capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def shape(self, rate, delay):
        """Without a rate, delay alone; without both, the link as it is."""
        self.call("shape", "h1", *([f"rate={rate}mbit"] if rate else []), *([f"delay={delay}ms"] if delay is not None else []))

    def relay_cpu_s(self):
        """Processor time of the program that slows the link down; None where the kernel does it by itself."""
        relay = pathlib.Path(self.folder, "host", "h1", "relay")
        if not relay.exists():
            return None
        fields = self.call("exec", "head", "cat", f"/proc/{relay.read_text().split()[0]}/stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(hosts, args, t, rows):
    """Seconds of the steps on so many rows, and the steps that were fused."""
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    lists = [",".join(map(str, part)) for part in (cores[:half], cores[half:2 * half])]
    # The hosts share this machine's cores and do not know.
    place = f'if [ "$OMPI_COMM_WORLD_RANK" = 0 ]; then c={lists[0]}; else c={lists[1]}; fi; exec taskset -c $c "$@"'
    if args.program == "heat":
        program = [TARGET / "release" / "physalia", "heat", "--cells", f"{args.cells}x{rows}", "--steps", str(args.steps),
                   "--time-block", str(t), "--threads", str(half), "--json", "-"]
    else:
        program = [TARGET / "release" / "stencil-peer", "--cells", str(args.cells), "--slowest", str(rows), "--steps",
                   str(args.steps), "--batches", "1", "--time-block", str(t), "--threads", str(half)]
    network = ["--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", "10.88.0.0/24", "--mca", "oob_tcp_if_include", "10.88.0.0/24"]
    words = ["exec", "head", "mpirun", "-n", "2", "--host", "h1:1,h2:1", "--bind-to", "none", *network, "-x", "PHYSALIA_INTERFACE=10.88.0.0/24",
             "sh", "-c", place, "sh", *map(str, program)]
    out = hosts.call(*words)
    told = json.loads(out[out.index("{"):out.rindex("}") + 1])
    if told.get("hosts", 2) != 2:
        raise RuntimeError(f"the ranks believe to be on {told['hosts']} hosts")
    seconds = told["seconds"]["run"] if "seconds" in told else args.cells * rows * args.steps / told["rates"][0]
    return seconds, told.get("time_block", t)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--time-block", default="1,8")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=float, default=100.0, help="Mbit/s")
    parser.add_argument("--delay", type=float, default=2.0, help="ms, each way")
    parser.add_argument("--program", choices=("heat", "stencil-peer"), default="heat")
    parser.add_argument("--relay-always", action="store_true", help="for kernels without netem")
    parser.add_argument("--json", help="where a report goes")
    args = parser.parse_args()
    why = missing()
    if why:
        return print(f"skipped: slowlink: {why}")
    package = ["-p", "physalia-apps", "--bin", "physalia"] if args.program == "heat" else ["-p", "physalia-benches", "--bin", "stencil-peer"]
    build = [os.environ.get("CARGO", "cargo"), "build", "--release", "-q", "--features", "mpi", *package]
    subprocess.run(build, cwd=ROOT, check=True)
    rows = []
    with Hosts() as hosts:
        print(f"{args.program}, {args.cells} x {args.cells} cells, {args.steps} steps, {args.rate:g} Mbit/s, {args.delay:g} ms")
        print(f"{'T':>3} {'fast s':>9} {'slow s':>9} {'exchange s':>11} {'measured s':>11} {'hidden':>7} {'of meas.':>8}  relay")
        for wanted in map(int, args.time_block.split(",")):
            pairs, busy, thin = [], [], []
            for _ in range(args.rounds):
                hosts.shape(None, 0 if args.relay_always else None)
                fast, t = run(hosts, args, wanted, args.cells)
                hosts.shape(args.rate, args.delay)
                slow, _ = run(hosts, args, wanted, args.cells)
                pairs.append((fast, slow))
                busy.append(hosts.relay_cpu_s())
                # As few rows as are cut across the same axis.
                few = max(32 * t, 256)
                seconds, narrow = run(hosts, args, t, few)
                if narrow != t:
                    raise RuntimeError(f"{narrow} steps fused in a grid of {few} rows, {t} in the large one")
                thin.append(seconds)
            exchanges = -(-args.steps // t)
            bits = 8 * 8 * args.cells * args.steps
            alone = bits / (args.rate * 1e6) + exchanges * args.delay * 1e-3
            fast, slow = (statistics.median(times) for times in zip(*pairs))
            added = statistics.median(slow - fast for fast, slow in pairs)
            measured = statistics.median(thin)
            hidden, indeed = (1 - max(0.0, added) / time for time in (alone, measured))
            relay = "in the kernel" if busy[0] is None else f"a program, {statistics.median(busy):.2f} s of a core"
            print(f"{t:3} {fast:9.3f} {slow:9.3f} {alone:11.3f} {measured:11.3f} {hidden:7.1%} {indeed:8.1%}  {relay}", flush=True)
            rows.append({"time_block": t, "fast_s": fast, "slow_s": slow, "exchange_s": alone, "measured_s": measured,
                         "hidden": hidden, "hidden_of_measured": indeed, "rounds": pairs, "relay_cpu_s": busy})
    if args.json:
        report = {key: getattr(args, key) for key in ("program", "cells", "steps", "rate", "delay")}
        pathlib.Path(args.json).write_text(json.dumps(dict(report, rows=rows), indent=2) + "\n")


if __name__ == "__main__":
    # The hosts go with the script, however it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except (RuntimeError, subprocess.SubprocessError) as why:
        sys.exit(f"slowlink: {why}")
