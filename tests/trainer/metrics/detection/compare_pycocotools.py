#!/usr/bin/env python3
"""Compares detection's numbers with pycocotools', bit for bit: compare_pycocotools.py DETECT [--cases N] [--seed S], or --write.

    pip install pycocotools==2.0.11 numpy        # and tidecv==1.0.1, without which kinds of errors are not compared
    compare_pycocotools.py build/release/tests/trainer/metrics/detect     # the program of detect.cc
    compare_pycocotools.py --write                                        # expected_detections.json, which tests read

Random cases have crowds, equal scores and overlaps, categories and images without truths or detections, areas at the borders of small
and medium, and more than 100 detections an image. Exits 77, and says so, where there is no pycocotools.
"""

import argparse
import contextlib
import io
import json
import math
import pathlib
import subprocess
import sys

try:
    import numpy as np
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
except ImportError:
    print("SKIPPED: there is no package pycocotools here (pip install pycocotools==2.0.11 numpy)")
    sys.exit(77)
try:
    import tidecv
except ImportError:
    tidecv = None

HERE = pathlib.Path(__file__).resolve().parent
SIDES = [8, 16, 32, 64, 96, 128, 288]  # so that areas are 32 * 32 and 96 * 96
ERRORS = ["right", "ignored", "classification", "localisation", "both", "duplicate", "background", "missed"]


class Case:
    """truths: (image, x, y, width, height, category, area, crowd), detections: (image, x, y, width, height, category, score)."""

    def __init__(self, rng, kind, many):
        self.kind = kind
        self.categories, self.images = int(rng.integers(1, 5)), int(rng.integers(1, 7))
        self.truths = [row for image in range(self.images) for row in self.draw_truths(rng, image)]
        self.detections = [row for image in range(self.images) for row in self.draw_detections(rng, image, many)]

    def draw_box(self, rng):
        if self.kind == "smooth":
            return [*rng.uniform(0, 300, 2), *np.exp(rng.uniform(math.log(4), math.log(300), 2))]
        return [*(rng.integers(0, 8, 2) * 16.0), *rng.choice(SIDES, 2).astype(float)]

    def draw_truths(self, rng, image):
        for _ in range(rng.choice([0, 1, 3, 8])):
            x, y, width, height = self.draw_box(rng)
            area = float(rng.choice([width * height, 1024, 9216, np.nextafter(1024, 0), np.nextafter(9216, 1e9), rng.uniform(0, 2e4)],
                                    p=[0.6, 0.1, 0.1, 0.05, 0.05, 0.1]))
            crowd = self.kind == "crowded" and rng.random() < 0.15
            yield (image, x, y, width, height, int(rng.integers(0, max(1, self.categories - 1))), area, int(crowd))

    def draw_detections(self, rng, image, many):
        here = [truth for truth in self.truths if truth[0] == image]
        for _ in range(rng.choice([0, 2, 10, 30] + [130] * many)):
            box, category = self.draw_box(rng), int(rng.integers(0, self.categories))
            if here and rng.random() < 0.7:
                truth = here[rng.integers(len(here))]
                box, category = list(truth[1:5]), truth[5] if rng.random() < 0.8 else category
                if self.kind == "smooth":
                    box = [side + rng.normal(0, 0.1) * size for side, size in zip(box, box[2:] * 2)]
                    box[2], box[3] = abs(box[2]), abs(box[3])
                elif rng.random() < 0.5:
                    box[rng.integers(0, 4)] += float(rng.choice([-4, 4, 8, 16]))
            score = rng.random() if self.kind == "smooth" else float(rng.choice([0.1, 0.25, 0.5, 0.9]))
            yield (image, *box, category, score)

    def numbers(self):
        yield from (self.categories, self.images)
        for image in range(self.images):
            truths, detections = ([row[1:] for row in rows if row[0] == image] for rows in (self.truths, self.detections))
            yield from (len(truths), len(detections))
            for row in truths + detections:
                yield from row

    def json(self):
        return dict(categories=self.categories, images=self.images, truths=self.truths, detections=self.detections)


def coco(case, annotations):
    made = COCO()
    made.dataset = dict(images=[dict(id=image) for image in range(case.images)], annotations=annotations,
                        categories=[dict(id=category) for category in range(case.categories)])
    made.createIndex()
    return made


def evaluate(case):
    """The evaluation of pycocotools."""
    truths = coco(case, [dict(id=i + 1, image_id=row[0], bbox=list(row[1:5]), category_id=row[5], area=row[6], iscrowd=row[7])
                         for i, row in enumerate(case.truths)])
    detections = [dict(image_id=row[0], bbox=list(row[1:5]), category_id=row[5], score=row[6]) for row in case.detections]
    evaluation = COCOeval(truths, truths.loadRes(detections) if detections else coco(case, []), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


def mean(values):
    return np.mean(values[values > -1]) if (values > -1).any() else -1.0


def pycocotools_numbers(case):
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = evaluate(case)
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    each = [mean(precision[:, :, category, 0, -1]) for category in range(case.categories)]
    return dict(summary=evaluation.stats, precision=precision.ravel(), recall=recall.ravel(), category_ap=np.array(each))


def iou(box, boxes):
    wide = np.minimum(box[0] + box[2], boxes[:, 0] + boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    high = np.minimum(box[1] + box[3], boxes[:, 1] + boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    both = np.maximum(wide, 0) * np.maximum(high, 0)
    return both / (box[2] * box[3] + boxes[:, 2] * boxes[:, 3] - both)


def all_point_ap(case, category):
    """Of one category, where nothing is a crowd; NaN where it has no truths."""
    truths = [np.array([row[1:5] for row in case.truths if row[0] == image and row[5] == category]).reshape(-1, 4)
              for image in range(case.images)]
    if not any(map(len, truths)):
        return math.nan
    used, right = [np.zeros(len(boxes), bool) for boxes in truths], []
    for image, *box, _, _ in sorted((row for row in case.detections if row[5] == category), key=lambda row: -row[6]):
        overlaps = iou(box, truths[image]) if len(truths[image]) else np.zeros(1)
        best = overlaps.argmax()
        right.append(bool(overlaps[best] >= 0.5 and not used[image][best]))
        if right[-1]:
            used[image][best] = True
    hits = np.cumsum(right)
    recall, precision = hits / sum(map(len, truths)), hits / np.arange(1, len(hits) + 1)
    area, envelope = 0.0, 0.0
    for k in reversed(range(len(hits))):
        envelope = max(envelope, precision[k])
        area += envelope * (recall[k] - (recall[k - 1] if k else 0.0))
    return area


def tide_errors(case):
    """The counts of TIDE's own program, of a case without crowds and equal overlaps."""
    truths, detections = tidecv.Data("truths"), tidecv.Data("detections")
    for category in range(case.categories):
        truths.add_class(category, str(category))
    for image in range(case.images):
        truths.add_image(image, str(image))
    for row in case.truths:
        truths.add_ground_truth(row[0], row[5], list(row[1:5]))
    for row in case.detections:
        detections.add_detection(row[0], row[5], row[6], list(row[1:5]))
    found = tidecv.quantify.TIDERun(truths, detections, 0.5, 0.1, tidecv.TIDE.BOX, max_dets=10**6).error_dict
    counts = [len(found[getattr(tidecv, name)]) for name in ("ClassError", "BoxError", "OtherError", "DuplicateError", "BackgroundError",
                                                             "MissedError")]
    return np.array([len(case.detections) - sum(counts[:5]), 0, *counts], float)


def expected_numbers(case):
    numbers = pycocotools_numbers(case)
    if not any(row[7] for row in case.truths):
        each = np.array([all_point_ap(case, category) for category in range(case.categories)])
        defined = each[~np.isnan(each)]
        numbers["all_point_ap"] = np.array([*each, np.mean(defined) if len(defined) else math.nan])
    if tidecv and case.kind == "smooth" and case.truths:  # of no truths TIDE divides by their number
        numbers["errors"] = tide_errors(case)
    return numbers


def our_numbers(case, values):
    settings = 10 * case.categories * 4 * 3
    sizes = dict(summary=12, precision=settings * 101, recall=settings, category_ap=case.categories, all_point_ap=case.categories + 1,
                 errors=len(ERRORS))
    numbers, begin = {}, 0
    for name, size in sizes.items():
        numbers[name], begin = values[begin:begin + size], begin + size
    return numbers, values[begin:]


def draw_cases(seed, count):
    rng = np.random.default_rng(seed)
    return [Case(rng, ["smooth", "grid", "crowded"][i % 3], many=i % 20 == 5) for i in range(count)]


def compare(program, cases):
    data = np.array([number for case in cases for number in case.numbers()], np.float64)
    values = np.frombuffer(subprocess.run([program], input=data.tobytes(), stdout=subprocess.PIPE, check=True).stdout, np.float64)
    compared, wrong = {}, 0
    for i, case in enumerate(cases):
        ours, values = our_numbers(case, values)
        for name, expected in expected_numbers(case).items():
            compared[name] = compared.get(name, 0) + len(expected)
            if not np.array_equal(ours[name], expected, equal_nan=True):
                wrong += 1
                place = np.flatnonzero((ours[name] != expected) & ~np.isnan(expected))[:4]
                print(f"case {i} ({case.kind}): {name} {place} is {ours[name][place]}, should be {expected[place]}")
    assert len(values) == 0
    print(f"{len(cases)} cases, numbers compared: {compared}; {wrong} tables differ")
    if not tidecv:
        print("kinds of errors were NOT compared: there is no package tidecv here (pip install tidecv==1.0.1)")
    return wrong > 0


def write():
    rows = []
    for case in draw_cases(11, 150):
        if not 6 < len(case.truths) + len(case.detections) < 40:
            continue
        numbers = expected_numbers(case)
        expected = {name: [None if math.isnan(value) else value for value in numbers[name].tolist()]
                    for name in ("summary", "category_ap", "all_point_ap", "errors") if name in numbers}
        rows.append(json.dumps(case.json() | dict(expected=expected), separators=(",", ":")))
    made_by = "compare_pycocotools.py --write: pycocotools 2.0.11, tidecv 1.0.1"
    (HERE / "expected_detections.json").write_text(f'{{"made_by": "{made_by}", "cases": [\n' + ",\n".join(rows) + "\n]}\n")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detect", nargs="?", help="the program of detect.cc")
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    if not args.detect and not args.write:
        parser.error("DETECT is missing")
    return write() if args.write else compare(args.detect, draw_cases(args.seed, args.cases))


if __name__ == "__main__":
    sys.exit(main())
