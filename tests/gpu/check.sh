#!/usr/bin/env bash
# check.sh [--out FOLDER] [--emulated] [--only STEP[,STEP...]] [--seconds 470]: shows on a machine with a GPU that training on it
# works, in under eight minutes, from a bundle (bundle.sh) or a build tree. Nothing but driver, toolkit and bash is needed.
#
# Prints a line per step, PASSED, FAILED or SKIPPED, with its seconds and in the latter cases why, and goes on after a failure. Every
# step's output is FOLDER/STEP.log (default: a new folder in /tmp). Exit code 0 where no step failed, 1 where one did, 77 where there
# is no GPU. --emulated: the same steps, shorter ones, on an emulated device, which tries this script and no GPU. Steps that --seconds
# leave no time for count as failed.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

steps=(doctor conformance bits_f32 bits_bf16 bits_resnet options nccl digits mnist_f32 mnist_bf16 kill_and_resume moved_from_cpu energy
  memcheck racecheck)
out="" emulated="" only="" seconds=470 step=""
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$2; shift ;;
    --only) only=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --emulated) emulated=1 ;;
    --step) step=$2; shift ;;  # runs one, in this process
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d'; exit 2 ;;
  esac
  shift
done
LOCKSTEP=${LOCKSTEP:-$here/../../build/release/lockstep}
if [ -n "$emulated" ]; then
  LOCKSTEP_CUDA_LIBRARY=$(dirname "$LOCKSTEP")/liblockstep_cuda_emulated.so
  export LOCKSTEP_CUDA_LIBRARY
fi
source "$here/env.sh"

# --- the steps: each is a process of its own, which ends with 0, with 77 after "SKIPPED: why", or with 1 after "FAILED: why"

# What a short run of digits is.
set_short() {
  local n=200
  [ -z "$emulated" ] || n=8
  short=(--set train.device=GPU --set train.epochs=0 --set "train.steps=$n" --set train.log_every_steps=4 --set data.test.limit=60
    --set data.test.skip=1437)
}

# From here on this process sees the first card alone.
one_card() { export CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-0} && CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES%%,*}; }

# same NAME ARG...: 1, 2 and 4 ranks, which share the card, give the same weights and optimizer state.
same() {
  local name=$1 first="" n
  one_card
  shift
  for n in 1 2 4; do
    must_train "$n" "$digits" --out "$work/$name-$n" "${short[@]}" "$@"
    [ -n "$first" ] || first=$(weights)
    [ "$(weights)" = "$first" ] || fail "$name: $n ranks give $(weights), one gives $first"
    equal_state "$work/$name-1" "$work/$name-$n"
  done
  echo "$name: $first at 1, 2 and 4 ranks"
}

# at_least ACCURACY: the last job's.
at_least() {
  local accuracy
  accuracy=$(tail -n 1 "$work/stdout" | sed -n 's/^done .* accuracy=\([0-9.]*\) .*/\1/p')
  tail -n 1 "$work/stdout"
  awk -v a="${accuracy:-0}" -v b="$1" 'BEGIN { exit !(a >= b) }' || fail "the accuracy is ${accuracy:-unknown}, below $1"
}

cards() { "$lockstep" doctor | grep -c '^GPU [0-9]'; }

step_doctor() {
  "$lockstep" doctor || fail "lockstep doctor ended with $?"
  [ "$(cards)" -gt 0 ] || fail "lockstep doctor shows no GPU"
  command -v nvidia-smi >/dev/null && nvidia-smi
  return 0
}

step_conformance() {
  local filter='-*NoticesOneDisturbedElement*'  # which is about the harness
  # On an emulated device the whole is a test of its own.
  [ -z "$emulated" ] || filter='*NotANumber*'
  "$(dirname "$lockstep")/gpu_conformance_test" --gtest_brief=1 --gtest_filter="$filter"
  code=$?
  [ $code -eq 0 ] || { [ $code -eq 77 ] && exit 77; fail "gpu_conformance_test ended with $code"; }
}

step_bits_f32() { same float; }
step_bits_bf16() { same bf16 --set train.precision=BF16; }
step_bits_resnet() {
  same resnet --set 'model.resnet=depth: 8 widths: [4, 8, 8] stem: CIFAR' --set train.lanes=4 --set train.steps=8 \
    --set train.precision=BF16
}
step_options() {
  same options --set model.convnet.dropout=0.3 --set optimizer.clip_norm=0.5 --set optimizer.ema_decay=0.9 \
    --set train.evaluate_every_steps=8 --set train.on_nonfinite=SKIP_STEP
}

# Gradients between cards give the bits of gradients that go through the host.
step_nccl() {
  [ -z "$emulated" ] || export LOCKSTEP_EMULATED_GPUS=4
  local n first
  n=$(cards)
  [ "$n" -gt 1 ] || skip "there is one card: NCCL needs one for each rank"
  must_train 2 "$digits" --out "$work/cards" "${short[@]}"
  # Emulated cards are not connected.
  [ -n "$emulated" ] || has "NCCL" || fail "two ranks on two cards do not use NCCL"
  first=$(weights)
  must_train $((n < 4 ? n : 4)) "$digits" --out "$work/all" "${short[@]}"
  [ "$(weights)" = "$first" ] || fail "on $n cards $(weights), on two $first"
  one_card
  must_train 2 "$digits" --out "$work/staged" "${short[@]}"
  [ "$(weights)" = "$first" ] || fail "through the host $(weights), through NCCL $first"
}

step_digits() {
  local precision least=0.94 shorter=()
  [ -z "$emulated" ] || { shorter=(--set train.epochs=1) least=0.5; }
  for precision in F32 BF16 TF32; do
    [ -z "$emulated" ] || [ $precision = F32 ] || continue
    must_train 2 "$digits" --out "$work/$precision" --set train.device=GPU --set train.precision=$precision "${shorter[@]}"
    at_least $least
  done
}

mnist() {
  local precision=$1 least=0.99 shorter=()
  [ -d "$LOCKSTEP_DATA/mnist" ] || skip "there is no MNIST in $LOCKSTEP_DATA"
  [ -z "$emulated" ] || { shorter=(--set train.epochs=0 --set train.steps=3 --set data.test.limit=60) least=0.05; }
  must_train 1 "$root/examples/mnist.textproto" --out "$work/mnist" --set train.device=GPU --set "train.precision=$precision" "${shorter[@]}"
  at_least $least
}
step_mnist_f32() { mnist F32; }
step_mnist_bf16() { [ -z "$emulated" ] || skip "an emulated device has shown it in F32"; mnist BF16; }

# Killed in the middle, resumed on another number of ranks: the state of a run that nothing happened to.
step_kill_and_resume() {
  local n=2000 every=100 job second
  [ -z "$emulated" ] || { n=16 every=3; }
  local saving=("${short[@]}" --set "train.steps=$n" --set "checkpoint.every_steps=$every")
  second=$(printf 'step-%08d' $((2 * every)))
  must_train 1 "$digits" --out "$work/quiet" "${saving[@]}"
  ( train 2 "$digits" --out "$work/killed" "${saving[@]}" ) &
  job=$!
  until [ -e "$work/killed/checkpoints/$second/manifest.pb" ]; do
    kill -0 $job 2>/dev/null || fail "the job ended before its second checkpoint"
  done
  kill -9 "$(living | tail -n 1)"
  wait $job
  must_train 3 "$digits" --out "$work/killed" "${saving[@]}"
  has "resuming from step" || fail "the killed run began anew"
  equal_state "$work/quiet" "$work/killed"
}

step_moved_from_cpu() {
  local begun=("${short[@]}" --set optimizer.schedule='constant {}' --set optimizer.schedule.warmup_fraction=0)
  must_train 2 "$digits" --out "$work/moved" "${begun[@]}" --set train.device=CPU --set train.steps=6
  train 1 "$digits" --out "$work/moved" "${begun[@]}"
  [ "$code" -eq 2 ] || fail "without --change-numerics the run goes on, or ends with $code"
  must_train 2 "$digits" --out "$work/moved" "${begun[@]}" --change-numerics
  has "resuming from step 6" || fail "the run that moved began anew"
  grep -q '"gpu' "$work/moved/certificate.json" || fail "the certificate does not say that the run moved"
}

step_energy() {
  [ -z "$emulated" ] || skip "an emulated device takes none"
  must_train 1 "$digits" --out "$work/energy" "${short[@]}" --set train.steps=4000
  grep -o '"watts":[0-9.]*' "$work/energy/metrics.jsonl" | tail -n 1 | grep . || skip "NVML gives no power here: no watts in metrics"
  grep -o '"joules_per_sample":[0-9.e-]*' "$work/energy/metrics.jsonl" | tail -n 1 | grep . || fail "watts, but no joules_per_sample"
}

# sanitize TOOL FILTER: conformance tests under compute-sanitizer.
sanitize() {
  local sanitizer folder
  [ -z "$emulated" ] || skip "an emulated device has no memory of its own to check"
  sanitizer=$(command -v compute-sanitizer)
  for folder in ${CUDA_HOME:-} /usr/local/cuda*; do
    [ -n "$sanitizer" ] || { [ -x "$folder/bin/compute-sanitizer" ] && sanitizer=$folder/bin/compute-sanitizer; }
  done
  [ -n "$sanitizer" ] || skip "there is no compute-sanitizer here"
  # Libraries ask the driver for what it may not have: such calls are no errors of ours.
  "$sanitizer" --tool "$1" --error-exitcode 9 --report-api-errors no "$(dirname "$lockstep")/gpu_conformance_test" --gtest_brief=1 \
    --gtest_filter="$2" >"$work/sanitizer" 2>&1
  code=$?
  cat "$work/sanitizer"
  ! grep -q 'Device not supported\|not supported on this device' "$work/sanitizer" || skip "compute-sanitizer does not support this machine"
  [ $code -eq 0 ] || fail "compute-sanitizer ended with $code"
}
# bf16 convolutions are libraries' kernels alone, and slow to plan.
step_memcheck() { sanitize memcheck '*AgreesWithReference*:Cases/*:*UnwantedResults*-*gpu_bf16_conv2d*'; }
# Our own kernels alone: what libraries' kernels do is theirs.
step_racecheck() { sanitize racecheck '*AgreesWithReference*gpu_*:Cases/*-*conv2d*:*linear*'; }

if [ -n "$step" ]; then
  source "$here/../dist/common.sh"
  set_short
  "step_$step"
  exit 0
fi

# --- all of them

[ -x "$LOCKSTEP" ] || { echo "FAILED: there is no $LOCKSTEP: build it, or set LOCKSTEP"; exit 1; }
if ! "$LOCKSTEP" doctor 2>&1 | grep -q '^GPU [0-9]'; then
  echo "SKIPPED: $("$LOCKSTEP" doctor 2>&1 | grep '^GPU')"
  exit 77
fi
out=${out:-$(mktemp -d "${TMPDIR:-/tmp}/lockstep-check.XXXXXX")}
mkdir -p "$out"
[ -z "$only" ] || IFS=, read -ra steps <<<"$only"
options=()
[ -z "$emulated" ] || options=(--emulated)
started=$SECONDS
failed=0 passed=0 skipped=0

"$LOCKSTEP" doctor | grep -E '^(lockstep|host|CUDA|GPU)'
echo "logs: $out"
for name in "${steps[@]}"; do
  left=$((seconds - (SECONDS - started)))
  step_at=${EPOCHREALTIME//[^0-9]/}
  if [ $left -lt 5 ]; then
    verdict=FAILED why="no time was left for it"
  else
    # Planning and compiling bf16 convolutions takes cuDNN most of a minute.
    limit=150
    [ "$name" != conformance ] || limit=240
    limit=$((left < limit ? left : limit))
    LOCKSTEP_JOB_LIMIT=$((limit - 3)) timeout -k 5 "$limit" "$BASH" "$here/check.sh" --step "$name" "${options[@]}" >"$out/$name.log" 2>&1 </dev/null
    code=$?
    why=$(grep -E '^(FAILED|SKIPPED): ' "$out/$name.log" | tail -n 1)
    case $code in
      0) verdict=PASSED why="" ;;
      77) verdict=SKIPPED why=${why#SKIPPED: } ;;
      124 | 137) verdict=FAILED why="not done after $limit s" ;;
      *)
        # The program's own word says more than the script's.
        error=$(grep -oE 'lockstep: error: .*' "$out/$name.log" | head -n 1)
        verdict=FAILED why=${error:-${why#FAILED: }} why=${why:-it ended with $code}
        ;;
    esac
  fi
  tenths=$(((${EPOCHREALTIME//[^0-9]/} - step_at) / 100000))
  printf '%-8s %6d.%d s  %-16s %s\n' "$verdict" $((tenths / 10)) $((tenths % 10)) "$name" "$why" | sed 's/ *$//'
  case $verdict in PASSED) passed=$((passed + 1)) ;; SKIPPED) skipped=$((skipped + 1)) ;; *) failed=$((failed + 1)) ;; esac
done | tee "$out/table.txt"
read -r passed skipped failed < <(awk '/^PASSED/ { p++ } /^SKIPPED/ { s++ } /^FAILED/ { f++ } END { print p + 0, s + 0, f + 0 }' "$out/table.txt")
echo "$passed passed, $skipped skipped, $failed failed, $((SECONDS - started)) s"
[ "$failed" -eq 0 ]
