"""Measures and prints what a run's safety costs it; overhead.sh starts it and says what it needs.

In a round each workload trains once without checkpoints and once with checkpoints back to back (the next begins at the first
step after the last one is durable), in turns, on one core with another one free; right after it the same bytes are copied by
memcpy and written by dd. A figure is the median over rounds, a ratio the median of the rounds' ratios, so that what else
happens on the machine hits both sides alike.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import speed
from speed import BUILD, LOCKSTEP, ROOT, Failed, find, run

# Steps of a run and samples of a step, by recipe in examples/bench.
WORKLOADS = {"resnet18": (14, 64), "mlp100m": (30, 64)}
WARM_UP = 3  # first steps, which touch all memory, and the first checkpoint's beginning
DURABLE = re.compile(
    r"is durable, after ([\d.]+) s: (\d+) bytes copied in ([\d.]+) s, for which training waited ([\d.]+) s, written in ([\d.]+) s"
)
BACK_TO_BACK = ["checkpoint.every_minutes=0.00001", "checkpoint.keep=2"]
NO_CHECKPOINTS = []
median = statistics.median


def train(workload, disk, cores, settings, watch=None):
    """(seconds a step, checkpoints that were written beside training) of one run. Its steps' times include all waits."""
    steps, batch = WORKLOADS[workload]
    with tempfile.TemporaryDirectory(prefix="lockstep-overhead-", dir=disk) as folder:
        out = pathlib.Path(folder) / "run"
        settings = [f"train.steps={steps}", f"train.evaluate_every_steps={steps}", f"train.global_batch={batch}",
                    "train.log_every_steps=1", "train.certificate_every_steps=100000", *settings]  # fmt: skip
        command = [LOCKSTEP, "train", ROOT / f"examples/bench/{workload}.textproto", "--out", out]
        command += ["--executors", "1", "--progress", "off"]
        command += [part for setting in settings for part in ("--set", setting)]
        started = speed.start(speed.pinned(cores, command))
        if watch:
            watch(started[1].pid, out)
        speed.finish(started)
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        rows = [row for row in rows if "samples_per_s" in row][WARM_UP:]
        seconds = [batch / row["samples_per_s"] + row.get("checkpoint_seconds", 0) for row in rows]
        saves = [tuple(map(float, match)) for match in DURABLE.findall((out / "logs/rank-0.log").read_text())]
        # The last is written at the end of the run, beside nothing.
        return statistics.mean(seconds), saves[:-1]


def dd(disk, size):
    """Bytes a second."""
    path = pathlib.Path(disk) / f"lockstep-overhead-{os.getpid()}"
    try:
        start = time.monotonic()
        # As nice as the writer (checkpointer.cc), so that a busy machine hits both alike.
        command = ["nice", "-n", "5", "dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={round(size / 2**20)}", "conv=fsync"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        return size / (time.monotonic() - start)
    finally:
        path.unlink(missing_ok=True)


def copy(size, cores):
    """Bytes a second, on the core that is free."""
    return 1e9 * find(r"copied ([\d.]+)", run(speed.pinned(cores[-1:], [BUILD / "tests/bench/copy_rate", int(size)]))[0])


def checkpoint_round(workload, disk, cores, first_without):
    """One round's figures, by name."""
    figures, saves = {}, []
    for without in (first_without, not first_without):
        if without:
            figures["step without"], none = train(workload, disk, cores, NO_CHECKPOINTS)
        else:
            # dd before and after: the disks of virtual machines change their minds.
            figures["step with"], saves = train(workload, disk, cores, BACK_TO_BACK)
            size = saves[0][1]
            figures["memcpy"] = copy(size, cores)
            figures["dd"] = statistics.mean([dd(disk, size), dd(disk, size)])
    figures["size"] = size
    figures["saves"] = len(saves)
    figures["cycle"] = median(save[0] for save in saves)
    figures["copy"] = median(size / save[2] for save in saves)
    figures["waited"] = median(max(save[3], 1e-4) for save in saves)  # 0.1 ms is the log's last digit
    figures["write"] = median(size / save[4] for save in saves)
    figures["slowdown"] = figures["step with"] / figures["step without"] - 1
    return figures


def events_of_a_step(disk, cores):
    """Events in a step of ResNet-18: from the flight record of a run that diverges."""
    with tempfile.TemporaryDirectory(prefix="lockstep-overhead-", dir=disk) as folder:
        out = pathlib.Path(folder) / "run"
        command = [LOCKSTEP, "train", ROOT / "examples/bench/resnet18.textproto", "--out", out, "--executors", "1"]
        command += ["--progress", "off", "--set", "optimizer.learning_rate=1e30", "--set", "train.steps=8"]
        speed.finish(speed.start(speed.pinned(cores, command)), check=False)
        record = json.loads(run([LOCKSTEP, "inspect", "--json", out / "flight/attempt-1"])[0])["records"][0]
        first = min(event["step"] for event in record["events"] if event.get("step", -1) >= 0)
        return sum(event.get("step", -1) == first for event in record["events"])


class Threads:
    """Nanoseconds on a core of the watchdog's threads: those that bear the program's name, the main thread apart."""

    def __init__(self, seconds):
        self.seconds, self.share = seconds, None

    def __call__(self, pid, _out):
        def spent():
            total = 0
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                name = (task / "comm").read_text().strip()
                if name == LOCKSTEP.name and int(task.name) != pid:
                    total += int((task / "schedstat").read_text().split()[0])
            return total

        time.sleep(2)
        begin, start = spent(), time.monotonic()
        time.sleep(self.seconds)
        self.share = (spent() - begin) / 1e9 / (time.monotonic() - start)


def watch_cost(disk, cores, step_seconds):
    """Rows on watchdog and flight recorder: neither can be switched off, so their parts are measured one by one."""
    events = events_of_a_step(disk, cores)
    bench = run(speed.pinned(cores[:1], [BUILD / "tests/bench/flight_bench"]))[0]
    each = max(float(line.split()[-1]) for line in bench.splitlines()
               if re.match(r"(progress|event of an executor|collective)", line) and line.split()[-2] == "1")  # fmt: skip
    # Tenfold, for the signs of progress between events, which are no events.
    recorder = 10 * events * each * 1e-9 / step_seconds
    threads = Threads(8)
    train("resnet18", disk, cores, [], threads)
    share = recorder + threads.share
    return [
        ("", f"flight recorder: {events} events a step of {1e3 * step_seconds:.0f} ms, reckoned as {10 * events} of {each:.0f} ns", f"{100 * recorder:.4f}%", "", "", ""),
        ("", "watchdog: its threads' time on a core", f"{100 * threads.share:.4f}%", "", "", ""),
        ("", "both", f"{100 * share:.4f}%", "", "", f"< 0.3% {speed.mark(share < 0.003)}"),
    ]  # fmt: skip


def rows_of(workload, rounds):
    get = lambda name: median(figures[name] for figures in rounds)  # noqa: E731

    def beside(what, ours, theirs, unit, required):
        ratio = median(figures[ours] / figures[theirs] for figures in rounds)
        text = f"{100 * ratio:.0f}%" if ratio < 10 else f"{ratio:.0f}x"
        required = f">= 80% {speed.mark(ratio >= 0.8)}" if required else ""
        return (workload, what, f"{get(ours) / unit:,.2f}", f"{get(theirs) / unit:,.2f}", text, required)

    slower, memcpy = get("slowdown"), get("size") / get("memcpy")
    each = ", ".join(f"{100 * figures['slowdown']:+.1f}" for figures in rounds)
    return [
        (workload, "ms a step with checkpoints back to back, beside without", f"{1e3 * get('step with'):,.0f}",
         f"{1e3 * get('step without'):,.0f}", f"{100 * slower:+.1f}%", f"< 3% {speed.mark(slower < 0.03)} ({each})"),
        (workload, "ms that training waits for a copy, beside its memcpy", f"{1e3 * get('waited'):,.1f}", f"{1e3 * memcpy:,.1f}",
         f"{memcpy / get('waited'):,.1f}x as fast", f">= 80% {speed.mark(memcpy / get('waited') >= 0.8)}"),
        beside("GB/s of a copy by itself, beside memcpy", "copy", "memcpy", 1e9, False),
        beside("GB/s of a write with its fsync, beside dd", "write", "dd", 1e9, True),
        (workload, "MB of a checkpoint; seconds from one to the next; how many", f"{get('size') / 1e6:,.0f}",
         f"{get('cycle'):.2f}", f"{get('saves'):.0f}", ""),
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(prog="overhead.sh", description="Prints what checkpoints, watchdog and flight recorder cost.")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (default: 3)")
    parser.add_argument("--disk", default=tempfile.gettempdir(), help="a folder on the disk to write to")
    options = parser.parse_args()
    for workload in options.workloads:
        if workload not in WORKLOADS:
            parser.error(f"there is no workload {workload}; there are {', '.join(WORKLOADS)}")
    workloads = options.workloads or list(WORKLOADS)

    cores, load = speed.choose_cores(), os.getloadavg()[0]
    if len(cores) < 2:
        sys.exit("overhead.sh: SKIPPED: one core is all there is, so none is free for the writer")
    if load > 0.5:
        print(f"note: the load is {load:.1f} before the first run: the machine is not idle, figures mean little", file=sys.stderr)
    rounds = {workload: [] for workload in workloads}
    for number in range(options.rounds):
        for workload in workloads:
            rounds[workload].append(checkpoint_round(workload, options.disk, cores, number % 2 == 0))
            print(f"round {number + 1} of {options.rounds}: {workload}: {rounds[workload][-1]}", file=sys.stderr, flush=True)
    rows = [("", "", "Lockstep", "beside", "ratio", "required")]
    for workload in workloads:
        rows += rows_of(workload, rounds[workload])
    if "resnet18" in workloads:
        rows += watch_cost(options.disk, cores, median(figures["step without"] for figures in rounds["resnet18"]))
    print(f"{datetime.date.today()}, {speed.cpu_model()}, {os.cpu_count()} cores, on cores {','.join(map(str, cores))}: one executor, "
          f"one core free; load {load:.1f} at the start, {os.getloadavg()[0]:.1f} at the end; medians of {options.rounds} rounds\n")  # fmt: skip
    speed.print_table(rows)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"overhead.sh: {failure}")
