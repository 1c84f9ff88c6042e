"""What has to hold: a finished run equals the quiet one, and nothing is left behind."""
import glob
import json
import os
import subprocess
import time

from job import LOCKSTEP, Failure, processes

LOGGED = ("split", "step", "epoch", "loss", "accuracy", "learning_rate", "grad_norm")
# Names in /dev/shm live for milliseconds. One that a kill has left is removed by the next job that finds it as old as this.
NAME_AGE = 60


def metrics(out):
    with open(f"{out}/metrics.jsonl") as file:
        return [{name: row[name] for name in LOGGED if name in row} for row in map(json.loads, file)]


def run(*words):
    result = subprocess.run([LOCKSTEP, *words], capture_output=True, text=True)
    if result.returncode != 0:
        raise Failure(f"lockstep {' '.join(words)} says {result.returncode}:\n{result.stdout}{result.stderr}")


def equal_to_quiet(quiet, out):
    """`diff` compares every bit of the state, with the ledger: which positions were used, and how often."""
    run("diff", quiet, out)
    run("diff", "--certificates", quiet, out)
    expected, found = metrics(quiet), metrics(out)
    steps = [row["step"] for row in found if "split" not in row]
    if steps != sorted(set(steps)):
        raise Failure("a step is in metrics.jsonl more than once, or out of order")
    if found != expected:
        difference = next((pair for pair in zip(expected, found) if pair[0] != pair[1]), (f"{len(expected)} rows", f"{len(found)} rows"))
        raise Failure("the metrics differ from the quiet run's: {} there, {} here".format(*difference))


def no_process_left(seconds):
    end = time.monotonic() + seconds
    while left := processes():
        if time.monotonic() > end:
            raise Failure(f"{seconds} s after the end these live on: {left}")
        time.sleep(0.002)


def temporary_files(out):
    """Those in folders of damaged checkpoints apart, which stay as they were found until a newer one is good."""
    return sorted(path for path in glob.glob(f"{out}/**/*", recursive=True, include_hidden=True)
                  if (".tmp" in os.path.basename(path) or os.path.basename(path).startswith((".witness", ".probe")))
                  and "-set-aside/" not in path)


def is_alive(pid):
    return os.path.exists(f"/proc/{pid}")


def names_in_shm(since, until):
    """Names of dead processes that were made in this time."""
    found = []
    for path in glob.glob(f"/dev/shm/lockstep-{os.getuid()}-*"):
        try:
            made = os.stat(path).st_mtime
        except FileNotFoundError:
            continue
        if since <= made < until and not is_alive(os.path.basename(path).split("-")[2]):
            found.append(path)
    return found
