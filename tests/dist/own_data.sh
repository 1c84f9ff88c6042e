#!/usr/bin/env bash
# own_data.sh: from a file to answers and a picture, by the commands that `lockstep new` prints, as its owner would type them.
# The same weights, and the same answers, at any number of ranks.
set -uo pipefail
source "$(dirname "$0")/common.sh"
lockstep=$(readlink -f "$lockstep")
cd "$work" || exit 1

# A table as pandas writes it: an index, a heading, classes by name and sorted, a gap, a category.
python3 - <<'END2'
import math
with open("flowers.csv", "w") as f:
    f.write(",petal,sepal,soil,species\n")
    for i in range(240):
        kind = i // 80
        x = math.sin(i * 12.9898) * 43758.5453 % 1
        y = math.sin(i * 78.233) * 12345.678 % 1
        petal = "" if i % 50 == 7 else f"{1000 * (kind + 0.8 * x):.3f}"
        f.write(f"{i},{petal},{kind * 0.5 - y:.4f},{'wet' if (i + kind) % 3 else 'dry'},{('iris', 'lily', 'rose')[kind]}\n")
with open("hill.csv", "w") as f:
    f.write("east,north,height\n")
    for i in range(300):
        x, y = math.sin(i * 1.7), math.cos(i * 2.3)
        f.write(f"{x:.5f},{y:.5f},{300 + 40 * x - 25 * y * y:.4f}\n")
END2

must_call new flowers.csv
grep -q 'missing: MEDIAN' flowers.textproto && grep -q 'categorical: "soil"' flowers.textproto || fail "new overlooks gaps or words"
must_call data check flowers.textproto
for ranks in 1 2 3; do
  must_train "$ranks" flowers.textproto --out "run-$ranks"
  weights >"weights-$ranks"
done
cmp -s weights-1 weights-2 && cmp -s weights-1 weights-3 || fail "the weights differ between ranks"
accuracy=$(grep -oE 'accuracy=[0-9.]+' stdout | cut -d = -f 2)
python3 -c "import sys; sys.exit(float('$accuracy') < 0.9)" || fail "an accuracy of $accuracy"
echo "new and train: equal weights at 1, 2 and 3 ranks, accuracy $accuracy"

# Classes that count alike, and rows that are mixed.
weighted=(--set 'data.augment=mixup { alpha: 0.2 }' --set 'data.class_weights=balanced: true' --set train.epochs=0 --set train.steps=50)
for ranks in 1 2 3; do
  must_train "$ranks" flowers.textproto --out "mixed-$ranks" "${weighted[@]}"
  weights >"mixed-weights-$ranks"
done
cmp -s mixed-weights-1 mixed-weights-2 && cmp -s mixed-weights-1 mixed-weights-3 || fail "weights of mixed rows differ between ranks"
cmp -s mixed-weights-1 weights-1 && fail "mixing and weighing change nothing"
grep -q 'values: 1$' mixed-1/recipe.textproto || fail "the weights of equal classes are not 1: $(grep -A3 class_weights mixed-1/recipe.textproto)"
train 1 flowers.textproto --out alone "${weighted[@]}" --set train.global_batch=8 --set train.lanes=8
[ "$code" -eq 2 ] && has "a lane has one sample" || fail "a lane of one sample is mixed"
must_call predict mixed-1 flowers.csv --format csv
[ "$(wc -l <stdout)" -eq 241 ] || fail "a run with class weights gives no answers"
must_call eval mixed-1 --brief
echo "class weights and mixup"

# Answers: rows in another order of columns, without the label; line by line the same.
python3 - <<'END2'
rows = [line.rstrip("\n").split(",") for line in open("flowers.csv")]
with open("new.csv", "w") as f:
    for row in rows[:6]:
        f.write(",".join([row[3], row[2], row[1]]) + "\n")
END2
must_call predict run-1 new.csv --format csv
cp stdout answers.csv
[ "$(wc -l <answers.csv)" -eq 6 ] && head -1 answers.csv | grep -q '^row,prediction,probability,p(iris),p(lily),p(rose)$' ||
  fail "the answers are not six lines with a heading"
"$lockstep" predict run-3 - --format csv <new.csv >lines.csv 2>stderr || fail "predict - ended with $?"
cut -d , -f 1-2 answers.csv | cmp -s - <(cut -d , -f 1-2 lines.csv) || fail "answers line by line differ"
answers_at_once run-1 soil,sepal,petal wet,0.7,1800
printf 'soil,sepal\nwet,1\n' >bad.csv
"$lockstep" predict run-1 bad.csv >stdout 2>stderr && fail "a table without a column is answered"
grep -q 'there is no column petal' stderr || fail "the missing column is not named"
echo "predict: files and lines"

# Numbers by class, at one rank and at two; the report.
must_call eval run-1
grep -q '^rose ' stdout && grep -q 'calibration error (ECE)' stdout || fail "eval says nothing by class"
must_call eval run-1 --json
cp stdout one.json
sed 's/"time":[0-9]*//' run-1/evaluation.json >details
run 2 "$lockstep" eval run-1 --json
[ "$code" -eq 0 ] && cmp -s one.json stdout || fail "eval --json differs at two ranks"
sed 's/"time":[0-9]*//' run-1/evaluation.json | cmp -s - details || fail "evaluation.json differs at two ranks"
python3 - <<'END2' || fail "eval --json is not what it should be"
import json
found = json.load(open("one.json"))
assert abs(found["classification"]["accuracy"] - found["metrics"]["accuracy"]) < 1e-12, found
END2
must_call report run-1 run-2 --out report.html
grep -q '</html>' report.html && ! grep -qi '<script' report.html && grep -q 'lily' report.html || fail "the report is not whole"
(mkdir -p runs && mv run-1 runs/one && must_call status && grep -q '^one ' stdout) || fail "status without an argument"
echo "eval, report and status"

# Values, in their own unit.
must_call new hill.csv
must_train 2 hill.textproto --out hill-run
grep -oE ' loss=.* weights=' stdout >line-2
must_train 3 hill.textproto --out hill-3
grep -oE ' loss=.* weights=' stdout | cmp -s - line-2 && grep -q ' mae=[0-9.]* r2=0[.]9' line-2 ||
  fail "loss, mae and r2 differ at two and three ranks: $(cat line-2 stdout)"
must_call eval hill-run --json
python3 - <<'END2' || fail "a hill of three lines is not learned: $(cat stdout)"
import json
both = json.load(open("stdout"))
found, line = both["regression"], both["metrics"]
assert found["mean"]["r2"] > 0.97 and 0 < found["mean"]["mae"] < 10, found
assert all(abs(found["mean"][name] - line[name]) < 1e-9 for name in ("mae", "r2")), both
END2
echo "values: R2 and errors in the target's unit"

# What steers may change; what the model is made of may not.
must_train 2 flowers.textproto --out run-2 --set optimizer.learning_rate=1e-4 --set train.epochs=100 --change recipe
grep -q '"changed":\[.*optimizer.learning_rate: 0.001 -> 0.0001' run-2/attempts.jsonl || fail "the change is not noted"
train 2 flowers.textproto --out run-2 --set model.mlp.hidden=[9] --change recipe
[ "$code" -ne 0 ] && has "model.mlp.hidden" || fail "another model goes on"
echo "--change recipe: the learning rate"

# Batch and data: the same weights at any number of ranks, and after a resume in the middle of what has changed.
python3 - <<'END2'
lines = open("flowers.csv").readlines()
open("more.csv", "w").writelines(lines + lines[3:90])
END2
change=(--set train.epochs=0 --set checkpoint.every_steps=10 --set checkpoint.keep=9 --set train.certificate_every_steps=5 --set optimizer.schedule=constant\ {})
for ranks in 1 2 3; do
  must_train "$ranks" flowers.textproto --out "leg-$ranks" "${change[@]}" --set train.steps=25
  must_train "$ranks" flowers.textproto --out "leg-$ranks" "${change[@]}" --set train.steps=50 --set train.global_batch=24 --change recipe
  weights >"leg-weights-$ranks"
  must_train "$ranks" flowers.textproto --out "leg-$ranks" "${change[@]}" --set train.steps=75 --set train.global_batch=24 \
    --set data.train.csv.file=more.csv --change recipe
  weights >>"leg-weights-$ranks"
done
cmp -s leg-weights-1 leg-weights-2 && cmp -s leg-weights-1 leg-weights-3 || fail "weights after changes differ between ranks"
grep -q '"changed":\[.*train.global_batch: 16 -> 24' leg-1/attempts.jsonl || fail "the batch is not noted: $(cat leg-1/attempts.jsonl)"
grep -q '"changed":\[.*data.train: ' leg-1/attempts.jsonl || fail "the data are not noted"
rm -r leg-2/done.json leg-2/checkpoints/step-000000{60,70,75}
must_train 3 flowers.textproto --out leg-2 "${change[@]}" --set train.steps=75 --set train.global_batch=24 --set data.train.csv.file=more.csv
[ "$(weights)" = "$(tail -n 1 leg-weights-1)" ] || fail "a resume in the middle of what has changed gives other weights"
"$lockstep" replay leg-2 --steps 50:60 >stdout 2>stderr || fail "the run can't be replayed across a change: $(cat stderr)"
"$lockstep" replay leg-2 --steps 30:60 >stdout 2>stderr && fail "steps before a change are replayed with what came after it"
grep -q "before step 50" stderr || fail "where the change was is not said: $(cat stderr)"
train 1 flowers.textproto --out leg-1 "${change[@]}" --set train.steps=80 --set train.global_batch=24
[ "$code" -ne 0 ] && has "--change recipe" || fail "the old data go on in the place of the new ones"
echo "--change recipe: batch and data"
