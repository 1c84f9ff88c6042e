#!/usr/bin/env bash
# numbers.sh: losses and gradients that are not finite, and bits that flip in a rank's memory.
set -uo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/refused.sh"

# Sample 100 of the training data is beyond what float32 can multiply.
python3 - "$root/examples/data/digits.csv.gz" "$work/data.csv.gz" <<'END'
import gzip, sys
with gzip.open(sys.argv[1], "rt") as source, gzip.open(sys.argv[2], "wt") as to:
    for number, line in enumerate(source):
        fields = line.rstrip("\n").split(",")
        to.write(",".join(["3e38"] * (len(fields) - 1) + fields[-1:] if number == 100 else fields) + "\n")
END
bad=("$digits" --set "data.train.csv.file=$work/data.csv.gz" --set data.normalize.scale=1 --set train.epochs=2 --set optimizer.schedule='constant {}'
  --set optimizer.schedule.warmup_fraction=0)

name="a step that is not finite"
for n in 1 3; do
  train "$n" "${bad[@]}" --out "$work/stopped$n"
  refused 5 "is not finite" "from lane" "samples" "SKIP_STEP"
  grep -F "is not finite" "$work/stderr" | grep -q "[(: ]100[,)]" || fail "$name: it does not name sample 100"
done

name="SKIP_STEP"
for n in 1 2 3 5; do
  must_train "$n" "${bad[@]}" --out "$work/skipped$n" --set train.on_nonfinite=SKIP_STEP
  [ "$(grep -c "the step is skipped" "$work/stderr")" -eq 2 ] || fail "$name: not one warning for each of two epochs"
  equal_state "$work/skipped1" "$work/skipped$n"
done
must_train 2 "${bad[@]}" --out "$work/skipped" --set train.on_nonfinite=SKIP_STEP --executors 2
equal_state "$work/skipped1" "$work/skipped"
echo "$name: equal at 1, 2, 3 and 5 ranks"

name="STOP and SKIP_STEP without anything to skip"
must_train 2 "$digits" --out "$work/fused" --set train.epochs=2
must_train 2 "$digits" --out "$work/passes" --set train.epochs=2 --set train.on_nonfinite=SKIP_STEP
equal_state "$work/fused" "$work/passes"
echo "$name: equal"

# The weights are the first thing in the largest piece of memory that the ranks of a host share. A flip at the moment of an update
# is part of it, and not seen: no checkpoint may fall between the first flip and the one that is.
name="a flipped bit in memory"
out=$work/flipped
long=(--set train.epochs=60 --set optimizer.schedule='constant {}' --set train.certificate_every_steps=1 --set checkpoint.every_steps=1000)
(train 2 "$digits" --out "$out" "${long[@]}"; declare -p code ended_at said_at >"$work/ended") &
job=$!
while ! grep -q '"step":1200' "$out/metrics.jsonl" 2>/dev/null; do kill -0 $job 2>/dev/null || fail "$name: the job ended"; done
python3 - "$(living | tail -n 1)" <<'END' || fail "$name: the weights were not found"
import struct, sys, time
pid = sys.argv[1]
segments = []
for line in open(f"/proc/{pid}/maps"):
    if "/dev/shm/lockstep-" in line:
        begin, end = (int(part, 16) for part in line.split()[0].split("-"))
        segments.append((end - begin, begin))
with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
    for page in range(1, 100):
        place = max(segments)[1] + 4096 * page
        memory.seek(place)
        if 1e-6 < abs(struct.unpack("f", memory.read(4))[0]) < 10: break
    else:
        sys.exit(1)
    # An update just then may write over the flip, so it is done until the job ends.
    for _ in range(100):
        try:
            memory.seek(place)
            low = memory.read(1)
            memory.seek(place)
            memory.write(bytes([low[0] ^ 1]))
        except OSError:
            break
        time.sleep(0.02)
END
wait $job
source "$work/ended"
refused 6 "weights in memory changed" "rank" "between steps"
must_train 2 "$digits" --out "$work/flipped" "${long[@]}"
must_train 1 "$digits" --out "$work/unflipped" "${long[@]}"
equal_state "$work/unflipped" "$work/flipped"
