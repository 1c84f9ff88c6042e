#!/usr/bin/env python3
"""Prints how long a large CSV takes to read: `lockstep plan` as a whole, beside pandas.read_csv alone.

    tests/bench/csv.py LOCKSTEP [--rows 1000000] [--columns 20] [--rounds 7]

LOCKSTEP is the program in an optimised build. Files have normal numbers, as shortest texts of doubles, of floats, and with four
decimals, and a column of classes. Turns alternate, and the medians are printed. pandas' columns need LOCKSTEP_PEER_PYTHON, a python
that has pandas; without it they say "not measured".
"""

import argparse
import os
import pathlib
import random
import statistics
import struct
import subprocess
import tempfile
import time

PEER = """
import sys, time
import pandas
start = time.perf_counter()
pandas.read_csv(sys.argv[1])
print(time.perf_counter() - start)
"""

RECIPE = """
model {{ mlp {{ hidden: 32 }} }}
data {{ train {{ csv {{ file: "{file}" label: "y" }} }} }}
train {{ epochs: 1 global_batch: 256 }}
optimizer {{ sgd {{}} learning_rate: 0.1 }}
"""


def shortest_float(value):
    """The shortest decimal that is the float nearest to `value`."""
    wanted = struct.pack("f", value)
    nearest = struct.unpack("f", wanted)[0]
    for digits in range(1, 10):
        text = f"{nearest:.{digits}g}"
        if struct.pack("f", float(text)) == wanted:
            break
    return text


KINDS = {"doubles": repr, "floats": shortest_float, "four decimals": lambda value: f"{value:.4f}"}


def write(path, rows, columns, text_of):
    numbers = [text_of(random.gauss(0, 1)) for _ in range(50021)]  # a prime: rows differ
    with open(path, "w") as file:
        file.write(",".join(f"x{i}" for i in range(columns)) + ",y\n")
        for row in range(rows):
            begin = row * columns % len(numbers)
            cells = numbers[begin : begin + columns]
            cells += numbers[: columns - len(cells)]
            file.write(",".join(cells) + (",no\n" if row % 2 else ",yes\n"))


def seconds_of(command):
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lockstep")
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    peer = os.environ.get("LOCKSTEP_PEER_PYTHON")
    random.seed(1)
    print(f"{'':16}{'MB':>6}{'lockstep plan':>16}{'pandas.read_csv':>18}")
    with tempfile.TemporaryDirectory() as folder:
        for kind, text_of in KINDS.items():
            file, recipe = pathlib.Path(folder, "x.csv"), pathlib.Path(folder, "x.textproto")
            write(file, options.rows, options.columns, text_of)
            recipe.write_text(RECIPE.format(file=file))
            ours, theirs = [], []
            for _ in range(options.rounds):
                ours.append(seconds_of([options.lockstep, "plan", str(recipe)]))
                if peer:
                    answer = subprocess.run([peer, "-c", PEER, str(file)], check=True, capture_output=True, text=True)
                    theirs.append(float(answer.stdout))
            other = f"{statistics.median(theirs):.3f} s" if peer else "not measured"
            print(f"{kind:16}{file.stat().st_size / 1e6:6.0f}{statistics.median(ours):14.3f} s{other:>18}")


if __name__ == "__main__":
    main()
