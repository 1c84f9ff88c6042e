# shellcheck shell=bash disable=SC2154  # what is not assigned here is of check.sh
# Sourced by check.sh: a section of RESULTS.md from what the steps have left. print_section LOGS prints it, from LOGS/figures.txt and the
# steps' logs; what was not measured says so.

declare -A title=([resnet50]="ResNet-50, images of 224x224, batch 256, bf16" [resnet18]="ResNet-18, images of 32x32, batch 1,024, bf16"
  [gpt2]="GPT-2, 124 million parameters, blocks of 1,024 tokens, batch 64, bf16")
declare -A unit=([resnet50]=samples [resnet18]=samples [gpt2]=tokens) per_sample=([resnet50]=1 [resnet18]=1 [gpt2]=1024)
if [ -n "$emulated" ]; then
  title=([resnet18]="The convnet of the digits recipe, batch 64, bf16" [gpt2]="A tiny GPT, blocks of 16 tokens, batch 64, bf16")
  per_sample[gpt2]=16
fi

or_not() { echo "${1:-not measured}"; }
# figure WORKLOAD WHAT: the median of what was measured.
figure() {
  awk -v w="$1" -v what="$2" '$1 == w && $2 == what { print $3 }' "$figures" | sort -g |
    awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}
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

print_rates() {
  local workload=$1 n rate mode flop
  flop=$(figure "$workload" flop)
  echo "| | ${unit[$workload]}/s | its program alone | share of the product's rate | beside PyTorch eager, compiled |"
  echo "|---|---|---|---|---|"
  for n in 1 8 64; do
    rate=$(figure "$workload" "ours-$n")
    [ -n "$rate$(figure "$workload" "program-$n")" ] || continue
    echo "| $n lane$([ "$n" = 1 ] || echo s) | $(in_units "$workload" "$rate") | $(in_units "$workload" "$(figure "$workload" "program-$n")") |" \
      "$(share "$rate" "$flop" "$product") |" \
      "$(or_not "$(ratio "$rate" "$(figure "$workload" torch-eager)")"), $(or_not "$(ratio "$rate" "$(figure "$workload" torch-compiled)")") |"
  done
  for mode in eager compiled; do
    rate=$(figure "$workload" torch-$mode)
    [ -z "$rate" ] || echo "| PyTorch $torch, $mode | $(in_units "$workload" "$rate") | | $(share "$rate" "$flop" "$product") | |"
  done
}

# print_kernels LOG: the table of a profile.
print_kernels() {
  grep -q '^lane: ' "$1" 2>/dev/null || return 0
  sed -n 's/^lane: \([0-9]*\) samples in \(.* ms\), .*; kernels by themselves \(.*\)/\nOne lane of \1 samples takes \2; its kernels by themselves, \3 in all:\n/p' "$1"
  sed -n 's/^group \(.*\): \([0-9]*\) kernels, \(.*\), \(.*\)%, \(.*\)$/| \1 | \2 | \3 | \4 % | \5 |/p' "$1" |
    awk -F'|' 'BEGIN { print "| kind | kernels | time | share | rate |"; print "|---|---|---|---|---|" } $5 + 0 >= 0.5'
}

print_section() {
  local logs=$1 figures=$1/figures.txt device torch product workload log
  device=$(sed -n 's/^device: //p' "$logs"/*.log | head -n 1)
  torch=$(awk '$1 == "all" && $2 == "torch" { version = $3 } END { print version }' "$figures")
  product=$(sed -n 's/^product .*: \([0-9.e+]*\) TFLOP.*/\1/p' "$logs/rates.log" 2>/dev/null)
  printf '\n## %s, %s\n\n' "$(date -u +%Y-%m-%d)" "$(or_not "${device%%,*}")"
  echo "${device:-The device is not known}; $(sed -n 's/^lockstep  *//p' <<<"$told" | head -n 1); PyTorch $(or_not "$torch")."
  echo
  sed -n -e '/^product .*: /p' -e '/^copy/p' "$logs/rates.log" 2>/dev/null | sed 's/^/- /'
  sed -n -e 's/^attention/- &/p' -e 's/^gradients/- &/p' "$logs/choices.log" 2>/dev/null
  for workload in gpt2 resnet50 resnet18; do
    grep -q "^$workload " "$figures" || continue
    printf '\n### %s\n\n' "${title[$workload]}"
    print_rates "$workload"
    for log in profile lanes8 lanes64; do print_kernels "$logs/${log}_$workload.log"; done
  done
}
