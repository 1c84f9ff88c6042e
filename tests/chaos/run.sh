#!/usr/bin/env bash
# run.sh [--kills N] [--seed S]: one run, started again and again in the same folder, each time on another number of ranks, each
# time with another fault: N rounds (default 20), drawn from the seed and printed. faults.py says what the faults are. Whenever
# the run gets to its end, and at the end of all rounds, weights, state, certificate and metrics are those of a run that nobody
# disturbed, and nothing is left behind. The state holds the ledger, so that an equal one has used each position just once.
set -uo pipefail
if [ -z "${LOCKSTEP_MOUNTS:-}" ]; then
  # A disk that is full is a small tmpfs: once more, where mounts are this script's own.
  for options in -m "-m -r"; do
    # shellcheck disable=SC2086
    unshare $options mount -t tmpfs none /mnt 2>/dev/null && LOCKSTEP_MOUNTS=yes exec unshare $options env LOCKSTEP_MOUNTS=yes "$0" "$@"
  done
fi
source "$(dirname "$0")/../dist/common.sh"

kills=20 seed=1
while [ $# -gt 0 ]; do
  case $1 in
  --kills) kills=$2 ;;
  --seed) seed=$2 ;;
  *) echo "usage: run.sh [--kills N] [--seed S]"; exit 2 ;;
  esac
  shift 2
done

mkdir "$work/disk"
mounted=no
[ -n "${LOCKSTEP_MOUNTS:-}" ] && mount -t tmpfs -o size=64m none "$work/disk" && mounted=yes
# In the environment: a script with the folder on its command line would look like a process of a job.
export CHAOS_WORK=$work CHAOS_DISK=$work/disk CHAOS_MOUNTED=$mounted CHAOS_LOCKSTEP=$lockstep CHAOS_SETUP=$root/launch/setup.sh CHAOS_RECIPE=$digits
PYTHONDONTWRITEBYTECODE=1 python3 "$(dirname "$0")/chaos.py" "$kills" "$seed"
