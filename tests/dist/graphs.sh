#!/usr/bin/env bash
# graphs.sh: models of one's own. A graph of images and one of several inputs, outputs and losses train to the same bits on any
# number of ranks and after a kill; what doesn't fit is named; plans print and draw them.
set -uo pipefail
source "$(dirname "$0")/common.sh"
lockstep=$(readlink -f "$lockstep")
cd "$work" || exit 1

# images.textproto: what vision models are made of, channels first.
{
  sed -n '/^data/,/^}/p' "$digits" | sed "s|data/digits|$root/examples/data/digits|"
  cat <<'END'
name: "images"
model {
  graph {
    channels_first: true
    node { name: "stem" conv { channels: 8 bias: false } }
    node { name: "stem_norm" batch_norm {} }
    node { name: "stem_act" function { kind: HARD_SWISH } }
    node { name: "block" repeat { times: 2
      node { name: "wide" conv { channels: 16 kernel: 1 } }
      node { name: "deep" conv { channels: 16 kernel: [5, 3] groups: 16 } }
      node { name: "norm" group_norm { groups: 4 } }
      node { name: "gate" reduce { kind: MEAN axes: [2, 3] keep: true } }
      node { name: "gate_conv" conv { channels: 16 kernel: 1 } }
      node { name: "gate_act" function { kind: HARD_SIGMOID } }
      node { name: "gated" input: ["norm", "gate_act"] multiply {} }
      node { name: "narrow" conv { channels: 8 kernel: 1 } }
      node { name: "drop" dropout: 0.1 }
      node { name: "sum" input: ["drop", "block_input"] add {} }
    } }
    node { name: "down" average_pool {} }
    node { name: "dilated" conv { channels: 8 dilation: 2 padding: 2 } }
    node { name: "up" conv_transpose { channels: 8 } }
    node { name: "larger" input: "down" resize { kind: LINEAR scale: 2 } }
    node { name: "all" input: ["up", "larger", "block"] concat {} }
    node { name: "scale" parameter { shape: [24, 1, 1] value: 1 } }
    node { name: "scaled" input: ["all", "scale"] multiply {} }
    node { name: "act" activation: GELU }
    node { name: "tokens" reshape { shape: [0, 24, 64] } }
    node { name: "rows" transpose { order: [0, 2, 1] } }
    node { name: "scores" input: ["rows", "rows"] matmul { transpose_b: true scale: 0.2 } }
    node { name: "weights" softmax {} }
    node { name: "mixed" input: ["weights", "rows"] matmul {} }
    node { name: "norm" layer_norm {} }
    node { name: "mean" reduce { kind: MEAN axes: 1 } }
    node { name: "fc" linear {} }
    loss { focal_cross_entropy { gamma: 1 } }
  }
}
train { steps: 60 global_batch: 30 lanes: 10 evaluate_every_steps: 20 log_every_steps: 1 seed: 3 }
checkpoint { every_steps: 20 }
optimizer { adamw {} learning_rate: 3e-3 }
END
} >images.textproto

# mixed.textproto: two arrays and ids come in; a class and a value go out.
python3 - <<'END'
import math, struct


def npy(path, descr, shape, data):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    open(path, "wb").write(b"\x93NUMPY\x01\0" + struct.pack("<H", 118) + header.encode() + data)


n = 240
waves = [math.sin(i * 0.7 + t * (1 + i % 3)) for i in range(n) for t in range(12)]
meta = [math.cos(i * 1.3 + j) for i in range(n) for j in range(2)]
kinds = [i * 5 % 7 for i in range(n)]
npy("waves.npy", "<f4", (n, 12, 1), struct.pack(f"<{n * 12}f", *waves))
npy("meta.npy", "<f4", (n, 2), struct.pack(f"<{n * 2}f", *meta))
npy("kind.npy", "<i8", (n,), struct.pack(f"<{n}q", *kinds))
npy("species.npy", "<i8", (n,), struct.pack(f"<{n}q", *[i % 3 for i in range(n)]))
npy("height.npy", "<f4", (n, 1), struct.pack(f"<{n}f", *[meta[2 * i] + kinds[i] / 7 for i in range(n)]))
END
cat >mixed.textproto <<'END'
name: "mixed"
data {
  train {
    arrays {
      field { name: "waves" file: "waves.npy" }
      field { name: "meta" file: "meta.npy" }
      field { name: "kind" file: "kind.npy" ids: true }
      label { name: "species" file: "species.npy" }
      target { name: "height" file: "height.npy" }
    }
  }
  split { test: 0.2 }
}
model {
  graph {
    node { name: "lstm" input: "waves" lstm { hidden: 8 bidirectional: true } }
    node { name: "last" input: "lstm:1" flatten {} }
    node { name: "word" input: "kind" embedding { entries: 7 width: 4 } }
    node { name: "both" input: ["last", "word", "meta"] concat {} }
    node { name: "hidden" linear { features: 16 } }
    node { name: "act" activation: SILU }
    node { name: "species" linear { features: 3 } }
    node { name: "height" input: "act" linear { features: 1 } }
    output { name: "logits" node: "species" }
    output { name: "height" }
    loss { target: "species" softmax_cross_entropy {} }
    loss { node: "height" target: "height" huber {} weight: 0.5 }
  }
}
train { epochs: 15 global_batch: 24 lanes: 6 evaluate_every_steps: 30 log_every_steps: 1 seed: 3 }
checkpoint { every_steps: 20 }
optimizer { adamw {} learning_rate: 1e-2 }
END

for model in images mixed; do
  for ranks in 1 2 3 5; do
    must_train "$ranks" "$model.textproto" --out "$model-$ranks"
    weights >"weights-$ranks"
    cmp -s weights-1 "weights-$ranks" || fail "$model: weights at 1 and $ranks ranks differ"
    [ "$ranks" -eq 1 ] || equal_state "$model-1" "$model-$ranks"
    same_rows "$model-1" "$model-$ranks"
  done
  out=$work/$model-killed
  kill_at 25 3 "$model.textproto" --out "$out"
  must_train 2 "$model.textproto" --out "$out"
  weights >weights-killed
  cmp -s weights-1 weights-killed || fail "$model: weights after a kill differ"
  must_call plan "$model.textproto" --html "$model.html" --dot "$model.dot"
  has NAME && grep -q "<svg" "$model.html" && grep -q "^digraph" "$model.dot" || fail "the plan of $model doesn't show it"
  must_call eval "$model-1"
done


# Each output is an array of its own.
must_call predict mixed-1 waves=waves.npy kind=kind.npy meta=meta.npy --out answers.npy
python3 - <<'END' || fail "answers to several inputs are others than the run learned"
import struct


def read(path):
    data = open(path, "rb").read()
    end = 10 + struct.unpack("<H", data[8:10])[0]
    return data[10:end].decode(), struct.unpack(f"<{(len(data) - end) // 4}f", data[end:])


form, logits = read("answers.logits.npy")
assert "'shape': (240, 3)" in form, form
right = sum(max(range(3), key=lambda k: logits[3 * i + k]) == i % 3 for i in range(240))
form, found = read("answers.height.npy")
assert "'shape': (240, 1)" in form, form
wanted = read("height.npy")[1]
error = sum(abs(a - b) for a, b in zip(found, wanted)) / 240
print("answers:", right, "of 240 classes, heights", error)
assert right > 200 and error < 0.3, (right, error)
END
"$lockstep" predict mixed-1 waves=waves.npy meta=meta.npy --out answers.npy >stdout 2>stderr && fail "an input may be missing"
grep -q "give waves=FILE meta=FILE kind=FILE" stderr || fail "inputs are not named: $(cat stderr)"

# Both losses are learned.
python3 - <<'END' || fail "the graph of several inputs learns nothing"
import json
rows = [json.loads(line) for line in open("mixed-1/metrics.jsonl")]
tests = [row["loss"] for row in rows if row.get("split") == "test"]
print("test loss", tests[0], "to", tests[-1])
assert tests[-1] < 0.7 * tests[0], tests
END

train 1 images.textproto --out refused --set model.graph.channels_first=false
[ "$code" -eq 2 ] && has 'node "' || fail "a graph that doesn't fit is no error that names a node: $code"
echo "graphs: equal bits at 1, 2, 3, 5 ranks and after a kill"
