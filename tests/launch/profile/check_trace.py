#!/usr/bin/env python3
"""Checks a trace of lockstep profile: check_trace.py TRACE RANKS STEPS. Prints what is wrong, and exits 1 then.

The format is Google's "Trace Event Format" document: JSON Object Format, complete events (ph X, ts and dur in microseconds) that
on each thread lie within each other or apart, metadata events (ph M). Times become nanoseconds as Perfetto's importer makes
them. What the ranks did must be possible on one clock: no rank has all ranks' control records of a step before each has begun to
send its own, none has all new weights before each has begun its exchange.
"""

import json
import sys


def nanoseconds(microseconds):
    return round(microseconds * 1000)


def check_format(trace, wrong):
    names = {}
    open_ends = {}
    for event in trace["traceEvents"]:
        for field, kind in (("ph", str), ("name", str), ("pid", int), ("tid", int), ("args", dict)):
            if not isinstance(event.get(field), kind):
                wrong.append(f"{field} is missing: {event}")
        thread = (event["pid"], event["tid"])
        if event["ph"] == "M":
            if event["name"] in ("process_name", "thread_name"):
                names[(event["name"],) + thread] = event["args"]["name"]
            continue
        if event["ph"] != "X":
            wrong.append(f"neither a complete event nor metadata: {event}")
        if ("thread_name",) + thread not in names:
            wrong.append(f"an event of a thread without a name: {event}")
        begin, length = nanoseconds(event["ts"]), nanoseconds(event["dur"])
        if begin < 0 or length < 0:
            wrong.append(f"a time below 0: {event}")
        ends = open_ends.setdefault(thread, [])
        while ends and ends[-1] <= begin:
            ends.pop()
        if ends and begin + length > ends[-1]:
            wrong.append(f"neither within the event around it nor apart: {event}")
        ends.append(begin + length)
    return names


def by_step(trace, name):
    """{step: {rank: (begin, end)}}, ns."""
    steps = {}
    for event in trace["traceEvents"]:
        if event["ph"] == "X" and event["name"] == name:
            begin = nanoseconds(event["ts"])
            steps.setdefault(event["args"]["step"], {})[event["pid"]] = (begin, begin + nanoseconds(event["dur"]))
    return steps


def check_clocks(trace, ranks, steps, wrong):
    errors = [rank["clock_error_ns"] for rank in trace["metadata"]["ranks"]]
    if len(errors) != ranks or errors[0] != 0 or any(error <= 0 for error in errors[1:]):
        wrong.append(f"errors of clocks: {errors}")
    for begins, ends in (("control record", "control record"), ("exchange of gradients", "exchange of weights")):
        begun, ended = by_step(trace, begins), by_step(trace, ends)
        if len(begun) != steps or any(len(of_ranks) != ranks for of_ranks in begun.values()):
            wrong.append(f"{begins}: not once in {steps} steps on {ranks} ranks")
            continue
        for step in begun:
            for rank, (begin, _) in begun[step].items():
                for other, (_, end) in ended[step].items():
                    late = begin - end - errors[rank] - errors[other]
                    if late > 0:
                        wrong.append(f"step {step}: {ends} of rank {other} ends {late} ns before rank {rank} begins its {begins}")


def check_work(trace, ranks, wrong):
    for rank in range(ranks):
        ops = [e for e in trace["traceEvents"] if e["ph"] == "X" and e["pid"] == rank and e["cat"] == "op"]
        if not ops:
            wrong.append(f"rank {rank} has no ops")
        for op in ops:
            if not {"step", "lane", "kind", "flop", "bytes"} <= op["args"].keys():
                wrong.append(f"an op that does not say its work: {op}")


def main():
    path, ranks, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with open(path, encoding="utf-8") as file:
        trace = json.load(file)
    wrong = []
    names = check_format(trace, wrong)
    processes = {name[1] for name in names if name[0] == "process_name"}
    if processes != set(range(ranks)):
        wrong.append(f"processes are {sorted(processes)}")
    check_clocks(trace, ranks, steps, wrong)
    check_work(trace, ranks, wrong)
    for line in wrong[:10]:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
