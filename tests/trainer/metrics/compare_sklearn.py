#!/usr/bin/env python3
"""Compares our measures of classifications and regressions with scikit-learn's, where it is installed.

    pip install scikit-learn==1.9.1
    compare_sklearn.py compare --measure build/release/tests/trainer/metrics/measure   # hundreds of random cases
    compare_sklearn.py write                                                           # expected_measures.json, which tests read

Cases have ties, classes without samples, classes that nothing is taken for, one class alone, and constant targets. `compare` exits
1 where a number differs by more than 1e-12, absolutely and relatively, or is defined in one and not in the other.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import warnings

HERE = pathlib.Path(__file__).resolve().parent
TOLERANCE = 1e-12
PARTS = 64  # of probabilities that are meant to have ties: so many equal parts make 1


def random_probabilities(rng, samples, classes, kind):
    import numpy as np

    if kind == "ties":
        return (rng.multinomial(PARTS, np.full(classes, 1 / classes), samples) / PARTS).astype(np.float32)
    if kind == "certain":  # 0 and 1, so that logarithms are clipped
        return np.eye(classes, dtype=np.float32)[rng.integers(0, classes, samples)]
    logits = rng.normal(0, 2, (samples, classes))
    if kind == "gaps":  # nothing is taken for the first class
        logits[:, 0] -= 100
    numbers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (numbers / numbers.sum(axis=1, keepdims=True)).astype(np.float32)


def random_labels(rng, probabilities, kind):
    import numpy as np

    samples, classes = probabilities.shape
    labels = np.array([rng.choice(classes, p=row / row.sum()) for row in probabilities.astype(np.float64)], dtype=np.int32)
    if kind == "empty":
        labels[labels == classes - 1] = 0
    if kind == "alone":
        labels[:] = classes // 2
    return labels


def classification_cases(seed, count):
    import numpy as np

    rng = np.random.default_rng(seed)
    for i in range(count):
        classes = int(rng.choice([2, 2, 3, 5, 6, 10, 30]))
        samples = int(rng.choice([1, 2, 7, 40, 300]))
        probabilities = random_probabilities(rng, samples, classes, ["ties", "smooth", "gaps", "certain"][i % 4])
        yield probabilities, random_labels(rng, probabilities, ["all", "empty", "alone"][i // 4 % 3])


def regression_cases(seed, count):
    import numpy as np

    rng = np.random.default_rng(seed)
    for i in range(count):
        samples, targets = int(rng.choice([1, 2, 5, 100])), int(rng.choice([1, 1, 3]))
        expected = rng.normal(rng.choice([0, 1000]), rng.choice([0.01, 1, 50]), (samples, targets))
        predicted = expected + rng.normal(0, 1, expected.shape)
        if i % 3 == 1:
            expected[:, 0] = 7.25
        if i % 6 == 4:
            predicted[:, 0] = 7.25
        yield predicted, expected


def calibration_error(probabilities, labels):
    """The definition of Guo et al. 2017, section 2, with 15 bins."""
    import numpy as np

    confidence, right = probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == labels
    error = 0
    for b in range(15):
        within = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if within.any():
            error += within.mean() * abs(confidence[within].mean() - right[within].mean())
    return error


def theirs(probabilities, labels):
    import numpy as np
    from sklearn import metrics

    classes = probabilities.shape[1]
    all_classes, answers = np.arange(classes), probabilities.argmax(axis=1)

    def scores(average):
        return metrics.precision_recall_fscore_support(labels, answers, labels=all_classes, average=average, zero_division=np.nan)

    precision, recall, f1, support = scores(None)
    doubles = probabilities.astype(np.float64)

    def area(label):
        of = labels == label
        return metrics.roc_auc_score(of, doubles[:, label]) if 0 < of.sum() < len(of) else math.nan

    areas = [area(label) for label in all_classes]
    return dict(confusion=metrics.confusion_matrix(labels, answers, labels=all_classes).ravel(), precision=precision, recall=recall,
                f1=f1, support=support, class_auc=areas, macro=scores("macro")[:3], weighted=scores("weighted")[:3],
                accuracy=metrics.accuracy_score(labels, answers), balanced_accuracy=metrics.balanced_accuracy_score(labels, answers),
                top5=metrics.top_k_accuracy_score(labels, doubles, k=5, labels=all_classes) if classes > 2 else 1.0,
                auc=areas[1] if classes == 2 else np.nanmean(areas), calibration_error=calibration_error(probabilities, labels),
                log_loss=metrics.log_loss(labels, doubles, labels=all_classes))


def their_regression(predicted, expected):
    from sklearn import metrics

    functions = [metrics.mean_squared_error, metrics.root_mean_squared_error, metrics.mean_absolute_error, metrics.r2_score]
    each = [[function(expected[:, t], predicted[:, t]) for function in functions] for t in range(expected.shape[1])]
    return dict(targets=each, mean=[function(expected, predicted) for function in functions])


def flat(value):
    """The numbers in `value`, None for what is undefined."""
    import numpy as np

    if value is None:
        return [None]
    numbers = [number for item in value for number in flat(item)] if isinstance(value, (list, tuple)) else np.ravel(value).tolist()
    return [None if number is None or math.isnan(number) else number for number in numbers]


def run(program, cases):
    import numpy as np

    data = b""
    for a, b, width in cases:
        data += np.array([len(a), width], np.int64).tobytes() + np.ascontiguousarray(a).tobytes() + np.ascontiguousarray(b).tobytes()
    done = subprocess.run([program], input=data, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def compare(args):
    cases = [(a, b, a.shape[1]) for a, b in classification_cases(args.seed, args.cases)]
    cases += [(a, b, -a.shape[1]) for a, b in regression_cases(args.seed, args.cases)]
    worst, wrong, numbers, undefined = 0.0, 0, 0, 0
    for (a, b, width), got in zip(cases, run(args.measure, cases), strict=True):
        expected = theirs(a, b) if width > 0 else their_regression(a, b)
        for name, value in expected.items():
            ours, reference = flat(got[name]), flat(value)
            assert len(ours) == len(reference), name
            for x, y in zip(ours, reference):
                numbers += 1
                undefined += x is None
                error = 0 if x is None and y is None else math.inf if x is None or y is None else abs(x - y) / max(1, abs(y))
                worst = max(worst, error)
                if not error <= TOLERANCE:
                    wrong += 1
                    print(f"{name} of {a.shape}: {x}, scikit-learn's is {y}")
    print(f"{len(cases)} cases, {numbers} numbers, {undefined} of them undefined in both; {wrong} differ; the largest error is {worst:.2g}")
    return wrong > 0


def rounded(value):
    return value.tolist() if hasattr(value, "tolist") else [rounded(item) for item in value] if isinstance(value, (list, tuple)) else float(value)


def defined(value):
    if isinstance(value, list):
        return [defined(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def write(args):
    import numpy as np

    rng = np.random.default_rng(5)
    rows = []
    for classes, samples, labels_kind in (2, 12, "all"), (3, 20, "all"), (3, 9, "empty"), (7, 25, "empty"), (4, 6, "alone"), (2, 1, "all"):
        probabilities = random_probabilities(rng, samples, classes, "ties")
        labels = random_labels(rng, probabilities, labels_kind)
        numbers = {name: defined(rounded(value)) for name, value in theirs(probabilities, labels).items()}
        rows.append(dict(classes=classes, parts=(probabilities * PARTS).astype(int).ravel().tolist(), labels=labels.tolist(), expected=numbers))
    targets = []
    for predicted, expected in regression_cases(5, 12):
        if len(expected) > 20:
            continue
        numbers = {name: defined(rounded(value)) for name, value in their_regression(predicted, expected).items()}
        targets.append(dict(targets=expected.shape[1], predicted=predicted.ravel().tolist(), values=expected.ravel().tolist(), expected=numbers))
    text = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    more = ",\n".join(json.dumps(row, separators=(",", ":")) for row in targets)
    (HERE / "expected_measures.json").write_text(f'{{"made_by": "compare_sklearn.py write, scikit-learn 1.9.1", "classifications": [\n{text}\n],'
                                                 f'\n"regressions": [\n{more}\n]}}\n')
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("compare", "write"))
    parser.add_argument("--measure", help="the program of measure.cc")
    parser.add_argument("--cases", type=int, default=240)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.action == "compare" and not args.measure:
        parser.error("--measure is missing")
    warnings.simplefilter("ignore")
    return {"compare": compare, "write": write}[args.action](args)


if __name__ == "__main__":
    sys.exit(main())
