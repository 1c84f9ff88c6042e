"""One start of the run: `lockstep train` under mpirun, or under `lockstep run`; and what can be seen of it from outside."""
import json
import os
import signal
import subprocess
import time

LOCKSTEP, SETUP, RECIPE = (os.environ[f"CHAOS_{name}"] for name in ("LOCKSTEP", "SETUP", "RECIPE"))
WORK, DISK = os.environ["CHAOS_WORK"], os.environ["CHAOS_DISK"]
MOUNTED = os.environ["CHAOS_MOUNTED"] == "yes"
LIMIT = 120  # seconds that one start may take
SETTINGS = ["checkpoint.every_steps=60", "train.certificate_every_steps=50", "watchdog.timeout_seconds=2", "train.log_every_steps=1"]
PAUSE = 0.002  # between looks at what tells nobody that it changed


class Failure(Exception):
    """Something is not as it should be."""


def rows(out, name):
    """The objects in a .jsonl file; torn rows are left out."""
    found = []
    try:
        with open(f"{out}/{name}") as file:
            for line in file:
                try:
                    found.append(json.loads(line))
                except json.JSONDecodeError:
                    pass
    except FileNotFoundError:
        pass
    return found


def processes():
    """(pid, words of the command line) of all that work for this script. One that has ended, and whose parent has not looked
    yet, has no command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if WORK in " ".join(words):
            found.append((int(pid), words))
    return found


def rank_of(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            for entry in file.read().split(b"\0"):
                if entry.startswith(b"OMPI_COMM_WORLD_RANK="):
                    return int(entry.split(b"=")[1])
    except OSError:
        pass
    return None


class Job:
    def __init__(self, ranks, out, supervised=False, files=0):
        self.ranks, self.out, self.supervised = ranks, out, supervised
        self.attempts_before = len(rows(out, "attempts.jsonl"))
        arguments = [RECIPE, "--out", out, "--progress", "off"] + [word for setting in [*SETTINGS, f"checkpoint.files={files}"] for word in ("--set", setting)]
        command = ([LOCKSTEP, "run", "-n", str(ranks)] if supervised
                   else ["bash", "-c", 'source "$0"; run_ranks "$@"', SETUP, str(ranks), LOCKSTEP, "train"]) + arguments
        self.output = {name: open(f"{WORK}/{name}", "w+") for name in ("stdout", "stderr")}
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **self.output)
        self.started = time.monotonic()

    def ended(self):
        if time.monotonic() - self.started > LIMIT:
            raise Failure(f"it does not end within {LIMIT} s")
        return self.process.poll() is not None

    def wait_until(self, condition):
        """What `condition` returned when that became true; None where the job has ended before."""
        while not self.ended():
            if value := condition():
                return value
            time.sleep(PAUSE)
        return None

    def wait(self, limit=LIMIT):
        """The exit code; that of a process ended by a signal as a shell has it."""
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise Failure(f"it lives on {limit} s after the fault") from None
        return 128 - code if code < 0 else code

    def launcher_hangs(self):
        """mpirun was told of a rank that died while it was about to report to it, and lets the others wait for it."""
        return not self.supervised and not self.ended() and "PMIX ERROR: UNREACHABLE" in self.text()

    def launcher_was_killed(self):
        """mpirun writes to ranks that have ended, and is not always ready for the signal that this brings."""
        return not self.supervised and self.process.poll() in (-signal.SIGPIPE, 128 + signal.SIGPIPE)

    def attempt(self):
        """The row that this start has written into attempts.jsonl (of several, the first), once it is there."""
        found = rows(self.out, "attempts.jsonl")
        return found[self.attempts_before] if len(found) > self.attempts_before else None

    def step(self):
        """The last step that this start has logged; 0 at first."""
        try:
            with open(f"{self.out}/metrics.jsonl", "rb") as file:
                file.seek(max(0, os.path.getsize(file.name) - 2000))
                for line in reversed(file.read().split(b"\n")):
                    try:
                        row = json.loads(line)
                    except ValueError:
                        continue
                    if row["attempt"] > self.attempts_before and "split" not in row:
                        return row["step"]
        except FileNotFoundError:
            pass
        return 0

    def ranks_alive(self):
        """The processes by rank."""
        found = {rank_of(pid): pid for pid, words in processes() if words[0] == LOCKSTEP and words[1:2] == ["train"]}
        return {rank: pid for rank, pid in found.items() if rank is not None}

    def launcher(self):
        return next((pid for pid, words in processes() if os.path.basename(words[0]) == "mpirun"), None)

    def text(self, name="stderr"):
        self.output[name].seek(0)
        return self.output[name].read()

    def end(self):
        """For a script that fails."""
        for pid, _ in processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()


def send(pid, number):
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False
