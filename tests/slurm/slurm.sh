#!/usr/bin/env bash
# slurm.sh: under a real Slurm: srun with PMIx; `lockstep submit`: a job that runs, one that is stopped by its time limit and requeued,
# one that is preempted, a cancelled one, a chain and an array. Weights are those of the run outside of Slurm.
set -uo pipefail
source "$(dirname "$0")/../dist/common.sh"
source "$(dirname "$0")/cluster.sh"
start_cluster 2

settings=(--set train.epochs=60 --set train.evaluate_every_steps=1000000 --set checkpoint.every_steps=200)
name="the quiet run"
must_train 2 "$digits" --out "$work/quiet" "${settings[@]}"
quiet=$(weights) || { echo "$quiet"; exit 1; }

name="srun with PMIx"
srun -N1 -n2 --mpi=pmix --kill-on-bad-exit=1 "$lockstep" train "$digits" --out "$work/srun" "${settings[@]}" --progress off >"$work/stdout" 2>"$work/stderr" || fail "$name"
[ "$(weights)" = "$quiet" ] || fail "$name: other weights"

# submitted OUT ARG...: leaves the job's number in $job.
submitted() {
  local out=$1
  shift
  "$lockstep" submit "$digits" --out "$out" "${settings[@]}" "$@" >"$work/stdout" 2>"$work/stderr" || fail "$name: it was not submitted"
  job=$(sed -n 's/^submitted job \([0-9]*\) .*/\1/p' "$work/stdout" | head -n 1)
}
logs() { cat "$1"/logs/slurm-*.out >"$work/stdout" 2>/dev/null; }
must_be_done() { # OUT
  logs "$1"
  grep -q "weights=$quiet" "$work/stdout" || fail "$name: no done line with the quiet run's weights"
  "$lockstep" diff "$work/quiet" "$1" >/dev/null || fail "$name: another state than the quiet run's"
  [ -z "$(living)" ] || fail "$name: these live on: $(living)"
}

name="a submitted job"
for launcher in SRUN MPIRUN; do
  export XDG_CONFIG_HOME=$work/config
  mkdir -p "$work/config/lockstep"
  echo "launcher: $launcher setup: \"export LOCKSTEP_SITE_SEEN=1\"" >"$work/config/lockstep/site.textproto"
  submitted "$work/job-$launcher" --nodes 1 --ranks-per-node 2 --cpus-per-rank 1 --time 5m
  until_job 120 "$job" COMPLETED FAILED
  must_be_done "$work/job-$launcher"
  "$lockstep" status "$work/job-$launcher" --json | grep -q '"state": "done"' || fail "$name: status"
  echo "$name with $launcher: $(grep -h goodput: "$work/stdout")"
done

name="a killed rank in a job"
submitted "$work/killed" --nodes 1 --ranks-per-node 2 --time 5m
until [ -e "$work/killed/checkpoints/step-00000400/manifest.pb" ]; do sleep 0.05; done
for pid in $(living); do
  [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") == *" train "*"$work/killed"* ]] && [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") != *srun* ]] && kill -9 "$pid" && break
done
until_job 120 "$job" COMPLETED FAILED
must_be_done "$work/killed"
echo "$name: $(grep -h goodput: "$work/stdout")"

name="a stop and a requeue"
# The signal of the time limit, without waiting for it: Slurm's clocks count minutes.
submitted "$work/requeued" --nodes 1 --ranks-per-node 2 --time 5m
until [ -e "$work/requeued/checkpoints/step-00000400/manifest.pb" ]; do sleep 0.05; done
scancel --batch --signal=USR1 "$job"
until_job 60 "$job" PENDING
logs "$work/requeued"
grep -q "lockstep: ended with 75" "$work/stdout" || fail "$name: it did not end with 75"
start_now "$job"
until_job 200 "$job" COMPLETED FAILED
must_be_done "$work/requeued"
grep -q "resuming from step" "$work/stdout" || fail "$name: it began anew"

name="preemption"
submitted "$work/preempted" --nodes 2 --ranks-per-node 1 --time 5m
until [ -e "$work/preempted/checkpoints/step-00000400/manifest.pb" ]; do sleep 0.05; done
srun -p high -N2 --exclusive true || fail "$name: the other job did not run"
until_job 60 "$job" PENDING RUNNING COMPLETED
start_now "$job"
until_job 200 "$job" COMPLETED FAILED
must_be_done "$work/preempted"
grep -q "resuming from step" "$work/stdout" || fail "$name: it was not preempted"

name="a cancelled job"
submitted "$work/cancelled" --nodes 1 --ranks-per-node 2 --time 5m
until [ -e "$work/cancelled/checkpoints/step-00000200/manifest.pb" ]; do sleep 0.05; done
scancel "$job"
until_job 60 "$job" CANCELLED
[ -z "$(living)" ] || { ended_at=$(now) && gone; } || fail "$name: these live on: $(living)"

name="a chain"
submitted "$work/chain" --nodes 1 --ranks-per-node 2 --time 5m --chain 3
until [ -e "$work/chain/checkpoints/step-00000400/manifest.pb" ]; do sleep 0.05; done
scancel --batch --signal=USR1 "$job"
until_job 60 "$job" FAILED
until_job 120 "$((job + 2))" COMPLETED
must_be_done "$work/chain"
grep -q "the chain has ended before" "$work/stdout" || fail "$name: the third job had work"

name="a job array"
submitted "$work/array-%a" --nodes 1 --ranks-per-node 1 --time 5m --set train.seed=%a -- --array=1-2
until_job 200 "${job}_1" COMPLETED FAILED
until_job 200 "${job}_2" COMPLETED FAILED
for seed in 1 2; do
  must_train 2 "$digits" --out "$work/seed-$seed" "${settings[@]}" --set train.seed=$seed
  "$lockstep" diff "$work/seed-$seed" "$work/array-$seed" >/dev/null || fail "$name: job $seed has other weights"
done

if [ -n "${LOCKSTEP_LONG_TESTS:-}" ]; then
  name="a real time limit"
  submitted "$work/limited" --nodes 1 --ranks-per-node 2 --time 1m --set train.epochs=4000
  until_job 60 "$job" RUNNING
  until_job 200 "$job" PENDING
  logs "$work/limited"
  grep -q "its checkpoint is durable" "$work/stdout" || fail "$name: it did not save"
  echo "$name: saved in time at step $(ls "$work/limited/checkpoints" | tail -n 1)"
  scancel "$job"
else
  echo "SKIPPED: a real time limit (a minute at least): set LOCKSTEP_LONG_TESTS"
fi
echo "slurm: weights $quiet in every case"
