#!/usr/bin/env bash
# lockstep plan: memory as a rank comes to hold it, and seconds from what doctor --measure has kept. How near the seconds are
# depends on what else the machine does, so that only their presence is looked at: docs/measured.md has what they came to.
set -uo pipefail
source "$(dirname "$0")/common.sh"
export XDG_CACHE_HOME=$work/cache

# plan RECIPE ARG...: its JSON in $work/plan.json.
plan() {
  must_call plan "$@" --json
  cp "$work/stdout" "$work/plan.json"
  python3 -m json.tool "$work/plan.json" >/dev/null || fail "plan $* prints no JSON"
}

# holds CONDITION: whether it is true of `plan`, the object.
holds() {
  python3 -c 'import json, sys; plan = json.load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' "$work/plan.json" "$1"
}

# peak_near RECIPE ARG...: a rank that trains it peaks within a tenth of what was planned.
peak_near() {
  plan "$@"
  python3 - "$work" "$lockstep" "$@" <<'END' || fail "the memory of ${*:1:1}"
import json, os, resource, subprocess, sys
work, lockstep, recipe, *settings = sys.argv[1:]
command = [lockstep, "train", recipe, "--out", f"{work}/peak-{os.getpid()}", "--progress", "off", *settings]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
planned = json.load(open(f"{work}/plan.json"))["memory"]["all"] / 2**20
print(f"{recipe}: {peak:.1f} MiB, planned {planned:.1f}")
sys.exit(abs(planned - peak) > 0.1 * peak)
END
}

name="before the machine was measured"
plan "$digits" -n 3
holds 'plan["parameters"]["all"] > 1000' || fail "$name: parameters"
holds 'len(plan["ranks"]) == 3 and plan["lanes"] == 8' || fail "$name: ranks"
holds '"doctor --measure" in plan["time"]["unknown"]' || fail "$name: it does not say how to get seconds"
must_call plan "$digits"
has "lockstep doctor --measure" || fail "$name: the text does not say how to get seconds"

name="memory"
peak_near "$digits" --set train.epochs=2
peak_near "$root/examples/bench/lenet.textproto" --set train.steps=12 --set train.evaluate_every_steps=12

name="measured"
must_call doctor --measure
kept=$(echo "$work"/cache/lockstep/machine-*.json)
[ -s "$kept" ] || fail "$name: nothing was kept"
for ranks in 1 2; do
  plan "$digits" -n $ranks
  holds 'plan["time"]["step_seconds"] > 0 and plan["time"]["epoch_seconds"] > plan["time"]["step_seconds"]' || fail "$name: no seconds"
  holds 'abs(sum(plan["time"]["parts"].values()) - plan["time"]["step_seconds"]) < 1e-9' || fail "$name: parts don't add up"
  holds 'plan["time"]["guessed_kinds"] == []' || fail "$name: kinds of ops that were not measured"
done

name="several hosts"
plan "$digits" -n 2 --hosts 2 --network gbit=10
holds 'plan["time"]["network"].startswith("links of 10 Gbit/s")' || fail "$name: the network is not said"
fast=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["time"]["parts"]["exchange"])' "$work/plan.json")
plan "$digits" -n 2 --hosts 2 --network gbit=0.1,latency_us=50
holds "plan['time']['parts']['exchange'] > 5 * $fast > 0" || fail "$name: a slow network takes no longer"
holds 'abs(sum(plan["time"]["parts"].values()) - plan["time"]["step_seconds"]) < 1e-9' || fail "$name: parts don't add up"

name="a measurement that does not hold any more"
sed 's/"build":"[0-9a-f]*"/"build":"0123456789abcdef"/' "$kept" >"$work/old.json"
plan "$digits" --machine "$work/old.json"
holds '"0123456789abcdef" in plan["time"]["unknown"]' || fail "$name: it is gone by"
head -c 2000 "$kept" >"$work/torn.json"
"$lockstep" plan "$digits" --machine "$work/torn.json" >"$work/stdout" 2>"$work/stderr"
[ $? -eq 2 ] && has "torn.json: is no measurement of a machine" || fail "$name: a torn file"
echo "memory and seconds are planned"
