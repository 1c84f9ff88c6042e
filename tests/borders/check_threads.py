#!/usr/bin/env python3
"""Checks that what threads share says which lock it needs, and that the code keeps to it: check_threads.py ROOT BUILD, or --self-test.

Locks are those of base/mutex.h, whose use clang checks (-Wthread-safety): others, and comments that promise what an annotation
could say, are offences. Then clang parses each source that has such locks, with the flags that BUILD/compile_commands.json has
for it; where there is no clang++, it exits 77.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

FOLDERS = ["base", "comm", "data", "trainer", "launch"]
LOCKS = "base/mutex.h"
UNCHECKED_LOCK = re.compile(r"std::(?:\w*mutex|condition_variable\w*|lock_guard|unique_lock|scoped_lock|shared_lock)\b")
PROMISE = re.compile(r"//.*(?:\bguard(?:ed by|s (?:all|what|the next))\b|\bREQUIRES.*mutex\w* is held)")
ANNOTATED = re.compile(r"\b(?:MutexLock|GUARDED_BY)\b|\b(?:REQUIRES|EXCLUDES)\(")

# Files that still have other locks. One that has none any more must be taken off the list.
KNOWN_UNCHECKED = []


def sources(root):
    for folder in FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            if file.suffix in {".h", ".cc", ".cu", ".cuh"} and file.relative_to(root).as_posix() != LOCKS:
                yield file.relative_to(root).as_posix(), file.read_text(encoding="utf-8")


def text_offences(root, known):
    found, unchecked = [], set()
    for path, text in sources(root):
        for number, line in enumerate(text.split("\n"), 1):
            code = line.split("//")[0]
            what = None
            if UNCHECKED_LOCK.search(code):
                what = f"clang can't check this lock: take those of {LOCKS}"
            elif PROMISE.search(line):
                what = "say it so that clang checks it: GUARDED_BY(mutex), REQUIRES(mutex)"
            if what and path in known:
                unchecked.add(path)
            elif what:
                found.append(f"{path}:{number}: {what}")
    gone = [path for path in known if path not in unchecked]
    return found + [f"{path} has no other locks any more: take it off KNOWN_UNCHECKED" for path in gone]


def files_with_locks(root):
    """Sources that use the annotated locks themselves, or whose own header does."""
    texts = dict(sources(root))
    named = {path.rsplit(".", 1)[0] for path, text in texts.items() if ANNOTATED.search(text)}
    return [path for path in texts if path.endswith(".cc") and path.rsplit(".", 1)[0] in named]


def clang_flags(command):
    """What of another compiler's command says where headers are and what is defined."""
    flags, arguments = [], iter(shlex.split(command))
    for argument in arguments:
        if argument in ("-I", "-D", "-isystem"):
            flags += [argument, next(arguments)]
        elif argument.startswith(("-I", "-D", "-isystem")):
            flags.append(argument)
    return flags


def check_with_clang(root, path, flags):
    """What clang says of the file; empty where all is well."""
    command = ["clang++", "-std=c++20", "-fsyntax-only", "-Wno-everything", "-Wthread-safety", "-Werror=thread-safety", "-I",
               str(root)]
    run = subprocess.run(command + flags + [str(root / path)], capture_output=True, text=True, check=False)
    return run.stderr if run.returncode != 0 else ""


def clang_offences(root, build):
    commands = {entry["file"]: entry for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))}

    def check(path):
        entry = commands.get(str(root / path))
        # What this build leaves out (GPUs' libraries) has no command.
        return check_with_clang(root, path, clang_flags(entry["command"])) if entry else ""

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [text for text in pool.map(check, files_with_locks(root)) if text]


class ThreadsTest(unittest.TestCase):
    def in_tree(self, files, check):
        with tempfile.TemporaryDirectory() as folder:
            for path, text in files.items():
                file = pathlib.Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            return check(pathlib.Path(folder))

    def text(self, line, known=()):
        return self.in_tree({"base/a.h": "// A file.\n" + line + "\n"}, lambda root: text_offences(root, known))

    def test_locks_that_clang_can_not_check_are_reported(self):
        for line in ("std::mutex mutex_;", "std::lock_guard lock(mutex);", "std::condition_variable_any c;", "std::shared_mutex m;"):
            self.assertEqual(len(self.text(line)), 1, line)
        self.assertEqual(self.text("Mutex mutex_;  // not a std::mutex"), [])

    def test_promises_in_comments_are_reported(self):
        for line in ("int a;  // guarded by mutex_", "std::thread t;  // guards what follows", "/// REQUIRES: mutex_ is held."):
            self.assertEqual(len(self.text(line)), 1, line)
        self.assertEqual(self.text("int a GUARDED_BY(mutex_);  ///< a guard of nothing"), [])

    def test_known_files_must_have_other_locks(self):
        self.assertEqual(self.text("std::mutex mutex_;", ["base/a.h"]), [])
        self.assertIn("take it off", self.text("int a;", ["base/a.h"])[0])

    def test_sources_are_found_by_their_own_locks_and_their_headers(self):
        files = {"data/a.h": "int a GUARDED_BY(mutex_);", "data/a.cc": "", "data/b.cc": "MutexLock lock(m);", "data/c.cc": ""}
        self.assertEqual(self.in_tree(files, files_with_locks), ["data/a.cc", "data/b.cc"])

    def test_flags_of_places_and_definitions_alone_are_taken_over(self):
        command = "/usr/bin/c++ -DA=1 -I/x -isystem /y -O3 -fpch-preprocess -include /pch.hxx -o a.o -c a.cc"
        self.assertEqual(clang_flags(command), ["-DA=1", "-I/x", "-isystem", "/y"])

    @unittest.skipUnless(shutil.which("clang++"), "there is no clang++")
    def test_clang_refuses_what_breaks_the_annotations(self):
        mutex = (pathlib.Path(__file__).parents[2] / LOCKS).read_text(encoding="utf-8")
        good = ["MutexLock lock(mutex_); Held(); while (a_ == 0) changed_.Wait(mutex_); lock.Unlock(); lock.Lock(); ++a_;", "Takes();"]
        bad = ["++a_;", "Held();", "changed_.Wait(mutex_);", "mutex_.Lock();", "MutexLock lock(mutex_); lock.Unlock(); ++a_;",
               "MutexLock lock(mutex_); MutexLock twice(mutex_);", "MutexLock lock(mutex_); Takes();"]
        functions = "".join(f"void F{i}() {{ {code} }}\n" for i, code in enumerate(bad + good))
        text = ("using namespace lockstep; class A { void Held() REQUIRES(mutex_) { ++a_; } void Takes() EXCLUDES(mutex_) {}"
                f" Mutex mutex_; CondVar changed_; int a_ GUARDED_BY(mutex_) = 0;\n{functions}}};\n")
        said = self.in_tree({LOCKS: mutex, "base/a.cc": text.replace("using", f'#include "{LOCKS}"\nusing', 1)},
                            lambda root: check_with_clang(root, "base/a.cc", []))
        lines = sorted({int(line) for line in re.findall(r"base/a\.cc:(\d+):\d+: error", said)})
        self.assertEqual(lines, [3 + i for i in range(len(bad))], said)


def main(arguments):
    if arguments == ["--self-test"]:
        unittest.main(argv=[sys.argv[0]])
    if len(arguments) != 2 or not (pathlib.Path(arguments[0]) / "base").is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    root, build = (pathlib.Path(argument).resolve() for argument in arguments)
    found = text_offences(root, KNOWN_UNCHECKED)
    if shutil.which("clang++"):
        found += clang_offences(root, build)
    elif not found:
        print("there is no clang++: not checked whether the annotations are kept to")
        return 77
    print("\n".join(found + [f"{len(found)} offences against locks"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
