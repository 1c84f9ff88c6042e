#!/usr/bin/env python3
"""Checks how the tree is laid out: check_layout.py ROOT, or --self-test. Prints each offence and exits 1 when there is one.

A folder has at most 40 entries (files and folders that git knows); a header opens with a comment that says what it is for; CMake
files name one source a line, and have no line over 120 columns; sources are as clang-format lays them out (where it is missing,
that is said and not checked).
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

MOST_ENTRIES = 40
MOST_COLUMNS = 120

# Folders with more entries, for now. One that has no more than it may must be taken off the list.
KNOWN_CROWDED = []

SOURCES = {".h", ".cc", ".cu", ".cuh"}
SOURCE_NAME = re.compile(r"[\w./${}-]+\.(?:cc|cu)\b")


def tracked_files(root):
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"], check=True,
                            capture_output=True, text=True)
    return sorted(path for path in set(listed.stdout.split("\n")) if path and (root / path).is_file())


def entries_of_folders(paths):
    """For each folder that has one of the files below it, how many files and folders lie in it. The root is "."."""
    entries = {}
    for path in map(pathlib.PurePosixPath, paths):
        for child in (path, *path.parents):
            if child.name:
                entries.setdefault(child.parent.as_posix(), set()).add(child.name)
    return {folder: len(names) for folder, names in entries.items()}


def crowded_offences(paths, known):
    crowded = {folder: count for folder, count in entries_of_folders(paths).items() if count > MOST_ENTRIES}
    found = [f"{folder}: {count} entries, more than {MOST_ENTRIES}: make it several rooms"
             for folder, count in sorted(crowded.items()) if folder not in known]
    return found + [f"{folder}: crowded no more, take it off KNOWN_CROWDED" for folder in known if folder not in crowded]


def header_offence(text):
    """A header says what it is for before anything else."""
    first = text.lstrip().split("\n", 1)[0]
    said = first.startswith("//") and re.search(r"\w", first)
    return None if said else ":1: a header opens with a comment that says what it is for"


def cmake_offences(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MOST_COLUMNS:
            yield f"{path}:{number}: {len(line)} columns, more than {MOST_COLUMNS}"
        code = line.split("#")[0]
        if len(SOURCE_NAME.findall(code)) > 1 and "COMMAND" not in code:
            yield f"{path}:{number}: one source a line"


def format_offences(root, paths):
    files = [path for path in paths if pathlib.PurePosixPath(path).suffix in SOURCES]
    parts = [files[i:i + 40] for i in range(0, len(files), 40)]

    def run(part):
        command = ["clang-format", "--dry-run", "-ferror-limit=1", *part]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stderr

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        said = "".join(pool.map(run, parts))
    badly = {match.group(1) for match in re.finditer(r"^([^\s:]+):\d+:\d+: (?:warning|error): code should be", said, re.MULTILINE)}
    return [f"{path}: clang-format -i would change it" for path in sorted(badly)]


def find_offences(root, known=()):
    paths = tracked_files(root)
    found = crowded_offences(paths, known)
    for path in paths:
        name = pathlib.PurePosixPath(path)
        if name.suffix in {".h", ".cuh"}:
            what = header_offence((root / path).read_text(encoding="utf-8"))
            found += [path + what] if what else []
        elif name.name == "CMakeLists.txt" or name.suffix == ".cmake":
            found += cmake_offences(path, (root / path).read_text(encoding="utf-8"))
    if shutil.which("clang-format"):
        found += format_offences(root, paths)
    else:
        print("there is no clang-format: not checked whether sources are laid out as it does")
    return found


class LayoutTest(unittest.TestCase):
    def offences(self, files, known=()):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["git", "init", "-q", folder], check=True)
            for path, text in files.items():
                file = pathlib.Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            return find_offences(pathlib.Path(folder), known)

    def test_a_folder_is_crowded_from_41_entries_on(self):
        files = {f"comm/f{i}.md": "" for i in range(39)} | {"comm/mpi/a.md": "", "comm/mpi/b.md": ""}
        self.assertEqual(self.offences(files), [])
        more = self.offences(files | {"comm/one_more.md": ""})
        self.assertEqual(more, ["comm: 41 entries, more than 40: make it several rooms"])

    def test_known_folders_must_be_crowded(self):
        files = {f"comm/f{i}.md": "" for i in range(41)}
        self.assertEqual(self.offences(files, ["comm"]), [])
        self.assertIn("take it off", self.offences({"comm/a.md": ""}, ["comm"])[0])

    def test_ignored_files_do_not_count(self):
        files = {f"comm/f{i}.md": "" for i in range(50)} | {".gitignore": "comm/\n"}
        self.assertEqual(self.offences(files), [])

    def test_headers_without_a_purpose_are_reported(self):
        for text in ("#pragma once\n", "//\n#pragma once\n", ""):
            self.assertEqual(len(self.offences({"base/a.h": text})), 1, text)
        self.assertEqual(self.offences({"base/a.h": "// What it is for.\n#pragma once\n", "base/a.py": ""}), [])

    def test_long_lines_and_several_sources_a_line_are_reported(self):
        def cmake(text):
            return self.offences({"comm/CMakeLists.txt": text})
        self.assertEqual(cmake("x" * 121), ["comm/CMakeLists.txt:1: 121 columns, more than 120"])
        self.assertEqual(cmake("\nlib(a SOURCES b.cc ${c}/d.cu DEPS e)\n"), ["comm/CMakeLists.txt:2: one source a line"])
        self.assertEqual(cmake("x" * 120 + "\nlib(a SOURCES b.cc)\n  c.cc  # d.cc\n"), [])

    @unittest.skipUnless(shutil.which("clang-format"), "there is no clang-format")
    def test_sources_that_clang_format_would_change_are_reported(self):
        files = {".clang-format": "BasedOnStyle: Google\n", "base/a.cc": "int  a;\n\n\n", "base/b.cu": "int a;\n", "base/c.py": "a  =  1"}
        self.assertEqual(self.offences(files), ["base/a.cc: clang-format -i would change it"])


def main(arguments):
    if arguments == ["--self-test"]:
        unittest.main(argv=[sys.argv[0]])
    if len(arguments) != 1 or not (pathlib.Path(arguments[0]) / "base").is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    found = find_offences(pathlib.Path(arguments[0]), KNOWN_CROWDED)
    print("\n".join(found + [f"{len(found)} offences against the layout"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
