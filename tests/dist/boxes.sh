#!/usr/bin/env bash
# boxes.sh: pictures with boxes, as Pascal VOC, COCO and YOLO have them, train to the same weights, on 1, 2, 3 and 5 ranks, and
# resumed after a kill, with all that augments them; then boxes are found, drawn, measured, and what is wrong with annotations is
# named.
set -uo pipefail
source "$(dirname "$0")/common.sh"
lockstep=$(readlink -f "$lockstep")
cd "$work" || exit 1

# Grey pictures with red discs' boxes and blue squares', 1 to 4 each.
python3 - <<'END' || fail "no pictures were written"
import json, pathlib, random, struct, zlib

def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

def png(rows, width, height):
    packed = b"".join(b"\0" + bytes(row) for row in rows)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(packed)) + chunk(b"IEND", b""))

rng, width, height, names = random.Random(1), 64, 48, ["disc", "square"]
voc, yolo = pathlib.Path("voc"), pathlib.Path("yolo")
for folder in ("voc/Annotations", "voc/JPEGImages", "voc/ImageSets/Main", "yolo/images/train", "yolo/labels/train", "yolo/images/val",
               "yolo/labels/val", "coco/train", "coco/val", "coco/annotations"):
    pathlib.Path(folder).mkdir(parents=True)
for part, count in (("train", 60), ("val", 20)):
    coco = {"images": [], "annotations": [], "categories": [{"id": 3, "name": "disc"}, {"id": 7, "name": "square"}]}
    stems = []
    for i in range(count):
        stem = f"{part}{i:03}"
        stems.append(stem)
        rows = [[rng.randrange(90, 130) for _ in range(3 * width)] for _ in range(height)]
        xml, text = "", ""
        for _ in range(rng.randrange(1, 5)):
            kind, size = rng.randrange(2), rng.randrange(10, 22)
            x, y = rng.randrange(0, width - size), rng.randrange(0, height - size)
            for dy in range(size):
                for dx in range(size):
                    if kind == 0 and (dx - size / 2 + .5) ** 2 + (dy - size / 2 + .5) ** 2 > size * size / 4:
                        continue
                    rows[y + dy][3 * (x + dx):3 * (x + dx) + 3] = [220, 40, 40] if kind == 0 else [30, 60, 220]
            xml += (f"<object><name>{names[kind]}</name><difficult>0</difficult><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>"
                    f"<xmax>{x + size}</xmax><ymax>{y + size}</ymax></bndbox></object>\n")
            text += (f"{kind} {(x + size / 2) / width:.6f} {(y + size / 2) / height:.6f} {size / width:.6f} "
                     f"{size / height:.6f}\n")
            coco["annotations"].append({"id": len(coco["annotations"]) + 1, "image_id": i + 1, "category_id": 3 + 4 * kind,
                                        "bbox": [x, y, size, size], "area": size * size, "iscrowd": 0})
        coco["images"].append({"id": i + 1, "file_name": f"{stem}.png", "width": width, "height": height})
        file = png(rows, width, height)
        for path in (voc / "JPEGImages", yolo / "images" / part, pathlib.Path("coco") / part):
            (path / f"{stem}.png").write_bytes(file)
        (voc / "Annotations" / f"{stem}.xml").write_text(
            f"<annotation><filename>{stem}.png</filename><size><width>{width}</width><height>{height}</height></size>\n{xml}"
            "</annotation>\n")
        (yolo / "labels" / part / f"{stem}.txt").write_text(text)
    (voc / "ImageSets" / "Main" / ("trainval.txt" if part == "train" else "test.txt")).write_text("\n".join(stems) + "\n")
    json.dump(coco, open(f"coco/annotations/instances_{part}.json", "w"))
(yolo / "data.yaml").write_text("train: images/train\nval: images/val\nnc: 2\nnames:\n  0: disc\n  1: square\n")
END

# recipe NAME TRAIN TEST: writes NAME.textproto.
recipe() {
  cat >"$1.textproto" <<END
name: "$1"
model { detector { backbone { resnet { blocks: [1, 1] widths: [8, 12] stem: HALVES } } strides: [4, 8] neck: 12 head: 1 } }
data {
  train { $2 }
  test { $3 }
  pictures { height: 48 width: 64 fit: PAD }
  normalize { auto {} }
  augment { flip: true flip_vertical: true zoom { move: 0.1 } channel_gain: 0.1 mosaic: 0.3 color_jitter { hue: 0.05 } }
}
train { steps: 24 global_batch: 12 lanes: 6 seed: 1 precision: F32 evaluate_every_steps: 12 }
optimizer { adamw {} learning_rate: 5e-3 }
checkpoint { every_steps: 8 }
END
}
recipe voc 'voc { path: "voc" sets: "trainval" }' 'voc { path: "voc" sets: "test" }'
recipe coco 'coco { annotations: "coco/annotations/instances_train.json" images: "coco/train" }' \
  'coco { annotations: "coco/annotations/instances_val.json" images: "coco/val" }'
recipe yolo 'yolo { file: "yolo/data.yaml" }' 'yolo { file: "yolo/data.yaml" part: "val" }'
must_train 1 voc.textproto --out voc-1
expected=$(weights)
score=$(grep -oE 'ap50=[0-9.]+' stdout | tail -n 1)
for format in coco yolo; do
  must_train 1 "$format.textproto" --out "$format-1"
  [ "$(weights)" = "$expected" ] || fail "of $format the weights are others than of VOC"
done
echo "VOC, COCO and YOLO give one model"
for ranks in 2 3 5; do
  must_train "$ranks" voc.textproto --out "voc-$ranks"
  [ "$(weights)" = "$expected" ] || fail "$ranks ranks: other weights than on one"
  [ "$(grep -oE 'ap50=[0-9.]+' stdout | tail -n 1)" = "$score" ] || fail "$ranks ranks: another $score"
done
must_train 3 voc.textproto --out again --set train.steps=8
must_train 2 voc.textproto --out again
[ "$(weights)" = "$expected" ] || fail "resumed at step 8 on another number of ranks, its weights are others"
fcos=(--set 'model=detector { fcos { groups: 4 } neck: 8 head: 1 backbone { resnet { depth: 18 widths: [4, 8, 8, 8] } } }'
  --set data.pictures.height=64 --set train.steps=6 --set train.evaluate_every_steps=6)
for ranks in 1 3; do
  must_train "$ranks" voc.textproto --out "fcos-$ranks" "${fcos[@]}"
  weights >"fcos-weights-$ranks"
done
cmp -s fcos-weights-1 fcos-weights-3 || fail "FCOS has other weights on 3 ranks than on one"
echo "equal weights and measures at 1, 2, 3 and 5 ranks, and resumed"

# From the folder to drawn boxes, as an owner would.
must_call new yolo --out own.textproto
must_call data check own.textproto --sheet sheet.png
has "boxes:" && [ -s sheet.png ] || fail "data check neither counts nor draws boxes"
must_train 2 own.textproto --out own --set train.epochs=0 --set train.steps=150
score=$(grep -oE 'ap50=[0-9.]+' stdout | tail -n 1 | cut -d = -f 2)
python3 -c "import sys; sys.exit(float('$score') < 0.5)" || fail "an AP50 of $score on discs and squares"
must_call predict own yolo/images/val --draw drawn --format csv
[ "$(find drawn -name '*.png' | wc -l)" -eq 20 ] || fail "not all pictures are drawn"
[ "$(head -n 1 stdout)" = "picture,class,score,x,y,width,height" ] || fail "the table has no heading"
must_call predict own yolo/images/val --format coco --score 0.05
python3 -c "import json, sys; sys.exit(not json.load(open('stdout')))" || fail "COCO's list is none"
must_call eval own
has "AP50, all points" || fail "eval shows no table"
must_call eval own --json
python3 -c "
import json, sys
row = json.load(open('stdout'))
coco = row['detection']['coco']
sys.exit(not (len(coco) == 12 and abs(coco['ap50'] - row['metrics']['ap50']) < 1e-12))" || fail "eval --json lacks COCO's numbers"
must_call report own --out own.html
grep -q "Precision over recall" own.html || fail "the report has no curves"
echo "new, train, predict, eval and report: AP50 $score"

# The mistakes that make AP 0: each is named, with 3.
# broken NAME PYTHON WORDS: the training annotations changed by PYTHON are complained of with WORDS.
broken() {
  python3 - "$2" <<'END'
import json, sys
data = json.load(open("coco/annotations/instances_train.json"))
exec(sys.argv[1])
json.dump(data, open("broken.json", "w"))
END
  "$lockstep" data check coco.textproto --set data.train.coco.annotations=broken.json --sheet sheet.png >stdout 2>stderr
  [ $? -eq 3 ] || fail "data check of $1 does not end with 3"
  has "$3" || fail "data check does not name $1 ($3)"
}
broken "category ids from 0" 'for a in data["annotations"]: a["category_id"] = a["category_id"] // 7
data["categories"] = [{"id": i + 1, "name": c["name"]} for i, c in enumerate(data["categories"])]' "shifted by 1"
broken "repeated ids" 'data["annotations"][3]["id"] = data["annotations"][4]["id"]' "id"
broken "a picture twice" 'data["images"].append(data["images"][0])' "twice"
broken "corners for sizes" 'for a in data["annotations"]: x, y, w, h = a["bbox"]; a["bbox"] = [x, y, x + w, y + h]' "corner"
broken "boxes without size" 'data["annotations"][0]["bbox"][2] = 0' "without width or height"
"$lockstep" data check coco.textproto --set 'data.class_names=["disk","square"]' --sheet sheet.png >stdout 2>stderr
[ $? -eq 3 ] && has "disc" || fail "data check does not name classes that are called otherwise"
train 2 voc.textproto --out refused --set data.train.voc.sets=nothing
[ "$code" -eq 3 ] && has "nothing.txt" || fail "a set that is not there ended with $code"
train 1 voc.textproto --out refused --set 'model=mlp { hidden: 4 }'
[ "$code" -eq 2 ] && has "detector" || fail "boxes for an mlp ended with $code"
rm voc/JPEGImages/train007.png
train 2 voc.textproto --out gone
[ "$code" -eq 3 ] && has "train007" || fail "a missing picture ended with $code"
echo "mistakes are named"
