#!/usr/bin/env bash
# slowed_rank.sh [--share PERCENT] [--repeats N] [--steps N] [--lanes N] [--batch N] [RECIPE]: one of two ranks has half a core, or
# that share of one, by a quota of a control group. A study of train.balance names it; lanes dealt by measured speed are fewer for it,
# and the weights those of equal shares. Prints how many times as fast they are: no matter of the test, for it hangs on what else the
# machine does. Needs root and control groups of version 1 or 2 with cpu in them; else it is skipped and says so.
set -uo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/cpu_group.sh"
lockstep=$(readlink -f "$lockstep")
share=50 repeats=1 steps=40 lanes=48 batch=96 recipe=$root/examples/bench/lenet.textproto
while [ $# -gt 0 ]; do
  case $1 in
    --share) share=$2; shift ;;
    --repeats) repeats=$2; shift ;;
    --steps) steps=$2; shift ;;
    --lanes) lanes=$2; shift ;;
    --batch) batch=$2; shift ;;
    *) recipe=$(readlink -f "$1") ;;
  esac
  shift
done
[ "$(nproc)" -ge 2 ] || skip "two ranks have no core each here"

trap 'clean_up; [ -z "$group" ] || rmdir "$group"' EXIT
group=$(make_cpu_group "lockstep-slowed-$$" "$share") || skip "a control group with a quota can't be made here (/sys/fs/cgroup, as root)"

# The mpirun of the study puts rank 1 into the group before it becomes the program.
mkdir "$work/bin"
real=$(command -v mpirun) || skip "there is no mpirun"
cat >"$work/bin/mpirun" <<END
#!/usr/bin/env bash
words=()
for word in "\$@"; do
  [ "\$word" = "$lockstep" ] && words+=("$work/bin/maybe_slowed")
  words+=("\$word")
done
exec "$real" "\${words[@]}"
END
cat >"$work/bin/maybe_slowed" <<END
#!/bin/sh
if [ "\${OMPI_COMM_WORLD_RANK:-\${PMIX_RANK:-\${PMI_RANK:-}}}" = 1 ]; then echo \$\$ >"$group/cgroup.procs" || exit 1; fi
exec "\$@"
END
chmod +x "$work/bin/"*
[ "$(id -u)" -eq 0 ] && export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

cd "$work" || exit 1
PATH=$work/bin:$PATH "$lockstep" scale "$recipe" --ranks 2 --executors 1 --vary train.balance=EVEN,MEASURED --repeats "$repeats" \
  --steps "$steps" --set train.lanes="$lanes" --set train.global_batch="$batch" --anyway --out study </dev/null >stdout 2>stderr ||
  fail "the study ended with $?"
grep -qE 'all [0-9]+ runs ended with weights [0-9a-f]{16}' stdout || fail "weights hang on how lanes are dealt"
grep -q 'at 2 ranks, train.balance=EVEN, rank 1 is slow: ' stdout || fail "the slowed rank is not named"
for log in study/runs/r2-balance_MEASURED-*.log; do
  [[ "$(grep -o 'rank by rank: .*' "$log")" =~ ^rank\ by\ rank:\ ([0-9]+)\ .*,\ ([0-9]+)\  ]] || fail "$log does not say how lanes are dealt"
  [ "${BASH_REMATCH[2]}" -lt "${BASH_REMATCH[1]}" ] || fail "the slowed rank has as many lanes: ${BASH_REMATCH[0]}"
  [ $((BASH_REMATCH[1] + BASH_REMATCH[2])) -eq "$lanes" ] || fail "lanes are lost: ${BASH_REMATCH[0]}"
done
cat stdout
grep -ho 'rank by rank: .*' study/runs/r2-balance_MEASURED-*.log
