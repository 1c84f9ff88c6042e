#!/usr/bin/env bash
# replay.sh: `lockstep replay` on other numbers of ranks agrees with what a run was certified to be, names what was tampered with,
# and leaves the run's folder alone; `lockstep diff` compares what replays record.
set -uo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/refused.sh"
run=$work/run
certificate=$work/certificate.json
must_train 2 "$digits" --out "$run" --set train.epochs=0 --set train.steps=200 --set checkpoint.every_steps=50 --set checkpoint.keep=4
trained=$(weights) || { echo "$trained"; exit 1; }

# replay N ARG...: a job of N ranks.
replay() {
  local n=$1
  shift
  run "$n" "$lockstep" replay "$@"
}
listing() { (cd "$run" && find . -type f -exec sha256sum {} + | sort); }
last_line() { tail -n 1 "$work/stdout"; }

# tamper STEP KEY: changes a digit of that hash in $certificate; of "tensors", in the hash of the third one, which it prints.
tamper() {
  python3 - "$certificate" "$@" <<'END'
import json, sys
path, step, key = sys.argv[1], int(sys.argv[2]), sys.argv[3]
certificate = json.load(open(path))
row = next(row for row in certificate["rows"] if row["step"] == step)
at = 2 * 16 if key == "tensors" else 0
row[key] = row[key][:at] + ("0" if row[key][at] != "0" else "1") + row[key][at + 1:]
json.dump(certificate, open(path, "w"))
print(certificate["tensors"][2])
END
}

name="a record"
listing >"$work/before"
replay 1 "$run" --steps 50:200 --every 50 --certificate /dev/null
[ "$code" -eq 2 ] || fail "$name: an empty certificate ended with $code"
replay 1 "$run/checkpoints/step-00000050" --steps 50:200 --every 10 --record "$certificate"
[ "$code" -eq 0 ] || fail "$name: ended with $code"
[ "$(grep -c '^{"order"' "$certificate")" -eq 16 ] || fail "$name: not a row every 10 steps from 50 to 200"
# What the run itself said of its end, and what its checkpoints hold.
grep -q "\"step\":200,.*\"weights\":\"$trained\"" "$certificate" || fail "$name: other weights than the run's at step 200"
for step in 50 100 150; do
  hash=$("$lockstep" inspect "$run/checkpoints/step-00000$(printf %03d $step)" | grep -o '[0-9a-f]\{16\}' | sort -u)
  row=$(grep "\"step\":$step," "$certificate" | sed 's/.*"weights":"\([0-9a-f]*\)".*/\1/')
  grep -qF "$row" <<<"$hash" || fail "$name: other weights than the checkpoint's at step $step"
done
listing | cmp -s - "$work/before" || fail "$name: the run's folder has changed"
echo "$name: $(last_line)"

name="other numbers of ranks"
for n in 1 3; do
  replay $n "$run" --steps 100:200 --certificate "$certificate"
  [ "$code" -eq 0 ] || fail "$name: $n ranks ended with $code"
  [ "$(last_line)" = "steps 100 to 200 agree with the certificate" ] || fail "$name: $n ranks said something else"
  [ "$(grep -c ': ok$' "$work/stdout")" -eq 11 ] || fail "$name: $n ranks did not compare 11 rows"
done
listing | cmp -s - "$work/before" || fail "$name: the run's folder has changed"
echo "$name: $(last_line)"

name="records of two machines"
replay 2 "$run" --steps 60:120 --every 1 --certificate "$certificate" --record "$work/other.json"
[ "$code" -eq 0 ] || fail "$name: ended with $code"
"$lockstep" diff "$certificate" "$work/other.json" >"$work/stdout" 2>"$work/stderr" || fail "$name: they differ"
has "agree on 7 steps, from 60 to 120" || fail "$name: not compared on 7 steps"
echo "$name: $(head -n 1 "$work/stdout")"

name="a tampered row"
cp "$certificate" "$work/good.json"
tensor=$(tamper 120 tensors)
tamper 120 weights >"$work/stdout"
tamper 160 weights >"$work/stdout"
"$lockstep" diff "$work/good.json" "$certificate" >"$work/stdout" 2>"$work/stderr"
[ $? -eq 1 ] && has "weights differ first at step 120: tensor $tensor" || fail "$name: diff does not name it"
for n in 1 3; do
  replay $n "$run" --steps 100:200 --certificate "$certificate"
  [ "$code" -eq 1 ] || fail "$name: $n ranks ended with $code"
  has "first difference: step 120, tensor $tensor (owned by rank" || fail "$name: $n ranks do not name it"
  has "step 110 agrees" && ! has "step 130" || fail "$name: $n ranks did not stop there"
done
echo "$name: $(grep '^first' "$work/stdout")"

name="another order of data"
cp "$work/good.json" "$certificate"
tamper 150 order >"$work/stdout"
replay 2 "$run" --steps 100:200 --certificate "$certificate"
[ "$code" -eq 1 ] && has "first difference: data order differs from step 150 on" || fail "$name: not named"
echo "$name: $(grep '^first' "$work/stdout")"

name="another recipe"
sed 's/"recipe": *"[0-9a-f]*"/"recipe": "0000000000000000"/' "$work/good.json" >"$certificate"
replay 2 "$run" --steps 100:200 --certificate "$certificate"
[ "$code" -eq 1 ] && has "first difference: recipes differ" || fail "$name: not named"

name="what can't be replayed"
replay 2 "$run/checkpoints/step-00000100" --steps 50:200 --certificate "$work/good.json"
refused 2 "the checkpoint is of step 100, after step 50"
replay 2 "$run" --steps 100:300 --certificate "$work/good.json"
refused 2 "--steps" "200 steps"
replay 2 "$run" --steps 101:109 --certificate "$work/good.json"
refused 2 "no row from step 101 to 109"
replay 2 "$run" --steps 10 --certificate "$work/good.json"
refused 2 "is not FROM:TO" "--steps"
replay 2 "$run" --steps 100:200 --certificate "$work/good.json" --set train.seed=7
refused 2 "train.seed" "--set"
replay 2 "$run" --steps 10:40 --certificate "$work/good.json" --every 10 --record "$work/none.json"
refused 4 "no good checkpoint of step 10 or before"
[ ! -e "$work/none.json" ] || fail "$name: something was recorded"
listing | cmp -s - "$work/before" || fail "$name: the run's folder has changed"
echo "$name: refused with words"
