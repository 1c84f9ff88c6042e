#!/usr/bin/env bash
# fine_tuning.sh: a run that begins with another's weights and a new head, whose first layers are frozen and thaw at a step. Equal
# weights on any number of ranks and after kills before and behind the thaw; what is frozen stays, statistics as the recipe says.
set -uo pipefail
source "$(dirname "$0")/common.sh"
lockstep=$(readlink -f "$lockstep")
cd "$work" || exit 1

python3 - <<'END2'
for name, classes in [("ten.csv", 10), ("three.csv", 3)]:
    with open(name, "w") as f:
        for i in range(96):
            label = i * 7 % classes
            print(*((label * 23 + i * 37 + j * j * 11) % 64 for j in range(64)), label, sep=",", file=f)
END2
recipe() {
  cat <<END2
name: "$1"
data { train { csv { file: "$2.csv" header_lines: 0 image { height: 8 width: 8 } } } normalize { scale: 0.016 } }
model { resnet { depth: 8 widths: [4, 6, 8] } }
train { steps: $3 global_batch: 24 lanes: 6 seed: 2 log_every_steps: 1 $4 }
optimizer { sgd { momentum: 0.9 } learning_rate: 0.02 $5 }
checkpoint { every_steps: 10 }
END2
}
groups='groups { pattern: "conv1.*" frozen: true } groups { pattern: "bn1.*" frozen: true }
  groups { pattern: "layer1.*" frozen: true frozen_statistics: true thaw_at_step: 100 }'
recipe base ten 6 "" "" >base.textproto
must_train 1 base.textproto --out base
must_call export base base.safetensors

begin='init_from: "base.safetensors"'
recipe tuned three 200 "$begin" "$groups" >tuned.textproto
train 1 tuned.textproto --out refused
[ "$code" -eq 2 ] && has '"fc.bias" is [10], the model'"'"'s [3], "fc.weight" is [10, 8], the model'"'"'s [3, 8]' &&
  has 'train { new_head: true }' || fail "other classes are not told"
begin+=' new_head: true'
recipe tuned three 200 "$begin" "$groups" >tuned.textproto
must_call plan tuned.textproto
has "frozen before step 100" || fail "plan does not tell the thaw"

for ranks in 1 2 3; do
  must_train $ranks tuned.textproto --out "tuned-$ranks"
  [ $ranks -gt 1 ] || has "the last layer begins with random numbers: fc.bias, fc.weight" || fail "the new head is not told"
  weights >"weights-$ranks"
done
cmp -s weights-1 weights-2 && cmp -s weights-1 weights-3 || fail "weights differ between ranks"
equal_state tuned-1 tuned-3
echo "a new head and a thaw: equal weights at 1, 2 and 3 ranks"

for step in 40 140; do
  out=$work/killed-$step
  kill_at $step 3 tuned.textproto --out "$out"
  must_train 2 tuned.textproto --out "$out"
  has "resuming from step" || fail "it did not go on after the kill at step $step"
  weights | cmp -s - weights-1 || fail "other weights after a kill at step $step"
  equal_state tuned-1 "$out"
done
echo "the same after kills before and behind the thaw"

# A run that ends at the thaw, and is made longer.
must_train 2 tuned.textproto --out parts --set train.steps=100
must_call export parts before.safetensors
must_train 1 tuned.textproto --out parts
weights | cmp -s - weights-1 || fail "other weights after a stop at the thaw"
must_call export parts after.safetensors
python3 - <<'END2' || fail "other parameters are frozen than the recipe says"
import json, struct


def read(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    return {name: data[8 + size + e["data_offsets"][0] : 8 + size + e["data_offsets"][1]] for name, e in header.items()}


base, before, after = map(read, ["base.safetensors", "before.safetensors", "after.safetensors"])
for name in base:
    statistic = "running" in name
    first, block = name.startswith(("conv1.", "bn1.")), name.startswith("layer1.")
    stays, stays_on = block or first and not statistic, first and not statistic
    assert (before[name] == base[name]) == stays, (name, "before")
    assert (after[name] == before[name]) == stays_on, (name, "behind")
END2
echo "what is frozen stays until the thaw, with its statistics where the recipe says so"
