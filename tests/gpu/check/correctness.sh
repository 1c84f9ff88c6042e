# shellcheck shell=bash disable=SC2154  # what is not assigned here is of check.sh and common.sh
# Sourced by check.sh: the steps that show that training on a GPU is right. Each is a process of its own, which ends with 0, with 77
# after "SKIPPED: why", or with 1 after "FAILED: why".

# run_step NAME: a function of that name, or one of those that measure a workload, here or in speed.sh.
run_step() {
  if declare -F "step_$1" >/dev/null; then "step_$1"; else measure "$1"; fi
}

# What a short run of digits is.
set_short() {
  local n=200
  [ -z "$emulated" ] || n=8
  short=(--set train.device=GPU --set train.epochs=0 --set "train.steps=$n" --set train.log_every_steps=4 --set data.test.limit=60
    --set data.test.skip=1437)
}
set_short

# From here on this process sees the first card alone.
one_card() { export CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-0} && CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES%%,*}; }

# equal_at "RANKS..." RECIPE ARG...: runs at these numbers of ranks, which share the card, give the same weights and optimizer state.
equal_at() {
  local ranks=$1 first="" n i=0
  one_card
  shift
  for n in $ranks; do
    i=$((i + 1))
    must_train "$n" "$1" --out "$work/run-$i" "${@:2}"
    [ -n "$first" ] || first=$(weights)
    [ "$(weights)" = "$first" ] || fail "run $i, of $n ranks, gives $(weights), the first gives $first"
    [ $i -eq 1 ] || equal_state "$work/run-1" "$work/run-$i"
  done
  echo "$first at $ranks ranks"
}
same() { equal_at "1 2 4" "$digits" "${short[@]}" "$@"; }

# at_least ACCURACY: the last job's.
at_least() {
  local accuracy
  accuracy=$(tail -n 1 "$work/stdout" | sed -n 's/^done .* accuracy=\([0-9.]*\) .*/\1/p')
  tail -n 1 "$work/stdout"
  awk -v a="${accuracy:-0}" -v b="$1" 'BEGIN { exit !(a >= b) }' || fail "the accuracy is ${accuracy:-unknown}, below $1"
}

cards() { "$lockstep" doctor | grep -c '^GPU [0-9]'; }

# The loader's choice, where there are several cuDNN: its version, and of which CUDA it is.
resolved_libraries() {
  local library=${LOCKSTEP_CUDA_LIBRARY:-$(dirname "$lockstep")/liblockstep_cuda.so} cudnn
  command -v ldd >/dev/null && [ -e "$library" ] || return 0
  echo "LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}"
  ldd "$library"
  cudnn=$(ldd "$library" | awk '$1 ~ /^libcudnn\.so/ { print $3 }')
  [ -n "$cudnn" ] || return 0
  echo "cuDNN: $(readlink -f "$cudnn")"
  python3 - "$cudnn" <<<'import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.cudnnGetVersion.restype = library.cudnnGetCudartVersion.restype = ctypes.c_size_t
print("cuDNN:", library.cudnnGetVersion(), "for CUDA", library.cudnnGetCudartVersion())' 2>&1
}

step_doctor() {
  resolved_libraries
  "$lockstep" doctor || fail "lockstep doctor ended with $?"
  [ "$(cards)" -gt 0 ] || fail "lockstep doctor shows no GPU"
  command -v nvidia-smi >/dev/null && nvidia-smi
  return 0
}

# conform FILTER: tests of gpu_conformance_test.
conform() {
  "$(dirname "$lockstep")/gpu_conformance_test" --gtest_brief=1 --gtest_filter="$1" | tee "$work/conformance"
  code=${PIPESTATUS[0]}
  [ "$code" -ne 77 ] || exit 77
  [ "$code" -eq 0 ] || fail "gpu_conformance_test ended with $code"
}
step_conformance() {
  # Two are left out: what is about the harness, and what is a step of its own, since NCCL may hang.
  local filter='-*NoticesOneDisturbedElement*:NcclTest.*'
  # On an emulated device the whole is a test of its own.
  [ -z "$emulated" ] || filter='*NotANumber*:CapturedEvents.*:LargeProductTest.*'
  conform "$filter"
}
step_nccl_self() {
  conform 'NcclTest.*'
  ! grep -qF '[  SKIPPED ]' "$work/conformance" || skip "this device has no NCCL"
}

step_bits_f32() { same; }
step_bits_bf16() { same --set train.precision=BF16; }
step_bits_resnet() {
  same --set 'model.resnet=depth: 8 widths: [4, 8, 8] stem: CIFAR' --set train.lanes=4 --set train.steps=8 --set train.precision=BF16
}
step_options() {
  same --set model.convnet.dropout=0.3 --set optimizer.clip_norm=0.5 --set optimizer.ema_decay=0.9 --set train.evaluate_every_steps=8 \
    --set train.on_nonfinite=SKIP_STEP
}

# Long rows: that cuDNN's gradient of attention has one order of sums is concluded from its workspace, and no short row would show
# that it had not.
step_bits_gpt() {
  local shape=(model.gpt.layers=2 data.train.synthetic.tokens=1024 data.train.synthetic.samples=64 train.global_batch=16
    train.steps=20 train.evaluate_every_steps=20) options=() setting
  [ -z "$emulated" ] || shape=(model.gpt.layers=2 model.gpt.heads=2 model.gpt.width=16 model.gpt.context=16
    data.train.synthetic.tokens=16 data.train.synthetic.classes=20 data.train.synthetic.samples=64 train.global_batch=16 train.steps=4
    train.evaluate_every_steps=4)
  for setting in "${shape[@]}" train.lanes=2 train.device=GPU train.precision=BF16; do options+=(--set "$setting"); done
  equal_at "1 1 2" "$root/examples/bench/gpt124.textproto" "${options[@]}"
}

# Gradients between cards give the bits of gradients that go through the host.
step_nccl() {
  [ -z "$emulated" ] || export LOCKSTEP_EMULATED_GPUS=4
  local n first
  n=$(cards)
  [ "$n" -gt 1 ] || skip "there is one card: NCCL between ranks needs one for each"
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
step_mnist_bf16() { [ -z "$emulated" ] || skip "an emulated device shows it in F32"; mnist BF16; }

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

# sanitize TOOL FILTER: conformance tests under compute-sanitizer, which looks at our own kernels alone (they are all RunBlock, see
# trainer/kernels/cuda/blocks/launch.h): what libraries' kernels do is theirs, and it has reported errors of Hopper's that are none.
sanitize() {
  local sanitizer folder option=--kernel-name
  [ -z "$emulated" ] || skip "an emulated device has no memory of its own to check"
  sanitizer=$(command -v compute-sanitizer)
  for folder in ${CUDA_HOME:-} /usr/local/cuda*; do
    [ -n "$sanitizer" ] || { [ -x "$folder/bin/compute-sanitizer" ] && sanitizer=$folder/bin/compute-sanitizer; }
  done
  [ -n "$sanitizer" ] || skip "there is no compute-sanitizer here"
  "$sanitizer" --help 2>&1 | grep -q -- --kernel-name || option=--filter  # as it was called before
  # Libraries ask the driver for what it may not have: such calls are no errors of ours.
  "$sanitizer" --tool "$1" "$option" kernel_substring=RunBlock --error-exitcode 9 --report-api-errors no \
    "$(dirname "$lockstep")/gpu_conformance_test" --gtest_brief=1 --gtest_filter="$2" >"$work/sanitizer" 2>&1
  code=$?
  cat "$work/sanitizer"
  ! grep -q 'Device not supported\|not supported on this device' "$work/sanitizer" || skip "compute-sanitizer does not support this machine"
  [ $code -eq 0 ] || fail "compute-sanitizer ended with $code"
}
# bf16 convolutions take cuDNN most of a minute to plan, and those of floats have the same kernels of ours.
step_memcheck() { sanitize memcheck '*AgreesWithReference*:Cases/*:*UnwantedResults*-*gpu_bf16_conv2d*'; }
step_racecheck() { sanitize racecheck '*AgreesWithReference*gpu_*:Cases/*-*gpu_bf16_conv2d*'; }
