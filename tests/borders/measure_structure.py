#!/usr/bin/env python3
"""Prints figures of how the code is built, of this tree or another: measure_structure.py [ROOT] [--chain NAME,NAME,...] [--list].

They are for comparing two trees, and are no test: what must hold is in the checks beside this. --list also names what was counted.
--chain: the names from Worker to a kernel, where they are not those of CHAIN (an older tree). Lengths of functions and of their
parameter lists come from Universal Ctags; where it is missing they are left out.
"""

import argparse
import collections
import pathlib
import re
import shutil
import subprocess

import check_includes
import check_layout

LONG_FUNCTION = 45  # lines
MANY_PARAMETERS = 7
DUPLICATE_LINES = 6
OP = "Concat"  # an op of a family that has others
SOURCES = {".h", ".cc", ".cu", ".cuh"}

# What a step goes through from the loop of steps to a kernel; A/B: an interface and what implements it. Each is named by the one
# before it, or by the one before that: a pool of threads is handed what it runs.
CHAIN = "Worker,Training,Compute/HostCompute,HostModel,LaneRunner,Program"

KEYWORDS = set("""auto bool break case catch char class const constexpr continue default delete do double else enum explicit false
    final float for if inline int int32_t int64_t namespace new noexcept nullptr operator override private public return size_t
    static static_cast std struct switch template this throw true try typename uint32_t uint64_t unsigned using virtual void
    while""".split())


def production_sources(root):
    paths = [path for path in check_layout.tracked_files(root) if path.split("/")[0] in check_includes.TOP_FOLDERS]
    return {path: (root / path).read_text(encoding="utf-8") for path in paths if pathlib.PurePosixPath(path).suffix in SOURCES}


def parameters_of(signature):
    """(int a, std::map<int, int> b) -> 2"""
    depth, count, inner = 0, 1, signature.strip()[1:-1].strip()
    if not inner or inner == "void":
        return 0
    for character in inner:
        depth += (character in "(<{[") - (character in ")>}]")
        count += character == "," and depth == 0
    return count


def functions(root, sources):
    """(path:line name, lines, parameters) of each function that is defined in the sources."""
    command = ["ctags", "-f", "-", "-L", "-", "--languages=C++", "--map-C++=+.cu.cuh.h", "--kinds-C++=f", "--fields=neS", "--sort=no"]
    tags = subprocess.run(command, cwd=root, input="\n".join(sources), capture_output=True, text=True, check=True).stdout
    for tag in tags.splitlines():
        if tag.startswith("!"):
            continue
        name, path, *fields = tag.split("\t")
        field = dict(part.split(":", 1) for part in fields if re.match(r"(line|end|signature):", part))
        if "end" in field:
            lines = int(field["end"]) - int(field["line"]) + 1
            yield f"{path}:{field['line']} {name}", lines, parameters_of(field.get("signature", "()"))


def code_lines(text):
    """(line number, text) of lines with words, without comments, includes, and what opens and closes a file."""
    for number, line in enumerate(text.split("\n"), 1):
        line = line.split("//")[0].strip()
        if re.search(r"\w", line) and not re.match(r"#|namespace |using ", line):
            yield number, line


def shape(line):
    line = re.sub(r'"(?:\\.|[^"\\])*"', '"', line)
    line = re.sub(r"\b\d[\w.']*", "0", line)
    return re.sub(r"\b[A-Za-z_]\w*", lambda word: word.group() if word.group() in KEYWORDS else "x", line)


def duplicates(sources, form):
    """Runs of lines that two places have alike after form(line), each as long as it can be: (place, place, lines)."""
    where, lines = collections.defaultdict(list), {}
    for path, text in sources.items():
        lines[path] = [(number, form(line)) for number, line in code_lines(text)]
        for i in range(len(lines[path]) - DUPLICATE_LINES + 1):
            where[tuple(line for _, line in lines[path][i:i + DUPLICATE_LINES])].append((path, i))

    def at(place, offset):
        path, i = place
        return lines[path][i + offset][1] if 0 <= i + offset < len(lines[path]) else None

    found = []
    for places in where.values():
        for k, first in enumerate(places[:-1]):
            second = places[k + 1]  # neighbours alone: n alike are n - 1 runs
            if at(first, -1) is not None and at(first, -1) == at(second, -1):
                continue  # inside a longer run, or its end
            length = DUPLICATE_LINES
            while at(first, length) is not None and at(first, length) == at(second, length):
                length += 1
            name = [f"{path}:{lines[path][i][0]}" for path, i in (first, second)]
            found.append((*name, length))
    return found


def unbroken_chain(sources, chain):
    """The names of the chain; an error in words where one does not name the next."""
    def code_of(name):
        defined = re.compile(rf"\b(?:class|struct) {name}\b[^;]*?{{")
        units = {check_includes.unit_of(path) for path, text in sources.items() if path.endswith(".h") and defined.search(text)}
        units = units or {check_includes.unit_of(path) for path, text in sources.items() if defined.search(text)}
        if not units:
            raise SystemExit(f"the chain names {name}, of which there is no class")
        texts = [text for path, text in sources.items() if check_includes.unit_of(path) in units]
        return "\n".join(line for text in texts for _, line in code_lines(text))

    names = chain.split(",")
    for i, name in enumerate(names[1:], 1):
        codes = [code_of(part) for before in names[max(0, i - 2):i] for part in before.split("/")]
        if not any(re.search(rf"\b{part}\b", code) for code in codes for part in name.split("/")):
            raise SystemExit(f"the chain is broken: {names[i - 1]} does not name {name}")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--chain", default=CHAIN)
    parser.add_argument("--list", action="store_true", help="name what was counted")
    arguments = parser.parse_args()
    root, sources = arguments.root, production_sources(arguments.root)

    def figure(what, value, names=()):
        print(f"{what:<52} {value}")
        for name in names if arguments.list else ():
            print(f"    {name}")

    entries = check_layout.entries_of_folders(check_layout.tracked_files(root))
    largest = sorted(entries.items(), key=lambda item: (-item[1], item[0]))
    figure("production files, lines", f"{len(sources)}, {sum(text.count(chr(10)) for text in sources.values())}")
    figure("entries of the largest folders", ", ".join(f"{name} {count}" for name, count in largest[:5]))
    figure(f"folders of more than {check_layout.MOST_ENTRIES} entries", sum(count > check_layout.MOST_ENTRIES for count in entries.values()))
    circles = check_includes.find_circles(root)
    figure("circles between units", len(circles), [" ".join(sorted(circle)) for circle in circles])
    if shutil.which("ctags"):
        found = list(functions(root, sources))
        long = [(lines, name) for name, lines, _ in found if lines > LONG_FUNCTION]
        many = [(count, name) for name, _, count in found if count > MANY_PARAMETERS]
        figure(f"functions over {LONG_FUNCTION} lines, longest", f"{len(long)}, {max(lines for _, lines, _ in found)}",
               [f"{lines} {name}" for lines, name in sorted(long, reverse=True)])
        figure(f"functions of more than {MANY_PARAMETERS} parameters, most", f"{len(many)}, {max(count for _, _, count in found)}",
               [f"{count} {name}" for count, name in sorted(many, reverse=True)])
    else:
        figure("functions", "not measured: there is no ctags")
    for what, form in (("to the letter", str), ("by shape", shape)):
        runs = sorted(duplicates(sources, form), key=lambda run: -run[2])
        figure(f"runs of {DUPLICATE_LINES} lines and more twice, {what}", len(runs), [f"{n} {a} {b}" for a, b, n in runs])
    # Models use it: they are not needed for it.
    op_files = sorted(path for path, text in sources.items()
                      if re.search(rf"\bk?{OP}\b", text) and not path.startswith("trainer/models/"))
    figure(f"files that make an op of a family ({OP})", len(op_files), op_files)
    chain = unbroken_chain(sources, arguments.chain)
    figure("names from Worker to a kernel", f"{len(chain)}: {' -> '.join(chain)}")


if __name__ == "__main__":
    main()
