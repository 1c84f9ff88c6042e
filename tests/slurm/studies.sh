#!/usr/bin/env bash
# studies.sh: studies and sweeps that are submitted to a real Slurm: their jobs run to a report, and, told of their time limit, go on where
# they were when Slurm starts them again, to what they would have come to without a stop.
set -uo pipefail
source "$(dirname "$0")/../dist/common.sh"
source "$(dirname "$0")/cluster.sh"
start_cluster 2

# submitted FOLDER WORDS...: a command with --slurm; leaves the job's number in $job.
submitted() {
  local folder=$1
  shift
  "$lockstep" "$@" --out "$folder" --slurm --time 5m >"$work/stdout" 2>"$work/stderr" || fail "$name: it was not submitted"
  job=$(sed -n 's/^submitted job \([0-9]*\) .*/\1/p' "$work/stdout")
  [ -n "$job" ] || fail "$name: no number of a job is said"
  grep -qx "the report will be in $folder/report.html" "$work/stdout" || fail "$name: it is not said where the report will be"
}
logs() { cat "$1"/logs/slurm-*.out >"$work/stdout" 2>/dev/null; }
must_complete() { # FOLDER
  until_job 200 "$job" COMPLETED FAILED
  logs "$1"
  [ "$(job_state "$job")" = COMPLETED ] || fail "$name: it failed"
  [ -s "$1/report.html" ] || fail "$name: there is no report"
  [ -z "$(living)" ] || fail "$name: these live on: $(living)"
}
# until_more FOLDER COMMAND...: waits until the command prints more than 0.
until_more() {
  local folder=$1 limit=$((SECONDS + 120))
  shift
  until [ "$("$@" 2>/dev/null)" -gt 0 ] 2>/dev/null; do
    [ "$SECONDS" -lt "$limit" ] || { logs "$folder"; fail "$name: nothing has ended after so long"; }
    sleep 0.05
  done
}
# The signal of the time limit, without waiting for it; and the start that follows.
stop_and_go_on() {
  scancel --batch --signal=USR1 "$job"
  until_job 60 "$job" PENDING
  start_now "$job"
}
lines() { cat "$1" 2>/dev/null | wc -l; }

name="a submitted study"
study=(scale "$digits" --ranks 1,2 --repeats 1 --steps 40 --anyway)
submitted "$work/study" "${study[@]}"
must_complete "$work/study"
grep -qE 'all 3 runs ended with weights [0-9a-f]{16}' "$work/stdout" || fail "$name: its runs did not end with the same weights"
grep -q '"from": "' "$work/study/study.json" || fail "$name: no link was measured"
"$lockstep" "${study[@]}" --vary train.lanes=4,8 --out "$work/study" --slurm --time 5m >"$work/stdout" 2>"$work/stderr" && fail "$name: another one was taken"
has "it holds another study" || fail "$name: it is not said why another study is refused"

name="a study that is stopped"
submitted "$work/stopped" scale "$digits" --ranks 1,2 --repeats 2 --steps 3000 --anyway
until_more "$work/stopped" lines "$work/stopped/runs.jsonl"
stop_and_go_on
must_complete "$work/stopped"
has "lockstep: requeued" || fail "$name: it was not requeued"
has "going on with the study in" || fail "$name: it did not go on"
grep -qE 'all 6 runs ended with weights [0-9a-f]{16}' "$work/stdout" || fail "$name: its runs did not end with the same weights"
[ "$(python3 -c '
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
assert all(row["exit_code"] == 0 for row in rows), rows
print(len(rows), len({(row["point"], row["repeat"]) for row in rows}))' "$work/stopped/runs.jsonl")" = "8 8" ] || fail "$name: not each run was measured once"

name="a sweep that is stopped"
sweep=(tune "$digits" --over optimizer.learning_rate=1e-4,1e-3,1e-2 --search grid --set train.epochs=60)
"$lockstep" "${sweep[@]}" --parallel 1 --out "$work/quiet" >"$work/stdout" 2>"$work/stderr" || fail "$name: the quiet one failed"
submitted "$work/sweep" "${sweep[@]}"
over() { grep -cE '"state":"done"' "$work/sweep/trials.jsonl"; }
until_more "$work/sweep" over
stop_and_go_on
must_complete "$work/sweep"
has "going on with the sweep in" || fail "$name: it did not go on"
results() { python3 -c '
import json, sys
for row in map(json.loads, open(sys.argv[1])): print(row["trial"], row["settings"], row["state"], row["value"], row["weights"])' "$1/trials.jsonl"; }
[ "$(results "$work/sweep")" = "$(results "$work/quiet")" ] || fail "$name: other results than the quiet one's: $(results "$work/sweep")"

name="time that is over"
# Trials and runs stop by themselves before the end of their job, here of one that the environment tells of: that is no failure of theirs.
out_of_time() { # FOLDER WORDS...
  local folder=$1
  shift
  SLURM_JOB_ID=1 SLURM_JOB_END_TIME=$(($(date +%s) + 10)) "$lockstep" "$@" --out "$folder" >"$work/stdout" 2>"$work/stderr"
  code=$?
  [ "$code" -eq 75 ] || fail "$name: $1 ended with $code"
  grep -l '"state":"failed"\|"exit_code":75' "$folder/trials.jsonl" "$folder/runs.jsonl" 2>/dev/null && fail "$name: $1 calls it a failure"
}
out_of_time "$work/late-study" scale "$digits" --ranks 1 --repeats 1 --steps 1000000 --anyway
has "a run was stopped, and so is the study" || fail "$name: it is not said"
out_of_time "$work/late" tune "$digits" --over train.seed=1,2 --search grid --set train.epochs=100000 --set train.evaluate_every_steps=1000000 --parallel 1
grep -q '"state":"waiting"' "$work/late/trials.jsonl" || fail "$name: the trial does not wait to go on"
echo "studies: submitted, stopped and gone on from"
