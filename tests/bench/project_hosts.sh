#!/usr/bin/env bash
# project_hosts.sh [--mbit N] [--share PERCENT] [--repeats N] [--steps N] [RECIPE [SETTING...]]: how well `lockstep project` foretells.
# A study on 1, 2 and 4 hosts is fitted, and 8 hosts are projected from it and then measured. Hosts are namespaces of this machine with
# links of N (1000) Mbit/s each way and one rank each, whose executor has PERCENT (12) of a core by a quota: so eight of them compute at
# the rate at which one does, and cores are left for what hosts with cores of their own would have: threads that communicate and load.
# Root and control groups of version 1, which take single threads; LOCKSTEP names the program.
set -uo pipefail
source "$(dirname "$0")/../hosts/cluster.sh"
source "$(dirname "$0")/../dist/cpu_group.sh"
mbit=1000 share=12 repeats=3 steps=30 recipe=$root/examples/bench/mlp.textproto
while [ $# -gt 0 ]; do
  case $1 in
    --mbit) mbit=$2; shift ;;
    --share) share=$2; shift ;;
    --repeats) repeats=$2; shift ;;
    --steps) steps=$2; shift ;;
    *) break ;;
  esac
  shift
done
if [ $# -gt 0 ]; then recipe=$(readlink -f "$1"); shift; fi
settings=()
for setting in "$@"; do settings+=(--set "$setting"); done

hosts=(1 2 3 4 5 6 7 8)
start_hosts "${hosts[@]}"
declare -A group_of
slower=
trap '[ -z "$slower" ] || kill $slower; end_hosts; clean_up; [ ${#group_of[@]} -eq 0 ] || rmdir "${group_of[@]}"' EXIT
for i in "${hosts[@]}"; do
  on "h$i" tc qdisc add dev e0 root tbf rate "${mbit}mbit" burst 256kb latency 50ms
  group_of[$i]=$(make_cpu_group "lockstep-host-$$-$i" "$share") && [ -e "${group_of[$i]}/tasks" ] || missing "no control group for threads can be made"
done
# Executors are moved into their hosts' groups as they come: a study's warm-up is longer.
slow_executors() {
  local thread host pid
  while sleep 0.1; do
    for thread in $(grep -ls '^executor-0$' /proc/[0-9]*/task/*/comm); do
      thread=${thread%/comm} pid=${thread%/task/*}
      [ -z "${slowed[$thread]:-}" ] || continue
      for host in "${!group_of[@]}"; do
        [ "$pid/ns/net" -ef "/proc/${first_process[h$host]}/ns/net" ] && echo "${thread##*/}" >"${group_of[$host]}/tasks" && slowed[$thread]=yes
      done
    done
  done 2>/dev/null
}
declare -A slowed
slow_executors &
slower=$!
study() { # NAME RANKS
  on h1 "$lockstep" scale "$recipe" "${settings[@]}" --ranks "$2" --hosts "$(seq -s, -f h%g:1 1 8)" --executors 1 --repeats "$repeats" \
    --steps "$steps" --anyway --out "$work/$1" </dev/null >"$work/stdout" 2>"$work/stderr" || fail "the study of $2 ranks ended with $?"
  grep -E '^(ranks|[0-9 ]+(once more)? +[0-9.]+ m?s )|ended with weights|links between' "$work/stdout"
}
idle() { awk '/^cpu / { print $5 }' /proc/stat; }
study fitted 1,2,4
on h1 "$lockstep" project "$work/fitted" --ranks 2,4,8 --network ranks_per_host=1 </dev/null 2>"$work/stderr" || fail "no projection"
before=$(idle) began=$EPOCHREALTIME
study measured 8
python3 -c 'import sys; b, e, i, j = map(float, sys.argv[1:]); print(f"cores idle meanwhile: {(j - i) / 100 / (e - b):.2f}")' \
  "$began" "$EPOCHREALTIME" "$before" "$(idle)"
[ -z "${KEEP:-}" ] || cp -r "$work/fitted" "$work/measured" "$KEEP"
