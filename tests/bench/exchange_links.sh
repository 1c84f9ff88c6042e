#!/usr/bin/env bash
# exchange_links.sh [MBIT [HOSTS...]]: the exchange, in buckets as training cuts them, between hosts (namespaces of this machine)
# whose links carry MBIT (1000) a second each way, one rank a host, on 2 and 4 HOSTS; beside MPI_Allreduce, and beside what the links
# take for the volume of a ring, 2 (h - 1) / h of the bytes, by what one TCP stream of 64 MiB attains on such a link. Root; LOCKSTEP
# names the program, beside which tests/bench/exchange_bench was built.
set -uo pipefail
source "$(dirname "$0")/../hosts/cluster.sh"
mbit=${1:-1000}
shift
[ $# -gt 0 ] || set -- 2 4
bench=$(dirname "$lockstep")/tests/bench/exchange_bench
[ -x "$bench" ] || fail "there is no $bench: build it"
start_hosts 1 2 3 4 5 6 7 8
for i in 1 2 3 4 5 6 7 8; do
  on "h$i" tc qdisc add dev e0 root tbf rate "${mbit}mbit" burst 256kb latency 50ms
done

name="a stream"
stream=$(on h2 python3 -c '
import socket, time
server = socket.create_server(("", 9000))
print("ready", flush=True)
peer = server.accept()[0]
size, first = 0, None
while data := peer.recv(1 << 20):
    first = first or time.perf_counter()
    size += len(data)
print(size * 8e-6 / (time.perf_counter() - first))' >"$work/stream" &
  until grep -q ready "$work/stream" 2>/dev/null; do sleep 0.05; done
  on h1 python3 -c '
import socket
peer = socket.create_connection(("h2", 9000))
for _ in range(64): peer.sendall(bytes(1 << 20))'
  wait
  tail -1 "$work/stream")
echo "links of $mbit Mbit/s; a stream attains $stream Mbit/s; $(date -u '+%F %R UTC'), load $(cut -d ' ' -f 1 /proc/loadavg)"
for hosts in "$@"; do
  list=$(seq -s, -f h%g 1 "$hosts")
  for sizes in "256 1024 4096 7296 16384" "704 45056" "1024 65536"; do
    # shellcheck disable=SC2086  # the bucket's KiB and those of arenas that have such buckets: trainer/plan/job_plans.cc
    on h1 mpirun --allow-run-as-root --host "$list" --bind-to none "$bench" 0 $sizes </dev/null 2>>"$work/stderr"
  done |
    python3 -c '
import sys
stream, hosts = float(sys.argv[1]), int(sys.argv[2])
print(f"{hosts} hosts\n\n| KiB | exchange | of the limit | MPI_Allreduce |\n|---|---|---|---|")
for line in sys.stdin:
    words = line.split()
    if len(words) != 7 or not words[0][0].isdigit(): continue
    limit = 2 * (hosts - 1) / hosts * float(words[0]) * 1048576 * 8e-3 / stream
    print(f"| {float(words[0]) * 1024:,.0f} | {float(words[1]):.1f} ms | {limit / float(words[1]):.1%} of {limit:.1f} ms | {float(words[3]):.1f} ms |")
print()' "$stream" "$hosts" || fail "$(cat "$work/stderr")"
done
