#!/usr/bin/env bash
# From a fresh clone to a trained model: installs what is missing, builds, trains examples/digits.textproto on two ranks.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

install_packages "${packages[@]}"
build release lockstep
cd "$root"
run_ranks 2 build/release/lockstep train examples/digits.textproto "$@"
