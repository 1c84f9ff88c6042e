#!/usr/bin/env bash
# run.sh: `lockstep run` with real mpirun: kills of ranks, of mpirun and of the supervisor, stops, failures that come again, giving up.
# Whatever happens, the weights are the quiet run's, and no process is left.
set -uo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/supervised.sh"

settings=(--set train.epochs=60 --set train.evaluate_every_steps=1000000 --set checkpoint.every_steps=200 --progress off)
out=$work/out

# supervise ARG...: lockstep run in the background; $supervisor is its process.
supervise() {
  "$lockstep" run "$@" </dev/null >"$work/stdout" 2>"$work/stderr" &
  supervisor=$!
  began=$(now)
}

mpirun_of() { pgrep -P "$supervisor" -x mpirun; }
rank_of() { # RANK
  local pid
  for pid in $(pgrep -P "$(mpirun_of)"); do
    tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -qx "OMPI_COMM_WORLD_RANK=$1" && echo "$pid" && return
  done
  return 1
}
must_equal() {
  [ "$code" -eq 0 ] || fail "$name: it ended with $code"
  [ "$(weights)" = "$quiet" ] || fail "$name: other weights than the quiet run's"
  gone || fail "$name: these live on: $(living)"
  echo "$name: $(grep goodput: "$work/stderr")"
  equal_state "$work/quiet" "$out"
}

name="the quiet run"
supervise -n 2 "$digits" --out "$work/quiet" "${settings[@]}"
ended
quiet=$(weights) || { echo "$quiet"; exit 1; }
once "goodput: " || fail "$name: no line on goodput"

name="kill -9 of a rank"
for rank in 0 2; do
  rm -rf "$out"
  supervise -n 3 "$digits" --out "$out" "${settings[@]}"
  until_true committed 400
  kill -9 "$(rank_of "$rank")"
  ended
  has "rank $rank on $(hostname) was killed (signal 9" || fail "$name: it is not said which"
  has "resuming from step" || fail "$name: it did not resume"
  has "2 starts, 1 restart (1 killed rank on $(hostname): " || fail "$name: the line on goodput"
  ! has "mpirun noticed" || fail "$name: mpirun is heard"
  must_equal
done

name="kill -9 of mpirun"
rm -rf "$out"
supervise -n 3 "$digits" --out "$out" "${settings[@]}"
until_true committed 400
until_true rank_of 2 >/dev/null
mpirun=$(mpirun_of)
sessions=$(ls -d /tmp/ompi.*/pid."$mpirun" 2>/dev/null)
kill -9 "$mpirun"
ended
has "1 killed mpirun on $(hostname)" || fail "$name: the line on goodput"
must_equal
[ -n "$sessions" ] || echo "note: mpirun has no session folder here"
for folder in $sessions; do [ ! -e "$folder" ] || fail "$name: $folder is left"; done

name="kill -9 of the supervisor"
rm -rf "$out"
supervise -n 3 "$digits" --out "$out" "${settings[@]}"
until_true committed 400
kill -9 "$supervisor"
ended 2>/dev/null
gone || fail "$name: ranks live on: $(living)"
supervise -n 2 "$digits" --out "$out" "${settings[@]}"
ended
has "resuming from step" || fail "$name: the next run did not resume"
must_equal

name="a signal"
for signal in TERM INT USR1 USR2; do
  rm -rf "$out"
  supervise -n 2 "$digits" --out "$out" "${settings[@]}"
  until_true committed 400
  kill -"$signal" "$supervisor"
  ended
  [ "$code" -eq 75 ] || fail "$name: after SIG$signal it ended with $code"
  gone || fail "$name: ranks live on: $(living)"
  [ "$("$lockstep" status "$out" --json | sed -n 's/.*"state": "\(.*\)".*/\1/p')" = stopped ] || fail "$name: status"
  supervise -n 3 "$digits" --out "$out" "${settings[@]}"
  ended
  must_equal
done

name="a second SIGINT"
rm -rf "$out"
supervise -n 2 "$digits" --out "$out" "${settings[@]}"
until_true committed 400
kill -STOP "$(rank_of 1)" # it can't save
kill -INT "$supervisor"
until_true has "asked to stop"
sleep 0.3 # a person's second Ctrl-C; at once it could be the same one
kill -INT "$supervisor"
ended
[ "$code" -eq 130 ] || fail "$name: it ended with $code"
gone || fail "$name: ranks live on: $(living)"
[ $((ended_at - began)) -lt 60000000 ] || fail "$name: only after $((ended_at - began)) us"

name="bad input"
supervise -n 2 "$digits" --out "$out" "${settings[@]}" --set data.train.csv.file=/nonexistent
ended
[ "$code" -eq 2 ] || [ "$code" -eq 3 ] || fail "$name: it ended with $code"
once "lockstep: error:" || fail "$name: not one error"
! has "; restart " || fail "$name: it was tried again"
supervise -n 200 "$digits" --out "$out" "${settings[@]}"
ended
[ "$code" -eq 2 ] || fail "$name: 200 ranks: it ended with $code"

name="giving up"
rm -rf "$out"
mkdir "$work/bin"
# An mpirun whose ranks never get anywhere.
cat >"$work/bin/mpirun" <<'END'
#!/bin/sh
[ "$1" != --version ] || { echo "mpirun (Open MPI) 4.1.4"; exit 0; }
echo >>"$STARTS"
exit 137
END
chmod +x "$work/bin/mpirun"
STARTS=$work/starts PATH=$work/bin:$PATH supervise -n 2 "$digits" --out "$out" "${settings[@]}"
ended
[ "$code" -eq 6 ] || fail "$name: it ended with $code"
[ "$(wc -l <"$work/starts")" -eq 3 ] || fail "$name: after $(wc -l <"$work/starts") starts"
once "lockstep: error:" && has "gave up" || fail "$name: it is not said"

name="a launcher that says 0 and has run nothing"
rm -f "$work/starts"
sed -i "s/^exit .*/exit 0/" "$work/bin/mpirun"
STARTS=$work/starts PATH=$work/bin:$PATH supervise -n 2 "$digits" --out "$out" "${settings[@]}"
ended
[ "$code" -eq 6 ] && has "the run is not done" || fail "$name: it ended with $code"

name="exit codes"
for wanted in 2 3 4 5; do
  rm -f "$work/starts"
  sed -i "s/^exit .*/exit $wanted/" "$work/bin/mpirun"
  STARTS=$work/starts PATH=$work/bin:$PATH supervise -n 2 "$digits" --out "$out" "${settings[@]}"
  ended
  [ "$code" -eq "$wanted" ] && [ "$(wc -l <"$work/starts")" -eq 1 ] || fail "$name: $wanted became $code"
done
name="another job between two starts"
rm -rf "$out" "$work/starts"
# The first start dies at once. The second one comes when somebody else works in the folder.
cat >"$work/bin/mpirun" <<END
#!/bin/sh
PATH=${PATH#"$work/bin:"}
[ "\$1" != --version ] || exec mpirun --version
echo >>"$work/starts"
[ "\$(wc -l <"$work/starts")" -gt 1 ] || exit 137
until [ -e "$out/lease.json" ]; do sleep 0.05; done
exec mpirun "\$@"
END
PATH=$work/bin:$PATH supervise -n 2 "$digits" --out "$out" "${settings[@]}"
until_true [ -e "$work/starts" ]
"$lockstep" train "$digits" --out "$out" "${settings[@]}" --set train.epochs=100000 >"$work/other.stdout" 2>"$work/other.stderr" &
other=$!
ended
[ "$code" -eq 2 ] || fail "$name: it ended with $code"
once "another job is running in this folder" || fail "$name: it does not say so"
[ "$(wc -l <"$work/starts")" -eq 2 ] || fail "$name: it was tried again"
kill -TERM "$other" || fail "$name: the other job was hurt"
wait "$other"
[ $? -eq 75 ] && grep -q "its checkpoint is durable" "$work/other.stderr" || fail "$name: the other job: $(tail -n 1 "$work/other.stderr")"
grep -q '"exit_code": 75' "$out/verdict.json" || fail "$name: the verdict is not that of the job that had the folder"
echo "$name: $(grep "another job" "$work/stderr")"
echo "lockstep run: weights $quiet in every case"
