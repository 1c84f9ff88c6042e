#!/usr/bin/env python3
"""Checks what Lockstep exports in ONNX Runtime. Needs numpy, onnx and onnxruntime; not part of the tests that run by themselves.

    check_export.py cases FOLDER            what write_export_cases wrote: the standard's checker, and outputs to 1e-4
                                            (of halves to 0.02 of the largest)
    check_export.py rows LOCKSTEP RUN FILE  exports the run, and compares with `lockstep predict` of FILE.npy, or of FILE.csv, of
                                            nothing but numbers that are features, without headings
    check_export.py text LOCKSTEP RUN FILE BLOCK
                                            exports a gpt over characters, and compares its loss over whole blocks of the last
                                            tenth of the file with the four digits that `lockstep eval` tells
"""

import csv
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

TOLERANCE, HALF_TOLERANCE = 1e-4, 2e-2


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def tensor(path):
    proto = onnx.TensorProto()
    proto.ParseFromString(path.read_bytes())
    return onnx.numpy_helper.to_array(proto)


def check_case(folder):
    """The largest error of its outputs, and the number of its nodes."""
    path = str(folder / "model.onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    runtime, data = session(path), folder / "test_data_set_0"
    inputs = {end.name: tensor(data / f"input_{i}.pb") for i, end in enumerate(runtime.get_inputs())}
    worst = 0.0
    for i, found in enumerate(runtime.run(None, inputs)):
        expected = tensor(data / f"output_{i}.pb")
        if found.shape != expected.shape:
            raise ValueError(f"output {i} is {found.shape}, not {expected.shape}")
        worst = max(worst, float(np.max(np.abs(found - expected)) / max(1.0, float(np.max(np.abs(expected))))))
    return worst, len(model.graph.node)


def check_cases(folder):
    bad = 0
    for case in sorted(path.parent for path in pathlib.Path(folder).glob("*/model.onnx")):
        try:
            error, nodes = check_case(case)
            good = error <= (HALF_TOLERANCE if case.name.endswith(".half") else TOLERANCE)
            print(f"{'' if good else 'BAD '}{case.name}: {nodes} nodes, error {error:.2g}")
        except Exception as problem:  # every case is to be told of
            good = False
            print(f"BAD {case.name}: {problem}")
        bad += not good
    return bad


def export(lockstep, run, folder):
    path = f"{folder}/model.onnx"
    subprocess.run([lockstep, "export", run, path], check=True)
    return path


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def check_rows(lockstep, run, rows):
    with tempfile.TemporaryDirectory() as folder:
        runtime = session(export(lockstep, run, folder))
        end = runtime.get_inputs()[0]
        data = np.load(rows) if rows.endswith(".npy") else np.loadtxt(rows, delimiter=",")
        found = runtime.run(None, {end.name: data.astype(np.float32).reshape((-1, *end.shape[1:]))})[0]
    command = [lockstep, "predict", run, rows, "--format", "csv"]
    lines = list(csv.reader(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()))
    expected = np.array([[float(cell) for cell in line[-found.shape[-1]:]] for line in lines[1:]])
    if runtime.get_outputs()[0].name == "logits":
        found = softmax(found)
    error = float(np.max(np.abs(found - expected)))
    print(f"{len(expected)} rows, error {error:.2g}")
    return not error <= TOLERANCE


def check_text(lockstep, run, text, block):
    with tempfile.TemporaryDirectory() as folder:
        runtime = session(export(lockstep, run, folder))
    told = subprocess.run([lockstep, "eval", run], check=True, capture_output=True, text=True).stdout
    expected = float(re.search(r" loss=(\S+)", told)[1])
    characters, block = pathlib.Path(text).read_text(), int(block)
    number = {character: i for i, character in enumerate(sorted(set(characters)))}
    ids = np.array([number[character] for character in characters], dtype=np.int64)[int(len(characters) * 0.9):]
    losses = []
    for first in range(0, len(ids) - block, block):
        logits = runtime.run(None, {"tokens": ids[None, first:first + block]})[0][0]
        shares = softmax(logits.astype(np.float64))
        losses.append(-np.log(shares[np.arange(block), ids[first + 1:first + block + 1]]).mean())
    loss = float(np.mean(losses))
    print(f"a loss of {loss:.6f} over {len(losses)} blocks; lockstep eval says {expected}")
    return not abs(loss - expected) <= TOLERANCE


def main():
    kind, *arguments = sys.argv[1:] or ["help"]
    kinds = {"cases": check_cases, "rows": check_rows, "text": check_text}
    if kind not in kinds:
        sys.exit(__doc__)
    sys.exit(1 if kinds[kind](*arguments) else 0)


if __name__ == "__main__":
    main()
