#!/usr/bin/env bash
# bench.sh [--record] [--emulated] [--out FOLDER] [--seconds 470]: what a GPU's training costs, in under eight minutes: the card's own
# rates, samples/s of ResNet-50 and ResNet-18 and tokens/s of GPT-2's smallest shape, at 1, 8 and 64 lanes, where the time goes, and
# PyTorch beside it in the same run, taking turns. Prints a section of Markdown; --record appends it to RESULTS.md here. What there was
# no time for is "not measured".
#
# Run it on a card with nothing else to do. PyTorch is that of $LOCKSTEP_PEER_PYTHON (default: python3). FOLDER keeps what each program
# printed. --emulated tries this script, in a minute, on an emulated device; its figures mean nothing, and are not recorded.
# Exit code 0; 1 where one of our measurements failed; 77 where there is no GPU.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

record="" emulated="" out="" seconds=470
while [ $# -gt 0 ]; do
  case $1 in
    --record) record=1 ;;
    --emulated) emulated=1 ;;
    --out) out=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d'; exit 2 ;;
  esac
  shift
done
LOCKSTEP=${LOCKSTEP:-$root/build/release/lockstep}
before=${LD_LIBRARY_PATH:-}  # PyTorch brings its own libraries
if [ -n "$emulated" ]; then
  LOCKSTEP_CUDA_LIBRARY=$(dirname "$LOCKSTEP")/liblockstep_cuda_emulated.so
  export LOCKSTEP_CUDA_LIBRARY
fi
source "$here/env.sh"
gpu_bench=$(dirname "$LOCKSTEP")/gpu_bench
for program in "$LOCKSTEP" "$gpu_bench"; do
  [ -x "$program" ] || { echo "bench.sh: there is no $program: build it" >&2; exit 1; }
done
if ! "$LOCKSTEP" doctor 2>&1 | grep -q '^GPU [0-9]'; then
  echo "SKIPPED: $("$LOCKSTEP" doctor 2>&1 | grep '^GPU')"
  exit 77
fi
out=${out:-$(mktemp -d "${TMPDIR:-/tmp}/lockstep-bench.XXXXXX")}
mkdir -p "$out"
work=$(mktemp -d "${TMPDIR:-/tmp}/lockstep-bench-work.XXXXXX")
trap 'rm -rf "$work"' EXIT
python=${LOCKSTEP_PEER_PYTHON:-python3}

# Each workload: title, recipe, what makes a run of some seconds of it, and how many of its unit a sample is.
declare -A title recipe settings batch unit per_sample
title=([resnet50]="ResNet-50, images of 224x224, batch 256, bf16" [resnet18]="ResNet-18, images of 32x32, batch 1,024, bf16"
  [gpt2]="GPT-2, 124 million parameters, blocks of 1,024 tokens, batch 64, bf16")
recipe=([resnet50]="$root/examples/bench/resnet50.textproto" [resnet18]="$root/examples/bench/resnet18_gpu.textproto"
  [gpt2]="$root/examples/bench/gpt124.textproto")
settings=([resnet50]="train.steps=30 train.evaluate_every_steps=30" [resnet18]="train.steps=100 train.evaluate_every_steps=100"
  [gpt2]="data.train.synthetic.tokens=1024 data.train.synthetic.samples=640 train.global_batch=64 train.steps=30 train.evaluate_every_steps=30")
batch=([resnet50]=256 [resnet18]=1024 [gpt2]=64)
unit=([resnet50]=samples [resnet18]=samples [gpt2]=tokens) per_sample=([resnet50]=1 [resnet18]=1 [gpt2]=1024)
workloads=(resnet50 gpt2 resnet18) lanes=(1 8 64) small=()
if [ -n "$emulated" ]; then
  title=([resnet18]="The convnet of the digits recipe, batch 64, bf16" [gpt2]="A tiny GPT, blocks of 16 tokens, batch 64, bf16")
  recipe[resnet18]=$root/examples/digits.textproto batch[resnet18]=64 per_sample[gpt2]=16
  settings=([resnet18]="train.global_batch=64 train.epochs=0 train.steps=3 train.precision=BF16 data.test.limit=20"
    [gpt2]="model.gpt.layers=1 model.gpt.heads=2 model.gpt.width=16 model.gpt.context=16 data.train.synthetic.tokens=16 data.train.synthetic.classes=20 data.train.synthetic.samples=128 train.global_batch=64 train.steps=3 train.evaluate_every_steps=3")
  workloads=(resnet18 gpt2) small=(--small)
  [ -n "${LOCKSTEP_PEER_PYTHON:-}" ] || no_torch=1  # it takes minutes without a GPU
fi

# --- measuring. Figures go to $work/figures as lines: WORKLOAD WHAT VALUE. A figure that is measured again is one more line.

started=$SECONDS failed=0
left() { echo $((seconds - (SECONDS - started))); }
note() { echo "$*" >>"$work/figures"; }
median() {
  awk -v w="$1" -v what="$2" '$1 == w && $2 == what { print $3 }' "$work/figures" | sort -g |
    awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# limited LOG COMMAND...: its output goes to $out/LOG and stays in $work/said. Fails where it fails, or where no time is left.
limited() {
  local log=$1 time
  shift
  time=$(left)
  [ "$time" -ge 10 ] || { echo "bench.sh: no time left for $log" >&2; return 124; }
  timeout -k 5 "$time" "$@" >"$work/said" 2>&1 </dev/null
  local code=$?
  { echo "\$ $*"; cat "$work/said"; } >>"$out/$log.log"
  return $code
}
missed() {
  [ "$1" -eq 124 ] || { failed=1; echo "bench.sh: FAILED with $1: $2; see $out" >&2; tail -n 3 "$work/said" >&2; }
}

# set_options WORKLOAD LANES: leaves them in $options.
set_options() {
  local setting
  options=(--set "train.lanes=$2" --set train.device=GPU --set train.precision=BF16)
  for setting in ${settings[$1]}; do options+=(--set "$setting"); done
}

ours() {
  echo "bench.sh: $1, $2 lanes, $(left) s left" >&2
  set_options "$1" "$2"
  rm -rf "$work/run"
  limited "$1-$2-lanes" "$LOCKSTEP" train "${recipe[$1]}" --out "$work/run" --progress off "${options[@]}" || { missed $? "$1 with $2 lanes"; return; }
  note "$1 ours-$2 $(sed -n 's/^done .* samples_per_s=\([0-9]*\) .*/\1/p' "$work/said")"
}

profile() {
  set_options "$1" "$2"
  limited "$1-$2-profile" "$gpu_bench" --profile "${recipe[$1]}" "${options[@]}" || { missed $? "the profile of $1"; return; }
  cp "$work/said" "$work/profile-$1-$2"
  note "$1 program-$2 $(sed -n 's/^lane: .* \([0-9.]*\) samples\/s.*/\1/p' "$work/said")"
}

theirs() {
  local mode=$2 flags=()
  [ "$mode" = eager ] || flags=(--compile)
  [ -z "${no_torch:-}" ] || return
  echo "bench.sh: PyTorch, $1 $mode, $(left) s left" >&2
  limited "$1-torch-$mode" env "LD_LIBRARY_PATH=$before" "$python" "$here/bench_torch.py" "$1" "${flags[@]}" "${small[@]}"
  case $? in
    0) note "$1 torch-$mode $(sed -n 's/^torch .*: \([0-9.]*\) samples\/s.*/\1/p' "$work/said")"; torch=$(sed -n 's/^torch \([^ ]*\) .*/\1/p' "$work/said") ;;
    77 | 126 | 127) no_torch=1 ;;
    *) echo "bench.sh: PyTorch failed: $(tail -n 1 "$work/said")" >&2 ;;
  esac
}

: >"$work/figures"
torch=""
limited rates "$gpu_bench" "${small[@]}" || missed $? "the card's rates"
cp "$work/said" "$work/rates"
for workload in "${workloads[@]}"; do
  ours "$workload" 1
  theirs "$workload" eager
  theirs "$workload" compiled
  profile "$workload" 1
done
for workload in "${workloads[@]}"; do
  for n in "${lanes[@]:1}"; do
    ours "$workload" "$n"
    profile "$workload" "$n"
  done
done
# Again, in turns, for the medians: as long as there is time for a whole round.
if [ -z "$emulated" ]; then
  for round in 2 3; do
    for workload in "${workloads[@]}"; do
      [ "$(left)" -gt 60 ] || continue
      echo "bench.sh: round $round" >&2
      ours "$workload" 1
      theirs "$workload" eager
      theirs "$workload" compiled
    done
  done
fi

# --- the section

or_not() { echo "${1:-not measured}"; }
# in_units WORKLOAD RATE: samples/s in the workload's unit.
in_units() {
  local rate
  rate=$([ -n "$2" ] && awk -v r="$2" -v n="${per_sample[$1]}" 'BEGIN { printf (n > 1 ? "%.0f" : "%g"), r * n }')
  or_not "$rate"
}
ratio() { [ -n "$1" ] && [ -n "$2" ] && awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.2f", a / b }'; }
# share RATE FLOP PRODUCT: of the product's rate, in TFLOP/s, that RATE samples/s of FLOP each are.
share() {
  local percent
  percent=$([ -n "$1" ] && [ -n "$2" ] && [ -n "$3" ] && awk -v r="$1" -v f="$2" -v p="$3" 'BEGIN { if (p > 0) printf "%.1f %%", 100 * r * f / (1e12 * p) }')
  or_not "$percent"
}

print_workload() {
  local workload=$1 n flop rate mode product
  product=$(sed -n 's/^product .*: \([0-9.]*\) TFLOP.*/\1/p' "$work/rates")
  set_options "$workload" 1
  flop=$("$LOCKSTEP" plan "${recipe[$workload]}" "${options[@]}" 2>/dev/null | sed -n 's/^ *\([0-9.e+]*\) FLOP a sample.*/\1/p')
  printf '\n### %s\n\n' "${title[$workload]}"
  echo "| | ${unit[$workload]}/s | its program alone | share of the product's rate | beside PyTorch eager, compiled |"
  echo "|---|---|---|---|---|"
  for n in "${lanes[@]}"; do
    rate=$(median "$workload" "ours-$n")
    echo "| $n lane$([ "$n" = 1 ] || echo s) | $(in_units "$workload" "$rate") | $(in_units "$workload" "$(median "$workload" "program-$n")") |" \
      "$(share "$rate" "$flop" "$product") |" \
      "$(or_not "$(ratio "$rate" "$(median "$workload" torch-eager)")"), $(or_not "$(ratio "$rate" "$(median "$workload" torch-compiled)")") |"
  done
  for mode in eager compiled; do
    rate=$(median "$workload" torch-$mode)
    [ -z "$rate" ] || echo "| PyTorch $torch, $mode | $(in_units "$workload" "$rate") | | $(share "$rate" "$flop" "$product") | |"
  done
  for n in "${lanes[@]}"; do
    [ -e "$work/profile-$workload-$n" ] || continue
    printf '\nOne lane of %d samples, kernels by themselves (%s):\n\n' $((batch[$workload] / n)) \
      "$(sed -n 's/^lane: .*; kernels by themselves \(.*\)/\1/p' "$work/profile-$workload-$n") in all"
    sed -n 's/^group \(.*\): \([0-9]*\) kernels, \(.*\), \(.*\)%, \(.*\)$/| \1 | \2 | \3 | \4 % | \5 |/p' "$work/profile-$workload-$n" |
      awk -F'|' 'BEGIN { print "| kind | kernels | time | share | rate |"; print "|---|---|---|---|---|" } $5 + 0 >= 0.5'
  done
}

{
  device=$(sed -n 's/^device: //p' "$work/rates")
  printf '\n## %s, %s\n\n' "$(date -u +%Y-%m-%d)" "$(or_not "${device%%,*}")"
  echo "${device:-not measured}; $("$LOCKSTEP" doctor | sed -n 's/^lockstep *//p'); PyTorch $(or_not "$torch")."
  echo
  sed -n -e 's/^\(product .*\): /\1: /p' -e '/^copy/p' "$work/rates" | sed 's/^/- /'
  for workload in "${workloads[@]}"; do print_workload "$workload"; done
} >"$out/section.md"
cat "$out/section.md"
echo "bench.sh: $((SECONDS - started)) s; logs: $out" >&2
if [ -n "$record" ] && [ -z "$emulated" ]; then
  sed -i 's/^Nothing was measured yet\.$/The newest section is the last./' "$here/RESULTS.md"
  cat "$out/section.md" >>"$here/RESULTS.md"
fi
exit $failed
