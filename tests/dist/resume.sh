#!/usr/bin/env bash
# resume.sh: what a run folder says and does when a job ends early and starts again: metrics, damaged checkpoints, the finished
# run, a longer run, a fresh one.
set -uo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/refused.sh"
quick=(--set train.epochs=0 --set train.steps=200 --set checkpoint.every_steps=30 --set checkpoint.keep=4 --set train.log_every_steps=5)
constant=(--set optimizer.schedule='constant {}' --set optimizer.schedule.warmup_fraction=0 --set optimizer.schedule.warmup_steps=20)

must_train 2 "$digits" --out "$work/quiet" "${quick[@]}"
quiet=$(weights) || { echo "$quiet"; exit 1; }

# Well past a multiple of 150: a checkpoint may take as long as many steps.
good_to_kill() { [ $(($1 % 150)) -ge 30 ] && [ $(($1 % 150)) -le 100 ]; }

name="metrics after a kill"
out=$work/killed
whole=(--set checkpoint.every_steps=150 --set train.log_every_steps=5)
must_train 2 "$digits" --out "$work/whole" "${whole[@]}"
kill_at 400 2 "$digits" --out "$out" "${whole[@]}"
cp "$out/metrics.jsonl" "$work/before.jsonl"
must_train 3 "$digits" --out "$out" "${whole[@]}"
from=$(sed -n 's/.*resuming from step \([0-9]*\) of 1347.*/\1/p' "$work/stderr")
[ "${from:-0}" -gt 0 ] || fail "$name: it did not resume"
same_rows "$work/whole" "$out"
# Every fifth step and the last, 1347; rows of evaluations begin otherwise.
[ "$(rows "$out" | sed -n 's/^step=\([0-9]*\) .*/\1/p' | xargs)" = "$(seq 5 5 1345 | xargs) 1347" ] || fail "$name: not every fifth step once"
[ "$(wc -l <"$work/before.jsonl")" -gt "$(grep -c '"attempt":1' "$out/metrics.jsonl")" ] || fail "$name: the kill lost no work"
cat "$out/metrics.jsonl" "$out/metrics.discarded.jsonl" | grep '"attempt":1' | sort | cmp -s - <(sort "$work/before.jsonl") ||
  fail "$name: a row of the first attempt is lost, or there twice"
grep -q '"attempt":1' "$out/metrics.jsonl" && grep -q '"attempt":2' "$out/metrics.jsonl" || fail "$name: not from two attempts"
equal_state "$work/whole" "$out"
echo "$name: every logged step once"

name="a finished run"
must_train 2 "$digits" --out "$work/quiet" "${quick[@]}"
[ "$(weights)" = "$quiet" ] || fail "$name: other weights"
[ "$(wc -l <"$work/quiet/attempts.jsonl")" -eq 1 ] || fail "$name: it has begun again"
[ "$(wc -l <"$work/stdout")" -eq 1 ] || fail "$name: it says more than the done line"
cp "$work/stdout" "$work/once"
train 1 "$digits" --out "$work/quiet" "${quick[@]}"
cmp -s "$work/once" "$work/stdout" || fail "$name: another line"
echo "$name: $(cat "$work/stdout")"

name="a flipped bit"
out=$work/flipped
cp -a "$work/quiet" "$out"
rm "$out/done.json"
shard=$(ls "$out"/checkpoints/step-00000200/*.shard | tail -n 1)
place=$(($(stat -c %s "$shard") / 2))
byte=$(od -An -tu1 -j "$place" -N 1 "$shard")
printf "$(printf '\\x%02x' $((byte ^ 4)))" | dd of="$shard" bs=1 seek="$place" conv=notrunc status=none
must_train 3 "$digits" --out "$out" "${quick[@]}"
once "passed over" || fail "$name: not one warning"
grep -F "passed over" "$work/stderr" | grep -F "${shard##*/}" | grep -qF "damaged" || fail "$name: the warning does not name the file"
once "resuming from step 180 of 200" || fail "$name: it did not resume from the one before"
[ "$(weights)" = "$quiet" ] || fail "$name: other weights"
same_rows "$work/quiet" "$out"
equal_state "$work/quiet" "$out"
echo "$name: passed over"

name="no good checkpoint"
for shard in "$out"/checkpoints/step-*/*.shard; do printf 'x' | dd of="$shard" bs=1 seek=5000 conv=notrunc status=none; done
rm "$out/done.json"
train 2 "$digits" --out "$out" "${quick[@]}"
refused 4 "none of the checkpoints" "$out/checkpoints" "--fresh"
[ "$(grep -cF "passed over" "$work/stderr")" -eq 4 ] || fail "$name: not one warning for each of four"
must_train 2 "$digits" --out "$out" "${quick[@]}" --fresh
[ "$(weights)" = "$quiet" ] || fail "$name: other weights"

name="more steps with a constant schedule"
must_train 2 "$digits" --out "$work/long" "${quick[@]}" "${constant[@]}"
long=$(weights) || { echo "$long"; exit 1; }
must_train 2 "$digits" --out "$work/longer" "${quick[@]}" "${constant[@]}" --set train.steps=130
must_train 3 "$digits" --out "$work/longer" "${quick[@]}" "${constant[@]}"
once "resuming from step 130 of 200" || fail "$name: it did not go on from step 130"
[ "$(weights)" = "$long" ] || fail "$name: other weights than at once"
equal_state "$work/long" "$work/longer"
echo "$name: as at once"

name="more epochs with a constant schedule"
epochs=(--set checkpoint.every_steps=30 "${constant[@]}")
must_train 2 "$digits" --out "$work/four" "${epochs[@]}" --set train.epochs=4
four=$(weights) || { echo "$four"; exit 1; }
must_train 2 "$digits" --out "$work/two" "${epochs[@]}" --set train.epochs=2.5
must_train 1 "$digits" --out "$work/two" "${epochs[@]}" --set train.epochs=4
[ "$(weights)" = "$four" ] || fail "$name: other weights than at once"
equal_state "$work/four" "$work/two"
echo "$name: as at once"

name="more steps with a cosine schedule"
train 2 "$digits" --out "$work/quiet" "${quick[@]}" --set train.steps=300
refused 2 "train.steps" "drawn over the whole run" "--fresh"
[ "$(wc -l <"$work/quiet/attempts.jsonl")" -eq 1 ] || fail "$name: the run's folder has changed"

name="--fresh"
must_train 2 "$digits" --out "$work/quiet" "${quick[@]}" --set train.steps=60 --set train.seed=3 --fresh
[ -e "$work/quiet.old/checkpoints/step-00000200/manifest.pb" ] || fail "$name: the old run is not aside"
[ "$(wc -l <"$work/quiet/attempts.jsonl")" -eq 1 ] || fail "$name: the new run is not new"
has "$work/quiet.old" || fail "$name: it does not say where the old run is"
rows "$work/quiet" | grep -q '^step=65' && fail "$name: old metrics are in the new run"
echo "$name: the old run is aside"
