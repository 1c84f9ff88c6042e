# shellcheck shell=bash disable=SC2154  # what is not assigned here is of check.sh and common.sh
# Sourced by check.sh: the steps that measure. A figure is a line of $LOCKSTEP_FIGURES, WORKLOAD WHAT VALUE; one that is measured
# again is one more line. section.sh makes the section of them and of the logs.

gpu_bench=$(dirname "$lockstep")/gpu_bench
small=()
[ -z "$emulated" ] || small=(--small)
# Each workload's recipe, and what makes a run of some seconds of it that ends with an evaluation of few rows.
declare -A recipe settings
recipe=([resnet50]="$root/examples/bench/resnet50.textproto" [resnet18]="$root/examples/bench/resnet18_gpu.textproto"
  [gpt2]="$root/examples/bench/gpt124.textproto")
settings=([resnet50]="train.steps=30 train.evaluate_every_steps=30 data.train.synthetic.samples=512 data.train.limit=512"
  [resnet18]="train.steps=30 train.evaluate_every_steps=30 data.train.synthetic.samples=2048"
  [gpt2]="data.train.synthetic.tokens=1024 data.train.synthetic.samples=64 train.global_batch=64 train.steps=30 train.evaluate_every_steps=30")
if [ -n "$emulated" ]; then
  recipe[resnet18]=$digits
  settings=([resnet18]="train.global_batch=64 train.epochs=0 train.steps=3 data.test.limit=20"
    [gpt2]="model.gpt.layers=1 model.gpt.heads=2 model.gpt.width=16 model.gpt.context=16 data.train.synthetic.tokens=16 data.train.synthetic.classes=20 data.train.synthetic.samples=64 train.global_batch=64 train.steps=3 train.evaluate_every_steps=3")
fi

# measure STEP: what its name says.
measure() {
  local workload=${1##*_}
  [ -z "$emulated" ] || [ "$workload" != resnet50 ] || skip "an emulated device takes minutes for it"
  case $1 in
    profile_*) profile "$workload" 1 ;;
    train_*) ours "$workload" 1 ;;
    lanes*_*)
      set -- "${1#lanes}"
      ours "$workload" "${1%%_*}"
      profile "$workload" "${1%%_*}"
      ;;
    eager_*) theirs "$workload" eager ;;
    compiled_*) theirs "$workload" compiled --compile ;;
    *) fail "there is no step $1" ;;
  esac
}

note() { echo "$*" >>"${LOCKSTEP_FIGURES:-/dev/null}"; }

# said COMMAND...: its output, also in $work/said; it has to succeed. Where it ends with 77, the step is skipped.
said() {
  "$@" 2>&1 | tee "$work/said"
  code=${PIPESTATUS[0]}
  [ "$code" -ne 77 ] || exit 77
  [ "$code" -eq 0 ] || fail "$(basename "$1") ended with $code: $(tail -n 1 "$work/said")"
}

# set_options WORKLOAD LANES: leaves them in $options.
set_options() {
  local setting
  options=(--set "train.lanes=$2" --set train.device=GPU --set train.precision=BF16)
  for setting in ${settings[$1]}; do options+=(--set "$setting"); done
}

ours() {
  local rate
  set_options "$1" "$2"
  said "$lockstep" train "${recipe[$1]}" --out "$work/run" --progress off "${options[@]}"
  rate=$(sed -n 's/^done .* samples_per_s=\([0-9]*\) .*/\1/p' "$work/said" | grep .) || fail "there is no rate in the last line"
  note "$1 ours-$2 $rate"
}

profile() {
  set_options "$1" "$2"
  said "$gpu_bench" --profile "${recipe[$1]}" "${options[@]}"
  # "lane: 64 samples in 1.2 ms, 53.1 samples/s, 620.30 TFLOP/s; ..."
  sed -n 's/^lane: .* ms, \([0-9.e+]*\) samples\/s, \([0-9.e+]*\) TFLOP\/s;.*/\1 \2/p' "$work/said" >"$work/rates"
  grep -q . "$work/rates" || fail "there is no rate in the profile"
  note "$1 program-$2 $(cut -d ' ' -f 1 "$work/rates")"
  note "$1 flop $(awk '{ print ($1 > 0 ? 1e12 * $2 / $1 : 0) }' "$work/rates")"
}

# theirs WORKLOAD MODE FLAG...: PyTorch, with its own libraries and caches that go with the step.
theirs() {
  local python=${LOCKSTEP_PEER_PYTHON:-python3}
  command -v "$python" >/dev/null || skip "there is no $python"
  [ -z "$emulated" ] || [ -n "${LOCKSTEP_PEER_PYTHON:-}" ] || skip "PyTorch takes minutes without a GPU"
  said env "LD_LIBRARY_PATH=$LOCKSTEP_LIBRARIES_BEFORE" "TORCHINDUCTOR_CACHE_DIR=$work/inductor" "$python" "$root/tests/gpu/bench_torch.py" \
    "$1" "${@:3}" "${small[@]}"
  note "$1 torch-$2 $(sed -n 's/^torch .*: \([0-9.]*\) samples\/s.*/\1/p' "$work/said" | grep .)" || fail "PyTorch says no rate"
  note "all torch $(sed -n 's/^torch \([^ ]*\) .*/\1/p' "$work/said")"
}

step_rates() { said "$gpu_bench" "${small[@]}"; }
step_choices() { said "$gpu_bench" --choices "${small[@]}"; }
