#!/usr/bin/env bash
# scale.sh: a scaling study as its owner would type it, with planted faults that its report must name: shared cores, a point that
# fails (slowed_rank.sh has a slowed rank). A study that is stopped goes on where it was.
set -uo pipefail
source "$(dirname "$0")/common.sh"
lockstep=$(readlink -f "$lockstep")
cd "$work" || exit 1
most=$(nproc)

# study ARG...: its output is in $work/stdout and $work/stderr, its exit code in $code.
study() {
  "$lockstep" scale "$digits" "$@" </dev/null >"$work/stdout" 2>"$work/stderr"
  code=$?
}

# What would mislead is refused, in words with a remedy.
study --ranks 1,64 --set train.lanes=64 --set train.global_batch=64 --repeats 1 --steps 20 --out refused
[ "$code" -eq 2 ] && grep -q 'ranks would share cores' stderr && grep -q -- '--anyway' stderr || fail "shared cores are measured without a word"
[ ! -e refused/runs.jsonl ] || fail "a refused study has measured something"
study --ranks 1,99 --out refused
[ "$code" -eq 2 ] && grep -q "99 ranks are more than the recipe's" stderr || fail "more ranks than lanes are not refused"
echo "preflight"

# Stopped after its first runs, and taken up again: nothing is measured twice.
args=(--ranks 1,2 --repeats 2 --steps 40 --vary optimizer.learning_rate=1e-3,1e38 --anyway --out study)
"$lockstep" scale "$digits" "${args[@]}" </dev/null >stopped 2>&1 &
job=$!
until [ "$(wc -l 2>/dev/null <study/runs.jsonl)" -ge 2 ] 2>/dev/null; do
  kill -0 $job 2>/dev/null || fail "the study has ended before it was stopped: $(cat stopped)"
  sleep 0.05
done
kill -TERM $job
wait $job
[ $? -eq 75 ] || fail "a stopped study ends with another code: $(cat stopped)"
cp study/runs.jsonl before
study "${args[@]}"
[ "$code" -eq 0 ] || fail "the study does not go on: it ended with $code"
head -n "$(wc -l <before)" study/runs.jsonl | cmp -s - before || fail "what was measured is measured again"
grep -q 'going on with the study' stderr || fail "that it goes on is not said"
python3 - <<'END' || fail "the rows are not those of the study"
import json
rows = [json.loads(line) for line in open("study/runs.jsonl")]
names = sorted({(row["point"], row["repeat"]) for row in rows})
assert len(names) == len(rows) and len({row["point"] for row in rows}) >= 5, names
good = {row["weights"] for row in rows if row["point"] in ("r1-learning_rate_1e-3", "r2-learning_rate_1e-3", "twin")}
assert len(good) == 1, good
bad = [row for row in rows if "1e38" in row["point"]]
assert bad and all(row["exit_code"] == 5 and row["reason"] for row in bad), bad
END
grep -qE 'all [0-9]+ runs ended with weights [0-9a-f]{16}' stdout || fail "the weights are not said to agree"
# One rank has no more cores than each of two.
grep -qE "every rank computes on $((most > 1 ? most / 2 : 1)) cores?, at every point" stdout || fail "that a rank's cores are the same is not said"
grep -q "1 rank, .* $((most > 1 ? most / 2 : 1)) executors\? a rank" study/runs/r1-learning_rate_1e-3-0.log || fail "one rank has other cores than each of two"
grep -q '2 of 2 runs of point r1-learning_rate_1e38 FAILED: ' stdout || fail "the failing point is not a row with its reason"
for file in report.html report.md report.json points.csv extrap.txt; do [ -s "study/$file" ] || fail "there is no $file"; done
grep -q '</html>' study/report.html && ! grep -qi '<script' study/report.html || fail "the page is not whole"
study --ranks 1 --repeats 3 --anyway --out study
[ "$code" -eq 2 ] && grep -q 'it holds another study' stderr || fail "another study goes on in the same folder"
echo "stopped and taken up: equal weights, a failing point named"

# Shared cores, measured all the same, stand on page one.
study --ranks "1,$((most + 1))" --set "train.lanes=$((4 * (most + 1)))" --set "train.global_batch=$((16 * (most + 1)))" --repeats 1 --steps 20 --anyway --out shared
[ "$code" -eq 0 ] && grep -q 'MEASURED ALL THE SAME: .*ranks would share cores' stdout || fail "shared cores are not on page one"
grep -q 'MEASURED ALL THE SAME' shared/report.html || fail "the page does not say it"
echo "shared cores"

"$lockstep" scale --compare study study >stdout 2>stderr || fail "a comparison ended with $?"
grep -q 'differs beyond noise' stdout && fail "a study differs from itself"
grep -q 'So few repeats' stdout || fail "that two repeats show nothing is not said"
"$lockstep" scale --compare study "$work" >stdout 2>stderr && fail "a folder without a study is compared"
grep -q 'there is no study in it' stderr || fail "a folder without a study is not named"
echo "comparison"
