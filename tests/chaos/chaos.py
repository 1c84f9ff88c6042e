"""chaos.py ROUNDS SEED: what run.sh says."""
import os
import random
import re
import shutil
import sys
import time

import checks
from faults import DAMAGES, FAULTS, whole_steps
from job import DISK, WORK, Failure, Job

MOST_RANKS = 5
rounds, seed = int(sys.argv[1]), sys.argv[2]
quiet, out = f"{WORK}/quiet", f"{DISK}/run"


class Round:
    """What one round will do. Drawn from the seed alone: nothing that happens changes what comes later."""

    def __init__(self, number, fault, damage):
        self.number = number
        self.chance = random.Random(f"{seed} round {number}")
        self.fault = fault()
        self.damage = damage
        self.ranks = self.chance.randint(self.fault.fewest_ranks, MOST_RANKS)
        self.moment = self.chance.random()  # of the life of the job
        self.fault.draw(self.chance, self.ranks)
        self.files = self.chance.choice([0, 1, 2])  # of a checkpoint; 0: one a rank


def dealt(cards, count, chance):
    """Like cards: each comes up before one comes again."""
    hand = []
    while len(hand) < count:
        hand += chance.sample(cards, len(cards))
    return hand[:count]


def schedule():
    faults = [fault for fault in FAULTS if fault.available]
    for fault in set(FAULTS) - set(faults):
        print(f"SKIPPED: {fault.name}: this machine gives no mount namespaces (they need root, or user namespaces)")
    chance = random.Random(f"{seed} schedule")
    return [Round(number, fault, damage) for number, (fault, damage) in
            enumerate(zip(dealt(faults, rounds, chance), dealt(list(DAMAGES), rounds, chance)), 1)]


class Chaos:
    def __init__(self):
        self.begun = time.time()
        self.tally = {"injected": 0, "too late": 0, "resumed": 0, "damaged": 0, "finished": 0, "ended as mpirun hung": 0}
        self.job = None

    def run_quietly(self):
        """Also: how long the life of a job is, and which part of it goes by before its first step."""
        self.job = job = Job(2, quiet)
        job.wait_until(job.step)
        self.start_up = time.monotonic() - job.started
        if job.wait() != 0:
            raise Failure("the quiet run fails")
        self.training = time.monotonic() - job.started - self.start_up
        self.total = max(row["step"] for row in checks.metrics(quiet))
        print(f"seed {seed}, quiet run on 2 ranks: {self.start_up + self.training:.1f} s, {self.total} steps", flush=True)

    def await_moment(self, moment):
        """Uniform over what the quiet run took from here on. While it starts that is a time, later a step: jobs on other numbers
        of ranks, on a machine that does other things too, come to it sooner or later. Returns it in words."""
        first = max(whole_steps(out), default=0)
        training = self.training * (1 - first / self.total)
        seconds = moment * (self.start_up + training)
        if seconds < self.start_up:
            self.job.wait_until(lambda: time.monotonic() - self.job.started > seconds)
            return f"at {seconds:.2f} s"
        step = first + 1 + int((seconds - self.start_up) / training * (self.total - first))
        self.job.wait_until(lambda: self.job.step() >= step)
        return f"at step {step}"

    def keep_lease(self):
        try:
            shutil.copy(f"{out}/lease.json", f"{WORK}/lease.json")
        except FileNotFoundError:
            pass

    def await_end(self, limit, fault):
        """The exit code; None where mpirun itself failed: where it had to be ended because it hung, or ended by a signal."""
        try:
            code = self.job.wait(limit)
            if not self.job.launcher_was_killed():
                return code
            self.tally["ended as mpirun hung"] += 1
            self.line += " (SIGPIPE ended mpirun)"
            self.job.end()
            return None
        except Failure:
            # A rank that is stopped when all others have left is missed by mpirun alone, which waits for it.
            if fault.let_go(self.job):
                self.line += " (stopped behind its end, and let go)"
                return self.job.wait(limit)
            if not self.job.launcher_hangs():
                raise
            # Not what is tested here; people end it, and so does lockstep run.
            self.tally["ended as mpirun hung"] += 1
            self.line += " (mpirun hung)"
            self.job.end()
            self.job.wait()
            return None

    def play(self, round):
        fault = round.fault
        damage = DAMAGES[round.damage](out, round.chance)
        whole = whole_steps(out)
        self.line = f"round {round.number}: {round.ranks} ranks, {f'{round.files} files, ' if round.files else ''}{damage + ', ' if damage else ''}{fault.text()}"
        self.job = job = Job(round.ranks, out, fault.supervised, round.files)
        self.line += f" {self.await_moment(round.moment)}"
        injected = not job.ended() and fault.inject(job)
        self.keep_lease()
        code = self.await_end(fault.seconds if injected else None, fault)
        attempt = job.attempt()
        resumed = attempt["from_step"] if attempt else None
        self.line += (f"{'' if injected else ' (too late)'}, "
                      f"{'before it had begun' if attempt is None else f'resumed from {resumed}'}, exit code {code}")
        if code and (error := re.search(r"^lockstep: error: (.{1,100})", job.text(), re.MULTILINE)):
            self.line += f" ({error[1]})"
        # Processes that a kill leaves on their own have to see that.
        checks.no_process_left(fault.seconds)
        if code and code not in (fault.codes(job) if injected else ()):
            raise Failure(f"exit code {code}")
        if injected and code and (problem := fault.problem(job)):
            raise Failure(problem)
        if attempt and resumed != max(whole, default=0):
            raise Failure(f"it resumed from {resumed}; whole were {whole}")
        fault.after()
        self.tally["injected" if injected else "too late"] += 1
        self.tally["resumed"] += bool(resumed)
        self.tally["damaged"] += bool(damage)
        if code == 0:
            self.line += ": done"
            self.finish()
        print(self.line, flush=True)

    def finish(self):
        checks.equal_to_quiet(quiet, out)
        self.line += ", all equal"
        self.tally["finished"] += 1
        if left := checks.temporary_files(out):
            raise Failure(f"temporary files are left: {left}")
        # Aside: what a later round does to its own folder must not touch it while it is looked at.
        shutil.rmtree(out)

    def end_quietly(self):
        self.line = "at the end, without a fault, 3 ranks"
        begun = time.time()
        self.job = Job(3, out)
        code = self.job.wait()
        self.line += f", exit code {code}"
        if code != 0:
            raise Failure(f"exit code {code}")
        checks.no_process_left(5)
        self.finish()
        if left := checks.names_in_shm(self.begun, begun - checks.NAME_AGE):
            raise Failure(f"names are left: {left}")
        for name in checks.names_in_shm(begun - checks.NAME_AGE, time.time()):
            print(f"note: {name} was left by a kill less than {checks.NAME_AGE} s ago; the next job after that time removes it")
        print(self.line)

    def main(self):
        plan = schedule()
        self.line = "the quiet run"
        try:
            self.run_quietly()
            for round in plan:
                self.play(round)
            self.end_quietly()
        except Exception as error:
            print(f"{self.line}\nFAILED (--seed {seed}): {error}")
            for name in ("stdout", "stderr") if self.job else ():
                print("".join(f"  {name}: {line}\n" for line in self.job.text(name).splitlines()), end="")
            if keep := os.environ.get("CHAOS_KEEP"):
                shutil.copytree(out, keep, dirs_exist_ok=True)
            if self.job:
                self.job.end()
            if not isinstance(error, Failure):
                raise
            sys.exit(1)
        print(f"{rounds} rounds in {time.time() - self.begun:.0f} s: " + ", ".join(f"{count} {what}" for what, count in self.tally.items()))


Chaos().main()
