"""The faults. Each has a name, says what exit codes it may lead to, and does what it does to a job at a moment or, those of
DAMAGES, to the folder between two jobs. An exit code of 0 is always fine: the fault came too late, or did no harm."""
import json
import os
import shutil
import signal
import subprocess

from job import DISK, LOCKSTEP, MOUNTED, WORK, send

STOPPED, PEER = 75, 6


class Fault:
    """Injected at a moment. `draw` fixes beforehand all that is left to chance."""

    name = ""
    supervised = False
    fewest_ranks = 1
    seconds = 10  # from the fault until all has ended
    available = True

    def draw(self, chance, ranks):
        self.ranks = ranks
        self.rank = chance.randrange(ranks)

    def text(self):
        return self.name

    def inject(self, job):
        """False where there is nothing any more to do it to."""
        raise NotImplementedError

    def codes(self, job):
        raise NotImplementedError

    def problem(self, job):
        """What is wrong with how the job ended, beside its exit code."""
        return ""

    def let_go(self, job):
        """Takes the fault back where nothing of the job can notice it any more; False where something can."""
        return False

    def after(self):
        """Once the job has ended."""


class KillRank(Fault):
    name = "kill -9 of a rank"

    def text(self):
        return f"kill -9 of rank {self.rank}"

    def inject(self, job):
        pid = job.wait_until(lambda: job.ranks_alive().get(self.rank))
        return pid is not None and send(pid, signal.SIGKILL)

    def codes(self, job):
        return {128 + signal.SIGKILL, PEER}


class KillRankZero(KillRank):
    name = "kill -9 of rank 0"

    def draw(self, chance, ranks):
        self.rank = 0


class KillSupervisedRank(KillRank):
    """`lockstep run` starts the job again, so that it gets to its end."""

    supervised = True
    seconds = 60

    def text(self):
        return f"{super().text()} under lockstep run"

    def codes(self, job):
        return set()


class KillLauncher(Fault):
    name = "kill -9 of mpirun"

    def inject(self, job):
        pid = job.wait_until(job.launcher)
        return pid is not None and send(pid, signal.SIGKILL)

    def codes(self, job):
        return {128 + signal.SIGKILL}


class KillSupervisor(Fault):
    name = "kill -9 of lockstep run"
    supervised = True

    def inject(self, job):
        return send(job.process.pid, signal.SIGKILL)

    def codes(self, job):
        return {128 + signal.SIGKILL}


class StopRank(Fault):
    """A hang. Before the first step the watchdog gives everybody ten minutes, so it comes after that at the earliest."""

    name = "SIGSTOP of a rank"
    fewest_ranks = 2
    seconds = 20

    def text(self):
        return f"SIGSTOP of rank {self.rank}"

    def inject(self, job):
        job.wait_until(job.step)
        pid = job.ranks_alive().get(self.rank)
        return pid is not None and send(pid, signal.SIGSTOP)

    def codes(self, job):
        return {PEER}

    def let_go(self, job):
        alive = job.ranks_alive()
        return "done name=" in job.text("stdout") and set(alive) == {self.rank} and send(alive[self.rank], signal.SIGCONT)

    def problem(self, job):
        with open(f"{job.out}/verdict.json") as file:
            verdict = json.load(file)
        done = verdict["exit_code"] == 0  # all was saved, and it was stopped on its way out
        if not done and (verdict["exit_code"] != PEER or f"rank {self.rank} on" not in verdict["where"]):
            return f"its verdict does not name rank {self.rank}: {verdict}"
        if done and "does not come to the end of the job" in job.text():
            return ""  # MPI's own end has begun, which tells nobody who is missing
        return "" if f"rank {self.rank} on" in job.text() else f"it does not say that rank {self.rank} is stuck"


class AskToStop(Fault):
    """SIGTERM, SIGINT, SIGUSR1 or SIGUSR2, at all ranks or at one."""

    name = "a signal to stop"

    def draw(self, chance, ranks):
        super().draw(chance, ranks)
        self.signal = chance.choice((signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2))
        self.all = chance.random() < 0.5

    def text(self):
        return f"{self.signal.name} to {'all ranks' if self.all else f'rank {self.rank}'}"

    def inject(self, job):
        if not job.wait_until(lambda: self.rank in job.ranks_alive()):
            return False
        pids = [pid for rank, pid in job.ranks_alive().items() if self.all or rank == self.rank]
        return any([send(pid, self.signal) for pid in pids])

    def codes(self, job):
        # A process that has not come to main yet has no handlers.
        return {STOPPED} if job.attempt() else {STOPPED, 128 + self.signal}


class AskSupervisorToStop(AskToStop):
    supervised = True

    def text(self):
        return f"{self.signal.name} to lockstep run"

    def inject(self, job):
        return bool(job.wait_until(job.ranks_alive)) and send(job.process.pid, self.signal)


class FullDisk(Fault):
    """Others fill the disk, until the job has ended. Checkpoints can't be written then; the weights don't change."""

    name = "full disk"
    seconds = 60
    available = MOUNTED
    others = f"{DISK}/others"

    def draw(self, chance, ranks):
        self.kib_left = chance.choice((0, 40, 300))  # a checkpoint has 400

    def text(self):
        return f"full disk, {self.kib_left} KiB left"

    def inject(self, job):
        if job.ended():
            return False
        block = bytes(4096)
        with open(self.others, "wb", buffering=0) as file:
            try:
                while os.statvfs(DISK).f_bavail * 4 > self.kib_left:
                    file.write(block * max(1, (os.statvfs(DISK).f_bavail * 4 - self.kib_left) // 8))
            except OSError:
                pass
        return True

    def codes(self, job):
        # 6: a start that can't write its folder; 4: a lease or a last checkpoint that can't be written.
        return {4, 6}

    def after(self):
        if os.path.exists(self.others):
            os.remove(self.others)


FAULTS = (KillRank, KillRankZero, KillSupervisedRank, KillLauncher, KillSupervisor, StopRank, AskToStop, AskSupervisorToStop, FullDisk)


# --- what is done to the folder between two jobs. Each returns what it has done in words, or "" where it could not.


def checkpoints(out):
    """{step: folder} of those that count."""
    folder = f"{out}/checkpoints"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return {int(name[5:]): f"{folder}/{name}" for name in names
            if name.startswith("step-") and name[5:].isdigit() and os.path.exists(f"{folder}/{name}/manifest.pb")}


def is_whole(folder):
    return subprocess.run([LOCKSTEP, "verify", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def whole_steps(out):
    return sorted(step for step, folder in checkpoints(out).items() if is_whole(folder))


def damage(out, chance, how):
    """Where no other checkpoint is whole, none is touched: the run could not go on, which it says with exit code 4."""
    whole = whole_steps(out)
    if len(whole) < 2:
        return ""
    folder = checkpoints(out)[chance.choice(whole)]
    name = chance.choice(sorted(os.listdir(folder)))
    return f"{how(f'{folder}/{name}', chance)} {os.path.basename(folder)}/{name}"


def flip_bit(path, chance):
    with open(path, "r+b") as file:
        size = os.path.getsize(path)
        place, bit = int(chance.random() * size), chance.randrange(8)
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))
    return f"bit {bit} of byte {place} flipped in"


def truncate(path, chance):
    size = int(chance.random() * os.path.getsize(path))
    os.truncate(path, size)
    return f"cut to {size} bytes:"


def remove(path, chance):
    os.remove(path)
    return "removed"


def leave_lease(out, chance):
    """That of a process which is gone."""
    seen = f"{WORK}/lease.json"
    if not os.path.exists(seen) or not os.path.isdir(out):
        return ""
    shutil.copy(seen, f"{out}/lease.json")
    return "the lease of a dead process is there"


def in_the_middle(out):
    """A run that is done has written all it writes: no kill leaves anything half there, and a start changes nothing."""
    return os.path.exists(f"{out}/metrics.jsonl") and not os.path.exists(f"{out}/done.json")


def tear_metrics(out, chance):
    if not in_the_middle(out):
        return ""
    with open(f"{out}/metrics.jsonl", "a") as file:
        file.write('{"accuracy":0.96875,"attempt":1,"epo'[:chance.randrange(1, 36)])
    return "a torn row in metrics.jsonl"


def leave_temporary_files(out, chance):
    """As kills leave them: small files, a lease, and a checkpoint that nobody has finished."""
    steps = checkpoints(out)
    if not steps or not in_the_middle(out):
        return ""
    newest = max(steps)
    unfinished = f"{out}/checkpoints/step-{newest - 1:08}"
    os.makedirs(unfinished, exist_ok=True)
    for path in (f"{out}/recipe.textproto.tmp", f"{out}/certificate.json.tmp", f"{out}/done.json.tmp",
                 f"{out}/lease.json.tmp-0123456789abcdef", f"{unfinished}/manifest.pb.tmp", f"{unfinished}/rank-00001.attempt-0001.shard.tmp",
                 f"{unfinished}/rank-00000.attempt-0001.shard"):
        with open(path, "wb") as file:
            file.write(chance.randbytes(chance.randrange(5000)))
    return "temporary files are there"


DAMAGES = {
    "nothing": lambda out, chance: "",
    "flipped bit": lambda out, chance: damage(out, chance, flip_bit),
    "truncation": lambda out, chance: damage(out, chance, truncate),
    "removed file": lambda out, chance: damage(out, chance, remove),
    "lease": leave_lease,
    "torn metrics": tear_metrics,
    "temporary files": leave_temporary_files,
}
