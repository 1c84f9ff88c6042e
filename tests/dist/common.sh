# Sourced by the scripts of this folder, which all start real jobs: $LOCKSTEP is the binary (default: build/release/lockstep),
# $LOCKSTEP_DATA the folder of the data sets (default: ../shared/data beside the repository). Defines:
#   $root, $digits   the repository, and the recipe whose data lie in it
#   $work            a folder for this script alone, removed at its end
#   train N ARG...   a job of N ranks: `lockstep train ARG...`; see run
#   must_train, kill_at, weights, rows, same_rows, equal_state, fail, skip, has, once, gone: see there
# Scripts exit 0 where all holds, 1 where something does not, and 77 where this machine can't do what they need.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
source "$root/launch/setup.sh"
export LOCKSTEP_DATA=${LOCKSTEP_DATA:-$root/../shared/data}
lockstep=${LOCKSTEP:-$root/build/release/lockstep}
[ -x "$lockstep" ] || { echo "FAILED: there is no $lockstep: build it (launch/quickstart.sh), or set LOCKSTEP"; exit 1; }
digits=$root/examples/digits.textproto
work=$(mktemp -d "${TMPDIR:-/tmp}/lockstep-dist.XXXXXX")
trap clean_up EXIT

# A script that fails while a job runs ends the job too.
clean_up() {
  local pid
  for pid in $(living); do kill -9 "$pid"; done
  wait
  umount -l "$work"/*/ 2>/dev/null
  rm -rf "$work"
}

# Says what was expected, what the last job said, and ends the script.
fail() {
  echo "FAILED: $*"
  for file in "$work/stdout" "$work/stderr"; do
    [ -s "$file" ] && sed "s/^/  ${file##*/}: /" "$file"
  done
  exit 1
}

skip() {
  echo "SKIPPED: $*"
  exit 77
}

# run N COMMAND...: a job of N ranks (or several programs with other arguments, separated by ":" as mpirun knows them). Leaves
# $code, $work/stdout and $work/stderr; $said_at and $ended_at are when it last wrote to standard error and when it ended, in
# microseconds.
run() {
  timeout -k 5 "${LOCKSTEP_JOB_LIMIT:-300}" bash -c 'source "$0"; run_ranks "$@"' "$root/launch/setup.sh" "$@" \
    </dev/null 2>&1 >"$work/stdout" | stamp_lines >"$work/stamped"
  code=${PIPESTATUS[0]}
  ended_at=$(now)
  said_at=$(tail -n 1 "$work/stamped" | cut -d ' ' -f 1)
  cut -d ' ' -f 2- "$work/stamped" >"$work/stderr"
}

train() {
  local n=$1
  shift
  run "$n" "$lockstep" train "$@" --progress off
}

now() { echo "${EPOCHREALTIME//[^0-9]/}"; }

stamp_lines() {
  local line
  while IFS= read -r line || [ -n "$line" ]; do echo "${EPOCHREALTIME//[^0-9]/} $line"; done
}

# has TEXT: whether the last job wrote it, on either output. once TEXT: whether exactly once.
has() { grep -qF -- "$1" "$work/stdout" "$work/stderr"; }
once() { [ "$(cat "$work/stdout" "$work/stderr" | grep -oF -- "$1" | wc -l)" -eq 1 ]; }

# The processes of jobs that this script started and that still live: those with $work on their command line. (One that has
# ended, and whose parent has not looked yet, has no command line.)
living() {
  local folder words
  for folder in /proc/[0-9]*; do
    { mapfile -d '' -t words <"$folder/cmdline"; } 2>/dev/null || continue
    [[ "${words[0]-}" == */lockstep* && "${words[*]}" == *"$work"* ]] && echo "${folder#/proc/}"
  done
  return 0
}

# Whether, two seconds after the last job ended at the latest, none of its ranks lives.
gone() {
  while [ -n "$(living)" ]; do
    [ $(($(now) - ended_at)) -lt 2000000 ] || return 1
  done
}

# The weights in the last job's last line; fails where that is not a done line.
weights() {
  tail -n 1 "$work/stdout" | sed -n 's/^done .* weights=\([0-9a-f]\{16\}\) .*/\1/p' | grep . || fail "the last line is no done line"
}

# must_train N ARG...: train, which has to succeed.
must_train() {
  train "$@"
  [ "$code" -eq 0 ] || fail "lockstep train ${*:2} on $1 ranks ended with $code"
}

# kill_at STEP N ARG...: starts a job and kills its last rank when the metrics in $out say that it has come to STEP, at a moment
# that good_to_kill allows.
kill_at() {
  local step=$1 n=$2 job seen victim
  shift 2
  ( train "$n" "$@" ) &
  job=$!
  while :; do
    seen=$(tail -n 1 "$out/metrics.jsonl" 2>/dev/null | sed -n 's/.*"step":\([0-9]*\).*/\1/p')
    [ "${seen:-0}" -ge "$step" ] && good_to_kill "$seen" && break
    kill -0 $job 2>/dev/null || fail "the job ended before step $step"
  done
  victim=$(living | tail -n 1)
  [ -n "$victim" ] && kill -9 "$victim" || fail "the job ended before it was killed"
  wait $job
  ended_at=$(now)
  gone || fail "ranks live on after a kill"
}

# good_to_kill STEP: scripts may have their own.
good_to_kill() { true; }

# rows FOLDER: a run's metrics without what depends on time or on how often it was started, one line a row.
rows() {
  python3 - "$1/metrics.jsonl" <<'END'
import json, sys
for line in open(sys.argv[1]):
    row = json.loads(line)
    for name in ("attempt", "checkpoint_seconds", "data_seconds", "evaluation_seconds", "samples_per_s", "time"):
        row.pop(name, None)
    first = [name for name in ("split", "step") if name in row]
    print(*(f"{name}={row[name]!r}" for name in first + sorted(row.keys() - set(first))))
END
}

# same_rows A B: fails where two runs did not log the same.
same_rows() {
  rows "$1" >"$work/a" && rows "$2" >"$work/b" || fail "the metrics of $1 or $2 can't be read"
  [ -s "$work/a" ] || fail "$1 has no metrics"
  diff "$work/a" "$work/b" >"$work/stdout" || fail "the metrics of $1 and $2 differ"
}

# equal_state A B: fails where the newest checkpoints of two runs differ in a bit of the state.
equal_state() {
  "$lockstep" diff "$1" "$2" >"$work/stdout" 2>"$work/stderr" || fail "$1 and $2 differ"
}

# answers_at_once RUN LINE...: `predict RUN -` answers the last of the lines while the pipe that they came by stays open, and one
# more of the same.
answers_at_once() {
  local run=$1 answer again
  shift
  coproc "$lockstep" predict "$run" - 2>"$work/stderr"
  local from=${COPROC[0]} to=${COPROC[1]} pid=$COPROC_PID
  printf '%s\n' "$@" >&"$to"
  read -r -t 30 answer <&"$from" || fail "predict $run - does not answer while its input is open"
  printf '%s\n' "${@: -1}" >&"$to"
  read -r -t 30 again <&"$from" || fail "predict $run - answers one line alone"
  exec {to}>&- {from}<&-
  wait "$pid" || fail "predict $run - ended with $?"
  [ "${answer#*$'\t'}" = "${again#*$'\t'}" ] || fail "predict $run - answers a line in two ways: $answer, $again"
}

# must_call ARG...: a command without ranks that has to work, as `run` leaves things.
must_call() {
  "$lockstep" "$@" </dev/null >"$work/stdout" 2>"$work/stderr"
  code=$?
  [ "$code" -eq 0 ] || fail "lockstep $*: it ended with $code"
}
