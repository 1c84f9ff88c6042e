# Sourced by launch/quickstart.sh and tests/run.sh: packages, build, and how to start mpirun here.
# Defines: install_packages NAME..., build PRESET [TARGET...], run_ranks N COMMAND...

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

packages=(build-essential cmake ninja-build ccache libopenmpi-dev openmpi-bin libprotobuf-dev protobuf-compiler
  libdnnl-dev ocl-icd-opencl-dev  # the second because the first's CMake package asks for OpenCL and only recommends it
  libspdlog-dev libfmt-dev libxxhash-dev zlib1g-dev libcli11-dev nlohmann-json3-dev
  libpcre2-dev libutf8proc-dev libarchive-dev sentencepiece  # of the last, the program that trains vocabularies
  libsndfile1-dev libsamplerate0-dev libkissfft-dev libjpeg62-turbo-dev libpng-dev libexpat1-dev libyaml-dev
  libgtest-dev libgmock-dev python3)  # the last three: configuring looks for what tests need

# Installs those of the named Debian packages that are missing. Without root, sudo or apt it says what to install by hand.
install_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local sudo=()
  if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then sudo=(sudo); fi
  if ! command -v apt-get >/dev/null || { [ "$(id -u)" -ne 0 ] && [ ${#sudo[@]} -eq 0 ]; }; then
    echo "note: can't install Debian packages here; needed, from anywhere on CMAKE_PREFIX_PATH: ${missing[*]}" >&2
    return 0
  fi
  echo "Installing: ${missing[*]}" >&2
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Configures the preset once, then builds the targets (default: all).
build() {
  local preset=$1 log
  shift
  log=$(mktemp)
  (cd "$root" && cmake --preset "$preset" >"$log" 2>&1) || { cat "$log" >&2; rm -f "$log"; return 1; }
  rm -f "$log"
  cmake --build "$root/build/$preset" ${1:+--target "$@"} >&2
}

# mpirun as people need it on one machine: also as root, more ranks than cores, no binding to cores, shared memory between
# ranks; and without its own paragraph after ours when a rank ends with an error.
run_ranks() {
  local n=$1
  shift
  command -v "$1" >/dev/null || { echo "error: there is no program $1" >&2; return 127; }  # mpirun --quiet would not say it
  [ "$(id -u)" -eq 0 ] && export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  mpirun -n "$n" --oversubscribe --bind-to none --quiet --mca orte_abort_print_stack 0 --mca pml ob1 --mca btl self,vader "$@"
}
