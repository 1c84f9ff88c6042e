#!/usr/bin/env bash
# disk.sh: folders and disks that fail under a run: read-only, not shared between hosts, full. Needs mount namespaces.
set -uo pipefail
if [ -z "${LOCKSTEP_MOUNTS:-}" ]; then
  # Once more, where mounts are this script's own; as root of a user namespace where it is not root.
  for options in -m "-m -r"; do
    # shellcheck disable=SC2086
    unshare $options mount -t tmpfs none /mnt 2>/dev/null && LOCKSTEP_MOUNTS=1 exec unshare $options "$0" "$@"
  done
  echo "SKIPPED: this machine gives no mount namespaces (they need root, or user namespaces)"
  exit 77
fi
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/refused.sh"

# digits, a hundred steps with a checkpoint of some 400 KiB every ten: enough to fill a small disk.
short=(--set train.epochs=0 --set train.steps=100 --set checkpoint.every_steps=10 --set checkpoint.keep=2)
name="the quiet run"
must_train 2 "$digits" --out "$work/quiet" "${short[@]}"
quiet=$(weights) || { echo "$quiet"; exit 1; }

name="read-only file system"
mkdir "$work/readonly"
mount -t tmpfs -o ro none "$work/readonly"
train 2 "$digits" --out "$work/readonly/run" "${short[@]}"
refused 2 "--out $work/readonly/run" "Read-only file system"

name="--out that another host does not share"
mkdir "$work/private"
# Rank 1 has a file system of its own there.
run 1 "$lockstep" train "$digits" --out "$work/private/run" "${short[@]}" : -n 1 \
  unshare -m sh -c 'mount -t tmpfs none "$1" && shift && exec "$@"' sh "$work/private" \
  "$lockstep" train "$digits" --out "$work/private/run" "${short[@]}"
refused 2 "does not see the file that rank 0 wrote" "rank 1 on $(hostname)" "$work/private/run" "all hosts share"
[ ! -e "$work/private/run/checkpoints/step-00000010" ] || fail "$name: it trained"

# --- a disk that is full

# fill FOLDER KIB: leaves KIB free in FOLDER. The part that has always been there stands for other people's files.
free_kib() { df --output=avail -k "$1" | tail -n 1; }
fill() { head -c $((($(free_kib "$1") - $2) * 1024)) /dev/zero >"$1/others"; }

disk=$work/disk
mkdir "$disk"
mount -t tmpfs -o size=16m none "$disk"

# The first half of the run, with room; what it leaves must survive all that follows. "constant" lets it go on for longer.
first=("${short[@]}" --set train.steps=50 --set optimizer.schedule='constant {}' --set optimizer.schedule.warmup_fraction=0)
second=("${first[@]}" --set train.steps=100)
must_train 2 "$digits" --out "$work/constant" "${second[@]}"
constant=$(weights) || { echo "$constant"; exit 1; }
must_train 2 "$digits" --out "$disk/run" "${first[@]}"
steps() { (cd "$1/checkpoints" && for folder in step-*; do [ -e "$folder/manifest.pb" ] && echo "$folder"; done) | xargs; }
older=$(steps "$disk/run")
[ "$older" = "step-00000040 step-00000050" ] || fail "checkpoints $older"

for policy in STOP WARN; do
  rm -rf "$disk/$policy"
  cp -a "$disk/run" "$disk/$policy"
done
rm -rf "$disk/run"
# Room for the small files of a start, and for a part of one checkpoint.
fill "$disk" 200

name="full disk, on_write_error: STOP"
train 2 "$digits" --out "$disk/STOP" "${second[@]}" --set checkpoint.on_write_error=STOP
refused 4 "the checkpoint of step 60 could not be written" "No space left on device" "make room"
[ "$(steps "$disk/STOP")" = "$older" ] || fail "$name: of $older are left: $(steps "$disk/STOP")"
"$lockstep" verify "$disk/STOP" >"$work/stdout" 2>&1 || fail "$name: an older checkpoint is damaged"

name="full disk, on_write_error: WARN"
train 2 "$digits" --out "$disk/WARN" "${second[@]}"
refused 4 "its last checkpoint could not be written" "weights=$constant" "make room and start again"
for step in 60 70 80 90 100; do
  once "the checkpoint of step $step could not be written" || fail "$name: not one warning for step $step"
done
[ "$(steps "$disk/WARN")" = "$older" ] || fail "$name: of $older are left: $(steps "$disk/WARN")"
"$lockstep" verify "$disk/WARN" >"$work/stdout" 2>&1 || fail "$name: an older checkpoint is damaged"

name="room again"
rm "$disk/others"
must_train 2 "$digits" --out "$disk/STOP" "${second[@]}"
has "resuming from step 50" || fail "$name: it does not resume from step 50"
[ "$(weights)" = "$constant" ] || fail "$name: other weights than the quiet run"
must_train 3 "$digits" --out "$disk/WARN" "${second[@]}"
[ "$(weights)" = "$constant" ] || fail "$name: other weights than the quiet run"
equal_state "$disk/STOP" "$work/constant"
equal_state "$disk/WARN" "$work/constant"
echo "all jobs on a full disk: as they should be"
