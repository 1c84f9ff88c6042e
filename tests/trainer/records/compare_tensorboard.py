#!/usr/bin/env python3
"""Compares a run's event files, as the tensorboard package reads them, with its metrics.jsonl.

    pip install tensorboard==2.21.0
    compare_tensorboard.py RUN [RUN...]

Exits 1 where a row is missing, is there though it isn't in metrics.jsonl (a resume went back behind it), or has another value.
"""

import json
import math
import pathlib
import sys

PLACES = {"step", "epoch", "attempt", "time", "split"}


def rows_of(run):
    rows = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        for name, value in row.items():
            if name not in PLACES:
                rows[f"{row.get('split', 'train')}/{name}", row["step"]] = math.nan if value is None else value
    return rows


def events_of(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0}, purge_orphaned_data=True)
    accumulator.Reload()
    return {(tag, event.step): event.value for tag in accumulator.Tags()["scalars"] for event in accumulator.Scalars(tag)}


def same(a, b):
    return (math.isnan(a) and math.isnan(b)) or abs(a - b) <= 1e-6 * abs(b)


def main(runs):
    if not runs:
        print(__doc__, file=sys.stderr)
        return 2
    wrong = 0
    for run in map(pathlib.Path, runs):
        rows, events = rows_of(run), events_of(run)
        missing, more = rows.keys() - events.keys(), events.keys() - rows.keys()
        other = {key for key in rows.keys() & events.keys() if not same(events[key], rows[key])}
        files = len(list((run / "tensorboard").iterdir()))
        print(f"{run}: {len(rows)} values in {files} event files; {len(missing)} missing, {len(more)} too many, {len(other)} differ")
        for key in sorted(missing | more | other)[:10]:
            print(f"  {key}: metrics.jsonl {rows.get(key)}, TensorBoard {events.get(key)}")
        wrong += len(missing) + len(more) + len(other)
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
