#!/usr/bin/env bash
# lockstep profile: a trace of all ranks on one clock, also where their clocks differ, and a run whose weights don't change.
set -uo pipefail
source "$(dirname "$0")/common.sh"
out=$work/run
check=$root/tests/launch/profile/check_trace.py

# profile ARG...: the command by itself; as run.
profile() {
  timeout -k 5 "${LOCKSTEP_JOB_LIMIT:-300}" "$lockstep" profile "$@" </dev/null >"$work/stdout" 2>"$work/stderr"
  code=$?
}

# good_trace TRACE RANKS STEPS
good_trace() {
  python3 "$check" "$@" >"$work/stdout" || fail "the trace $1"
}

name="a recipe"
profile "$digits" -n 2 --steps 6 --no-peak --out "$work/profile"
[ "$code" -eq 0 ] || fail "$name: profile ended with $code"
has "6 to 15" && fail "$name: other steps"
has "steps 10 to 15 on 2 ranks with 2 executors" || fail "$name: the heading"
has "conv2/weight_grad" || fail "$name: no op in the tables"
good_trace "$work/profile/trace.json" 2 6
[ -e "$work/profile/run/checkpoints" ] && fail "$name: checkpoints of the run are kept"

name="again, in the same folder, for programs"
profile "$digits" -n 3 --steps 4 --warm-up-steps 2 --out "$work/profile" --json
[ "$code" -eq 0 ] || fail "$name: profile ended with $code"
python3 - "$work/stdout" <<'END' || fail "$name: the numbers don't fit"
import json, sys
profile = json.load(open(sys.argv[1]))
step = profile["seconds_per_step"]
assert profile["ranks"] == 3 and profile["steps"] == 4 and profile["first_step"] == 2, profile
assert profile["dropped_events"] == 0 and profile["matrix_gflops_of_executor"] > 0 and profile["copy_gb_per_s_of_executor"] > 0
assert abs(sum(phase["seconds_per_step"] for phase in profile["executor_phases"]) - step) < 0.02 * step, profile
passes = sum(phase["seconds_per_step"] for phase in profile["executor_phases"] if phase["name"] in ("forward", "backward"))
ops = sum(op["seconds_per_step"] for op in profile["ops"])
assert 0.9 * passes < ops <= 1.000001 * passes, (ops, passes)
for of in ("flop_per_step", "seconds_per_step"):
    assert abs(sum(op[of] for op in profile["ops"]) - sum(kind[of] for kind in profile["kinds"])) < 1e-6 * sum(op[of] for op in profile["ops"])
END
good_trace "$work/profile/trace.json" 3 4

name="a run of its own"
must_train 2 "$digits" --out "$out-plain" --set train.steps=40
plain=$(weights)
must_train 2 "$digits" --out "$out" --set train.steps=40 --set profile.steps=25
[ "$(weights)" = "$plain" ] || fail "$name: other weights with a profile"
[ -e "$out-plain/profile" ] && fail "$name: a profile that nobody asked for"
profile "$out" --no-peak
[ "$code" -eq 0 ] || fail "$name: profile ended with $code"
good_trace "$out/profile/trace.json" 2 25
same_rows "$out-plain" "$out"

name="a run that has none"
profile "$out-plain"
[ "$code" -eq 2 ] && has "no steps of this run were profiled" || fail "$name"
name="a rank's part that is lost"
mv "$out/profile/rank-1.json" "$work/part"
profile "$out"
[ "$code" -eq 2 ] && has "rank-1.json: is not there" || fail "$name"
name="a part that is torn"
head -c 3000 "$work/part" >"$out/profile/rank-1.json"
profile "$out"
[ "$code" -eq 2 ] && has "rank-1.json: is no profile of a rank" || fail "$name"
name="a run that fails"
profile "$digits" -n 99 --out "$work/failed"
[ "$code" -eq 2 ] && has "99 ranks are more than the 8 lanes" || fail "$name"

# The second rank's steady clock is a thousand seconds ahead, and so is nobody's in the trace.
name="clocks that differ"
if unshare --time --monotonic 1000 --fork true 2>/dev/null; then
  out=$work/shifted
  run 1 "$lockstep" train "$digits" --out "$out" --set train.steps=20 --set profile.steps=8 --progress off : -n 1 \
    unshare --time --monotonic 1000 --fork "$lockstep" train "$digits" --out "$out" --set train.steps=20 --set profile.steps=8 \
    --progress off
  [ "$code" -eq 0 ] || fail "$name: the run ended with $code"
  profile "$out" --no-peak
  [ "$code" -eq 0 ] || fail "$name: profile ended with $code"
  good_trace "$out/profile/trace.json" 2 8
  python3 - "$out/profile/trace.json" <<'END' || fail "$name: offsets"
import json, sys
first, second = json.load(open(sys.argv[1]))["metadata"]["ranks"]
assert first["clock_offset_ns"] == [0, 0], first
for offset in second["clock_offset_ns"]:
    assert abs(offset + 1000e9) <= second["clock_error_ns"] < 1e8, second
END
else
  echo "note: not tried with clocks that differ: this machine has no time namespaces for us"
fi
