#!/usr/bin/env bash
# slurm.sh [--rounds N]: under a real Slurm: srun with PMIx; `lockstep submit`: a job that runs, one on a node that is drained, a
# cancelled one, a chain and an array; then a job that is preempted N times in a row, and one that N time limits stop (default: 1; of
# more, also under mpirun), where every stop has to be saved, requeued, and gone on from. Weights are those of runs outside of Slurm.
set -uo pipefail
source "$(dirname "$0")/../dist/common.sh"
source "$(dirname "$0")/cluster.sh"
rounds=1
case "${1-}" in
  "") ;;
  --rounds) rounds=$2 ;;
  *) echo "usage: slurm.sh [--rounds N]"; exit 2 ;;
esac
start_cluster 2

settings=(--set train.epochs=60 --set train.evaluate_every_steps=1000000 --set checkpoint.every_steps=200)
name="the quiet run"
must_train 2 "$digits" --out "$work/quiet" "${settings[@]}"
quiet=$(weights) || { echo "$quiet"; exit 1; }

name="srun with PMIx"
srun -N1 -n2 --mpi=pmix --kill-on-bad-exit=1 "$lockstep" train "$digits" --out "$work/srun" "${settings[@]}" --progress off >"$work/stdout" 2>"$work/stderr" || fail "$name"
[ "$(weights)" = "$quiet" ] || fail "$name: other weights"

name="shells of srun"
cat >"$work/typed" <<END
[ "\$SLURM_PROCID" -eq 0 ] || exit 0 # a shell without a terminal, at its end
"$lockstep" eval "$work/quiet"
exit \$?
END
for tasks in 1 2; do
  # A terminal of its own: where there is none, srun disregards --pty.
  script -qec "srun -N1 -n$tasks --pty bash $work/typed" "$work/stdout" </dev/null >/dev/null || fail "$name of $tasks tasks"
  has "eval name=digits" || fail "$name of $tasks tasks: nothing is evaluated"
done

# submitted OUT ARG...: leaves the job's number in $job.
submitted() {
  local out=$1
  shift
  "$lockstep" submit "$digits" --out "$out" "${settings[@]}" "$@" >"$work/stdout" 2>"$work/stderr" || fail "$name: it was not submitted"
  job=$(sed -n 's/^submitted job \([0-9]*\) .*/\1/p' "$work/stdout" | head -n 1)
}
newest_step() { ls -d "$1"/checkpoints/step-*/manifest.pb 2>/dev/null | sed 's|.*/step-0*\([0-9]*\)/.*|\1|' | sort -n | tail -n 1; }
# until_checkpoint OUT STEP: waits until $job has come so far. What Slurm has stopped before, and requeued, goes on at once.
until_checkpoint() {
  local limit=$((SECONDS + 120)) step
  while step=$(newest_step "$1"); [ "${step:-0}" -lt "$2" ]; do
    [ "$SECONDS" -lt "$limit" ] || { logs "$1"; squeue -t all -j "$job" >"$work/stderr"; fail "$name: no checkpoint of step $2 after so long"; }
    if [ "$(job_state "$job")" = PENDING ] && logs "$1" && grep -q "lockstep: requeued" "$work/stdout"; then start_now "$job"; fi
    sleep 0.05
  done
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

name="a folder that is hard to write"
odd="$work/it's 100% \"odd\" #1 \$HOME hetjob"
submitted "$odd" --nodes 1 --ranks-per-node 2 --time 5m -- --comment="two words # more"
until_job 120 "$job" COMPLETED FAILED
[ "$(squeue -h -t all -o %k -j "$job")" = "two words # more" ] || fail "$name: the comment is $(squeue -h -t all -o %k -j "$job")"
must_be_done "$odd"
odd="$work/back\\slash"
submitted "$odd" --nodes 1 --ranks-per-node 1 --time 5m
until_job 120 "$job" COMPLETED FAILED
must_be_done "$odd"

name="a setup that fails"
cp "$work/config/lockstep/site.textproto" "$work/site"
echo 'setup: "no-such-module load openmpi"' >>"$work/config/lockstep/site.textproto"
submitted "$work/setup" --nodes 1 --time 5m
until_job 60 "$job" FAILED COMPLETED
logs "$work/setup"
[ "$(job_state "$job")" = FAILED ] && grep -q "the site's setup: no-such-module load openmpi ended with 127" "$work/stdout" || fail "$name: it is not said"
cp "$work/site" "$work/config/lockstep/site.textproto"

name="a killed rank in a job"
submitted "$work/killed" --nodes 1 --ranks-per-node 2 --time 5m
until_checkpoint "$work/killed" 400
for pid in $(living); do
  [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") == *" train "*"$work/killed"* ]] && [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") != *srun* ]] && kill -9 "$pid" && break
done
until_job 120 "$job" COMPLETED FAILED
must_be_done "$work/killed"
echo "$name: $(grep -h goodput: "$work/stdout")"

name="a drained node"
# The signal of the time limit, without waiting for it: Slurm's clocks count minutes.
submitted "$work/drained" --nodes 1 --ranks-per-node 2 --time 5m --set train.epochs=120
until_checkpoint "$work/drained" 400
node=$(squeue -h -o %B -j "$job")
scontrol update nodename="$node" state=drain reason=test || fail "$name: $node can't be drained"
step=$(newest_step "$work/drained")
until_checkpoint "$work/drained" $((step + 400)) # the job goes on there
scancel --batch --signal=USR1 "$job"
until_job 60 "$job" PENDING
start_now "$job"
until_job 200 "$job" COMPLETED FAILED
scontrol update nodename="$node" state=resume
must_train 2 "$digits" --out "$work/twice" "${settings[@]}" --set train.epochs=120
twice=$(weights)
logs "$work/drained"
grep -q "lockstep: ended with 75" "$work/stdout" || fail "$name: it did not end with 75"
grep -q "resuming from step" "$work/stdout" || fail "$name: it began anew"
grep -q "weights=$twice" "$work/stdout" || fail "$name: other weights"
other=$(squeue -h -t all -o %B -j "$job")
[ "$other" != "$node" ] || fail "$name: it went on there"
echo "$name: stopped on $node, went on on $other"

name="a cancelled job"
submitted "$work/cancelled" --nodes 1 --ranks-per-node 2 --time 5m
until_checkpoint "$work/cancelled" 200
scancel "$job"
until_job 60 "$job" CANCELLED
[ -z "$(living)" ] || { ended_at=$(now) && gone; } || fail "$name: these live on: $(living)"

name="a chain"
submitted "$work/chain" --nodes 1 --ranks-per-node 2 --time 5m --chain 3
until_checkpoint "$work/chain" 400
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

name="an array of values"
submitted "$work/varied" --nodes 1 --ranks-per-node 1 --time 5m --vary train.seed=1,2
until_job 200 "${job}_0" COMPLETED FAILED
until_job 200 "${job}_1" COMPLETED FAILED
for index in 0 1; do
  "$lockstep" diff "$work/seed-$((index + 1))" "$work/varied-$index" >/dev/null || fail "$name: job $index has other weights"
done

name="a study in an allocation"
study=("$lockstep" scale "$digits" --ranks 1,2 --repeats 1 --steps 40 --launcher srun --anyway --out "$work/study")
sbatch --nodes=1 --ntasks=2 --time=5 --output="$work/study.out" --wrap="$(printf '%q ' "${study[@]}")" >"$work/stdout" || fail "$name: it was not submitted"
job=$(grep -oE '[0-9]+$' "$work/stdout")
until_job 200 "$job" COMPLETED FAILED
cp "$work/study.out" "$work/stdout"
grep -qE 'all 3 runs ended with weights [0-9a-f]{16}' "$work/stdout" || fail "$name: its runs did not end with the same weights"
[ -s "$work/study/report.html" ] || fail "$name: there is no report"

# The stops of stop_often. Slurm looks at time limits twice a minute; told to warn 45 of its 60 seconds before the end, it stops a job
# within half a minute.
preempt() { srun -p high -N2 --exclusive true 2>"$work/stderr" || fail "$name: the other job did not run"; }
run_out_of_time() { until_job 120 "$job" COMPLETING PENDING; }

endless=(--set train.epochs=1000000 --set "optimizer.schedule=constant {}")
# stop_often OUT STOP ARG...: submits a job without end, and calls STOP for each of the rounds: each time its state has to be saved, and
# the next start to go on from there.
stop_often() {
  local out=$1 stop=$2 round saved resumed from=0 began=$SECONDS
  shift 2
  submitted "$out" "${endless[@]}" "$@"
  for round in $(seq "$rounds"); do
    until_checkpoint "$out" $((from + 200))
    $stop
    until_job 60 "$job" PENDING
    logs "$out"
    saved=$(sed -n 's/.*stopped at step \([0-9]*\) of .*its checkpoint is durable.*/\1/p' "$work/stdout")
    [ "$(wc -w <<<"$saved")" -ge "$round" ] || fail "$name: stop $round was not saved"
    from=$(tail -n 1 <<<"$saved")
    start_now "$job"
    until_job 60 "$job" RUNNING
  done
  until_checkpoint "$out" $((from + 200))
  scancel "$job"
  until_job 60 "$job" CANCELLED
  until [ -z "$(living)" ]; do sleep 0.1; done
  logs "$out"
  resumed=$(sed -n 's/.*resuming from step \([0-9]*\).*/\1/p' "$work/stdout")
  [ "$resumed" = "$saved" ] || fail "$name: stopped at steps $saved, but went on from $resumed"
  echo "$name: $rounds of $rounds saved, requeued and gone on from; $(newest_step "$out") steps in $((SECONDS - began)) s"
}

name="preemption"
echo "launcher: SRUN" >"$work/config/lockstep/site.textproto"
stop_often "$work/preempted" preempt --nodes 2 --ranks-per-node 1 --time 60m
# Evaluations between steps make its minute one of few steps, for the quiet run without them.
launchers=(SRUN)
[ "$rounds" -eq 1 ] || launchers+=(MPIRUN) # half a minute each
for launcher in "${launchers[@]}"; do
  name="time limits with $launcher"
  echo "launcher: $launcher" >"$work/config/lockstep/site.textproto"
  stop_often "$work/limited-$launcher" run_out_of_time --nodes 1 --ranks-per-node 2 --time 1m \
    --set train.evaluate_every_steps=4 -- --signal=B:USR1@45
done

name="equal weights"
began=$SECONDS
(LOCKSTEP_JOB_LIMIT=7200 train 2 "$digits" --out "$work/endless" "${settings[@]}" "${endless[@]}") &
quiet_run=$!
for out in "$work/preempted" "${launchers[@]/#/$work/limited-}"; do
  last=$(newest_step "$out")
  until [ "$(newest_step "$work/endless")" -ge "$last" ] 2>/dev/null; do
    kill -0 "$quiet_run" || fail "$name: the quiet run ended"
    sleep 0.1
  done
  "$lockstep" diff --certificates "$work/endless" "$out" >"$work/stdout" || fail "$name: $out and the quiet run differ"
  agreed=$(sed -n 's/^same certificate: .* to \([0-9]*\)$/\1/p' "$work/stdout")
  [ "$agreed" -gt $((last - 100)) ] || fail "$name: compared only to step $agreed of $last"
  echo "$name: $(basename "$out") and a quiet run, compared every 100 steps to $agreed"
done
kill -USR1 $(living | tail -n 1)
wait
echo "slurm: weights $quiet in every case; quiet runs in $((SECONDS - began)) s"
