#!/usr/bin/env bash
# stop.sh [--rounds N] [--seed S]: signals to stop, at moments drawn over the whole life of a job, at one rank or all, once or
# twice; each ends the job with 75 or lets it end, in time; and the weights at the end are those of the quiet run. Then
# --stop-after; then a second SIGINT in every phase, to a lone rank, to ranks under mpirun, and to lockstep run.
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

# The life of a job: the shortest of three, as a machine that is busy for a moment would put half of the signals after the end.
life=60000000
for run in quiet timed again; do
  began=$(now)
  must_train 2 "$digits" --out "$work/$run" "${often[@]}"
  took=$(($(now) - began))
  [ "$took" -ge "$life" ] || life=$took
done

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
# Many come behind the end: a job that goes on from a stop lives shorter.
[ $((4 * stops)) -ge "$rounds" ] || fail "only $stops of $rounds signals stopped a job"
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

# --- a second SIGINT, where something takes longer than a person's patience

# A step, or an evaluation, of many seconds.
cat >"$work/slow.textproto" <<END
name: "slow"
model { convnet { stages { channels: 256 } stages { channels: 256 } stages { channels: 256 } } }
data {
  train { csv { file: "$root/examples/data/digits.csv.gz" image { height: 8 width: 8 } } }
  test { csv { file: "$root/examples/data/digits.csv.gz" image { height: 8 width: 8 } } }
}
train { steps: 100 global_batch: 8 lanes: 2 precision: F32 evaluate_every_steps: 1 evaluation_block: 2048 log_every_steps: 1 }
optimizer { sgd {} learning_rate: 1e-3 }
END
# A disk on which no checkpoint becomes durable.
cat >"$work/disk.c" <<'END'
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int file) {
  char link[64], path[4096] = "";
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  if (readlink(link, path, sizeof path - 1) > 0 && strstr(path, ".shard.") && strstr(path, ".tmp")) sleep(600);
  return syscall(SYS_fsync, file);
}
END
${CC:-cc} -shared -fPIC -o "$work/disk.so" "$work/disk.c" || fail "there is no C compiler for a disk that hangs"

# The process ids that a person's Ctrl-C reaches: the supervisor, or ranks (mpirun would end them itself).
interrupted_pids() {
  if [ "$how" = run ]; then echo "$job"; else living | grep -v -x "$(pgrep -x mpirun | paste -sd '|' | sed 's/^$/none/')"; fi
}

# twice PRELOAD READY ARG...: runs a job each way there is, interrupts it when READY is true, and once more 1.1 seconds later.
twice() {
  local preload=$1 ready=$2 began
  shift 2
  for how in alone mpirun run; do
    rm -rf "$out"
    began=$(now)
    case $how in
      alone) (exec env LD_PRELOAD="$preload" "$lockstep" train "$@" --out "$out" --progress off) >"$work/stdout" 2>"$work/stderr" & ;;
      mpirun) (export LD_PRELOAD=$preload; run 2 "$lockstep" train "$@" --out "$out" --progress off; exit "$code") & ;;
      run) (exec env LD_PRELOAD="$preload" "$lockstep" run -n 2 "$@" --out "$out" --progress off) >"$work/stdout" 2>"$work/stderr" & ;;
    esac
    job=$!
    until eval "$ready" 2>/dev/null; do
      kill -0 "$job" 2>/dev/null || fail "$name, $how: it ended before: $ready"
      [ $(($(now) - began)) -lt 120000000 ] || fail "$name, $how: this takes too long: $ready"
      sleep 0.02
    done
    kill -INT $(interrupted_pids)
    sleep 1.1 # what comes within a second counts as one
    kill -0 "$job" 2>/dev/null || fail "$name, $how: it ended at the first SIGINT"
    told=$(now)
    kill -INT $(interrupted_pids)
    wait "$job"
    code=$?
    ended_at=$(now)
    [ "$code" -eq 130 ] || fail "$name, $how: it ended with $code"
    [ $((ended_at - told)) -lt 4000000 ] || fail "$name, $how: it took $(((ended_at - told) / 1000)) ms to end"
    gone || fail "$name, $how: these live on: $(living)"
    echo "a second SIGINT in $name, $how: ended after $(((ended_at - told) / 1000)) ms"
  done
}
logged() { [ -s "$out/metrics.jsonl" ]; }
saving() { ls "$out"/checkpoints/step-*/*.shard.*tmp >/dev/null; }
# What is left is a folder that a run goes on in, to the quiet run's weights.
goes_on() {
  must_train 2 "$@" --out "$work/quiet-2"
  must_train 2 "$@" --out "$out"
  equal_state "$work/quiet-2" "$out"
  rm -rf "$work/quiet-2"
}

name="a step"
twice "" logged "$work/slow.textproto" --executors 1 --set train.global_batch=1408 --set train.evaluate_every_steps=1000
name="an evaluation"
sed 's/channels: 256/channels: 512/g' "$work/slow.textproto" >"$work/slower.textproto"
evaluating() { logged && sleep 0.3; } # the row is written before the evaluation begins
twice "" evaluating "$work/slower.textproto" --executors 1
name="a checkpoint"
twice "$work/disk.so" saving "$digits" --set checkpoint.every_steps=10
goes_on "$digits" --set checkpoint.every_steps=10
name="the end"
twice "$work/disk.so" saving "$digits" --set train.epochs=2 --set checkpoint.every_steps=100000
goes_on "$digits" --set train.epochs=2 --set checkpoint.every_steps=100000
