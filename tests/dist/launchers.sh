#!/usr/bin/env bash
# launchers.sh: `lockstep run` where the launcher, or the program itself, is not what it should be: an mpirun that hangs, that can't start
# ranks, that is deaf when the supervisor is killed; too few open files; no mpirun at all; a program that was installed anew meanwhile; an
# interactive srun. Nothing hangs, what is wrong is said, and nothing is left.
set -uo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/supervised.sh"

settings=(--set train.epochs=60 --set train.evaluate_every_steps=1000000 --set checkpoint.every_steps=200 --progress off)
out=$work/out
mkdir "$work/bin" "$work/none"
for program in bash sh env sleep; do ln -s "$(command -v $program)" "$work/none/"; done

# supervise COMMAND...: in the background; $supervisor is its process.
supervise() {
  "$@" </dev/null >"$work/stdout" 2>"$work/stderr" &
  supervisor=$!
  began=$(now)
}
# An mpirun that does what the lines on standard input say.
fake_mpirun() {
  { echo '#!/bin/bash'; echo '[ "$1" != --version ] || { echo "mpirun (Open MPI) 4.1.4"; exit 0; }'; cat; } >"$work/bin/mpirun"
  chmod +x "$work/bin/mpirun"
}
within() { # SECONDS
  [ $((ended_at - began)) -lt "$1"000000 ] || fail "$name: only after $(((ended_at - began) / 1000)) ms"
}
fakes() { pgrep -f "$work/[b]in/mpirun"; }
no_fakes() { ! fakes >/dev/null; }

name="one rank without mpirun"
supervise env PATH="$work/none" "$lockstep" run -n 1 "$digits" --out "$work/quiet" "${settings[@]}"
ended
[ "$code" -eq 0 ] || fail "$name: it ended with $code"
quiet=$(weights) || { echo "$quiet"; exit 1; }
supervise env PATH="$work/none" "$lockstep" run -n 2 "$digits" --out "$out" "${settings[@]}"
ended
[ "$code" -eq 2 ] && has "there is no mpirun" || fail "$name: two ended with $code"
supervise env PATH="$work/none" "$lockstep" run -n 1 "$digits" --out "$out" "${settings[@]}"
until_true committed 400
kill -9 "$(pgrep -P "$supervisor" -f " train .*$out")"
ended
[ "$code" -eq 0 ] && has "rank 0 on $(hostname) was killed (signal 9" || fail "$name: killed, it ended with $code"
[ "$(weights)" = "$quiet" ] || fail "$name: other weights after a kill"
gone || fail "$name: these live on: $(living)"

name="a shell of srun"
step=(env SLURM_JOB_ID=1 SLURM_STEP_ID=0 SLURM_PROCID=0)
for tasks in "SLURM_STEP_NUM_TASKS=1" "SLURM_STEP_NUM_TASKS=1 PMIX_RANK=0 PMIX_NAMESPACE=slurm.pmix.1.0" "SLURM_STEP_NUM_TASKS=4 SLURM_PTY_PORT=1"; do
  # shellcheck disable=SC2086
  supervise "${step[@]}" $tasks OPAL_PREFIX=/nowhere "$lockstep" eval "$work/quiet"
  ended
  [ "$code" -eq 0 ] || fail "$name: with $tasks eval ended with $code"
done

name="too few open files"
supervise bash -c 'ulimit -n 32; exec "$@"' bash "$lockstep" run -n 2 "$digits" --out "$work/few" "${settings[@]}"
ended
within 10
[ "$code" -eq 2 ] && once "32 open files are too few" || fail "$name: it ended with $code"
supervise bash -c 'ulimit -Sn 32; exec "$@"' bash "$lockstep" run -n 2 "$digits" --out "$work/few" "${settings[@]}"
ended
[ "$code" -eq 0 ] && [ "$(weights)" = "$quiet" ] || fail "$name: where the limit can be raised, it ended with $code"

name="a launcher that complains and hangs"
fake_mpirun <<'END'
echo "[h:1] [[2,0],0] ORTE_ERROR_LOG: The system limit on number of pipes a process can open was reached" >&2
while :; do sleep 0.1; done
END
supervise env PATH="$work/bin:$PATH" "$lockstep" run -n 2 "$digits" --out "$work/hung" "${settings[@]}" --max-restarts 0
ended
within 40
[ "$code" -eq 6 ] && has "mpirun had not brought its ranks together" || fail "$name: it ended with $code"
has "The system limit on number of pipes" || fail "$name: its words are not shown"
no_fakes || fail "$name: it lives on"

name="a stop that reaches no rank"
fake_mpirun <<'END'
trap '' USR1 TERM
while :; do sleep 0.1; done
END
supervise env PATH="$work/bin:$PATH" "$lockstep" run -n 2 "$digits" --out "$work/hung" "${settings[@]}"
until_true fakes >/dev/null
kill -TERM "$supervisor"
ended
within 15
[ "$code" -eq 75 ] || fail "$name: it ended with $code"
no_fakes || fail "$name: it lives on"

name="kill -9 of a supervisor whose launcher is deaf"
supervise env PATH="$work/bin:$PATH" "$lockstep" run -n 2 "$digits" --out "$work/hung" "${settings[@]}"
until_true fakes >/dev/null
kill -9 "$supervisor"
ended 2>/dev/null
until no_fakes; do
  [ $(($(now) - ended_at)) -lt 10000000 ] || fail "$name: it lives on"
  sleep 0.05
done

name="kill -9 of a supervisor at any moment of the start"
for ((i = 0; i < ${ROUNDS:-30}; ++i)); do
  rm -rf "$work/early"
  supervise "$lockstep" run -n 3 "$digits" --out "$work/early" "${settings[@]}"
  sleep "0.$(printf %03d $((RANDOM % 250)))"
  kill -9 "$supervisor"
  ended 2>/dev/null
  until [ -z "$(living)$(pgrep -f "^mpirun .*$work/[e]arly")" ]; do
    [ $(($(now) - ended_at)) -lt 10000000 ] || fail "$name: these live on: $(living) $(pgrep -f "^mpirun .*$work/[e]arly")"
    sleep 0.05
  done
done

name="codes of the launcher's own"
fake_mpirun <<'END'
echo "mpirun was unable to find the specified executable file, and therefore did not launch the job." >&2
exit 132
END
supervise env PATH="$work/bin:$PATH" "$lockstep" run -n 2 "$digits" --out "$work/codes" "${settings[@]}" --max-restarts 0
ended
has "mpirun ended with exit code 132" && ! has "signal 4" || fail "$name: it is taken for a signal"
has "unable to find the specified executable" || fail "$name: its words are not shown"

name="a program installed anew"
for link in "" current/; do
  rm -rf "$out" "$work/install"
  mkdir -p "$work/install/1"
  ln -s 1 "$work/install/current"
  cp "$lockstep" "$work/install/1/lockstep"
  supervise "$work/install/${link:-1/}lockstep" run -n 2 "$digits" --out "$out" "${settings[@]}"
  until_true committed 400
  if [ -n "$link" ]; then # the old folder goes, and the link leads to a new one
    cp -r "$work/install/1" "$work/install/2" && ln -sfn 2 "$work/install/current" && rm -r "$work/install/1"
  else
    cp "$lockstep" "$work/install/new" && mv "$work/install/new" "$work/install/1/lockstep"
  fi
  kill -9 "$(pgrep -P "$supervisor" -x mpirun)"
  ended
  [ "$code" -eq 0 ] && has "; restart 1 on" || fail "$name: it ended with $code"
  [ "$(weights)" = "$quiet" ] || fail "$name: other weights"
done

name="options that don't exist"
supervise "$lockstep" run --rankfile hosts -n 2 "$digits" --out "$out"
ended
[ "$code" -eq 2 ] && has "--rankfile" || fail "$name: it ended with $code"

echo "launchers: weights $quiet in every case"
