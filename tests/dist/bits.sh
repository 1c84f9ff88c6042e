#!/usr/bin/env bash
# bits.sh [--pairs "RANKS:EXECUTORS ..."] [--steps N] [--set PATH=VALUE]... digits|mnist|cifar10|shakespeare
#
# Trains the example on every pair of ranks and executors per rank, with evaluations and checkpoints, and compares the weights
# and all of the last checkpoint's state with those of the first pair. --steps 0 is the whole run; without --steps, digits is
# whole and the others are cut to 300 steps.
set -uo pipefail
source "$(dirname "$0")/common.sh"

pairs="1:1 1:2 2:1 2:2 3:1 3:2 4:1 4:2 5:1 5:2 8:1 8:2" tests=1010 folder="" steps="" example="" settings=()
while [ $# -gt 0 ]; do
  case $1 in
  --pairs) pairs=$2 && shift ;;
  --steps) steps=$2 && shift ;;
  --set) settings+=(--set "$2") && shift ;;
  *) example=$1 ;;
  esac
  shift
done

case $example in
digits) steps=${steps:-0} ;;
mnist | cifar10) folder=$example steps=${steps:-300} ;;
shakespeare) folder=tinyshakespeare tests=64 steps=${steps:-300} ;;
*) echo "which example? digits, mnist, cifar10 or shakespeare" && exit 2 ;;
esac
[ -d "$LOCKSTEP_DATA/$folder" ] || skip "$folder is not in $LOCKSTEP_DATA (set LOCKSTEP_DATA)"
if [ "$steps" -gt 0 ]; then
  # Two evaluations and some checkpoints on the way; the test split is cut too, or it would take longer than the training.
  settings+=(--set train.epochs=0 --set train.steps="$steps" --set train.evaluate_every_steps=$((steps / 2))
    --set data.test.limit=$tests --set checkpoint.every_steps=$((steps / 3)))
fi

first=""
for pair in $pairs; do
  ranks=${pair%:*} executors=${pair#*:} out=$work/$example-${pair/:/-}
  must_train "$ranks" "$root/examples/$example.textproto" --out "$out" --executors "$executors" ${settings[@]+"${settings[@]}"}
  found=$(weights) || { echo "$found"; exit 1; }
  printf '%s ranks=%d executors=%d: %s\n' "$example" "$ranks" "$executors" "$(tail -n 1 "$work/stdout")"
  if [ -z "$first" ]; then
    first=$found reference=$out
    continue
  fi
  [ "$found" = "$first" ] || fail "weights $found on $ranks ranks with $executors executors, $first on the first pair"
  equal_state "$reference" "$out"
  rm -rf "$out"
done
