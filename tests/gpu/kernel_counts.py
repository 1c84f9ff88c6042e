#!/usr/bin/env python3
"""Counts the machine instructions of kernels: what the compiler made of them, without a GPU.

    tests/gpu/kernel_counts.py build/release/trainer/kernels/cuda/liblockstep_cuda_kernels.a --only ConcludeStep,FoldRange
    tests/gpu/kernel_counts.py FILE --only FoldRange,ChunkWork --no-narrow-stores

Prints a line for each kernel: its instructions, arithmetic, and accesses to memory by width in bits. Counts are of the code as it
lies there: a loop's body counts once, and so does a path that hardly any element takes. `--no-narrow-stores` fails where one of the
kernels stores 4 bytes or less at once to global memory. Exits with 77, which is a test's word for skipped, where this machine has no
cuobjdump (from CUDA's toolkit; $CUOBJDUMP names another one).
"""

import argparse
import collections
import os
import re
import shutil
import subprocess
import sys

ARITHMETIC = ("FADD", "FMUL", "FFMA", "FMNMX", "FSEL", "FSETP", "MUFU", "F2FP", "DADD", "CALL")
WIDTHS = ("128", "64", "32", "16")
ACCESSES = ("LDG", "STG", "LDS", "STS")


def find_tool():
    candidates = [os.environ.get("CUOBJDUMP"), "cuobjdump", "/usr/local/cuda/bin/cuobjdump"]
    return next((found for name in candidates if name and (found := shutil.which(name))), None)


def demangled(names):
    if not shutil.which("c++filt"):
        return dict(zip(names, names))
    output = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    return dict(zip(names, output.splitlines()))


def short(name):
    """ChunkWork<float, true, false> of void lockstep::cuda::RunBlock<lockstep::cuda::(anonymous namespace)::ChunkWork<...> >(...)."""
    match = re.search(r"RunBlock<(.*)>\(", name)
    text = match.group(1).strip() if match else name
    return re.sub(r"\(anonymous namespace\)::|lockstep::(\w+::)?|_NV_ANON_NAMESPACE::", "", text)


def width_of(opcode):
    """Bits that one thread moves."""
    for part in opcode.split(".")[1:]:
        if part in ("128", "64"):
            return part
        if part in ("U16", "S16"):
            return "16"
        if part in ("U8", "S8"):
            return "8"
    return "32"


def kernels_of(sass):
    """(Architecture, name) -> Counter of opcodes."""
    kernels, architecture, current = {}, "", None
    for line in sass.splitlines():
        if match := re.match(r"arch = (\S+)", line):
            architecture = match.group(1)
        elif match := re.search(r"Function : (\S+)", line):
            current = kernels.setdefault((architecture, match.group(1)), collections.Counter())
        elif current is not None and (match := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:\{\s*)?(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", line)):
            current[match.group(1)] += 1
    return kernels


def summary(opcodes):
    counts = collections.Counter()
    for opcode, times in opcodes.items():
        base = opcode.split(".")[0]
        if base == "NOP":
            continue
        counts["all"] += times
        if base in ARITHMETIC:
            counts[base] += times
        if base in ACCESSES:
            counts[base + width_of(opcode)] += times
    return counts


def table(kernels):
    head = ["kernel", "all", *ARITHMETIC, *ACCESSES]
    rows = [head]
    for name in sorted(kernels):
        counts = summary(kernels[name])
        accesses = ["/".join(str(counts[access + width]) for width in WIDTHS) for access in ACCESSES]
        rows.append([name, *(str(counts[key]) for key in ("all", *ARITHMETIC)), *accesses])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def narrow_stores(opcodes):
    return sum(n for opcode, n in opcodes.items() if opcode.split(".")[0] in ("STG", "ST") and int(width_of(opcode)) <= 32)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="an object, a library or a cubin")
    parser.add_argument("--only", default="", help="kernels whose names begin with one of these, by commas")
    parser.add_argument("--no-narrow-stores", action="store_true")
    options = parser.parse_args()
    tool = find_tool()
    if tool is None:
        print("this machine has no cuobjdump")
        return 77
    sass = subprocess.run([tool, "-sass", options.file], capture_output=True, text=True, check=True).stdout
    found = kernels_of(sass)
    names = demangled([name for _, name in found])
    several = len({architecture for architecture, _ in found}) > 1
    prefixes = tuple(options.only.split(","))
    kernels = {}
    for (architecture, name), opcodes in found.items():
        kernel = short(names[name])
        if kernel.startswith(prefixes):
            kernels[f"{kernel} {architecture}" if several else kernel] = opcodes
    print(f"Memory accesses by width: {'/'.join(WIDTHS)} bits.")
    print(table(kernels))
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in kernels):
            print(f"no kernel's name begins with {prefix}")
            return 1
    if options.no_narrow_stores:
        narrow = {name: narrow_stores(opcodes) for name, opcodes in kernels.items() if narrow_stores(opcodes) > 0}
        for name, times in narrow.items():
            print(f"{name} has {times} stores of 4 bytes or less")
        return 1 if narrow else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
