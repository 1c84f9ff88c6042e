#!/usr/bin/env bash
# check.sh [first|second|STEP...] [--out FOLDER] [--seconds 540] [--step-seconds N] [--emulated]: shows on a machine with a GPU that
# training on it works, and what it costs, from a bundle (bundle.sh) or a build tree. Nothing but driver, toolkit and bash is needed;
# PyTorch beside it is that of $LOCKSTEP_PEER_PYTHON (default: python3). Nothing else should run on the card.
#
# Two calls have it all, each in less than --seconds, counted from its start: `first` (the default) whether training is right and
# where its time goes, `second` what is left to be shown, PyTorch with the same models, and more lanes. STEPs are some of them by name.
# The most telling steps come first; none takes longer than its limit here, or than --step-seconds.
#
# Prints a line per step: PASSED, FAILED, SKIPPED (this machine can't show it), or NOT RUN, which says nothing of it: no time was left,
# or the script was stopped. FOLDER (default: a new one in /tmp) gets three files: table.txt, these lines; section.md, the figures, to
# be appended to RESULTS.md; logs.tgz, what each step printed. They are there after a signal too.
#
# Exit code 0: whatever ran held. 1: a step failed. 3: none did, and one did not run that the call is for. 77: there is no GPU.
# --emulated: the same steps, shorter ones, on an emulated device, which tries this script and no GPU.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Name, seconds that it may take, and "must" where a call without it is not done.
first=("doctor 40 must" "rates 60 must" "conformance 150 must"
  "profile_gpt2 60 must" "profile_resnet50 60 must" "profile_resnet18 60 must"
  "train_gpt2 60 must" "train_resnet50 60 must" "train_resnet18 60 must"
  "bits_bf16 90 must" "bits_gpt 120 must"
  "mnist_bf16 60" "kill_and_resume 60" "bits_resnet 90" "options 60" "bits_f32 60" "moved_from_cpu 60" "energy 60" "nccl 90"
  "digits 90" "mnist_f32 60")
second=("nccl_self 60 must" "choices 60 must" "rates 60"
  "eager_gpt2 60 must" "train_gpt2 60" "eager_resnet50 60 must" "train_resnet50 60" "eager_resnet18 60 must" "train_resnet18 60"
  "lanes8_gpt2 60" "lanes8_resnet50 60" "lanes8_resnet18 60"
  "memcheck 90" "racecheck 90"
  "compiled_gpt2 150" "compiled_resnet50 180" "compiled_resnet18 120"
  "lanes64_gpt2 60" "lanes64_resnet50 90" "lanes64_resnet18 60")

usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d'; exit 2; }
find_line() {
  local line
  for line in "${first[@]}" "${second[@]}"; do
    [ "${line%% *}" != "$1" ] || { echo "$line"; return; }
  done
  return 1
}
out="" emulated="" seconds=540 step_seconds=600 step="" steps=()
while [ $# -gt 0 ]; do
  case $1 in
    --out | --seconds | --step-seconds | --step) [ $# -gt 1 ] || usage ;;&
    --out) out=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --step-seconds) step_seconds=$2; shift ;;
    --step) step=$2; shift ;;  # runs one, in this process
    --emulated) emulated=1 ;;
    first) steps+=("${first[@]}") ;;
    second) steps+=("${second[@]}") ;;
    *)
      line=$(find_line "$1") || usage
      steps+=("$line")
      ;;
  esac
  shift
done
[ ${#steps[@]} -gt 0 ] || steps=("${first[@]}")
LOCKSTEP=${LOCKSTEP:-$here/../../build/release/lockstep}
if [ -n "$emulated" ]; then
  LOCKSTEP_CUDA_LIBRARY=$(dirname "$LOCKSTEP")/liblockstep_cuda_emulated.so
  export LOCKSTEP_CUDA_LIBRARY
fi
if [ -n "$step" ]; then
  source "$here/../dist/common.sh"
  source "$here/check/correctness.sh"
  source "$here/check/speed.sh"
  run_step "$step"
  exit 0
fi

# --- all of them

export LOCKSTEP_LIBRARIES_BEFORE=${LD_LIBRARY_PATH:-}  # PyTorch brings its own
source "$here/env.sh"
for program in lockstep gpu_bench gpu_conformance_test; do
  program=$(dirname "$LOCKSTEP")/$program
  [ -x "$program" ] || { echo "FAILED: there is no $program: build it, or set LOCKSTEP"; exit 1; }
done
told=$("$LOCKSTEP" doctor 2>&1)
grep -q '^GPU [0-9]' <<<"$told" || { echo "SKIPPED: $(grep '^GPU' <<<"$told")"; exit 77; }
out=${out:-$(mktemp -d "${TMPDIR:-/tmp}/lockstep-check.XXXXXX")}
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1

# Checkpoints of gigabytes are written to memory where it is there.
if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ]; then
  read -r blocks block < <(stat -f -c '%a %S' /dev/shm)
  [ $((blocks * block >> 30)) -lt 8 ] || export TMPDIR=/dev/shm
fi
temporary=$(mktemp -d "${TMPDIR:-/tmp}/lockstep-check-work.XXXXXX")
logs=$temporary/logs
mkdir "$logs"
export LOCKSTEP_FIGURES=$logs/figures.txt
: >"$LOCKSTEP_FIGURES"
: >"$out/table.txt"

# What the end takes, and what a step needs to be worth its start: 9 and 10 s of 540.
spare=$(((seconds + 59) / 60)) least=$((seconds / 50))
passed=0 skipped=0 failed=0 undone=0 not_run=() child="" stopped=""

say() { tee -a "$out/table.txt"; }
pack() { tar czf "$temporary/logs.tgz" -C "$temporary" logs && mv "$temporary/logs.tgz" "$out/logs.tgz"; }
finish() {
  trap '' TERM INT HUP
  source "$here/check/section.sh"
  print_section "$logs" >"$out/section.md" 2>"$logs/section.log"
  pack
  rm -rf "$temporary"
}
stop() {
  stopped=$1
  [ -z "$child" ] || kill "$child" 2>/dev/null
}
trap 'stop SIGTERM' TERM
trap 'stop SIGINT' INT
trap 'stop SIGHUP' HUP
trap finish EXIT

# run_one NAME LIMIT: leaves $code. A signal stops it, and not before its end is there.
run_one() {
  local options=()
  [ -z "$emulated" ] || options=(--emulated)
  mkdir "$temporary/step"
  TMPDIR=$temporary/step LOCKSTEP_JOB_LIMIT=$(($2 > 6 ? $2 - 3 : $2)) timeout -k "$(((spare + 1) / 2))" "$2" \
    "$BASH" "$here/check.sh" --step "$1" "${options[@]}" >"$logs/$1.log" 2>&1 </dev/null &
  child=$!
  code=""
  while [ -z "$code" ] || kill -0 "$child" 2>/dev/null; do
    wait "$child"
    code=$?
  done
  child=""
  rm -rf "$temporary/step"
}

# judge NAME LIMIT MOST TOOK: what $code and the log say, in $verdict and $why.
judge() {
  local error
  why=$(grep -E '^(FAILED|SKIPPED): ' "$logs/$1.log" | tail -n 1)
  case $code in
    0) verdict=PASSED why="" && return ;;
    77) verdict=SKIPPED why=${why#SKIPPED: } && return ;;
  esac
  if [ -n "$stopped" ]; then
    verdict="NOT RUN" why="stopped by $stopped after $4 s"
  elif [ "$2" -lt "$3" ] && [ "$4" -ge $(($2 - 4)) ] && { [ "$code" -ge 124 ] || [ "$2" -gt 6 ]; }; then
    verdict="NOT RUN" why="cut off after $4 s, when the time was over"
  elif [ "$code" -eq 124 ] || [ "$code" -eq 137 ]; then
    verdict=FAILED why="not done after $2 s"
  else
    # The program's own word says more than the script's.
    error=$(grep -oE 'lockstep: error: .*' "$logs/$1.log" | head -n 1)
    verdict=FAILED why=${error:-${why#FAILED: }} why=${why:-it ended with $code}
  fi
}

grep -E '^(lockstep|host|CUDA|GPU)' <<<"$told"
for line in "${steps[@]}"; do
  read -r name most must <<<"$line"
  most=$((most < step_seconds ? most : step_seconds))
  left=$((seconds - spare - SECONDS))
  limit=$((left < most ? left : most))
  step_at=${EPOCHREALTIME//[^0-9]/}
  if [ -n "$stopped" ]; then
    verdict="NOT RUN" why="stopped by $stopped"
  elif [ $left -lt $least ] || [ $left -lt 1 ]; then
    verdict="NOT RUN" why="no time was left for it"
  else
    run_one "$name" "$limit"
    judge "$name" "$limit" "$most" $(((${EPOCHREALTIME//[^0-9]/} - step_at) / 1000000))
    pack
  fi
  case $verdict in
    PASSED) passed=$((passed + 1)) ;;
    SKIPPED) skipped=$((skipped + 1)) ;;
    FAILED) failed=$((failed + 1)) ;;
    *) not_run+=("$name: $why"); [ -z "$must" ] || undone=$((undone + 1)) ;;
  esac
  tenths=$(((${EPOCHREALTIME//[^0-9]/} - step_at) / 100000))
  printf '%-8s %6d.%d s  %-18s %s\n' "$verdict" $((tenths / 10)) $((tenths % 10)) "$name" "$why" | sed 's/ *$//' | say
done
{
  echo "$passed passed, $skipped skipped, $failed failed, ${#not_run[@]} not run, $SECONDS s"
  [ ${#not_run[@]} -eq 0 ] || printf 'not run: %s\n' "${not_run[@]}"
  [ $undone -eq 0 ] || echo "$undone of them are what the call is for: make another with more time"
} | say
echo "files: $out"
[ $failed -eq 0 ] || exit 1
[ $undone -eq 0 ] || exit 3
exit 0
