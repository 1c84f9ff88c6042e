#!/usr/bin/env bash
# cores.sh: which cores the executors of real ranks run on, as Linux says; and that bits don't depend on it.
# $LOCKSTEP_LARGER_MACHINE: larger_machine.cc, built (default: beside the binary's tests).
set -uo pipefail
source "$(dirname "$0")/common.sh"
[ "$(nproc)" -ge 2 ] || skip "it needs two cores"

# executors: a line "PID CORES" for each thread of an executor of the running job, team members included.
executors() {
  local pid task name
  for pid in $(living); do
    for task in /proc/"$pid"/task/*; do
      { read -r name <"$task/comm"; } 2>/dev/null || continue
      [[ $name == executor-* ]] && echo "$pid $(awk '/^Cpus_allowed_list/ { print $2 }' "$task/status")"
    done
  done
}

through=()

# watch THREADS N ARG...: trains on N ranks, started through the command in $through, and leaves in $seen what `executors` says
# once there are so many THREADS.
watch() {
  local threads=$1 n=$2 job
  shift 2
  rm -rf "$work/run"
  (
    run "$n" "${through[@]}" "$lockstep" train "$digits" --progress off --out "$work/run" --set train.epochs=20 "$@"
    declare -p code ended_at said_at >"$work/ended"
  ) &
  job=$!
  while seen=$(executors); [ "$(grep -c . <<<"$seen")" -lt "$threads" ]; do
    kill -0 $job 2>/dev/null || fail "$name: the job ended before it had $threads threads"
  done
  wait $job
  source "$work/ended"
  [ "$code" -eq 0 ] || fail "$name: it ended with $code"
}

larger_machine=${LOCKSTEP_LARGER_MACHINE:-$(dirname "$lockstep")/tests/dist/liblarger_machine.so}
[ -f "$larger_machine" ] || fail "there is no $larger_machine"
cores=$(nproc)
name="two ranks on one mask, which is a part of the machine"
through=(env "LD_PRELOAD=$larger_machine")
watch 2 2 --executors 1
through=()
pinned=$(weights)
[ "$(cut -d ' ' -f 2 <<<"$seen" | sort -u | wc -l)" -eq 2 ] || fail "$name: both run on the same cores: $seen"
[ "$(grep -c '[-,]' <<<"$seen")" -eq 0 ] || fail "$name: an executor has more than a core: $seen"
once "; pinned: rank 0 to " || fail "$name: the note does not say where they are pinned"
echo "$name: $(tr '\n' ' ' <<<"$seen")"

name="two ranks on the whole machine"
watch 2 2 --executors 1
[ "$(weights)" = "$pinned" ] || fail "$name: other weights than pinned"
! has "; pinned" || fail "$name: the note says pinned"
[ "$(cut -d ' ' -f 2 <<<"$seen" | sort -u | wc -l)" -eq 1 ] || fail "$name: $seen"
echo "$name: $(tr '\n' ' ' <<<"$seen")"

name="a team"
export LOCKSTEP_PIN=always
watch 2 1 --executors 1 --set train.lane_threads=2
[ "$(cut -d ' ' -f 2 <<<"$seen" | sort -u | wc -l)" -eq 1 ] || fail "$name: its threads have different cores: $seen"
grep -q ' [0-9]*[-,][0-9]*$' <<<"$seen" || fail "$name: not two cores: $seen"
echo "$name: $(tr '\n' ' ' <<<"$seen")"
unset LOCKSTEP_PIN

name="more ranks than cores"
first=$(taskset -cp $$ | sed 's/.*: *//; s/[-,].*//')
run 2 taskset -c "$first" "$lockstep" train "$digits" --progress off --out "$work/crowded" \
  --set train.epochs=2
[ "$code" -eq 0 ] || fail "$name: it ended with $code"
once "ranks share cores" || fail "$name: no warning"
! has "; pinned" || fail "$name: they are pinned onto one core"
has "2 ranks, 1 of " || fail "$name: the note does not say 1 core"

name="variables that tie OpenMP's threads"
for setting in OMP_PROC_BIND=true OMP_PLACES=cores GOMP_CPU_AFFINITY=0; do
  export "${setting?}"
  must_train 2 "$digits" --out "$work/$setting" --set train.epochs=2
  unset "${setting%%=*}"
  has "2 ranks, $cores of " || fail "$name: with $setting it does not use $cores cores"
  once "$setting" || fail "$name: $setting is not named once"
done
echo "$name: named, and not followed"
