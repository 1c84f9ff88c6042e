#!/usr/bin/env bash
# own_arrays.sh: columns of words that are embedded, and NumPy's arrays. The same weights at any number of ranks; steps of SGD are those
# that a few lines of Python compute in double precision; answers to rows that were never seen.
set -uo pipefail
source "$(dirname "$0")/common.sh"
lockstep=$(readlink -f "$lockstep")
cd "$work" || exit 1

cat >model.py <<'END2'
# The model and its weights, in double precision and in safetensors' files.
import json, math, struct

CITIES, COLORS = ["Bonn", "Kiel", "Ulm"], ["blue", "red"]
SHAPES = {"categories.weight": [5, 2], "fc1.weight": [4, 6], "fc1.bias": [4], "fc2.weight": [2, 4], "fc2.bias": [2]}


def rows():
    for i in range(12):
        city = "" if i == 5 else CITIES[i * 7 % 3]
        yield math.sin(i), math.cos(3 * i), city, COLORS[i % 5 % 2], (i * 5 + i // 3) % 2


def ids(city, color):
    return [CITIES.index(city) if city in CITIES else -1, 3 + COLORS.index(color) if color in COLORS else -1]


def start():
    return {name: [math.sin(17 * len(name) + 1.3 * i) / 2 for i in range(math.prod(shape))] for name, shape in SHAPES.items()}


def write(path, weights):
    header, body = {}, b""
    for name, values in weights.items():
        data = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": SHAPES[name], "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + body)


def read(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        assert entry["shape"] == SHAPES[name], (name, entry)
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        found[name] = struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])
    return found


def forward(w, x, words):
    inputs = list(x)
    for word in words:
        inputs += w["categories.weight"][2 * word : 2 * word + 2] if word >= 0 else [0, 0]
    hidden = [max(0, w["fc1.bias"][j] + sum(w["fc1.weight"][6 * j + i] * v for i, v in enumerate(inputs))) for j in range(4)]
    logits = [w["fc2.bias"][k] + sum(w["fc2.weight"][4 * k + j] * v for j, v in enumerate(hidden)) for k in range(2)]
    most = max(logits)
    parts = [math.exp(logit - most) for logit in logits]
    return inputs, hidden, [part / sum(parts) for part in parts]


def step(w, rate):
    gradient = {name: [0.0] * len(values) for name, values in w.items()}
    data = list(rows())
    for a, b, city, color, label in data:
        words = ids(city, color)
        inputs, hidden, p = forward(w, (a, b), words)
        d_logits = [(p[k] - (k == label)) / len(data) for k in range(2)]
        d_hidden = [sum(d_logits[k] * w["fc2.weight"][4 * k + j] for k in range(2)) * (hidden[j] > 0) for j in range(4)]
        for k in range(2):
            gradient["fc2.bias"][k] += d_logits[k]
            for j in range(4):
                gradient["fc2.weight"][4 * k + j] += d_logits[k] * hidden[j]
        for j in range(4):
            gradient["fc1.bias"][j] += d_hidden[j]
            for i in range(6):
                gradient["fc1.weight"][6 * j + i] += d_hidden[j] * inputs[i]
        for place, word in enumerate(words):
            for c in range(2 if word >= 0 else 0):
                i = 2 + 2 * place + c
                gradient["categories.weight"][2 * word + c] += sum(d_hidden[j] * w["fc1.weight"][6 * j + i] for j in range(4))
    return {name: [value - rate * g for value, g in zip(values, gradient[name])] for name, values in w.items()}
END2

python3 - <<'END2'
import model
with open("towns.csv", "w") as f:
    f.write("a,city,b,color,y\n")
    for a, b, city, color, y in model.rows():
        f.write(f"{a!r},{city},{b!r},{color},{y}\n")
model.write("start.safetensors", model.start())
END2
cat >towns.textproto <<'END2'
name: "towns"
data { train { csv { file: "towns.csv" label: "y" embedded: ["city", "color"] } } }
model { mlp { hidden: 4 embedding: 2 } }
train { epochs: 8 global_batch: 12 lanes: 3 seed: 1 init_from: "start.safetensors" }
optimizer { sgd {} learning_rate: 0.5 }
END2
for ranks in 1 2 3; do
  must_train "$ranks" towns.textproto --out "towns-$ranks"
  weights >"weights-$ranks"
done
cmp -s weights-1 weights-2 && cmp -s weights-1 weights-3 || fail "weights of embedded words differ between ranks"
must_call export towns-2 end.safetensors
python3 - <<'END2' || fail "eight steps are not those of SGD"
import model
weights = model.start()
for _ in range(8):
    weights = model.step(weights, 0.5)
found = model.read("end.safetensors")
assert set(found) == set(weights), found.keys()
worst = max(abs(a - b) for name in weights for a, b in zip(weights[name], found[name]))
moved = max(abs(a - b) for a, b in zip(model.start()["categories.weight"], found["categories.weight"]))
print(f"embedded words: equal weights at 1, 2 and 3 ranks; {worst:.1e} from SGD in double precision, words moved by {moved:.2f}")
assert worst < 2e-6 < 0.05 < moved, (worst, moved)
END2

# A word that was never seen is zeros.
printf 'color,b,city,a\nred,0.5,Ulm,-1\ngreen,0.25,Rome,1\n' >new.csv
must_call predict towns-1 new.csv --format csv
cp stdout answers.csv
python3 - <<'END2' || fail "answers to embedded words: $(cat answers.csv)"
import model
w = model.read("end.safetensors")
found = [line.split(",") for line in open("answers.csv").read().split()[1:]]
for (x, words), line in zip([((-1, 0.5), [2, 4]), ((1, 0.25), [-1, -1])], found):
    assert abs(model.forward(w, x, words)[2][1] - float(line[-1])) < 1e-4, (x, line)
END2
must_call eval towns-3
must_call plan towns.textproto
train 1 towns.textproto --out refused --set 'model=layers { layer { linear {} } }'
[ "$code" -eq 2 ] && has "columns that are embedded" || fail "layers take embedded words"

# Arrays: features and values; pictures of bytes and classes, in one file.
python3 - <<'END2'
import math, struct, zipfile


def npy(descr, shape, data):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", 118) + header.encode() + data


x = [math.sin(i * 1.7 + j) for i in range(300) for j in range(3)]
t = [value for i in range(300) for value in (300 + 40 * x[3 * i] - 25 * x[3 * i + 1], x[3 * i + 2])]
open("x.npy", "wb").write(npy("<f8", (300, 3), struct.pack("<900d", *x)))
open("t.npy", "wb").write(npy("<f4", (300, 2), struct.pack("<600f", *t)))
bright = [i * 7 % 3 for i in range(120)]
pixels = bytes((40 + 80 * bright[i] + (i * 37 + j * 11) % 31) for i in range(120) for j in range(64))
words = "".join(("dark", "grey", "pale")[b] for b in bright).encode("utf-32-le")
with zipfile.ZipFile("pictures.npz", "w") as f:
    f.writestr("x.npy", npy("|u1", (120, 8, 8), pixels))
    f.writestr("y.npy", npy("<U4", (120,), words))
END2
cat >values.textproto <<'END2'
name: "values"
data { train { arrays { inputs: "x.npy" targets: "t.npy" } } split { test: 0.2 } normalize { auto {} } }
model { mlp { hidden: 16 } }
train { epochs: 60 global_batch: 16 lanes: 4 seed: 1 }
optimizer { adamw {} learning_rate: 0.01 }
END2
must_call data check values.textproto
for ranks in 1 3; do
  must_train "$ranks" values.textproto --out "values-$ranks"
  weights >"weights-$ranks"
done
cmp -s weights-1 weights-3 || fail "weights of arrays differ between ranks"
must_call eval values-1 --json
python3 -c "
import json
found = json.load(open('stdout'))['regression']
assert found['mean']['r2'] > 0.9, found" || fail "values of arrays are not learned: $(cat stdout)"
must_call predict values-1 x.npy --format csv
[ "$(wc -l <stdout)" -eq 301 ] && [ "$(head -1 stdout | tr ',' '\n' | wc -l)" -eq 3 ] || fail "an array is not answered row by row"
cp stdout answers.csv
cat >answers.py <<'END2'
# Whether a file of NumPy's holds the last columns of a file of answers.
import ast, struct, sys

data = open(sys.argv[1], "rb").read()
end = 10 + struct.unpack("<H", data[8:10])[0]
header = ast.literal_eval(data[10:end].decode())
assert data[:8] == b"\x93NUMPY\x01\0" and end % 64 == 0 and header["descr"] == "<f4" and not header["fortran_order"], header
rows, columns = header["shape"]
found = struct.unpack(f"<{rows * columns}f", data[end:])
expected = [float(cell) for line in open(sys.argv[2]).read().splitlines()[1:] for cell in line.split(",")[-columns:]]
assert len(found) == len(expected), (header, len(expected))
assert all(abs(a - b) <= 1e-5 * abs(b) + 1e-6 for a, b in zip(found, expected)), "other values"
END2
must_call predict values-1 x.npy --out answers.npy
python3 answers.py answers.npy answers.csv || fail "values are others in an array"
must_call predict values-1 features=x.npy --out named.npy
cmp -s answers.npy named.npy || fail "an input that is named is another"

must_call new pictures.npz
grep -q 'labels: "pictures.npz:y"' pictures.textproto || fail "new overlooks an array"
must_train 2 pictures.textproto --out pictures
must_call predict pictures pictures.npz:x --format csv
[ "$(head -1 stdout)" = "row,prediction,probability,p(dark),p(grey),p(pale)" ] || fail "classes of arrays have no names"
cp stdout answers.csv
must_call predict pictures pictures.npz:x --out answers.npy --probabilities
python3 answers.py answers.npy answers.csv || fail "probabilities are others in an array"
"$lockstep" predict pictures pictures.npz:x --out answers.csv --probabilities >stdout 2>stderr && fail "lines have logits"
"$lockstep" predict pictures x.npy >stdout 2>stderr && fail "features are answered as pictures"
grep -q 'its samples are features \[3\], those of the training data are image \[8, 8, 1\] of bytes' stderr || fail "other arrays are taken"
echo "arrays: values, pictures and words, the same at 1 and 3 ranks, with answers"
