#!/usr/bin/env bash
# stop.sh [--rounds N] [--seed S]: signals to stop, at moments drawn over the whole life of a job, at one rank or all, once or
# twice; each ends the job with 75 or lets it end, in time; and the weights at the end are those of the quiet run. Then
# --stop-after, and a second SIGINT.
set -uo pipefail
source "$(dirname "$0")/common.sh"
rounds=8 seed=1
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) rounds=$2 ;;
    --seed) seed=$2 ;;
    *) echo "usage: stop.sh [--rounds N] [--seed S]"; exit 2 ;;
  esac
  shift 2
done
RANDOM=$seed
often=(--set checkpoint.every_steps=100 --set train.evaluate_every_steps=10)
signals=(TERM INT USR1 USR2)

must_train 2 "$digits" --out "$work/quiet" "${often[@]}"
began=$(now)
must_train 2 "$digits" --out "$work/timed" "${often[@]}"
life=$(($(now) - began))

# in_time: the job that was told to stop at $told has ended within five seconds, with 75 or done, and nobody lives on.
in_time() {
  [ "$code" -eq 75 ] || [ "$code" -eq 0 ] || fail "$name: it ended with $code"
  [ "$code" -eq 0 ] || ! grep -q '^done ' "$work/stdout" || fail "$name: a done line with exit code 75"
  gone || fail "$name: ranks live on"
  [ $((ended_at - told)) -lt 5000000 ] || fail "$name: it took $(((ended_at - told) / 1000)) ms to stop"
}

out=$work/stopped
stops=0 resumed=0
for round in $(seq "$rounds"); do
  ranks=$((1 + RANDOM % 4))
  signal=${signals[RANDOM % 4]}
  wait_us=$(((RANDOM * 32768 + RANDOM) % life))
  whom=$((RANDOM % 3))  # all of them, all of them twice, or one
  (train "$ranks" "$digits" --out "$out" "${often[@]}"; declare -p code ended_at said_at >"$work/ended") &
  job=$!
  # The life of a job begins where its ranks do.
  while [ -z "$(living)" ] && kill -0 $job 2>/dev/null; do :; done
  sleep "$(printf '%d.%06d' $((wait_us / 1000000)) $((wait_us % 1000000)))"
  pids=$(living | grep -v -x "$(pgrep -x mpirun | paste -sd '|' | sed 's/^$/none/')")
  [ "$whom" -eq 2 ] && pids=$(tail -n 1 <<<"$pids")
  told=$(now)
  [ -n "$pids" ] && kill -"$signal" $pids 2>/dev/null
  [ "$whom" -eq 1 ] && kill -"$signal" $pids 2>/dev/null
  wait $job
  source "$work/ended"
  name="round $round, $ranks ranks, SIG$signal to $whom after $wait_us us"
  in_time
  [ "$code" -eq 75 ] && stops=$((stops + 1))
  grep -q "resuming from step" "$work/stderr" && resumed=$((resumed + 1))
  echo "$name: $code, $(grep -o 'stopped at step [0-9]*\|before the first step' "$work/stderr" | head -n 1)"
  [ "$code" -eq 0 ] && rm -rf "$out"
done
must_train 3 "$digits" --out "$out" "${often[@]}"
equal_state "$work/quiet" "$out"
[ $((2 * stops)) -ge "$rounds" ] || fail "only $stops of $rounds signals stopped a job"
[ "$resumed" -ge 1 ] || fail "no job resumed from a stop"
echo "signals: equal weights after $stops stops"

name="--stop-after"
told=$(now)
train 2 "$digits" --out "$work/limited" "${often[@]}" --set train.epochs=300 --set "optimizer.schedule=constant {}" --stop-after 5s
[ "$code" -eq 75 ] || fail "$name: it ended with $code"
[ $((ended_at - told)) -lt 5000000 ] || fail "$name: it took $(((ended_at - told) / 1000)) ms"
once "its checkpoint is durable" || fail "$name: it does not say that it stopped"
grep -q '"exit_code": 75' "$work/limited/verdict.json" || fail "$name: not in verdict.json"
"$lockstep" verify "$work/limited" >"$work/stdout" || fail "$name: a damaged checkpoint"
echo "$name: stopped $((5000 - (ended_at - told) / 1000)) ms before"
