#!/usr/bin/env bash
# Installs what is missing, builds everything, and runs every test. Extra arguments go to ctest: tests/run.sh -L unit
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../launch/setup.sh"

install_packages "${packages[@]}" clang libclang-rt-14-dev
build release
export LOCKSTEP_DATA=${LOCKSTEP_DATA:-$root/../shared/data}
[ -d "$LOCKSTEP_DATA" ] || echo "note: $LOCKSTEP_DATA is missing: tests on MNIST and CIFAR are skipped" >&2
cd "$root/build/release"
ctest --output-on-failure --timeout 900 "$@"
