#!/usr/bin/env bash
# bundle_test.sh: a bundle (bundle.sh) works where nothing of what it replaces is: in a root of its own that has the C library, bash,
# coreutils, grep, sed, awk, tar and gzip, and no Open MPI, protobuf, spdlog, oneDNN or C++ library. Needs root.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LOCKSTEP=${LOCKSTEP:-$root/build/release/lockstep}
export LOCKSTEP
if [ -z "${LOCKSTEP_MOUNTS:-}" ]; then
  [ "$(id -u)" -eq 0 ] && unshare -m mount -t tmpfs none /mnt 2>/dev/null && LOCKSTEP_MOUNTS=1 exec unshare -m "$0" "$@"
  echo "SKIPPED: a root of its own needs root and mount namespaces"
  exit 77
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/lockstep-bundle-test.XXXXXX")
inside=$work/root
trap 'umount -l "$inside"/wheels/nvidia/*/lib/* "$inside"/{proc,sys,dev/shm,dev/null,dev/zero,dev/random,dev/urandom,dev/full} 2>/dev/null; rm -rf --one-file-system "$work"' EXIT
fail() { echo "FAILED: $*"; exit 1; }

# add PROGRAM...: with the libraries that it needs, at their places.
add() {
  local program path library
  for program in "$@"; do
    path=$(type -P "$program") || fail "this machine has no $program"
    cp -L "$path" "$inside/usr/bin/$program"
    for library in $(ldd "$path" 2>/dev/null | grep -o '/[^ ]*'); do
      mkdir -p "$inside$(dirname "$library")"
      cp -L "$library" "$inside$library"
    done
  done
}

make_root() {
  local name
  mkdir -p "$inside"/usr/{bin,sbin,lib,lib64} "$inside"/{etc,tmp,proc,sys,dev/shm,root}
  for name in bin sbin lib lib64; do ln -s "usr/$name" "$inside/$name"; done
  add bash cat cp cut date dirname basename env getconf grep gzip head hostname id ldd ln ls mkdir mktemp mv paste printf readlink rm \
    rmdir sed seq sleep sort stat tail tar tee timeout touch tr true uname wc
  cp -L "$(type -P awk)" "$inside/usr/bin/awk"
  ln -s bash "$inside/usr/bin/sh"
  cp -L /sbin/ldconfig "$inside/usr/sbin/ldconfig"
  # What of the C library is loaded by programs of the bundle, which the list above may not need.
  for name in libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 librt.so.1 libutil.so.1 libresolv.so.2 libnss_files.so.2; do
    name=$(/sbin/ldconfig -p | awk -v name="$name" '$1 == name { print $NF; exit }')
    if [ -n "$name" ]; then mkdir -p "$inside$(dirname "$name")" && cp -L "$name" "$inside$name"; fi
  done
  echo 'root:x:0:0:root:/root:/bin/bash' >"$inside/etc/passwd"
  echo 'root:x:0:' >"$inside/etc/group"
  echo "127.0.0.1 localhost $(hostname)" >"$inside/etc/hosts"
  ln -s /proc/self/fd "$inside/dev/fd"
  if ! mount --bind /proc "$inside/proc" || ! mount --bind /sys "$inside/sys" || ! mount -t tmpfs none "$inside/dev/shm"; then fail "mounts"; fi
  for name in null zero random urandom full; do
    : >"$inside/dev/$name"
    mount --bind "/dev/$name" "$inside/dev/$name" || fail "/dev/$name"
  done
}

within() { env -i PATH=/usr/bin:/usr/sbin HOME=/root TERM=dumb chroot "$inside" /bin/bash -c "$1"; }

"$root/tests/gpu/bundle.sh" "$work/bundle.tar.gz" || fail "bundle.sh ended with $?"
make_root
tar xzf "$work/bundle.tar.gz" -C "$inside"
if find "$inside" -path "$inside/lockstep-gpu" -prune -o -path "$inside/proc" -prune -o -path "$inside/sys" -prune -o -print |
  grep -E 'lib(mpi|protobuf|spdlog|fmt|dnnl|stdc\+\+|gomp|hwloc)'; then
  fail "the root has a library that the bundle should bring"
fi

# shellcheck disable=SC2016
within 'source /lockstep-gpu/tests/gpu/env.sh && "$LOCKSTEP" doctor' >"$work/doctor" 2>&1 || { cat "$work/doctor"; fail "lockstep doctor"; }
cat "$work/doctor"
grep -q 'MPI .*Open MPI' "$work/doctor" || fail "doctor shows no Open MPI"
if [ -e "$(dirname "$LOCKSTEP")/liblockstep_cuda.so" ]; then
  grep -q 'note: not found on this machine:.*libcudnn' "$work/doctor" || fail "env.sh does not say what is missing of CUDA"
fi

# CUDA's libraries in the wheels of a python3: all that is missing then is the driver. (As files of this machine's, which are large.)
add_wheels() {
  local path file folder
  printf '#!/bin/bash\necho /wheels\n' >"$inside/usr/bin/python3"
  chmod +x "$inside/usr/bin/python3"
  for path in $(ldd "$(dirname "$LOCKSTEP")/liblockstep_cuda.so" | grep -o '/[^ ]*/lib\(cublas\|cudnn\|nccl\)[^ ]*'); do
    # cuDNN is many files, which it loads while it runs; cuBLASLt's neighbour is one of cuDNN's needs.
    for file in "${path%%.so*}"*.so.* "$(dirname "$path")"/libcublas.so.*; do
      folder=$inside/wheels/nvidia/$(basename "${path%%.so*}")/lib
      mkdir -p "$folder"
      : >"$folder/${file##*/}"
      mount --bind "$file" "$folder/${file##*/}" || fail "$file"
    done
  done
}
if [ -e "$(dirname "$LOCKSTEP")/liblockstep_cuda.so" ]; then
  add_wheels
  # shellcheck disable=SC2016
  within 'source /lockstep-gpu/tests/gpu/env.sh && "$LOCKSTEP" doctor' >"$work/doctor" 2>&1
  cat "$work/doctor"
  grep -q '^GPU .*no NVIDIA driver' "$work/doctor" || fail "env.sh does not find CUDA's libraries in wheels"
  umount "$inside"/wheels/nvidia/*/lib/*
fi

# The same weights as from the build tree: on CPUs, and on the emulated device.
short="--set train.epochs=0 --set train.steps=12 --set data.test.limit=60 --progress off"
run_digits() {
  echo "source \"$1/tests/gpu/env.sh\" && source \"$1/launch/setup.sh\" && run_ranks 2 \"\$LOCKSTEP\" train \"$1/examples/digits.textproto\"" \
    "$short --set train.device=$2 --out \"$3\""
}
weights() { sed -n 's/^done .* weights=\([0-9a-f]*\) .*/\1/p' "$1" | grep .; }
for device in CPU GPU; do
  emulated="export LOCKSTEP_CUDA_LIBRARY="
  within "$emulated/lockstep-gpu/build/release/liblockstep_cuda_emulated.so; $(run_digits /lockstep-gpu $device /tmp/$device)" >"$work/there" 2>&1
  bash -c "$emulated$(dirname "$LOCKSTEP")/liblockstep_cuda_emulated.so; $(run_digits "$root" $device "$work/$device")" >"$work/here" 2>&1
  there=$(weights "$work/there") || { cat "$work/there"; fail "digits on two ranks ($device) in the root"; }
  here=$(weights "$work/here") || { cat "$work/here"; fail "digits on two ranks ($device) outside of it"; }
  [ "$there" = "$here" ] || fail "$device: $there in the root, $here outside of it"
  echo "digits on two ranks, $device: $there"
done

within '/lockstep-gpu/tests/gpu/check.sh doctor bits_resnet moved_from_cpu train_gpt2 --emulated --out /tmp/check' || fail "check.sh in the root"
for file in table.txt section.md logs.tgz; do [ -s "$inside/tmp/check/$file" ] || fail "check.sh leaves no $file"; done
within '/lockstep-gpu/tests/gpu/check.sh' >"$work/without"
[ $? -eq 77 ] || { cat "$work/without"; fail "check.sh without a GPU does not say that it is skipped"; }
echo "PASSED"
