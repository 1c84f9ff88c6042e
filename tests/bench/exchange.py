#!/usr/bin/env python3
"""Prints how long an exchange of gradients takes beside MPI_Allreduce and PyTorch's Gloo, on one host.

    tests/bench/exchange.py BUILD [--ranks 2,4,8] [--rounds 3] [--sizes KIB,KIB,...] [--python PYTHON]

BUILD is an optimised build with the target exchange_bench; PYTHON has torch (CPU is enough; without it Gloo is left out). In a round
each number of ranks measures exchange and MPI_Allreduce turn by turn in one job (exchange_bench.cc), and then Gloo in a job of its
own. A figure is the median over rounds of the medians over repeats of the slowest rank's time; a ratio the median of the rounds'
ratios. 512 MiB on 8 ranks take 14 GB of memory. Run it on a machine with nothing else to do.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZES = [4, 16, 64, 256, 1024, 4096, 16384, 65536, 131072, 524288]  # KiB
ROW = re.compile(r"^ *([\d.]+) +([\d.]+) +[\d.]+ +([\d.]+) +[\d.]+ +[\d.]+ +[\d.]+$", re.MULTILINE)
median = statistics.median


def exchange_and_mpi(build, ranks, sizes):
    """{KiB: {"exchange": s, "MPI_Allreduce": s}}"""
    command = ["bash", "-c", f'source "{ROOT}/launch/setup.sh"; run_ranks "$@"', "run_ranks", ranks,
               build / "tests/bench/exchange_bench", 0, 4096, *sizes]  # fmt: skip
    printed = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout
    rows = ROW.findall(printed)
    assert len(rows) == len(sizes), printed
    return {kib: {"exchange": float(row[1]) / 1e3, "MPI_Allreduce": float(row[2]) / 1e3} for kib, row in zip(sizes, rows)}


def gloo(python, ranks, sizes):
    """{KiB: s}"""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [str(number) for kib in sizes for number in (kib * 1024, min(201, max(5, 2**28 // (kib * 1024))))]
    command = [python, str(ROOT / "tests/bench/gloo_allreduce.py"), *words]
    world = {**os.environ, "WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    jobs = [subprocess.Popen(command, env={**world, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
            for rank in range(ranks)]  # fmt: skip
    try:
        printed = [job.communicate()[0] for job in jobs][0]
    finally:
        for job in jobs:
            job.kill()
    rows = [json.loads(line) for line in printed.splitlines()]
    assert len(rows) == len(sizes), printed
    return {row["bytes"] // 1024: median(row["seconds"]) for row in rows}


def print_table(ranks, sizes, rounds):
    print(f"\n{ranks} ranks, {len(rounds)} rounds, milliseconds\n")
    peers = [name for name in ("MPI_Allreduce", "Gloo") if name in rounds[0][sizes[0]]]
    print("| KiB | exchange | GB/s | " + " | ".join(f"{name} | times" for name in peers) + " |")
    print("|---|---|---|" + "---|---|" * len(peers))
    for kib in sizes:
        of_size = [figures[kib] for figures in rounds]
        ours = median(figures["exchange"] for figures in of_size)
        cells = [f"{kib:,}", f"{ours * 1e3:.3g}", f"{kib * 1024 / ours / 1e9:.1f}"]
        for name in peers:
            ratios = [figures[name] / figures["exchange"] for figures in of_size]
            spread = f" ({min(ratios):.1f} to {max(ratios):.1f})" if len(ratios) > 1 else ""
            cells += [f"{median(figures[name] for figures in of_size) * 1e3:.3g}", f"{median(ratios):.1f}{spread}"]
        print("| " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--ranks", default="2,4,8")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--python", default="")
    options = parser.parse_args()
    sizes = [int(kib) for kib in options.sizes.split(",")]
    print(f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for ranks in map(int, options.ranks.split(",")):
        rounds = []
        for _ in range(options.rounds):
            figures = exchange_and_mpi(options.build, ranks, sizes)
            if options.python:
                for kib, seconds in gloo(options.python, ranks, sizes).items():
                    figures[kib]["Gloo"] = seconds
            rounds.append(figures)
        print_table(ranks, sizes, rounds)
    print(f"\nload at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    sys.exit(main())
