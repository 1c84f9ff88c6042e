#!/usr/bin/env bash
# Prints the speed table: examples/bench/{mlp,lenet,resnet18} against the machine's matrix products and against PyTorch.
#
#   tests/bench/speed.sh [--rounds 3] [--seconds 8] [WORKLOAD...]
#
# Run it on a machine with nothing else to do; all workloads take about ten minutes.
# PyTorch's columns need LOCKSTEP_PEER_PYTHON, a python that has torch (a scratch virtualenv: never a dependency of ours),
# and LOCKSTEP_PEERS, the folder of torch_throughput.py (default: ../shared/peers beside the repository). Without them they
# say "not measured". LOCKSTEP_BENCH_CORES=2,3 chooses the cores; LOCKSTEP_BUILD a folder with a build that is there already.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../launch/setup.sh"

if [ -z "${LOCKSTEP_BUILD:-}" ]; then
  build release lockstep matmul_rate
  LOCKSTEP_BUILD=$root/build/release
fi
export LOCKSTEP_BUILD LOCKSTEP_PEERS=${LOCKSTEP_PEERS:-$root/../shared/peers}
exec python3 "$root/tests/bench/speed.py" "$@"
