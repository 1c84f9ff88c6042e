# shellcheck shell=bash
# Sourced: makes what the scripts of this folder start find its libraries, from a bundle (bundle.sh) as from a build tree. Open MPI
# and what it needs come with a bundle; the driver, cuBLAS, cuDNN and NCCL must be on the machine: in the linker's cache, in a
# toolkit, or in the wheels of the python3 on the path. Sets LOCKSTEP, LOCKSTEP_DATA, LD_LIBRARY_PATH, Open MPI's variables and, in a
# bundle, PATH; says on standard error what is missing, and leaves in $cuda_missing the names.

gpu_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export LOCKSTEP=${LOCKSTEP:-$gpu_root/build/release/lockstep}
[ -d "$gpu_root/data/mnist" ] && export LOCKSTEP_DATA=${LOCKSTEP_DATA:-$gpu_root/data}

prepend_libraries() {
  case ":${LD_LIBRARY_PATH:-}:" in
    *":$1:"*) ;;
    *) export LD_LIBRARY_PATH=$1${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} ;;
  esac
}

# The C++ library that came along, where it is newer than the machine's: two in one program don't work, and what is on the machine
# may need its own.
use_newer_compiler_libraries() {
  local ours theirs
  ours=$(readlink -f "$gpu_root/lib/compiler/libstdc++.so.6")
  theirs=$(/sbin/ldconfig -p 2>/dev/null | awk '/libstdc\+\+\.so\.6 .*x86-64/ { print $NF; exit }')
  [ -n "$theirs" ] && theirs=$(readlink -f "$theirs")
  [ "$(printf '%s\n' "${ours##*.so.}" "${theirs##*.so.}" | sort -V | tail -n 1)" = "${theirs##*.so.}" ] && return
  prepend_libraries "$gpu_root/lib/compiler"
}

use_bundle() {
  prepend_libraries "$gpu_root/lib"
  use_newer_compiler_libraries
  export PATH=$gpu_root/openmpi/bin:$PATH OPAL_PREFIX=$gpu_root/openmpi PMIX_PREFIX=$gpu_root/openmpi/pmix
  # Rules of the machine's own Open MPI, where it has one, are not for this one.
  export OMPI_MCA_mca_base_param_files=$gpu_root/openmpi/etc/openmpi-mca-params.conf
  # mpirun wants a program that reaches other hosts, though there are none.
  command -v ssh >/dev/null || command -v rsh >/dev/null || export OMPI_MCA_plm=isolated
}

# Folders in which CUDA's libraries may lie, the most particular first.
cuda_folders() {
  local folder nvcc
  for folder in ${CUDA_HOME:+"$CUDA_HOME"} ${CUDA_PATH:+"$CUDA_PATH"}; do echo "$folder/lib64"; done
  if nvcc=$(command -v nvcc); then
    nvcc=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
    printf '%s\n' "$nvcc/lib64" "$nvcc/lib" "$nvcc/targets/x86_64-linux/lib"
  fi
  if command -v python3 >/dev/null; then
    python3 -c 'import sys; print("\n".join(sys.path))' 2>/dev/null | while read -r folder; do
      [ -d "$folder/nvidia" ] && printf '%s\n' "$folder"/nvidia/*/lib
    done
  fi
  printf '%s\n' /usr/local/cuda*/lib64 /usr/local/cuda*/targets/x86_64-linux/lib /usr/local/nvidia/lib64 /usr/local/nvidia/lib \
    /usr/lib/wsl/lib /usr/lib/x86_64-linux-gnu
}

# What of the library with the GPU backend, and of the libraries that these load while they run, the loader does not find.
cuda_not_found() {
  local library name
  library=${LOCKSTEP_CUDA_LIBRARY:-$(dirname "$LOCKSTEP")/liblockstep_cuda.so}
  [ -e "$library" ] || return 0
  ldd "$library" 2>/dev/null | awk '/not found/ { print $1 }'
  [[ $library == *emulated* ]] && return 0
  for name in libcuda.so.1 libnvidia-ml.so.1 libnvrtc.so.13; do
    /sbin/ldconfig -p 2>/dev/null | grep -qF "$name " && continue
    local folder found=""
    IFS=: read -ra folders <<<"${LD_LIBRARY_PATH:-}"
    for folder in "${folders[@]}"; do [ -e "$folder/$name" ] && found=yes; done
    [ -n "$found" ] || echo "$name"
  done
}

find_cuda() {
  local name folder
  while read -r name; do
    while read -r folder; do
      [ -e "$folder/$name" ] && { prepend_libraries "$folder"; break; }
    done < <(cuda_folders)
  done < <(cuda_not_found)
  cuda_missing=$(cuda_not_found | paste -sd ' ')
  [ -z "$cuda_missing" ] || echo "note: not found on this machine: $cuda_missing (looked in the linker's cache, LD_LIBRARY_PATH," \
    "CUDA_HOME, CUDA_PATH, nvcc's folder, the wheels of python3, /usr/local/cuda*)" >&2
}

# Ranks of one machine go through shared memory without reading each other's: some sandboxes refuse that.
export OMPI_MCA_btl_vader_single_copy_mechanism=none
[ -d "$gpu_root/openmpi" ] && use_bundle
if command -v ldd >/dev/null; then find_cuda; else echo "note: there is no ldd here: CUDA's libraries are not looked for" >&2; fi
