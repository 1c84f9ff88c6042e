"""Imports what export_zoo.py has exported, and compares answers: import_models.py CHECK_MODEL FOLDER [MODEL...].

CHECK_MODEL is the program of that name beside the tests (ninja check_model). Prints a row for each model and a column for each
flavour: the largest difference, as a part of the largest answer, where it imports and answers to 1e-4; else what is missing, below the
table. Open dimensions of texts ("time") have the length of the input.
"""

import pathlib
import subprocess
import sys

import onnx

FLAVOURS = ["raw", "def", "leg", "lege"]


def length_of(folder):
    tensor = onnx.TensorProto.FromString((folder / "input_0.pb").read_bytes())
    return tensor.dims[1] if len(tensor.dims) > 1 else 1


def check(program, path):
    folder = path.with_suffix("")
    command = [program, path, folder, f"time={length_of(folder)}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    except subprocess.TimeoutExpired:
        return "slow", "took more than ten minutes"
    words = done.stdout.split()
    if done.returncode == 0:
        return words[1], None
    return ("differs" if done.returncode == 1 else "-"), done.stdout.strip() or f"ended by {done.returncode}"


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    names = sys.argv[3:] or sorted({path.name.split(".")[0] for path in folder.glob("*.onnx")})
    problems, good, any_good = [], dict.fromkeys(FLAVOURS, 0), 0
    there = dict.fromkeys(FLAVOURS, 0)
    for name in names:
        cells, one = [], False
        for flavour in FLAVOURS:
            path = folder / f"{name}.{flavour}.onnx"
            if not path.exists() or not path.with_suffix("").exists():
                cells.append("")
                continue
            there[flavour] += 1
            cell, problem = check(program, path)
            cells.append(cell)
            if problem is None:
                good[flavour] += 1
                one = True
            else:
                problems.append(f"{name}.{flavour}: {problem}")
        any_good += one
        print(f"{name:32}" + "".join(f"{cell:>10}" for cell in cells), flush=True)
    print(f"{'right, of':32}" + "".join(f"{good[f]:>6}/{there[f]:<3}" for f in FLAVOURS) + f"  any {any_good} of {len(names)}\n")
    print("\n".join(problems))


if __name__ == "__main__":
    main()
