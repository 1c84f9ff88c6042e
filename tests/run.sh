#!/usr/bin/env bash
# Installs what is missing, builds everything, and runs every test: first what sanitizers and fuzzers find, then the main suite.
# Arguments go to the main suite's ctest, which then runs alone: tests/run.sh -L unit. With --full alone, it takes an hour more: all
# GPU architectures, and the long chaos run.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../launch/setup.sh"

# Builds these tests of the preset, and nothing else, and runs them.
run_preset() {
  local preset=$1
  shift
  build "$preset" "$@"
  ctest --test-dir "$root/build/$preset" --output-on-failure --timeout 300 -j "$(nproc)" -R "^($(IFS='|' && echo "$*"))\$"
}

# What has threads, under ThreadSanitizer. Programs with OpenMP teams are not here: GCC's OpenMP library is not instrumented.
run_threads() { run_preset tsan comm_communicator_test comm_exchange_test comm_flight_recorder_test comm_watchdog_test loader_test \
  executor_pool_test lease_test; }

# The fuzzers' build has AddressSanitizer and UndefinedBehaviorSanitizer in it. With --full, unit tests run in it too: they take minutes to build.
run_memory() {
  local more=()
  [ $full -eq 0 ] || more=(base_test base_log_test data_test boxes_test loader_test tokenizer_test speech_test graph_test passes_test engine_test
    checkpoint_test checkpoint_damage_test safetensors_test plan_test step_test run_test records_test lease_test comm_diagnosis_test comm_flight_recorder_test
    comm_flight_alignment_test)
  run_preset fuzz "${more[@]}" \
    fuzz_csv fuzz_idx fuzz_npy fuzz_token_files fuzz_tokenizer fuzz_encode fuzz_parallel fuzz_audio fuzz_recordings fuzz_checkpoint fuzz_safetensors fuzz_recipe fuzz_lease fuzz_certificate fuzz_flight_record fuzz_heartbeat \
    fuzz_image fuzz_packed fuzz_metric_rows fuzz_profile fuzz_coco_json fuzz_voc_xml fuzz_yolo fuzz_onnx
}

full=0
if [ "${1-}" = --full ]; then
  full=1
  shift
else
  export LOCKSTEP_CUDA_ARCHITECTURES=${LOCKSTEP_CUDA_ARCHITECTURES-90-real}  # compiling for all takes minutes
fi

install_packages "${packages[@]}" clang clang-format clang-tidy libclang-rt-14-dev iproute2 openssh-client openssh-server slurm-wlm munge libonnx-testdata
if [ $# -eq 0 ]; then
  run_threads
  if command -v clang++ >/dev/null; then
    run_memory
  else
    echo "SKIPPED: AddressSanitizer and fuzzers: there is no clang++" >&2
  fi
fi
build release
export LOCKSTEP_DATA=${LOCKSTEP_DATA:-$root/../shared/data}
[ -d "$LOCKSTEP_DATA" ] || echo "note: $LOCKSTEP_DATA is missing: tests on MNIST and CIFAR are skipped" >&2
cd "$root/build/release"
if [ $# -gt 0 ]; then
  ctest --output-on-failure --timeout 900 "$@"
else
  # Unit tests side by side; jobs of ranks have the machine to themselves.
  failed=0
  longer=()
  if [ $full -eq 0 ]; then
    # Others prove nearly the same, the first of them itself under ThreadSanitizer; with --full these run too.
    left_out='comm_watchdog_test|dist_bits_bccd|dist_bits_cifar10|dist_bits_gpt2|dist_bits_mnist|dist_bits_shakespeare_better|dist_bits_speech_strings|dist_bits_translate_lstm|dist_kills|gpu_bundle|gpu_conformance_emulated|gpu_conformance_plans_test|gpu_first_call_emulated|gpu_second_call_emulated|slurm_studies'
    longer=(-E "^($left_out)\$")
    echo "left out, save with --full: ${left_out//|/, }" >&2
  fi
  ctest --output-on-failure --timeout 900 -L unit -j "$(nproc)" "${longer[@]}" || failed=1
  # Jobs of ranks wait much: clang-tidy reads the sources beside them, with what they leave of the cores.
  chrt -i 0 python3 "$root/tests/borders/check_tidy.py" "$root" . >clang-tidy.log 2>&1 &
  ctest --output-on-failure --timeout 900 -LE 'unit|waits' "${longer[@]}" || failed=1
  # Of these each has to wait for much else than cores: two at a time.
  ctest --output-on-failure --timeout 900 -L waits -j 2 || failed=1
  wait $! || { failed=1; cat clang-tidy.log; }
  [ $failed -eq 0 ]
fi
[ $full -eq 0 ] || LOCKSTEP=$PWD/lockstep "$root/tests/chaos/run.sh" --kills 500
