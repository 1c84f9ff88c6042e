#!/usr/bin/env bash
# Prints what checkpoints, watchdog and flight recorder cost training.
#
#   tests/bench/overhead.sh [--rounds 3] [--disk FOLDER] [WORKLOAD...]
#
# Needs two cores, one to train on and one for the writer, 4 GB of memory and 6 GB on the disk of FOLDER (default: that of
# TMPDIR, else /tmp). Run it on a machine with nothing else to do; all of it takes about six minutes.
# LOCKSTEP_BENCH_CORES=2,3 chooses the cores; LOCKSTEP_BUILD a folder with a build that is there already.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../launch/setup.sh"

if [ -z "${LOCKSTEP_BUILD:-}" ]; then
  build release lockstep copy_rate flight_bench
  LOCKSTEP_BUILD=$root/build/release
fi
export LOCKSTEP_BUILD LOCKSTEP_PEERS=${LOCKSTEP_PEERS:-}
exec python3 "$root/tests/bench/overhead.py" "$@"
