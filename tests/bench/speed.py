"""Measures and prints the speed table; speed.sh starts it and says what it needs.

Every figure is the median over rounds. In a round each side of each comparison runs once, so that what else happens on the
machine hits both alike. A run's own figure is the median over its steps, on both sides; peak memory is the kernel's
(resident set of the one process, as wait4 reports it).
"""

import argparse
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["LOCKSTEP_BUILD"])
LOCKSTEP = BUILD / "lockstep"
MATMUL_RATE = BUILD / "tests" / "bench" / "matmul_rate"
PEER_PYTHON = os.environ.get("LOCKSTEP_PEER_PYTHON", "")
PEER_SCRIPT = pathlib.Path(os.environ["LOCKSTEP_PEERS"]) / "torch_throughput.py"

# Samples of a step, as the recipes and the peer's script have them.
BATCHES = {"mlp": 256, "lenet": 128, "resnet18": 32}


class Failed(Exception):
    pass


def run(command, env=None):
    """Runs `command`: what it printed, and its peak memory in MiB."""
    return finish(start(command, env))


def start(command, env=None):
    out, err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
    process = subprocess.Popen(command, stdout=out, stderr=err, env={**os.environ, **(env or {})})
    return command, process, out, err


def finish(started, check=True):
    command, process, out, err = started
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    texts = []
    for file in (out, err):
        file.seek(0)
        texts.append(file.read())
        file.close()
    if check and process.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\nended with {process.returncode}:\n{''.join(texts)[-2000:]}")
    return texts[0], usage.ru_maxrss / 1024


def find(pattern, text):
    match = re.search(pattern, text)
    if not match:
        raise Failed(f"no {pattern} in:\n{text[-2000:]}")
    return float(match.group(1))


def choose_cores():
    """Two cores that this process may use, not two threads of one core where that can be had."""
    if os.environ.get("LOCKSTEP_BENCH_CORES"):
        return [int(core) for core in os.environ["LOCKSTEP_BENCH_CORES"].split(",")]
    allowed = sorted(os.sched_getaffinity(0))

    def siblings(core):
        path = pathlib.Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        return path.read_text() if path.exists() else str(core)

    apart = [core for core in allowed[1:] if siblings(core) != siblings(allowed[0])]
    return [allowed[0], *(apart or allowed[1:])][:2]


def pinned(cores, command):
    return ["taskset", "-c", ",".join(map(str, cores)), *map(str, command)]


def train(workload, steps, cores, ranks=1, lanes=1):
    """(samples/s, peak MiB; under mpirun the latter is mpirun's) of the recipe, one executor a rank."""
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as out:
        settings = [
            f"train.steps={steps}",
            f"train.evaluate_every_steps={steps}",
            f"train.global_batch={BATCHES[workload] * ranks}",
            f"train.lanes={lanes * ranks}",
        ]
        command = [LOCKSTEP, "train", ROOT / f"examples/bench/{workload}.textproto", "--out", f"{out}/run"]
        command += ["--executors", "1", "--progress", "off"]
        command += [part for setting in settings for part in ("--set", setting)]
        if ranks > 1:
            script = f'source "{ROOT}/launch/setup.sh"; run_ranks "$@"'
            command = ["bash", "-c", script, "run_ranks", ranks, *command]
        text, peak = run(pinned(cores, command))
    return find(r"samples_per_s=(\d+)", text.strip().splitlines()[-1]), peak


def peer(workload, seconds, cores):
    """(samples/s, peak MiB) of PyTorch, as many DDP processes as there are cores."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = pinned(cores, [PEER_PYTHON, "-W", "ignore", PEER_SCRIPT, workload, "f32", seconds])
    world = {"WORLD_SIZE": str(len(cores)), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = [start(command, {**world, "RANK": str(rank)}) for rank in range(len(cores))]
    try:
        # gloo sometimes aborts while it ends, when all is measured: what counts is that the figure is there.
        results = [finish(process, check=False) for process in started]
    finally:
        for _, process, _, _ in started:
            if process.returncode is None:
                process.kill()
    return find(r"-> (\d+) items/s", results[0][0]), results[0][1]


def flop_of_sample(workload):
    """Forward and backward, as `lockstep plan` counts."""
    return find(r"([\d.e+]+) FLOP a sample", run([LOCKSTEP, "plan", ROOT / f"examples/bench/{workload}.textproto"])[0])


def steps_for(workload, seconds, core):
    """How many steps take about `seconds`; the runs that find out are the warm-up."""
    rate, _ = train(workload, 4, [core])
    return max(6, round(seconds * rate / BATCHES[workload]))


def measure(workloads, rounds, seconds, cores, with_peer):
    """{(workload, what): median}."""
    figures = {}

    def note(key, value):
        figures.setdefault(key, []).append(value)

    steps = {workload: steps_for(workload, seconds, cores[0]) for workload in workloads}
    for number in range(1, rounds + 1):
        note(("", "product"), find(r"best ([\d.]+)", run(pinned(cores[:1], [MATMUL_RATE]))[0]))
        for workload in workloads:
            print(f"round {number} of {rounds}: {workload}, {steps[workload]} steps", file=sys.stderr, flush=True)
            for side, sample in (("ours", train(workload, steps[workload], cores[:1])),
                                 ("theirs", peer(workload, seconds, cores[:1]) if with_peer else None)):  # fmt: skip
                if sample:
                    note((workload, side), sample[0])
                    note((workload, side + " peak"), sample[1])
            note((workload, "ours 8"), train(workload, steps[workload], cores[:1], lanes=8)[0])
            if len(cores) < 2:
                continue
            note((workload, "ours x2"), train(workload, steps[workload], cores, ranks=2)[0])
            if with_peer:
                note((workload, "theirs x2"), peer(workload, seconds, cores)[0])
    return {key: statistics.median(values) for key, values in figures.items()}


def mark(met):
    return "ok" if met else "MISSED"


def rows_of(workload, figures):
    """(workload, what, Lockstep, beside it, ratio, requirement)."""
    get = lambda what: figures.get((workload, what))  # noqa: E731

    def compare(what, ours, theirs, requirement, holds, percent=False):
        if ours is None:
            return (workload, what, "not measured", "", "", requirement)
        if theirs is None:
            return (workload, what, f"{ours:,.0f}", "not measured", "", requirement)
        ratio = ours / theirs
        text = f"{100 * ratio:.0f}%" if percent else f"{ratio:.2f}x"
        return (workload, what, f"{ours:,.0f}", f"{theirs:,.0f}", text, f"{requirement} {mark(holds(ratio))}".strip())

    rate = get("ours") * flop_of_sample(workload) / 1e9
    product = figures[("", "product")]
    lanes = get("ours 8")
    return [
        compare("samples/s on 1 core, beside PyTorch", get("ours"), get("theirs"), ">= 1.00x", lambda r: r >= 1.0),
        compare("peak MiB, beside PyTorch", get("ours peak"), get("theirs peak"), "<= 50%", lambda r: r <= 0.5, True),
        compare("samples/s of 2 ranks, beside DDP", get("ours x2"), get("theirs x2"), ">= 1.10x", lambda r: r >= 1.1),
        (workload, "GFLOP/s, beside the best product", f"{rate:.1f}", f"{product:.1f}", f"{100 * rate / product:.0f}%", ""),
        (workload, "samples/s with 8 lanes, beside 1 lane", f"{lanes:,.0f}", f"{get('ours'):,.0f}", f"{lanes / get('ours'):.2f}x", ""),
    ]


def print_table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(w) if i in (0, 1, 5) else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip())


def cpu_model():
    match = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return match.group(1) if match else os.uname().machine


def main():
    parser = argparse.ArgumentParser(prog="speed.sh", description="Prints the speed table.")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(BATCHES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind, of which the median counts (default: 3)")
    parser.add_argument("--seconds", type=float, default=8, help="of training in each run (default: 8)")
    options = parser.parse_args()
    for workload in options.workloads:
        if workload not in BATCHES:
            parser.error(f"there is no workload {workload}; there are {', '.join(BATCHES)}")
    workloads = options.workloads or list(BATCHES)

    with_peer = bool(PEER_PYTHON) and PEER_SCRIPT.exists()
    if not with_peer:
        print("note: PyTorch is not measured: set LOCKSTEP_PEER_PYTHON and LOCKSTEP_PEERS", file=sys.stderr)
    cores, load = choose_cores(), os.getloadavg()[0]
    if load > 0.5:
        print(f"note: the load is {load:.1f} before the first run: the machine is not idle, figures mean little", file=sys.stderr)
    figures = measure(workloads, options.rounds, options.seconds, cores, with_peer)

    torch = run([PEER_PYTHON, "-c", "import torch; print(torch.__version__)"])[0].strip() if with_peer else "not measured"
    print(f"{cpu_model()}, cores {','.join(map(str, cores))}, load {load:.1f} at the start, PyTorch {torch}, f32")
    print(f"medians of {options.rounds} interleaved runs; best matrix product on one core: {figures[('', 'product')]:.1f} GFLOP/s")
    print("2 ranks have twice the batch and the lanes, PyTorch is DDP then; 8 lanes run on one executor\n")
    rows = [("", "", "Lockstep", "beside", "ratio", "required")]
    for workload in workloads:
        rows += rows_of(workload, figures)
    print_table(rows)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"speed.sh: {failure}")
