#!/usr/bin/env python3
"""Situations of the field, each tried on every command: standard streams that are closed, full or gone, signals, limits, environments
that launchers leave, paths of every kind. situations.py LOCKSTEP [WORDS]: WORDS choose among situations by their names.

What must hold everywhere: a command ends in time, by itself; with 0, or with an exit code of the manual and one error that says what
is wrong; it never calls itself a bug. What must hold in one situation only is said beside it.
"""

import concurrent.futures
import dataclasses
import itertools
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time

CODES = {0, 2, 3, 4, 5, 6, 75}  # docs/operations.md; diff and replay have 1 as well
ERROR = "lockstep: error:"


@dataclasses.dataclass
class Ending:
    code: int
    out: str
    err: str


class Fixture:
    """Small data, recipes and finished runs, and how each command is called on them."""

    def __init__(self, lockstep, folder):
        self.lockstep, self.folder = lockstep, folder
        (folder / "points.csv").write_text("".join(f"{i % 7},{i % 5},{i * i % 11},{i % 3}\n" for i in range(60)))
        (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 60)
        recipe = "train { steps: 4 global_batch: 4 lanes: 2 seed: 1 precision: F32 certificate_every_steps: 2 } optimizer { adamw {} learning_rate: 1e-3 } checkpoint { every_steps: 2 keep: 3 }\n"
        (folder / "points.textproto").write_text(
            'model { mlp { hidden: [4] } } data { train { csv { file: "points.csv" } } test { csv { file: "points.csv" } } }\n' + recipe)
        (folder / "text.textproto").write_text(
            'model { gpt { layers: 1 heads: 2 width: 8 } } data { block: 8 tokenizer { bytes {} } train { text { file: "text.txt" } } }\n'
            + recipe)
        for name in ("points", "text"):
            ending = self.call(["train", f"{name}.textproto", "--out", f"run-{name}", "--set", "profile.steps=2", "--set", "profile.warm_up_steps=1"])
            if ending.code != 0:
                raise SystemExit(f"the fixture can't be trained: {ending.err}")

    def commands(self, out="out"):
        """name -> words. `out`: a folder that train may write."""
        return {
            "train": ["train", "points.textproto", "--out", out, "--progress", "off"],
            "eval": ["eval", "run-points"],
            "plan": ["plan", "points.textproto"],
            "data check": ["data", "check", "points.textproto"],
            "new": ["new", "points.csv", "--out", f"{out}.textproto", "--force"],
            "predict": ["predict", "run-points", "points.csv", "--format", "csv"],
            "inspect": ["inspect", "run-points"],
            "verify": ["verify", "run-points"],
            "diff": ["diff", "run-points", "run-points"],
            "status": ["status", "run-points", "--json"],
            "runs": ["status", "."],
            "report": ["report", "run-points", "run-text", "--out", f"{out}.html"],
            "replay": ["replay", "run-points", "--steps", "2:4"],
            "profile": ["profile", "run-points", "--no-peak", "--out", f"{out}-profile"],
            "export": ["export", "run-points", f"{out}.safetensors"],
            "generate": ["generate", "run-text", "--prompt", "the", "--tokens", "4"],
            "tokenize": ["tokenize", "text.txt", "--bytes", "--force", "-o", f"{out}.bin"],
            "submit": ["submit", "points.textproto", "--time", "1h", "--dry-run"],
            "doctor": ["doctor"],
            "help": ["help", "recipe"],
            "version": ["version"],
        }

    def call(self, words, limit=30, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("cwd", self.folder)
        environment = dict(os.environ, OMP_NUM_THREADS="1") | options.pop("environment", {})
        with subprocess.Popen([self.lockstep, *words], env=environment, **options) as process:
            try:
                out, err = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                return Ending(-999, text_of(out), text_of(err))
        return Ending(process.returncode, text_of(out), text_of(err))


def text_of(data):
    return (data or b"").decode("utf-8", "replace")


def complaint(command, ending, codes=None):
    """What is wrong with how a command ended; empty where nothing is."""
    allowed = codes or (CODES | ({1} if command in ("diff", "replay") else set()))
    if ending.code == -999:
        return "it did not end"
    if ending.code not in allowed:
        return f"it ended with {ending.code}: {ending.err[-400:]}"
    if "bug in Lockstep" in ending.err or "terminate called" in ending.err:
        return f"it calls itself a bug: {ending.err[-400:]}"
    return ""


def said_once(ending):
    """Of a failure whose words can be read."""
    count = ending.err.count(ERROR)
    return "" if ending.code in (0, 75) or count == 1 else f"exit code {ending.code} with {count} errors: {ending.err[-400:]}"


# --- situations: each yields (name, function that returns a complaint)

def closed_streams(fixture):
    for streams in itertools.chain.from_iterable(itertools.combinations((0, 1, 2), n) for n in (1, 2, 3)):
        for command, words in fixture.commands(f"closed-{''.join(map(str, streams))}").items():
            def run(command=command, words=words, streams=streams):
                ending = fixture.call(words, stdin=None if 0 in streams else subprocess.DEVNULL,
                                      preexec_fn=lambda: [os.close(stream) for stream in streams])
                return complaint(command, ending, {0}) or stray_lines(fixture.folder / words[3] if command == "train" else None)
            yield f"streams {streams} closed: {command}", run


def stray_lines(run):
    """Nothing that was said may land in a file of the run."""
    if run is None:
        return ""
    for line in (run / "metrics.jsonl").read_text().splitlines():
        json.loads(line)
    return ""


def full_output(fixture):
    for command, words in fixture.commands("full").items():
        def run(command=command, words=words):
            with open("/dev/full", "wb") as full:
                ending = fixture.call(words, stdout=full)
            # What train has written to its folder is not lost.
            return complaint(command, ending, {0} if command == "train" else {6}) or said_once(ending)
        yield f"standard output is full: {command}", run


def reader_gone(fixture):
    for stream in ("stdout", "stderr"):
        for command, words in fixture.commands(f"gone-{stream}").items():
            def run(command=command, words=words, stream=stream):
                read, write = os.pipe()
                os.close(read)
                try:
                    ending = fixture.call(words, **{stream: write})
                finally:
                    os.close(write)
                # Whoever asked for a result and left has it; training goes on.
                return complaint(command, ending, {0} if command in ("train", "eval") else {0, 6, -signal.SIGPIPE})
            yield f"nobody reads {stream}: {command}", run


def signals(fixture):
    """train is stopped in each phase by each signal, and goes on to the same weights."""
    long = ["--set", "train.steps=3000", "--set", "checkpoint.every_steps=100"]
    whole = fixture.call(["train", "points.textproto", "--out", "whole", "--progress", "off", *long])
    weights = [word for word in whole.out.split() if word.startswith("weights=")]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        for after in (0.0, 0.02, 0.1, 0.3):
            def run(number=number, after=after):
                out = f"signal-{number}-{after}"
                words = ["train", "points.textproto", "--out", out, "--progress", "off", *long]
                with subprocess.Popen([fixture.lockstep, *words], cwd=fixture.folder, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                    time.sleep(after)
                    process.send_signal(number)
                    process.communicate(timeout=30)
                # Before the handlers are there a signal does what it always does.
                if process.returncode not in (0, 75, -number):
                    return f"it ended with {process.returncode}"
                again = fixture.call(words)
                return complaint("train", again, {0}) or ("" if weights[0] in again.out else f"other weights: {again.out}")
            yield f"{number.name} after {after} s: train", run


def limits(fixture):
    def limited(kind, value):
        return lambda: resource.setrlimit(kind, (value, value))
    for kind, name, values in ((resource.RLIMIT_FSIZE, "size of files", (0, 100, 4096)), (resource.RLIMIT_NOFILE, "open files", (4, 8, 16)),
                               (resource.RLIMIT_AS, "memory", (200 << 20, 400 << 20)), (resource.RLIMIT_STACK, "stack", (256 << 10,))):
        for value in values:
            for command, words in fixture.commands(f"limit-{kind}-{value}").items():
                def run(command=command, words=words, kind=kind, value=value):
                    ending = fixture.call(words, preexec_fn=limited(kind, value))
                    if kind == resource.RLIMIT_AS and ending.code == 127:
                        return ""  # the program itself does not fit
                    if kind == resource.RLIMIT_NOFILE and ending.code == 127:
                        return ""  # its libraries could not be opened
                    return complaint(command, ending)
                yield f"{name} limited to {value}: {command}", run


def environments(fixture):
    slurm = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "1",
             "SLURM_NODELIST": socket.gethostname(), "PATH": "/usr/bin:/bin"}
    cases = {
        "srun --pty bash": slurm,
        "a Slurm job that is over": slurm | {"SLURM_JOB_END_TIME": "1000"},
        "one rank of Open MPI's mpirun": {"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"},
        "one rank of MPICH's mpiexec": {"PMI_SIZE": "1", "PMI_RANK": "0"},
        "one rank of PRRTE": {"PMIX_RANK": "0", "PMIX_NAMESPACE": "prterun-x@1"},
        "two ranks that an mpirun left behind": {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"},
        "two ranks that an mpiexec left behind": {"PMI_SIZE": "2", "PMI_RANK": "0"},
        "OMP_PROC_BIND": {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores", "GOMP_CPU_AFFINITY": "0"},
        "no HOME, no PATH": {"HOME": "", "PATH": ""},
        "a locale that is not there": {"LC_ALL": "xx_XX.UTF-8", "LANG": "xx"},
        "TMPDIR is not there": {"TMPDIR": "/nowhere"},
        "no terminal": {"TERM": "", "COLUMNS": "0"},
    }
    for number, (name, environment) in enumerate(cases.items()):
        for command, words in fixture.commands(f"environment-{number}").items():
            def run(command=command, words=words, environment=environment):
                ending = fixture.call(words, environment=environment)
                # Of two ranks one is not there: each would train by itself.
                alone = command in ("train", "eval", "replay") and "2" in environment.values()
                return complaint(command, ending, {2} if alone else {0} if command != "doctor" else None) or said_once(ending)
            yield f"{name}: {command}", run


def odd_paths(fixture):
    """Everything works in folders with odd names."""
    names = [b"with blank", b"quote'\"s", b"line\nbreak", b"caf\xe9 latin-1", "日本語".encode(), b"-n", b"a,b", b"a:b", b"100%", b"#1", b"$HOME", b"*", b"x" * 200]
    for name in names:
        folder = os.path.join(os.fsencode(fixture.folder), b"odd-" + name)
        os.mkdir(folder)
        for part in ("points.csv", "text.txt", "points.textproto", "text.textproto"):
            shutil.copy(fixture.folder / part, os.path.join(folder, os.fsencode(part)))
        for part in ("run-points", "run-text"):
            shutil.copytree(os.fsencode(fixture.folder / part), os.path.join(folder, os.fsencode(part)))
        for command, words in fixture.commands("out").items():
            def run(command=command, words=words, folder=folder):
                def beside(word):  # by its whole path
                    return os.path.join(folder, os.fsencode(word)) if "." in word or word.startswith(("run-", "out")) else word
                ending = fixture.call([beside(word) for word in words])
                return complaint(command, ending, {0}) or said_once(ending)
            yield f"in the folder {name!r}: {command}", run


def wrong_files(fixture):
    """In the place of each file that a command reads stands something else."""
    folder = fixture.folder / "wrong"
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    (folder / "empty").touch()
    (folder / "binary").write_bytes(bytes(range(256)) * 40)
    (folder / "zip").write_bytes(b"PK\x03\x04" + bytes(400))
    (folder / "npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", 6) + b"{bad}\n")
    (folder / "closed").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
    loop = folder / "loop"
    loop.symlink_to(loop)
    readers = {
        "train": lambda path: ["train", path, "--out", "wrong-out"],
        "train's data": lambda path: ["train", "points.textproto", "--out", "wrong-out", "--set", f"data.train.csv.file={path}"],
        "data check": lambda path: ["data", "check", "points.textproto", "--set", f"data.train.csv.file={path}"],
        "data check of tokens": lambda path: ["data", "check", "text.textproto", "--set", f"data.train.tokens.files={path}"],
        "data check of text": lambda path: ["data", "check", "text.textproto", "--set", f"data.train.text.file={path}"],
        "init_from": lambda path: ["train", "points.textproto", "--out", "wrong-out", "--set", f"train.init_from={path}"],
        "eval": lambda path: ["eval", path],
        "new": lambda path: ["new", path, "--out", "wrong-out.textproto", "--force"],
        "predict's rows": lambda path: ["predict", "run-points", path],
        "inspect": lambda path: ["inspect", path],
        "verify": lambda path: ["verify", path],
        "diff": lambda path: ["diff", path, "run-points"],
        "status": lambda path: ["status", path],
        "profile": lambda path: ["profile", path, "--no-peak", "--out", "wrong-out-profile"],
        "report": lambda path: ["report", path, "--out", "wrong-out.html"],
        "export": lambda path: ["export", path, "wrong-out.safetensors"],
        "generate": lambda path: ["generate", path, "--prompt", "x"],
        "predict": lambda path: ["predict", path, "x.wav"],
        "tokenize": lambda path: ["tokenize", path, "--bytes", "--force", "-o", "wrong-out.bin"],
    }
    for kind in ("fifo", "empty", "binary", "zip", "npy", "closed", "socket", "loop", "nothing", "empty/below"):
        for command, words in readers.items():
            def run(command=command, words=words, kind=kind):
                if command in ("train", "predict", "profile") and kind == "fifo":
                    return ""  # a recipe may come from a pipe: it is waited for
                ending = fixture.call(words(str(folder / kind)), limit=10)
                takes_any = command in ("tokenize", "data check of text") and kind in ("binary", "zip", "npy")  # as bytes
                allowed = {2, 3, 4} | ({0} if takes_any else set())
                # These two list on standard output all that is broken.
                lists = "data check" in command or command == "verify"
                if command in ("inspect", "verify", "generate", "predict") and kind in ("binary", "zip", "npy"):
                    if "is a file" not in ending.out + ending.err and "no recipe.textproto in it" not in ending.err:
                        return f"a file in the place of a run isn't named as one: {ending.err}"
                return complaint(command, ending, allowed) or ("" if lists else said_once(ending))
            yield f"{kind} in the place of what is read: {command}", run
    # A device that never ends, and one that is always empty.
    for device in ("/dev/zero", "/dev/null"):
        for command in ("train's data", "data check", "data check of tokens", "tokenize"):
            def run(command=command, device=device):
                return complaint(command, fixture.call(readers[command](device), limit=10), {2, 3})
            yield f"{device}: {command}", run


def working_folder(fixture):
    """The working directory is gone, or may not be entered."""
    for command, words in fixture.commands("out").items():
        def run(command=command, words=words):
            gone = pathlib.Path(tempfile.mkdtemp(dir=fixture.folder))
            ending = fixture.call(words, cwd=gone, preexec_fn=lambda: os.rmdir(gone))
            return complaint(command, ending) or ("" if command == "verify" else said_once(ending))
        yield f"the working directory is gone: {command}", run


SITUATIONS = (closed_streams, full_output, reader_gone, signals, limits, environments, odd_paths, wrong_files, working_folder)


def attempt(case):
    name, run = case
    try:
        return name, run()
    except Exception as error:  # a test that fails to run is a failure too
        return name, f"{type(error).__name__}: {error}"


def main(arguments):
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    lockstep = os.path.realpath(arguments[0])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(prefix="lockstep-field-") as folder:
        fixture = Fixture(lockstep, pathlib.Path(folder))
        chosen = [situation for situation in SITUATIONS if not arguments[1:] or any(word in situation.__name__ for word in arguments[1:])]
        cases = [case for situation in chosen for case in situation(fixture)]
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            endings = list(pool.map(attempt, cases))
        for path in pathlib.Path(folder).rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(stat.S_IRWXU)
    failures = [(name, what) for name, what in endings if what]
    for name, what in failures:
        print(f"FAILED {name}: {what}")
    print(f"{len(cases)} situations, {len(failures)} failures, {time.monotonic() - begun:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
