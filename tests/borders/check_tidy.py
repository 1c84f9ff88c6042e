#!/usr/bin/env python3
"""Runs clang-tidy over all production sources, its warnings being errors: check_tidy.py ROOT BUILD [FOLDER...], or --self-test.

.clang-tidy says what it looks for. A source by itself takes seconds, most of them for the headers of the standard library. So
they are read in groups, each as one source that includes them, without names that stand in two of them; a group that clang can't
compile is halved until it can. FOLDERs choose among the sources. Flags come from BUILD/compile_commands.json,
so what a build leaves out (GPUs' libraries) isn't looked at. Where there is no clang-tidy, it exits 77.
"""

import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import check_threads

MOST_TOGETHER = 24  # sources
# Bodies that are compiled once for each instruction set, after a pragma that only GCC knows.
LEFT_OUT = re.compile(r"_(?:generic|avx2|avx512)\.cc$")
HEADERS = r"/(base|comm|data|trainer|launch)/([a-z_0-9]+/)*[a-z_0-9]+\.(h|cc)$"  # not *.pb.h
OWN_NAME = re.compile(r"^(?!\s|namespace\b|using\b|template\b|//|#|\}).*?\b(\w+)(?:\(|\[|\{| \{| = |;)")


def own_names(text):
    """Names that a source gives to what is in its unnamed namespaces, behind the namespace around: those which start a line."""
    names, around, inside = set(), "", False
    for line in text.split("\n"):
        if line.startswith("namespace {"):
            inside = True
        elif line.startswith("namespace "):
            around = line
        elif line.startswith("}  // namespace"):
            inside = False
        elif inside and (match := OWN_NAME.match(line)):
            names.add((around, match.group(1)))
    return names


def groups_of(files, text_of):
    """The files in groups without names in common."""
    groups = []  # (files, names)
    for path in sorted(files):
        names = own_names(text_of(path))
        group = next((group for group in groups if len(group[0]) < MOST_TOGETHER and not group[1] & names), None)
        if group is None:
            groups.append(([path], names))
        else:
            group[0].append(path)
            group[1].update(names)
    return [group[0] for group in groups]


def check_together(root, paths, commands):
    """What clang-tidy says of the files; empty where all is well."""
    flags = list(dict.fromkeys(flag for path in paths for flag in grouped_flags(commands[path])))
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "together.cc")
        source.write_text("".join(f'#include "{path}"\n' for path in paths), encoding="utf-8")
        run = subprocess.run(["clang-tidy", "--quiet", "--warnings-as-errors=*", f"--config-file={root / '.clang-tidy'}",
                              f"--header-filter={HEADERS}", str(source), "--", "-std=c++20", "-Wno-everything", "-I", str(root),
                              *(part for flag in flags for part in flag)], cwd=root, capture_output=True, text=True, check=False)
    if "[clang-diagnostic-error" in run.stdout and len(paths) > 1:
        half = len(paths) // 2
        return check_together(root, paths[:half], commands) + check_together(root, paths[half:], commands)
    return run.stdout if run.returncode != 0 else ""


def grouped_flags(command):
    """clang_flags, each with its argument."""
    flags = iter(check_threads.clang_flags(command))
    return [(flag, next(flags)) if flag in ("-I", "-D", "-isystem") else (flag,) for flag in flags]


def find_offences(root, build, folders):
    entries = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    commands = {os.path.relpath(entry["file"], root): entry["command"] for entry in entries}
    files = [path for path in commands if path.startswith(tuple(folder + "/" for folder in folders)) and not LEFT_OUT.search(path)]
    groups = groups_of(files, lambda path: (root / path).read_text(encoding="utf-8"))
    groups.sort(key=len, reverse=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        said = "".join(pool.map(lambda paths: check_together(root, paths, commands), groups))
    findings = collections.OrderedDict()  # a header's are said by each group that includes it
    for finding in re.split(r"^(?=[^ \n]+:\d+:\d+: (?:warning|error):)", said, flags=re.MULTILINE):
        if re.match(r"[^ \n]+:\d+:\d+: ", finding):
            findings[finding.split("\n")[0]] = finding.replace(f"{root}/", "")
    return list(findings.values()), len(files)


class TidyTest(unittest.TestCase):
    A = "namespace a {\nnamespace {\n\nint Count(int x) {\n  return x;\n}\nconstexpr int kMost = 4;\n}  // namespace\nint Open() {}\n}\n"
    B = "namespace {\nstruct Table {\n  int Count();\n};\n}  // namespace\n"

    def test_names_of_unnamed_namespaces_are_found(self):
        self.assertEqual(own_names(self.A), {("namespace a {", "Count"), ("namespace a {", "kMost")})
        self.assertEqual(own_names(self.B), {("", "Table")})

    def test_groups_have_no_name_twice(self):
        texts = {"a/x.cc": self.A, "a/y.cc": self.A, "a/z.cc": self.B, "b/x.cc": self.B}
        self.assertEqual(groups_of(texts, texts.get), [["a/x.cc", "a/z.cc"], ["a/y.cc", "b/x.cc"]])

    def findings(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            files = files | {".clang-tidy": "Checks: '-*,modernize-use-nullptr'\n"}
            for path, text in files.items():
                (root / path).parent.mkdir(exist_ok=True)
                (root / path).write_text(text, encoding="utf-8")
            entries = [{"file": str(root / path), "command": "c++ -DZERO=0 -O2 -c x.cc"} for path in files if path.endswith(".cc")]
            (root / "compile_commands.json").write_text(json.dumps(entries), encoding="utf-8")
            found, _ = find_offences(root, root, ["base"])
            return [finding.split(" ")[0] for finding in found]

    @unittest.skipUnless(shutil.which("clang-tidy"), "there is no clang-tidy")
    def test_warnings_of_a_group_are_found_each_once_also_where_it_has_to_be_halved(self):
        header = "#pragma once\ninline int* h = 0;\n"
        use = '#include "base/h.h"\n'
        files = {"base/h.h": header, "base/a.cc": use + "int* a = ZERO;\nstatic int Same;\n", "base/b.cc": use + "int* b = nullptr;\n",
                 "base/c.cc": "int* c = 0;\nstatic long Same;\n", "data/d.cc": "int* d = 0;\n"}
        self.assertEqual(sorted(self.findings(files)), ["base/c.cc:1:10:", "base/h.h:2:17:"])

    @unittest.skipUnless(shutil.which("clang-tidy"), "there is no clang-tidy")
    def test_what_does_not_compile_is_reported(self):
        self.assertEqual(self.findings({"base/a.cc": "int a;\n", "base/b.cc": "int b = no;\n"}), ["base/b.cc:1:9:"])


def main(arguments):
    if arguments == ["--self-test"]:
        unittest.main(argv=[sys.argv[0]])
    if len(arguments) < 2 or not (pathlib.Path(arguments[0]) / "base").is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    if not shutil.which("clang-tidy"):
        print("there is no clang-tidy")
        return 77
    root, build = (pathlib.Path(folder).resolve() for folder in arguments[:2])
    found, count = find_offences(root, build, arguments[2:] or check_threads.FOLDERS)
    print("\n".join(found + [f"clang-tidy: {len(found)} findings in {count} sources"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
