#!/usr/bin/env bash
# kills.sh --seed S [--recipe RECIPE] [--set PATH=VALUE]...
#
# Kills a rank with SIGKILL five times in a row, each time going on with another number of ranks; then lets the run end, and
# compares weights, state and metrics with those of a run that nobody killed. Ranks, moments (uniform over the duration of the
# quiet run) and numbers of ranks are drawn from the seed. At least three kills must lose work and resume past step 0.
# Without --recipe: digits, for 200 epochs.
set -uo pipefail
source "$(dirname "$0")/common.sh"

seed="" recipe="" settings=()
while [ $# -gt 0 ]; do
  case $1 in
  --seed) seed=$2 && shift ;;
  --recipe) recipe=$2 && shift ;;
  --set) settings+=(--set "$2") && shift ;;
  *) seed="" && break ;;
  esac
  shift
done
[ -n "$seed" ] || { echo "usage: kills.sh --seed S [--recipe RECIPE] [--set PATH=VALUE]..."; exit 2; }
if [ -z "$recipe" ]; then
  recipe=$digits
  settings=(--set train.epochs=200 --set train.evaluate_every_steps=1000 --set checkpoint.every_steps=250 "${settings[@]+"${settings[@]}"}")
fi
python3 "$(dirname "$0")/kills.py" "$lockstep" "$root/launch/setup.sh" "$work" "$seed" "$recipe" "${settings[@]+"${settings[@]}"}"
