#!/usr/bin/env bash
# bits.sh [--pairs "RANKS:EXECUTORS ..."] [--steps N] [--kill STEP] [--set PATH=VALUE]... EXAMPLE
#
# Trains the example on every pair of ranks and executors per rank, with evaluations and checkpoints, and compares weights,
# metrics and all of the last checkpoint's state with those of the first pair. --steps 0 is the whole run; without --steps, digits
# is whole and the others are cut to 300 steps. With --kill, a rank of three is killed behind STEP, and two go on.
#
# Examples: digits, mnist, cifar10, bccd, shakespeare, shakespeare-better, gpt2 (two of its layers, a sixth as wide, in short blocks of
# tinyshakespeare); speech, speech-strings, translate and translate-lstm, whose samples differ in length, with six lanes.
set -uo pipefail
source "$(dirname "$0")/common.sh"

pairs="1:1 1:2 2:1 2:2 3:1 3:2 4:1 4:2 5:1 5:2 8:1 8:2" tests=1010 evaluations=2 folder="" steps="" kill="" example="" settings=()
while [ $# -gt 0 ]; do
  case $1 in
  --pairs) pairs=$2 && shift ;;
  --steps) steps=$2 && shift ;;
  --kill) kill=$2 && shift ;;
  --set) settings+=(--set "$2") && shift ;;
  *) example=$1 ;;
  esac
  shift
done

case $example in
digits) steps=${steps:-0} ;;
mnist | cifar10) folder=$example steps=${steps:-300} ;;
bccd) folder=bccd tests=24 evaluations=3 steps=${steps:-60} ;;
shakespeare | shakespeare-better) folder=tinyshakespeare tests=64 steps=${steps:-300} ;;
gpt2)
  folder=gpt2-bpe tests=12 steps=${steps:-12}
  [ -d "$LOCKSTEP_DATA/$folder" ] || skip "$folder is not in $LOCKSTEP_DATA (set LOCKSTEP_DATA)"
  tokens=$work/tokens.bin bpe=$LOCKSTEP_DATA/gpt2-bpe
  "$lockstep" tokenize "$LOCKSTEP_DATA/tinyshakespeare/input.txt" --vocab "$bpe/encoder.json" --merges "$bpe/vocab.bpe" \
    -o "$tokens" >/dev/null || fail "tinyshakespeare is not tokenized"
  settings+=(--set data.train.tokens.files="$tokens" --set data.test.tokens.files="$tokens" --set data.block=16
    --set model.gpt.layers=2 --set model.gpt.heads=2 --set model.gpt.width=128 --set train.lanes=8 --set train.global_batch=8)
  ;;
# The first evaluations are the ones that tell something: then it learns to write nothing, for a while.
speech | speech-strings)
  folder=fsdd tests=30 evaluations=6 steps=${steps:-300}
  settings+=(--set train.lanes=6 --set train.global_batch=36)
  ;;
# So small a batch has fewer long sentences than lanes: some are empty.
translate | translate-lstm)
  folder=multi30k tests=8 evaluations=1 steps=${steps:-300}
  settings+=(--set train.lanes=6 --set train.batch_tokens=300 --set data.train.limit=2000)
  ;;
*) echo "which example? see the head of $0" && exit 2 ;;
esac
[ -d "$LOCKSTEP_DATA/$folder" ] || skip "$folder is not in $LOCKSTEP_DATA (set LOCKSTEP_DATA)"
[ -z "$kill" ] || settings+=(--set train.log_every_steps=1)  # the moment is seen in the metrics
if [ "$steps" -gt 0 ]; then
  # Evaluations and some checkpoints on the way; the test split is cut too, or it would take longer than the training.
  settings+=(--set train.epochs=0 --set train.steps="$steps" --set train.evaluate_every_steps=$((steps / evaluations))
    --set data.test.limit=$tests --set checkpoint.every_steps=$((steps / 3)))
fi

# finished OUT: compares what the last job left in OUT with what the first left.
first=""
finished() {
  local found
  found=$(weights) || { echo "$found"; exit 1; }
  printf '%s: %s\n' "$what" "$(tail -n 1 "$work/stdout")"
  if [ -z "$first" ]; then
    first=$found reference=$1
    return
  fi
  [ "$found" = "$first" ] || fail "weights $found on $what, $first on the first pair"
  same_rows "$reference" "$1"
  equal_state "$reference" "$1"
  rm -rf "$1"
}

for pair in $pairs; do
  ranks=${pair%:*} executors=${pair#*:} out=$work/$example-${pair/:/-}
  what="$example ranks=$ranks executors=$executors"
  must_train "$ranks" "$root/examples/$example.textproto" --out "$out" --executors "$executors" ${settings[@]+"${settings[@]}"}
  finished "$out"
done
[ -n "$kill" ] || exit 0

# Something is there to go on from.
good_to_kill() { compgen -G "$out/checkpoints/step-*/manifest.pb" >/dev/null; }
out=$work/$example-killed what="$example after a kill"
kill_at "$kill" 3 "$root/examples/$example.textproto" --out "$out" --executors 1 ${settings[@]+"${settings[@]}"}
must_train 2 "$root/examples/$example.textproto" --out "$out" --executors 1 ${settings[@]+"${settings[@]}"}
has "resuming from step" || fail "it did not resume"
finished "$out"
