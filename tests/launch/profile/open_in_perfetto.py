#!/usr/bin/env python3
"""Opens a profile of two ranks in Perfetto's trace processor: open_in_perfetto.py LOCKSTEP, or --trace TRACE.

Needs the package perfetto (PyPI) and its trace_processor_shell, which is no part of the package: the package loads it down when it is
first used, or $TRACE_PROCESSOR_SHELL names it. Exits 77, and says so, where either is missing.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    from perfetto.trace_processor import TraceProcessor, TraceProcessorConfig
except ImportError:
    print("SKIPPED: there is no package perfetto here (pip install perfetto)")
    sys.exit(77)

DIGITS = pathlib.Path(__file__).parents[3] / "examples/digits.textproto"


def open_trace(path):
    try:
        return TraceProcessor(trace=str(path),
                              config=TraceProcessorConfig(bin_path=os.environ.get("TRACE_PROCESSOR_SHELL")))
    except Exception as error:  # of its download, of whatever kind
        print(f"SKIPPED: Perfetto's trace processor does not start: {error}")
        sys.exit(77)


def values(processor, query):
    return [tuple(vars(row).values()) for row in processor.query(query)]


def check(path):
    with open(path, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    complete = [event for event in events if event["ph"] == "X"]
    processor = open_trace(path)
    problems = values(processor, "select name, value from stats where severity in ('error', 'data_loss') and value > 0")
    assert not problems, problems
    (count,), = values(processor, "select count(*) as n from slice")
    assert count == len(complete), f"{count} slices of {len(complete)} events"
    (length,), = values(processor, "select sum(dur) as ns from slice where category = 'op'")
    expected = sum(round(event["dur"] * 1000) for event in complete if event["cat"] == "op")
    assert length == expected, f"{length} ns of ops, not {expected}"
    lost = values(processor, """
        select child.name from slice child join slice parent on child.parent_id = parent.id
        where child.ts < parent.ts or child.ts + child.dur > parent.ts + parent.dur""")
    assert not lost, lost
    parents = values(processor, """
        select distinct parent.name as name from slice op join slice parent on op.parent_id = parent.id
        where op.category = 'op'""")
    assert sorted(parents) == [("backward",), ("forward",)], parents
    ranks = values(processor, "select pid, name from process where name glob 'rank *' order by pid")
    assert [pid for pid, _ in ranks] == [0, 1], ranks
    print(f"Perfetto's trace processor has all {count} events")


def main():
    if sys.argv[1] == "--trace":
        check(sys.argv[2])
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], "profile", str(DIGITS), "-n", "2", "--steps", "5", "--no-peak", "--out", folder],
                       check=True, stdout=subprocess.DEVNULL)
        check(f"{folder}/trace.json")


if __name__ == "__main__":
    main()
