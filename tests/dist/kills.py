"""kills.py LOCKSTEP SETUP.SH FOLDER SEED RECIPE [ARGUMENT...]: what kills.sh says."""
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

KILLS = 5
RANKS = (1, 2, 3, 4, 5, 8)
LIMIT = 600  # seconds that one job may take

lockstep, setup, folder, seed, recipe, *arguments = sys.argv[1:]


def fail(text):
    print("FAILED:", text)
    for job in Job.running:
        job.end()
    sys.exit(1)


class Job:
    """lockstep train on some ranks, in the background."""

    running = []

    def __init__(self, ranks, out):
        self.ranks, self.out = ranks, out
        self.attempts_before = len(lines(out, "attempts.jsonl"))
        self.started = time.monotonic()
        self.output = {name: open(f"{folder}/job-{name}", "w+") for name in ("stdout", "stderr")}
        self.process = subprocess.Popen(
            ["bash", "-c", 'source "$0"; run_ranks "$@"', setup, str(ranks), lockstep, "train", recipe, "--out", out,
             "--progress", "off", "--set", "train.log_every_steps=1", *arguments],
            stdin=subprocess.DEVNULL, start_new_session=True, **self.output)
        self.metrics = None
        self.step = 0
        Job.running.append(self)

    def elapsed(self):
        seconds = time.monotonic() - self.started
        if seconds > LIMIT:
            fail(f"a job takes more than {LIMIT} s")
        return seconds

    def ended(self):
        return self.process.poll() is not None

    def see_step(self):
        """The last step that this job has logged; 0 at first."""
        try:
            # A resume replaces the file: it is opened when it holds rows of this job's own attempt.
            if self.metrics is None and len(lines(self.out, "attempts.jsonl")) > self.attempts_before:
                self.metrics = open(f"{self.out}/metrics.jsonl")
            for line in self.metrics or ():
                row = json.loads(line)
                if row["attempt"] > self.attempts_before and "split" not in row:
                    self.step = row["step"]
        except (FileNotFoundError, json.JSONDecodeError):
            pass
        return self.step

    def find(self, rank):
        """The process of a rank, when it is there."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
                if command[0] == lockstep.encode() and self.out.encode() in command:
                    if f"OMPI_COMM_WORLD_RANK={rank}".encode() in open(f"/proc/{pid}/environ", "rb").read().split(b"\0"):
                        return int(pid)
            except OSError:
                pass
        return None

    def kill(self, rank):
        while not self.ended():
            pid = self.find(rank)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                return True
            self.elapsed()
        return False

    def text(self, name):
        self.output[name].seek(0)
        return self.output[name].read()

    def end(self):
        if not self.ended():
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait()

    def wait(self):
        self.process.wait(LIMIT)
        Job.running.remove(self)
        return self.process.returncode

    def weights(self):
        found = re.search(r"^done .* weights=([0-9a-f]{16}) .*$", self.text("stdout"), re.MULTILINE)
        if self.process.returncode != 0 or not found:
            fail(f"a job on {self.ranks} ranks ended with {self.process.returncode}:\n{self.text('stderr')}")
        return found[1]


def lines(out, name):
    try:
        return open(f"{out}/{name}").readlines()
    except FileNotFoundError:
        return []


def newest_checkpoint(out):
    steps = [int(name[5:]) for name in os.listdir(f"{out}/checkpoints")
             if name.startswith("step-") and os.path.exists(f"{out}/checkpoints/{name}/manifest.pb")] if os.path.isdir(f"{out}/checkpoints") else []
    return max(steps, default=0)


def rows(out):
    wanted = ("split", "step", "epoch", "loss", "accuracy", "learning_rate", "grad_norm")
    return [{name: row[name] for name in wanted if name in row} for row in map(json.loads, lines(out, "metrics.jsonl"))]


def run_quietly(out):
    """Returns the weights, the duration, and when which step was seen."""
    job = Job(2, out)
    seen = [(0.0, 0)]
    while not job.ended():
        if job.see_step() > seen[-1][1]:
            seen.append((job.elapsed(), job.step))
        time.sleep(0.001)
    duration = job.elapsed()
    job.wait()
    return job.weights(), duration, seen


def kill_at(job, rank, step, delay):
    """Kills `rank` some seconds after the job has logged `step` (0: after its start). Returns the step it had come to."""
    while job.see_step() < step and not job.ended():
        job.elapsed()
        time.sleep(0.001)
    reached = time.monotonic() if step > 0 else job.started
    while time.monotonic() < reached + delay and not job.ended():
        time.sleep(0.001)
    killed = job.kill(rank)
    if killed:
        at = time.monotonic()
        job.wait()
        if time.monotonic() - at > 10:
            fail(f"mpirun ended only {time.monotonic() - at:.1f} s after the kill")
        left = [rank for rank in range(job.ranks) if job.find(rank)]
        if left:
            fail(f"ranks {left} live on after mpirun")
    return job.see_step() if killed else None


def main():
    draw = random.Random(int(seed))
    quiet, out = f"{folder}/quiet", f"{folder}/killed"
    weights, duration, seen = run_quietly(quiet)
    total = seen[-1][1]
    print(f"quiet run on 2 ranks: {duration:.1f} s, {total} steps, weights {weights}")

    ranks = RANKS[int(draw.random() * len(RANKS))]
    good = 0
    for number, moment in enumerate(sorted(draw.random() * duration for _ in range(KILLS)), 1):
        rank = int(draw.random() * ranks)
        next_ranks = RANKS[int(draw.random() * len(RANKS))]
        when, step = max(entry for entry in seen if entry[0] <= moment)
        reached = kill_at(Job(ranks, out), rank, step, moment - when)
        if reached is None:
            print(f"kill {number}: not done: the run on {ranks} ranks had ended before second {moment:.2f}")
            break
        resumed = newest_checkpoint(out)
        lost = max(0, reached - resumed)
        good += lost > 0 and resumed > 0
        print(f"kill {number}: rank {rank} of {ranks} at {moment:.2f} s, when it had come to step {reached}; "
              f"resumed from step {resumed} on {next_ranks} ranks, {lost} steps lost")
        ranks = next_ranks
    last = Job(ranks, out)
    last.wait()
    if last.weights() != weights:
        fail(f"weights {last.weights()}, of the quiet run {weights}")
    note = re.search(r"resuming from step (\d+) of", last.text("stderr"))
    if resumed > 0 and resumed < total and (not note or int(note[1]) != resumed):
        fail(f"the last job did not resume from step {resumed}:\n{last.text('stderr')}")
    if rows(quiet) != rows(out):
        fail("the metrics differ from the quiet run's")
    if subprocess.run([lockstep, "diff", quiet, out]).returncode != 0:
        fail("the state differs from the quiet run's")
    print(f"weights {weights} after {KILLS} kills, {good} of which lost work and resumed past step 0")
    if good < 3:
        fail("too few kills that lose work and resume: more steps, or more checkpoints")


main()
