#!/usr/bin/env bash
# tune.sh: sweeps as their owner would type them: killed twice and taken up again, and at several numbers of trials side by side,
# with the same trials, the same decisions and the same best one.
set -uo pipefail
source "$(dirname "$0")/common.sh"
lockstep=$(readlink -f "$lockstep")
cd "$work" || exit 1
short=(--set train.epochs=0 --set checkpoint.every_steps=20)

# tune FOLDER ARG...: its output is in $work/stdout and $work/stderr, its exit code in $code.
tune() {
  local folder=$1
  shift
  "$lockstep" tune "$digits" "${short[@]}" "$@" --out "$folder" </dev/null >"$work/stdout" 2>"$work/stderr"
  code=$?
}

# plain FOLDER: what a sweep came to, without what depends on time.
plain() {
  python3 - "$1" <<'END'
import json, sys
for name in ("trials.jsonl", "decisions.jsonl"):
    try:
        rows = [json.loads(line) for line in open(f"{sys.argv[1]}/{name}")]
    except FileNotFoundError:
        continue
    for row in rows:
        row.pop("seconds", None)
    print(name, *sorted(json.dumps(row, sort_keys=True) for row in rows), sep="\n")
END
}

# Four rates on two ranks.
rates=(--over optimizer.learning_rate=1e-4,1e-3,1e-2,1e38 --search grid -n 2 --set train.steps=120 --parallel 1)
tune whole "${rates[@]}"
[ "$code" -eq 0 ] || fail "a sweep ended with $code"
grep -q 'the best is trial [12], test accuracy' stdout || fail "the best rate is not found"
grep -q 'trial 3 FAILED: ' stdout || fail "the rate that diverges is not named"
[ -s whole/report.html ] && ! grep -qi '<script' whole/report.html || fail "there is no page"
cp stdout whole.stdout

# The same, killed twice.
for trial in 0001 0002; do
  "$lockstep" tune "$digits" "${short[@]}" "${rates[@]}" --out killed </dev/null >killed.log 2>&1 &
  job=$!
  until [ -e "killed/trials/$trial/metrics.jsonl" ]; do
    kill -0 $job 2>/dev/null || fail "the sweep has ended before it was killed: $(cat killed.log)"
    sleep 0.02
  done
  kill -9 $job
  wait $job 2>/dev/null
  until [ -z "$(living)" ]; do sleep 0.05; done
done
tune killed "${rates[@]}"
[ "$code" -eq 0 ] && grep -q 'going on with the sweep' stderr || fail "a killed sweep does not go on: $code"
diff <(plain whole) <(plain killed) >difference || fail "a killed sweep comes to something else: $(cat difference)"
echo "killed twice: the same trials, weights and best rate"

# Early stopping, one and three at a time.
early=(--over 'optimizer.learning_rate=log(1e-5,1e-1)' --over model.mlp.hidden=[8],[32] --trials 9 --stop asha --first-rung 10 --eta 3
  --set train.steps=90 --seed 4)
tune one "${early[@]}" --parallel 1
[ "$code" -eq 0 ] || fail "a sweep with early stopping ended with $code"
grep -q 'were stopped early' stdout || fail "no trial is stopped early"
tune three "${early[@]}" --parallel 3
[ "$code" -eq 0 ] || fail "a sweep of three trials at a time ended with $code"
diff <(plain one) <(plain three) >difference || fail "three at a time come to something else than one: $(cat difference)"
echo "early stopping: the same decisions at any number of trials side by side"

# The best run again with other seeds; suggestions by earlier trials.
tune tpe --over 'optimizer.learning_rate=log(1e-5,1e-1)' --search tpe --trials 14 --generation 4 --set train.steps=40 --best 2 --seeds 2
[ "$code" -eq 0 ] && grep -qE '\(3 seeds\)' stdout || fail "the best are not run with other seeds"
[ "$(grep -c . tpe/trials.jsonl)" -eq 18 ] || fail "there are $(grep -c . tpe/trials.jsonl) trials, not 14 and 4"
tune one --over x.y=1,2
[ "$code" -eq 2 ] && has "x.y" || fail "a field that is none is tried: $code"
echo "seeds, suggestions and bad fields"
