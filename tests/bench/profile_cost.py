#!/usr/bin/env python3
"""Prints what recording a profile costs the steps that are profiled.

    tests/bench/profile_cost.py LOCKSTEP [--rounds 9] [--core 0] [RECIPE...]

In a round each recipe trains twice with all its steps but the first few profiled and twice without, in the order with, without, without,
with, on one executor pinned to one core. A run's figure is the lower quartile of its steps, which neighbours disturb little; a round's
ratio that of the means of its runs with and without; beside it that of the two runs without, which is what the machine's noise comes to. Run it as root on a machine with nothing
else to do: then the runs have a high priority.
"""

import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Steps that are measured, steps that pass first, and settings.
RECIPES = {
    "examples/digits.textproto": (900, 10, []),
    "examples/mnist.textproto": (60, 10, []),
    "examples/bench/mlp.textproto": (200, 10, []),
    "examples/bench/lenet.textproto": (20, 5, []),
    "examples/bench/gpt.textproto": (4, 2, ["train.global_batch=4"]),
    "examples/bench/lstm.textproto": (15, 5, []),
}


def step_seconds(lockstep, core, recipe, steps, warm_up, settings, profiled):
    """The lower quartile of a run's steps, in seconds a sample."""
    with tempfile.TemporaryDirectory(prefix="lockstep-profile-cost-") as folder:
        last = steps + warm_up
        settings = [*settings, "train.epochs=0", f"train.steps={last}", f"train.evaluate_every_steps={last}", "evaluate.samples=1",
                    "train.log_every_steps=1", "checkpoint.every_steps=0", "checkpoint.every_minutes=0",
                    f"train.certificate_every_steps={last}", "metrics.tensorboard=false",
                    f"profile.steps={steps if profiled else 0}", f"profile.warm_up_steps={warm_up}"]  # fmt: skip
        command = ["taskset", "-c", str(core), *(["nice", "-n", "-15"] if os.getuid() == 0 else []), str(lockstep), "train",
                   str(ROOT / recipe), "--out", f"{folder}/run", "--executors", "1", "--progress", "off"]  # fmt: skip
        command += [part for setting in settings for part in ("--set", setting)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr[-2000:]}")
        rows = [json.loads(line) for line in open(f"{folder}/run/metrics.jsonl", encoding="utf-8")]
        rates = [row["samples_per_s"] for row in rows if "samples_per_s" in row and row["step"] > warm_up]
        assert len(rates) >= steps - 1, f"{len(rates)} rows of {steps} steps"
        return statistics.quantiles([1 / rate for rate in rates], n=4)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lockstep", type=pathlib.Path)
    parser.add_argument("recipes", nargs="*", default=list(RECIPES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--core", type=int, default=0)
    options = parser.parse_intermixed_args()
    print(f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[0]:.1f}, {options.rounds} rounds")
    print("| recipe | cost while on | quartiles | without, twice | quartiles |\n|---|---|---|---|---|")
    for recipe in options.recipes:
        setup = RECIPES[recipe]
        costs, noise = [], []
        for _ in range(options.rounds):
            turns = [step_seconds(options.lockstep, options.core, recipe, *setup, on) for on in (True, False, False, True)]
            costs.append((turns[0] + turns[3]) / (turns[1] + turns[2]) - 1)
            noise.append(turns[1] / turns[2] - 1)
        cells = []
        for values in (costs, noise):
            low, middle, high = statistics.quantiles(values, n=4)
            cells += [f"{100 * middle:+.2f} %", f"{100 * low:+.2f} to {100 * high:+.2f}"]
        print(f"| {recipe.removeprefix('examples/').removesuffix('.textproto')} | {' | '.join(cells)} |", flush=True)
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    sys.exit(main())
