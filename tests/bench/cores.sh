#!/usr/bin/env bash
# Prints how fast two ranks train on two cores that both may use, by where their executors are pinned, and on which cores
# Linux has them.
#
#   tests/bench/cores.sh [--rounds 3] [RECIPE ARG...]
#
# LOCKSTEP_BENCH_CORES=2,3 chooses the cores. "one core" is what ranks would get that share a mask and pin to its first core
# each. LOCKSTEP_BUILD is a folder with a build that is there already.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../launch/setup.sh"

rounds=3
[ "${1:-}" = --rounds ] && { rounds=$2; shift 2; }
if [ -z "${LOCKSTEP_BUILD:-}" ]; then
  build release lockstep
  LOCKSTEP_BUILD=$root/build/release
fi
lockstep=$LOCKSTEP_BUILD/lockstep
cores=${LOCKSTEP_BENCH_CORES:-0,1}
[ $# -gt 0 ] || set -- "$root/examples/digits.textproto" --set train.epochs=300
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# places FOLDER: the cores of each executor of the job that writes there, "0 1".
places() {
  local pid task name
  for pid in $(pgrep -f "^$lockstep train .*--out $1" || true); do
    for task in /proc/"$pid"/task/*; do
      { read -r name <"$task/comm"; } 2>/dev/null || continue
      if [[ $name == executor-* ]]; then awk '/^Cpus_allowed_list/ { print $2 }' "$task/status"; fi
    done
  done | sort | tr '\n' ' '
}

# measure NAME CORES PIN RECIPE...
measure() {
  local name=$1 mask=$2 pin=$3 out seen
  shift 3
  out=$(mktemp -d "$work/XXXX")/run
  LOCKSTEP_PIN=$pin run_ranks 2 taskset -c "$mask" "$lockstep" train "$@" --progress off --executors 1 --out "$out" \
    >"$work/stdout" 2>"$work/stderr" &
  while kill -0 $! 2>/dev/null && [ ! -s "$out/metrics.jsonl" ]; do sleep 0.05; done
  seen=$(places "$out")
  wait $! || { cat "$work/stderr" >&2; exit 1; }
  printf '%-12s %-12s %s\n' "$name" "$(grep -o 'samples_per_s=[0-9.]*' "$work/stdout" | cut -d = -f 2)" "${seen:-?}"
}

printf '%-12s %-12s %s\n' pinned "samples/s" "executors on"
for ((round = 0; round < rounds; ++round)); do
  measure "each its own" "$cores" always "$@"
  measure "no" "$cores" never "$@"
  measure "one core" "${cores%%,*}" never "$@"
done
