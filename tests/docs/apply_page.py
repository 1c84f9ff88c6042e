#!/usr/bin/env python3
"""Does what docs/adding-an-op.md says, in copies of the files that it names: apply_page.py PAGE ROOT OUT FILE...

A block of code (indented by four) that follows a line "In `FILE`, before `TEXT`:" or "In `FILE`, behind `TEXT`:" is put before
the line with TEXT, or behind it, which must be one line of the file. The copies are written to OUT/FILE, and only where
they differ from what lies there. FILE... are the files that CMake expects. Exits 1, in words, where the page no longer fits
the code: a file or text that isn't there, other files than expected, or more production files than the page promises.
"""

import pathlib
import re
import sys

MOST_PRODUCTION_FILES = 5
WORDS = {"five": 5, "four": 4, "three": 3}
INTRODUCTION = re.compile(r"In `([^`]+)`, (before|behind) `([^`]+)`:$")


def steps_of(page):
    """(file, before or behind, text, lines) of each block, in order."""
    lines = page.split("\n")
    steps = []
    for number, line in enumerate(lines):
        match = INTRODUCTION.match(line)
        if not match:
            continue
        block = []
        for following in lines[number + 1:]:
            if following and not following.startswith("    "):
                break
            block.append(following[4:])
        while block and not block[0]:
            block.pop(0)
        while block and not block[-1]:
            block.pop()
        if not block:
            sys.exit(f"line {number + 1} of the page introduces no block of code")
        steps.append((*match.groups(), block))
    return steps


def apply(text, where, anchor, block, file):
    lines = text.split("\n")
    found = [i for i, line in enumerate(lines) if anchor in line]
    if len(found) != 1:
        sys.exit(f"the page puts code {where} `{anchor}` in {file}, which has {len(found)} such lines")
    at = found[0] + (where == "behind")
    return "\n".join(lines[:at] + block + lines[at:])


def main():
    page_path, root, out, *expected = sys.argv[1:]
    page = pathlib.Path(page_path).read_text()
    texts = {}
    for file, where, anchor, block in steps_of(page):
        if file not in texts:
            source = pathlib.Path(root) / file
            if not source.is_file():
                sys.exit(f"the page speaks of {file}, which does not exist")
            texts[file] = source.read_text()
        texts[file] = apply(texts[file], where, anchor, block, file)
    if sorted(texts) != sorted(expected):
        sys.exit(f"the page changes {sorted(texts)}, but tests/docs/CMakeLists.txt builds {sorted(expected)}")
    production = [file for file in texts if not file.startswith("tests/")]
    promised = re.search(r"touches (\w+) production files", page)
    if not promised or WORDS.get(promised.group(1)) != len(production) or len(production) > MOST_PRODUCTION_FILES:
        sys.exit(f"the page changes {len(production)} production files; it must say so, and at most {MOST_PRODUCTION_FILES}")
    for file, text in texts.items():
        target = pathlib.Path(out) / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.read_text() != text:
            target.write_text(text)


if __name__ == "__main__":
    main()
