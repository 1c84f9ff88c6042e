#!/usr/bin/env bash
# bad_input.sh: what people get wrong before step one, each as a real job: the exit code, the message, that it is said once,
# and that no rank is left.
set -uo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/refused.sh"
out=$work/out

# --- recipes

name="unknown field"
sed 's/global_batch/globl_batch/' "$digits" >"$work/typo.textproto"
line=$(grep -n globl_batch "$work/typo.textproto" | cut -d : -f 1)
train 2 "$work/typo.textproto" --out "$out"
refused 2 "typo.textproto:$line:" globl_batch

name="unknown field in --set"
train 2 "$digits" --out "$out" --set train.sed=2
refused 2 'no field "sed"' "--set train.sed=2"

name="no recipe"
train 2 "$work/none.textproto" --out "$out"
refused 2 "none.textproto" "No such file"

name="global_batch not divisible by lanes"
train 2 "$digits" --out "$out" --set train.global_batch=30
refused 2 "train.global_batch" "lanes"

name="more ranks than lanes"
train 4 "$digits" --out "$out" --set train.lanes=2
refused 2 "4 ranks are more than the 2 lanes" "train.lanes" "at most 2 ranks"

# --- data: sixteen images of 4 x 4 in IDX, from scratch

big_endian() { printf "$(printf '\\x%02x' $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)))"; }
# images FILE MAGIC PROMISED PRESENT; labels FILE MAGIC LABEL...
images() { { big_endian "$2"; big_endian "$3"; big_endian 4; big_endian 4; head -c $(($4 * 16)) /dev/urandom; } >"$1"; }
labels() { { big_endian "$2"; big_endian $(($# - 2)); printf "$(printf '\\x%02x' "${@:3}")"; } >"$1"; }
sixteen=(0 1 2 3 0 1 2 3 0 1 2 3 0 1 2 3)
images "$work/good-images" 0x803 16 16
labels "$work/good-labels" 0x801 "${sixteen[@]}"
cat >"$work/idx.textproto" <<END
model { mlp { hidden: 8 } }
data {
  train { idx { images: "good-images" labels: "good-labels" } }
  test { idx { images: "good-images" labels: "good-labels" } }
}
train { steps: 4 global_batch: 8 lanes: 4 seed: 1 precision: F32 }
optimizer { sgd { momentum: 0.9 } learning_rate: 0.1 }
END
name="good IDX files"
must_train 2 "$work/idx.textproto" --out "$work/good"

name="missing file"
train 2 "$work/idx.textproto" --out "$out" --set data.train.idx.images="$work/no-such-images"
refused 3 "no-such-images" "data.train.idx.images"

name="missing file on one rank"
run 1 "$lockstep" train "$work/idx.textproto" --out "$out" : -n 1 \
  "$lockstep" train "$work/idx.textproto" --out "$out" --set data.test.idx.labels="$work/no-such-labels"
refused 3 "no-such-labels" "rank 1 on $(hostname)"

name="truncated gzip"
gzip -c "$work/good-images" >"$work/whole.gz"
head -c 150 "$work/whole.gz" >"$work/cut.gz"
train 2 "$work/idx.textproto" --out "$out" --set data.train.idx.images="$work/cut.gz"
refused 3 "the gzip data is cut off" "cut.gz" "data.train.idx.images"

name="wrong magic number"
images "$work/magic" 0xd03 16 16
train 2 "$work/idx.textproto" --out "$out" --set data.train.idx.images="$work/magic"
refused 3 "/magic" "IDX"
images "$work/magic" 0x1234803 16 16
train 2 "$work/idx.textproto" --out "$out" --set data.train.idx.images="$work/magic"
refused 3 "/magic" "IDX"

name="fewer images than the header promises"
images "$work/short" 0x803 16 15
train 2 "$work/idx.textproto" --out "$out" --set data.train.idx.images="$work/short"
refused 3 "/short" "256 bytes where its header promises 272"

name="fewer labels than images"
labels "$work/few" 0x801 0 1 2 3
train 2 "$work/idx.textproto" --out "$out" --set data.train.idx.labels="$work/few"
refused 3 "4 labels for the 16 images" "/few" "data.train.idx.labels"

name="label out of range"
labels "$work/range" 0x801 "${sixteen[@]:1}" 9
train 2 "$work/idx.textproto" --out "$out" --set data.test.idx.labels="$work/range"
refused 3 "label out of range" "data.test" "sample 15 (from 0) has label 9"

name="CSV with a short row"
zcat "$root/examples/data/digits.csv.gz" | sed '1000s/,[0-9]*$//' >"$work/row.csv"
train 2 "$digits" --out "$out" --set data.train.csv.file="$work/row.csv"
refused 3 "row.csv:1000" "64 columns where line 1 has 65"

# --- ranks that differ

name="different recipes"
run 1 "$lockstep" train "$digits" --out "$out" : -n 1 "$lockstep" train "$digits" --out "$out" --set train.seed=2 --set optimizer.learning_rate=1e-3
refused 2 "differs from rank 0's" "in train.seed, optimizer.learning_rate (" "rank 1 on $(hostname)"

name="different data"
zcat "$root/examples/data/digits.csv.gz" >"$work/same.csv"
sed '7s/^[0-9]*/1/' "$work/same.csv" >"$work/other.csv"
! cmp -s "$work/same.csv" "$work/other.csv" || fail "the other data are not other data"
both=(--out "$out" --set data.test.csv.file="$work/same.csv")
run 1 "$lockstep" train "$digits" "${both[@]}" --set data.train.csv.file="$work/same.csv" : -n 1 \
  "$lockstep" train "$digits" "${both[@]}" --set data.train.csv.file="$work/other.csv"
refused 3 "train data" "rank 1 on $(hostname)"

name="different binaries"
# The same program with another build hash in it. Only the first digit differs: linkers let other strings share the end.
hash=$("$lockstep" version | sed -n 's/^build //p')
case $hash in f*) other=0${hash#?} ;; *) other=f${hash#?} ;; esac
mkdir "$work/other"
for file in lockstep liblockstep_mpi.so; do LC_ALL=C sed "s/$hash/$other/g" "$(dirname "$lockstep")/$file" >"$work/other/$file"; done
chmod +x "$work/other/lockstep"
[ "$("$work/other/lockstep" version | sed -n 's/^build //p')" = "$other" ] || fail "the other binary does not say so"
run 1 "$lockstep" train "$digits" --out "$out" : -n 1 "$work/other/lockstep" train "$digits" --out "$out"
refused 2 "another build of lockstep" "$other" "$hash" "rank 1 on $(hostname)"

# --- the run's folder

[ ! -e "$out" ] || fail "a job that was refused made the run's folder"

name="--out below a file"
train 2 "$digits" --out "$work/good-images/run"
refused 2 "--out $work/good-images/run" "can't be written" "give another folder"

name="another recipe in the same --out"
short=(--out "$out" --set train.epochs=1)
must_train 2 "$digits" "${short[@]}"
train 2 "$digits" "${short[@]}" --set train.seed=7 --set model.convnet.hidden=32
refused 2 "they differ in" "train.seed" "model.convnet.hidden" "--fresh"

name="a finished run"
must_train 2 "$digits" "${short[@]}"

name="another build in the same --out"
rm "$out/done.json"
run 2 "$work/other/lockstep" train "$digits" "${short[@]}"
refused 2 "trained by another build" "$other" "--accept-build" "--fresh"
run 2 "$work/other/lockstep" train "$digits" "${short[@]}" --accept-build --progress off
[ "$code" -eq 0 ] || fail "$name: --accept-build does not help"
