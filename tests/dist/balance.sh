#!/usr/bin/env bash
# balance.sh: lanes dealt by measured speed. The same weights as with equal shares; a rank whose core computes for others too has fewer
# lanes.
set -uo pipefail
source "$(dirname "$0")/common.sh"
many=(--set train.lanes=12 --set train.global_batch=48 --set train.epochs=0 --set train.steps=30)

must_train 1 "$digits" --out "$work/one" "${many[@]}"
first=$(weights)
for ranks in 2 3; do
  must_train "$ranks" "$digits" --out "$work/measured-$ranks" "${many[@]}" --set train.balance=MEASURED
  [ "$(weights)" = "$first" ] || fail "$ranks ranks with measured shares give $(weights), one gives $first"
  grep -q 'lanes by measured speed, rank by rank: ' "$work/stderr" || fail "the shares are not said"
done
echo "equal weights at 1, 2 and 3 ranks, however lanes are dealt"

[ "$(nproc)" -ge 2 ] || skip "a rank can't be slowed alone on one core"
# A group of its own for one rank's core would take root; a neighbour with a high priority does as well.
export LOCKSTEP_PIN=always
taskset -c 1 nice -n -15 sh -c 'while :; do :; done' &
burner=$!
must_train 2 "$digits" --out "$work/slow" "${many[@]}" --set train.balance=MEASURED
kill -9 $burner
wait $burner 2>/dev/null
[ "$(weights)" = "$first" ] || fail "a slowed rank gives $(weights)"
echo "with a neighbour on one core: $(grep -o 'rank by rank: .*' "$work/stderr")"
