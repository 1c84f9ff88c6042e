#!/usr/bin/env bash
# bundle.sh [OUT.tar.gz]: packs everything that check.sh needs on a machine with a GPU that has nothing but driver, toolkit, bash and
# python3: program, tests, recipes, small data, and the libraries that the other machine may lack, Open MPI among them. CUDA's own
# libraries are not packed (env.sh finds them there). There:
#
#   tar xzf OUT.tar.gz && lockstep-gpu/tests/gpu/check.sh
#
# LOCKSTEP is the binary of the build to pack (default: build/release/lockstep). Without MNIST in $LOCKSTEP_DATA the bundle has none,
# and check.sh there skips it. Fails where the bundle has more than 52 MiB: what carries it there takes 64, with the sources beside it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
lockstep=${LOCKSTEP:-$root/build/release/lockstep}
build=$(dirname "$lockstep")
data=${LOCKSTEP_DATA:-$root/../shared/data}
out=${1:-$root/build/lockstep-gpu.tar.gz}
most=52  # MiB

die() { echo "bundle.sh: $*" >&2; exit 1; }
[ -x "$lockstep" ] || die "there is no $lockstep: build it, or set LOCKSTEP"
command -v ompi_info >/dev/null || die "there is no Open MPI here to pack"
staging=$(mktemp -d "${TMPDIR:-/tmp}/lockstep-bundle.XXXXXX")
trap 'rm -rf "$staging"' EXIT
top=$staging/lockstep-gpu
mkdir -p "$top/build/release" "$top/lib/compiler" "$top/openmpi/bin" "$top/openmpi/etc"

# What is built, where scripts look for it in a build tree too.
copy_programs() {
  local name
  for name in lockstep liblockstep_mpi.so liblockstep_cuda_emulated.so gpu_conformance_test gpu_bench; do
    [ -e "$build/$name" ] || die "there is no $build/$name: build it"
    cp "$build/$name" "$top/build/release/"
  done
  if [ -e "$build/liblockstep_cuda.so" ]; then
    cp "$build/liblockstep_cuda.so" "$top/build/release/"
  else
    echo "note: $build has no liblockstep_cuda.so (LOCKSTEP_CUDA): the bundle is good for emulated devices only" >&2
  fi
  strip --strip-all "$top"/build/release/* 2>/dev/null || true  # what they export to each other stays
}

copy_files() {
  (cd "$root" && tar cf - launch/setup.sh tests/dist/common.sh examples tests/gpu/*.sh tests/gpu/check tests/gpu/*.py tests/gpu/RESULTS.md LICENSE) | tar xf - -C "$top"
  [ -d "$data/mnist" ] && { mkdir -p "$top/data"; cp -r "$data/mnist" "$top/data/"; chmod -R u+w "$top/data"; return; }
  echo "note: there is no $data/mnist: the bundle has no MNIST" >&2
}

# Value of one of Open MPI's installation folders.
ompi_folder() { ompi_info --path "$1" | sed 's/^[^:]*: *//'; }

# Plugins for networks bring large libraries, and one machine needs none of them.
wanted_plugin() {
  local needs
  needs=$(ldd "$1") || return 1
  ! grep -qE 'lib(ucp|ucs|fabric|psm2|psm_infinipath|ibverbs|rdmacm|lustreapi|pmi2?|slurm)\.so|not found' <<<"$needs"
}

copy_open_mpi() {
  local prefix plugins plugin pmix
  prefix=$(ompi_folder prefix)
  plugins=$(ompi_folder pkglibdir)
  [[ $plugins == "$prefix"/* ]] || die "Open MPI's plugins in $plugins are not under its prefix $prefix"
  cp "$(readlink -f "$(command -v orterun)")" "$top/openmpi/bin/orterun"
  ln -s orterun "$top/openmpi/bin/mpirun"
  cp "$(readlink -f "$(command -v orted)")" "$top/openmpi/bin/orted"
  mkdir -p "$top/openmpi/${plugins#"$prefix"/}" "$top/openmpi/share"
  for plugin in "$plugins"/mca_*.so; do
    case $plugin in *_java* | *romio* | *spml* | *memheap* | *sshmem* | *scoll*) continue ;; esac
    if wanted_plugin "$plugin"; then cp "$plugin" "$top/openmpi/${plugins#"$prefix"/}/"; fi
  done
  cp -rL "$(ompi_folder pkgdatadir)" "$top/openmpi/share/openmpi"
  : >"$top/openmpi/etc/openmpi-mca-params.conf"
  # PMIx has plugins and texts of its own, where it is a library of its own.
  pmix=$(ldd "$top/openmpi/${plugins#"$prefix"/}"/mca_pmix_ext3x.so 2>/dev/null | awk '/libpmix/ { print $3 }')
  [ -n "$pmix" ] || return 0
  pmix=$(dirname "$(dirname "$(readlink -f "$pmix")")")
  mkdir -p "$top/openmpi/pmix/lib" "$top/openmpi/pmix/share"
  [ -d "$pmix/lib/pmix" ] && cp -r "$pmix/lib/pmix" "$top/openmpi/pmix/lib/"
  [ -d "$pmix/share/pmix" ] && cp -rL "$pmix/share/pmix" "$top/openmpi/pmix/share/"
  rm -f "$top"/openmpi/pmix/lib/pmix/*slurm*
}

# Every library that something in the bundle needs: all but the C library's own (the other machine's must be as new as this one's)
# and CUDA's.
copy_libraries() {
  local file name path target
  find "$top" -type f \( -name '*.so' -o -perm -u+x \) ! -name '*.sh' ! -name '*.py' | while read -r file; do
    ldd "$file" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }'
  done | sort -u | while read -r name path; do
    target=$top/lib
    case $name in
      libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.* | libutil.so.* | libresolv.so.* | ld-linux*) continue ;;
      libcu* | libnccl* | libnv*) continue ;;
      libstdc++.so.* | libgcc_s.so.*) target=$top/lib/compiler ;;
    esac
    path=$(readlink -f "$path")
    cp "$path" "$target/"
    [ "$(basename "$path")" = "$name" ] || ln -sf "$(basename "$path")" "$target/$name"
  done
}

# ICU's tables, which libxml2 and so libarchive bring, are a fifth of the bundle, and no recipe here reads XML. The loader wants the
# library: it gets one without the tables, which ICU takes for damaged data.
leave_out_icu_data() {
  local file major
  for file in "$top"/lib/libicudata.so.*; do
    [ -f "$file" ] && [ ! -L "$file" ] || continue
    major=${file##*/libicudata.so.} major=${major%%.*}
    echo "const char icudt${major}_dat[64] = {0};" | cc -shared -s -x c -Wl,-soname,"libicudata.so.$major" -o "$file" -
  done
}

copy_programs
copy_files
copy_open_mpi
copy_libraries
leave_out_icu_data
mkdir -p "$(dirname "$out")"
tar czf "$out" -C "$staging" lockstep-gpu
size=$(($(stat -c %s "$out") + (1 << 20) - 1 >> 20))
unpacked=$(du -sm "$top" | cut -f 1)
if [ $size -gt $most ]; then
  echo "bundle.sh: the largest of it, in KiB before it was packed:" >&2
  (cd "$top" && find . -type f -size +1000k -exec du -k {} + | sort -rn | head -n 8) >&2
  rm "$out"
  die "the bundle would have $size MiB, more than $most: build for one architecture (LOCKSTEP_CUDA_ARCHITECTURES), with optimisation"
fi
echo "$out: $size MiB, $unpacked MiB unpacked, C library $(getconf GNU_LIBC_VERSION | cut -d ' ' -f 2) or newer"
