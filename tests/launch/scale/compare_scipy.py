#!/usr/bin/env python3
"""Compares the statistics of lockstep scale with SciPy's, where it is installed.

    pip install scipy
    compare_scipy.py build/release/tests/launch/statistics_of

Hundreds of random cases: medians and the coverage of their intervals (binomial), intervals of ratios (Mann-Whitney's exact distribution),
exact permutation tests, and Holm's correction as its paper has it. Exits 1 where a number differs by more than 1e-9.
"""

import json
import subprocess
import sys

import numpy as np
from scipy import stats


def distance_of_means(x, y, axis=-1):
    """Rounded, so that deals that are as far apart but for the order of sums count as equal."""
    return np.round(np.abs(np.mean(x, axis=axis) - np.mean(y, axis=axis)), 12)


def median_interval(values, wanted):
    """The narrowest symmetric pair of order statistics with that coverage, and its coverage."""
    ordered, n = np.sort(values), len(values)
    rank = 1
    while 2 * (rank + 1) <= n and 1 - 2 * stats.binom.cdf(rank, n, 0.5) >= wanted:
        rank += 1
    return [ordered[rank - 1], ordered[n - rank], 1 - 2 * stats.binom.cdf(rank - 1, n, 0.5) if n > 1 else 0]


def below(n, m, u):
    """P(U <= u) of Mann and Whitney, by SciPy's exact test of samples that have this U."""
    # Values of the first set are put behind as many of the second as make u pairs.
    behind = [min(m, max(0, u - i * m)) for i in range(n)]
    second = list(range(m))
    first = [count - 0.5 for count in behind]
    return stats.mannwhitneyu(first, second, alternative="less", method="exact").pvalue


def ratio_interval(a, b, wanted):
    ratios = np.sort(np.divide.outer(a, b).ravel())
    rank = 0
    while 2 * (rank + 2) <= len(ratios) and 1 - 2 * below(len(a), len(b), rank + 1) >= wanted:
        rank += 1
    return [ratios[rank], ratios[len(ratios) - 1 - rank], max(0, 1 - 2 * below(len(a), len(b), rank))]


def holm(p):
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1, np.array(p)[order] * (len(p) - np.arange(len(p))))
    corrected = np.empty(len(p))
    corrected[order] = np.maximum.accumulate(stepped)
    return corrected


def main():
    rng = np.random.default_rng(1)
    cases = []
    for _ in range(200):
        a = rng.lognormal(0, rng.uniform(0.01, 1), rng.integers(2, 9)).tolist()
        b = rng.lognormal(rng.uniform(-1, 1), 0.3, rng.integers(2, 9)).tolist()
        cases.append({"a": a, "b": b, "p": rng.uniform(0, 1, rng.integers(1, 8)).tolist()})
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    printed = subprocess.run([sys.argv[1]], input=lines, capture_output=True, text=True, check=True).stdout
    worst = 0.0
    for case, line in zip(cases, printed.splitlines(), strict=True):
        found, a, b = json.loads(line), np.array(case["a"]), np.array(case["b"])
        p = stats.permutation_test((np.log(a), np.log(b)), distance_of_means, permutation_type="independent", n_resamples=np.inf,
                                   alternative="greater", vectorized=True).pvalue
        expected = {"median": np.median(a), "median_interval": median_interval(a, 0.9), "ratio": np.median(np.divide.outer(a, b)),
                    "ratio_interval": ratio_interval(a, b, 0.9), "p": p, "holm": holm(case["p"])}
        for name, value in expected.items():
            difference = np.max(np.abs(np.atleast_1d(found[name]) - np.atleast_1d(value)))
            worst = max(worst, difference)
            if difference > 1e-9:
                print(f"{name} differs: {found[name]} here, {value} there, of {case}")
                sys.exit(1)
    print(f"{len(cases)} cases agree within {worst:.1e}")


if __name__ == "__main__":
    main()
