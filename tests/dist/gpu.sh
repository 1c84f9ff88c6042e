#!/usr/bin/env bash
# gpu.sh: training on GPUs, on emulated ones: equal bits at any number of ranks, kill and resume, a CPU checkpoint continued,
# and what is said where the library, the driver or a device is missing. Real MPI processes; the device and its matrix products
# are played by the host, everything else is what runs on a GPU.
set -uo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/refused.sh"
emulated=$(dirname "$lockstep")/liblockstep_cuda_emulated.so
[ -e "$emulated" ] || skip "there is no $emulated: it is built with the tests"
export LOCKSTEP_CUDA_LIBRARY=$emulated
name=gpu
short=(--set train.device=GPU --set train.epochs=0 --set train.steps=24 --set train.log_every_steps=4 --set data.test.limit=60
  --set data.test.skip=1437)

recipe=$digits

# same NAME ARG...: the same weights and norms of $recipe at 1, 2, 3 and 4 ranks.
same() {
  local name=$1 first="" n
  shift
  for n in 1 2 3 4; do
    must_train "$n" "$recipe" --out "$work/$name-$n" "${short[@]}" "$@"
    [ -z "$first" ] && first=$(weights)
    [ "$(weights)" = "$first" ] || fail "$name: $n ranks give $(weights), one gives $first"
    equal_state "$work/$name-1" "$work/$name-$n"
  done
  echo "$name: $first at 1 to 4 ranks"
}

same float
same bf16 --set train.precision=BF16
same wire --set train.wire=BF16
# Two passes: the norm decides the update. An average of weights that evaluations swap in.
same clipped --set optimizer.clip_norm=0.5 --set optimizer.ema_decay=0.9 --set train.evaluate_every_steps=8
# Weights of classes, and rows of a lane mixed with each other.
same mixed --set 'data.augment=mixup {} cutmix {}' --set 'data.class_weights=balanced: true'
# Images that go up as bytes, shifted and mirrored.
images='image { height: 8 width: 8 channels: 3 } classes: 10'
same images --set "data.train=synthetic { samples: 300 $images }" --set "data.test=synthetic { samples: 60 $images }" \
  --set 'data.normalize=mean: 0.5 deviation: 0.25' --set 'data.augment=shift: 2 flip: true' --set train.precision=BF16
same resnet --set 'model.resnet=depth: 8 widths: [4, 8, 8] stem: CIFAR' --set train.lanes=4 --set train.steps=8
if [ -d "$LOCKSTEP_DATA/tinyshakespeare" ]; then
  recipe=$root/examples/shakespeare.textproto
  small=(--set train.steps=4 --set model.gpt.layers=1 --set model.gpt.width=32 --set data.block=16 --set data.test.skip=0)
  same gpt "${small[@]}"
  same gpt_bf16 "${small[@]}" --set train.precision=BF16
  recipe=$digits
fi

# Near the CPU's result: the same arithmetic save for the order of sums in products.
must_train 1 "$digits" --out "$work/cpu" "${short[@]}" --set train.device=CPU
python3 - "$work/cpu/metrics.jsonl" "$work/float-1/metrics.jsonl" <<'END' || fail "losses on CPU and emulated GPU differ by more than rounding"
import json, sys
cpu, gpu = ([json.loads(line) for line in open(path)] for path in sys.argv[1:])
assert len(cpu) == len(gpu) > 5
for a, b in zip(cpu, gpu):
    assert a["step"] == b["step"] and abs(a["loss"] - b["loss"]) <= 1e-3 * (1 + abs(a["loss"])), (a, b)
END

# Killed in the middle, resumed on other numbers of ranks.
saving=(--set checkpoint.every_steps=4)
( train 2 "$digits" --out "$work/killed" "${short[@]}" "${saving[@]}" ) &
job=$!
until [ -e "$work/killed/checkpoints/step-00000008/manifest.pb" ]; do
  kill -0 $job 2>/dev/null || fail "the job ended before its second checkpoint"
done
kill -9 "$(living | tail -n 1)"
wait $job
must_train 3 "$digits" --out "$work/killed" "${short[@]}" "${saving[@]}"
has "resuming from step" || fail "the killed run began anew"
equal_state "$work/float-1" "$work/killed"

# A rank that hangs is named by the other.
( train 2 "$digits" --out "$work/hung" "${short[@]}" --set train.steps=100000 --set watchdog.timeout_seconds=5 ) &
job=$!
until [ -s "$work/hung/metrics.jsonl" ]; do
  kill -0 $job 2>/dev/null || fail "the job ended before its first rows"
done
victim=$(living | tail -n 1)
kill -STOP "$victim"
wait $job
code=$(sed -n 's/.*"exit_code": *\([0-9]*\).*/\1/p' "$work/hung/verdict.json" | head -n 1)
[ "$code" = 6 ] || fail "a hung rank ends the run with ${code:-nothing}, not 6"
grep -hE "rank [01] on" "$work/stderr" | head -n 1 || fail "a hung rank is not named"
kill -9 "$victim" 2>/dev/null

# Begun on CPUs, continued on GPUs: only when asked for, and written down.
begun=("${short[@]}" --set optimizer.schedule='constant {}' --set optimizer.schedule.warmup_fraction=0)
must_train 2 "$digits" --out "$work/moved" "${begun[@]}" --set train.device=CPU --set train.steps=12
run 1 "$lockstep" train "$digits" --out "$work/moved" "${begun[@]}" --progress off
refused 2 "train.device" "--change-numerics"
must_train 2 "$digits" --out "$work/moved" "${begun[@]}" --change-numerics
has "resuming from step 12" || fail "the run that moved to GPUs began anew"
python3 - "$work/moved/certificate.json" <<'END' || fail "the certificate does not say that the run moved"
import json, sys
first, second = json.load(open(sys.argv[1]))["attempts"]
assert "cpu" in first["numerics"] and "gpu" not in first["numerics"], first
assert "gpu" in second["numerics"] and second["from_step"] == 12, second
END
# From then on it stays where it is, without being told.
must_train 1 "$digits" --out "$work/moved" "${begun[@]:2}" --set train.steps=30
has "resuming from step 24" || fail "the run that moved to GPUs did not go on"
[ "$(grep -c 'device: GPU' "$work/moved/recipe.textproto")" -eq 1 ] || fail "the run went back to the CPU"

# What is missing is said, with what to do; AUTO trains on the CPU then.
LOCKSTEP_EMULATED_GPUS=0 run 1 "$lockstep" train "$digits" --out "$work/none" "${short[@]}"
refused 2 "the driver shows no GPU" "train.device"
LOCKSTEP_CUDA_LIBRARY=$work/nowhere.so run 1 "$lockstep" train "$digits" --out "$work/none" "${short[@]}"
refused 2 "is missing" "LOCKSTEP_CUDA"
echo "not a library" >"$work/text.so"
LOCKSTEP_CUDA_LIBRARY=$work/text.so run 1 "$lockstep" train "$digits" --out "$work/none" "${short[@]}"
refused 2 "can't be loaded" "train.device=CPU"
LOCKSTEP_EMULATED_MEMORY=1000000 run 1 "$lockstep" train "$digits" --out "$work/none" "${short[@]}"
refused 2 "of device memory are needed" "activations"
for missing in "LOCKSTEP_EMULATED_GPUS=0" "LOCKSTEP_CUDA_LIBRARY=$work/nowhere.so"; do
  run 1 env "$missing" "$lockstep" train "$digits" --out "$work/auto" "${short[@]:2}" --fresh --progress off
  [ "$code" -eq 0 ] && grep -q 'device: CPU' "$work/auto/recipe.textproto" || fail "$missing: AUTO does not train on the CPU"
done
run 1 "$lockstep" train "$digits" --out "$work/auto" "${short[@]:2}" --set train.precision=AUTO --fresh --progress off
[ "$code" -eq 0 ] && grep -q 'device: GPU' "$work/auto/recipe.textproto" || fail "AUTO does not take the GPU"
grep -q 'precision: BF16' "$work/auto/recipe.textproto" || fail "AUTO precision is not bf16 on a GPU"
echo "PASSED"
