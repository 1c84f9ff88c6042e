#!/usr/bin/env python3
"""compare_sklearn.py LOCKSTEP: scikit-learn's tables as to_csv writes them, by `lockstep new` and `train` alone, beside its MLPClassifier
and MLPRegressor with scaled columns; the mean over eight splits of each side's own. Run by hand: it needs scikit-learn and pandas."""
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import sklearn.datasets as tables
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SPLITS = range(8)


def ours(lockstep, name):
    subprocess.run([lockstep, "new", f"{name}.csv"], check=True, stdout=subprocess.DEVNULL)
    values = []
    for seed in SPLITS:
        subprocess.run([lockstep, "train", f"{name}.textproto", "--fresh", "--set", f"data.split.seed={seed}"], check=True, capture_output=True)
        said = subprocess.run([lockstep, "eval", f"runs/{name}", "--json"], check=True, capture_output=True, text=True).stdout
        values.append(float(re.search(r'"(?:accuracy|r2)": (-?[0-9.e-]+)', said)[1]))
    return np.mean(values)


def theirs(frame, regression):
    values = []
    for seed in SPLITS:
        x, y = frame.drop(columns="target"), frame["target"]
        a, b, c, d = train_test_split(x, y, test_size=0.2, random_state=seed, stratify=None if regression else y)
        model = MLPRegressor(max_iter=2000, random_state=seed) if regression else MLPClassifier(max_iter=500, random_state=seed)
        values.append(make_pipeline(StandardScaler(), model).fit(a, c).score(b, d))
    return np.mean(values)


lockstep = os.path.abspath(sys.argv[1])
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    for name in ("breast_cancer", "wine", "iris", "digits", "diabetes"):
        frame = getattr(tables, f"load_{name}")(as_frame=True).frame
        frame.to_csv(f"{name}.csv")
        print(f"{name}: lockstep {ours(lockstep, name):.4f}, scikit-learn {theirs(frame, name == 'diabetes'):.4f}", flush=True)
