#!/usr/bin/env bash
# pictures.sh: pictures as PNG files, in a list or packed, train to the weights of the same pictures in CIFAR's binary file, on 1,
# 2 and 3 ranks, and resumed; damaged ones are named with the right exit code.
set -uo pipefail
source "$(dirname "$0")/common.sh"
export XDG_CACHE_HOME=$work/cache

python3 - "$work" <<'END' || fail "no pictures were written"
import pathlib, random, struct, sys, zlib

def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

folder, side, rng = pathlib.Path(sys.argv[1]), 32, random.Random(1)
with open(folder / "all.bin", "wb") as binary, open(folder / "list.csv", "w") as listing:
    listing.write("path,label\n")
    for i in range(120):
        label = rng.randrange(10)
        planes = [[[(rng.randrange(200) + 5 * label) % 256 for _ in range(side)] for _ in range(side)] for _ in range(3)]
        binary.write(bytes([label]) + bytes(v for plane in planes for row in plane for v in row))
        rows = b"".join(b"\0" + bytes(planes[c][y][x] for x in range(side) for c in range(3)) for y in range(side))
        name = folder / "pictures" / str(label) / f"{i}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) +
                         chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
        listing.write(f"pictures/{label}/{i}.png,{label}\n")
END

# recipe NAME SOURCE MORE: writes NAME.textproto.
recipe() {
  cat >"$work/$1.textproto" <<END
model { resnet { depth: 8 widths: [4, 8, 8] } }
data { train { $2 } test { $2 } $3 normalize { mean: 0.5 deviation: 0.25 } augment { shift: 4 flip: true $4 } }
train { steps: 12 global_batch: 12 lanes: 6 seed: 1 precision: F32 }
optimizer { sgd { momentum: 0.9 } learning_rate: 0.1 }
checkpoint { every_steps: 6 }
END
}
size='pictures { height: 32 }'
recipe binary "cifar { files: \"$work/all.bin\" }" "" ""
recipe list "folder { list: \"$work/list.csv\" }" "$size" ""
train 1 "$work/binary.textproto" --out "$work/binary"
[ "$code" -eq 0 ] || fail "the binary file doesn't train"
expected=$(weights)
for ranks in 1 2 3; do
  train "$ranks" "$work/list.textproto" --out "$work/list$ranks"
  [ "$code" -eq 0 ] || fail "$ranks ranks ended with $code"
  [ "$(weights)" = "$expected" ] || fail "$ranks ranks: other weights than of the binary file ($expected)"
done
echo "pictures in files are those in the binary file"

# In a folder's order, by class, they are another data set: packed and not, it is the same one.
changes='random_resized_crop {} color_jitter { brightness: 0.4 hue: 0.1 } rand_augment {}'
"$lockstep" data pack "$work/pictures" "$work/packed.tar" >"$work/stdout" 2>"$work/stderr" || fail "they can't be packed"
has "120 pictures of 10 classes" || fail "it doesn't say what was packed"
recipe folder "folder { path: \"$work/pictures\" }" "$size" "$changes"
recipe packed "packed { files: \"$work/packed.tar\" }" "$size" "$changes"
train 2 "$work/folder.textproto" --out "$work/folder"
[ "$code" -eq 0 ] || fail "the folder doesn't train"
expected=$(weights)
train 3 "$work/packed.textproto" --out "$work/packed"
[ "$code" -eq 0 ] && [ "$(weights)" = "$expected" ] || fail "the archive's weights are others than the folder's"
train 1 "$work/packed.textproto" --out "$work/again" --set train.steps=6
[ "$code" -eq 0 ] || fail "half of the steps don't train"
train 2 "$work/packed.textproto" --out "$work/again"
[ "$code" -eq 0 ] && [ "$(weights)" = "$expected" ] || fail "resumed at step 6, its weights are others"
echo "archives are folders, and runs go on"

# A damaged picture ends training, with its name; data check names all.
damaged=$(find "$work/pictures" -name '*.png' | sort | sed -n '5p;50p')
for file in $damaged; do truncate -s 1000 "$file"; done
"$lockstep" data check "$work/folder.textproto" >"$work/stdout" 2>"$work/stderr"
[ $? -eq 3 ] || fail "data check does not end with 3"
for file in $damaged; do has "broken  $file" || fail "data check does not name $file"; done
has "2 broken" || fail "data check does not count both"
train 2 "$work/folder.textproto" --out "$work/damaged" --set train.steps=40
[ "$code" -eq 3 ] || fail "training with a damaged picture ended with $code"
has "damaged or cut off" || fail "training does not say what is wrong"
echo "damaged pictures are named"
