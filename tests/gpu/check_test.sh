#!/usr/bin/env bash
# check_test.sh: what check.sh does around its steps, in seconds and without a card: their order, verdicts, limits, exit codes, and the
# files that it leaves, also when it is stopped. In the place of lockstep, its test programs, mpirun, nvidia-smi, compute-sanitizer and
# PyTorch there are scripts that write down how they were called, and fail or hang where a case says so.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/lockstep-check-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
fail() {
  echo "FAILED: $*"
  cat "$work/said"
  tail -n 5 "$work/calls"
  exit 1
}

# program NAME: a script of that name, from standard input. $FAKE_FAILS and $FAKE_HANGS are patterns of calls that do.
mkdir "$work/bin"
program() {
  {
    cat <<'SCRIPT'
#!/usr/bin/env bash
call="${0##*/} $*"
echo "$call" >>"$FAKE_CALLS"
[[ -z "${FAKE_FAILS:-}" || $call != $FAKE_FAILS ]] || { echo "it failed as it was told to"; exit 5; }
[[ -z "${FAKE_HANGS:-}" || $call != $FAKE_HANGS ]] || { echo "hanging"; exec sleep 600; }
SCRIPT
    cat
  } >"$work/bin/$1"
  chmod +x "$work/bin/$1"
}
program lockstep <<'SCRIPT'
case $1 in
  doctor) printf 'lockstep  1.0\nhost      fake\nGPU 0     %s\n' "${FAKE_GPU:-a card of paper}" | sed "${FAKE_NO_GPU:+s/^GPU 0/GPU none/}" ;;
  train) echo "done steps=30 accuracy=0.995 samples_per_s=1000 weights=${FAKE_WEIGHTS:-0123456789abcdef} seconds=1" ;;
esac
SCRIPT
program gpu_bench <<'SCRIPT'
case $1 in
  --profile)
    echo "device: a card of paper, 132 processors"
    echo "lane: 64 samples in 100.0 ms, 640.0 samples/s, 500.00 TFLOP/s; kernels by themselves 90.0 ms"
    echo "group linear: 10 kernels, 50.0 ms, 55.5%, 600.0 TFLOP/s"
    ;;
  *) printf 'device: a card of paper, 132 processors\nproduct 8192x8192x8192 bf16: 750 TFLOP/s\ncopy up: 50 GB/s\n' ;;
esac
SCRIPT
program gpu_conformance_test </dev/null
program nvidia-smi </dev/null
program compute-sanitizer <<'SCRIPT'
[ "$1" != --help ] || echo "  --kernel-name arg"
SCRIPT
# Open MPI's, as run_ranks calls it: here one process is enough.
program mpirun <<'SCRIPT'
while [ "${1##*/}" != lockstep ]; do shift; done
exec "$@"
SCRIPT
program torch-python <<'SCRIPT'
echo "torch 2.0 $2 eager: 500.0 samples/s, 100 MiB"
SCRIPT
: >"$work/bin/libcuda_emulated.so"

export LOCKSTEP=$work/bin/lockstep LOCKSTEP_CUDA_LIBRARY=$work/bin/libcuda_emulated.so LOCKSTEP_PEER_PYTHON=$work/bin/torch-python
export FAKE_CALLS=$work/calls PATH=$work/bin:$PATH TMPDIR=$work
out=$work/out

# check VARIABLE=VALUE... -- ARG...: leaves $code and $work/said.
check() {
  local variables=()
  while [ "$1" != -- ]; do variables+=("$1") && shift; done
  rm -rf "$out" && : >"$work/calls"
  env "${variables[@]}" "$root/tests/gpu/check.sh" "${@:2}" --out "$out" >"$work/said" 2>&1
  code=$?
}
expect_code() { [ "$code" -eq "$1" ] || fail "$2: it ended with $code instead of $1"; }
# expect VERDICT STEP [WHY]: a line of the table.
expect() { grep -qE "^$1 +[0-9.]+ s +$2( .*${3:-}|$)" "$out/table.txt" || fail "$2 is not $1${3:+ with $3}"; }
order() { awk '$2 == "s" || $3 == "s" || $4 == "s" { for (i = 1; i < NF; ++i) if ($i == "s") { print $(i + 1); break } }' "$out/table.txt" | paste -sd ' '; }
# expect_files: those that are promised, and nothing else; the logs can be unpacked.
expect_files() {
  [ "$(ls "$out" | paste -sd ' ')" = "logs.tgz section.md table.txt" ] || fail "the folder has $(ls "$out" | paste -sd ' ')"
  rm -rf "$work/logs" && tar xzf "$out/logs.tgz" -C "$work" || fail "the logs can't be unpacked"
  [ -z "$(compgen -G "$work/lockstep-*")" ] || fail "something was left behind: $(ls "$work")"
}

# All of the first call, in its order. Two of its steps look at what training leaves on disk, and notice that this leaves nothing.
check -- first --seconds 120
expect_code 1 "a first call in which two steps fail"
[ "$(grep '^FAILED' "$out/table.txt" | grep -cE ' (kill_and_resume|moved_from_cpu) ')" -eq 2 ] && grep -q ', 2 failed, ' "$out/table.txt" ||
  fail "others than kill_and_resume and moved_from_cpu fail"
wanted="doctor rates conformance profile_gpt2 profile_resnet50 profile_resnet18 train_gpt2 train_resnet50 train_resnet18 bits_bf16 bits_gpt"
[[ "$(order)" == "$wanted "* ]] || fail "the order is $(order)"
expect PASSED bits_gpt
expect SKIPPED nccl "there is one card"
expect_files
for step in $wanted; do [ -s "$work/logs/$step.log" ] || [ $step = conformance ] || fail "there is no log of $step"; done
grep -q '^| 1 lane | 1024000 | 655360 | 104.2 % |' "$out/section.md" || { cat "$out/section.md"; fail "the section has no rate of GPT-2"; }
grep -q '^| linear | 10 | 50.0 ms | 55.5 % | 600.0 TFLOP/s |' "$out/section.md" || fail "the section has no kernels"
[ "$(grep -c '^lockstep train .*gpt124.textproto .*model.gpt.layers=2' "$work/calls")" -eq 3 ] || fail "bits_gpt trains not thrice"
grep -q 'mpirun -n 2 .*model.gpt.layers=2 .*train.steps=20' "$work/calls" || fail "bits_gpt trains not on two ranks"
grep -q 'gpu_conformance_test .*-.*NcclTest' "$work/calls" || fail "conformance has what may hang"

# What the second shows, PyTorch eager before compiled; sanitizers look at our kernels.
check -- second --seconds 120
expect_code 0 "a second call in which everything holds"
[[ "$(order)" == "nccl_self choices "*eager_gpt2*lanes8_gpt2*memcheck*compiled_gpt2*lanes64_gpt2* ]] || fail "the order is $(order)"
grep -q 'compute-sanitizer --tool racecheck --kernel-name kernel_substring=RunBlock' "$work/calls" || fail "sanitizers have no filter"
grep -q '| 1 lane | .* | 2.00, 2.00 |' "$out/section.md" || { cat "$out/section.md"; fail "the section does not compare with PyTorch"; }

# Failures: the rest goes on, and the program's own word is the reason.
check FAKE_FAILS='gpu_bench --profile*resnet50*' -- doctor profile_resnet50 train_resnet50 --seconds 60
expect_code 1 "a step that fails"
expect FAILED profile_resnet50 "it failed as it was told to"
expect PASSED train_resnet50
expect_files

# A step that takes longer than it may has failed; the next has its time.
check FAKE_HANGS='gpu_bench*' -- rates train_gpt2 --seconds 60 --step-seconds 1
expect_code 1 "a step that hangs"
expect FAILED rates "not done after 1 s"
expect PASSED train_gpt2

# No time: neither passed nor failed, and said so at the end; a code of its own where that was what the call is for.
check FAKE_HANGS='gpu_bench*' -- doctor rates bits_gpt mnist_f32 --seconds 5
expect_code 3 "a call whose time is over"
expect PASSED doctor
expect "NOT RUN" rates "cut off after . s"
expect "NOT RUN" bits_gpt "no time was left"
[ "$(grep -c '^not run: ' "$out/table.txt")" -eq 3 ] || fail "what was not run is not listed"
grep -q '^2 of them are what the call is for' "$out/table.txt" || fail "it does not say what is missing"
expect_files
grep -q hanging "$work/logs/rates.log" || fail "the log of what was cut off is not there"
check FAKE_HANGS='lockstep train*' -- doctor digits --seconds 5
expect_code 0 "a call that had no time for what may be left out"
expect "NOT RUN" digits

# A signal: what ran is kept.
(
  until grep -q '^gpu_bench' "$work/calls" 2>/dev/null; do sleep 0.05; done
  kill -TERM "$(cat "$work/pid")"
) &
rm -rf "$out" && : >"$work/calls"
FAKE_HANGS='gpu_bench*' bash -c 'echo $$ >"$0" && exec "$@"' "$work/pid" "$root/tests/gpu/check.sh" doctor rates train_gpt2 --out "$out" >"$work/said" 2>&1
code=$?
wait
expect_code 3 "a call that was stopped"
expect PASSED doctor
expect "NOT RUN" rates "stopped by SIGTERM"
expect "NOT RUN" train_gpt2 "stopped by SIGTERM"
expect_files
grep -q hanging "$work/logs/rates.log" || fail "the log of what was stopped is not there"

# No card, and words that it does not know.
check FAKE_NO_GPU=1 -- first
expect_code 77 "a machine without a GPU"
check -- everything
expect_code 2 "a step that does not exist"
echo "PASSED"
