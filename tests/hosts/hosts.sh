#!/usr/bin/env bash
# hosts.sh: jobs over four hosts that OpenSSH and TCP join: by mpirun alone, and by `lockstep run` while cables are pulled and hosts
# go away. Whatever happens, the weights are those of one rank, and nothing is left, also not on a host that is cut off.
set -uo pipefail
source "$(dirname "$0")/cluster.sh"
source "$(dirname "$0")/../dist/supervised.sh"
start_hosts 0 1 2 3 4

settings=(--set train.epochs=8 --set train.evaluate_every_steps=1000000 --set checkpoint.every_steps=50 --executors 1)
all=h1,h2,h3,h4

# supervise HOST ARG...: lockstep run there, over the four hosts, in the background.
supervise() {
  local host=$1
  shift
  out=$work/${name//[^a-z]/-}
  on "$host" "$lockstep" run -n 4 --hosts $all "$digits" --out "$out" "${settings[@]}" --progress off "$@" \
    </dev/null >"$work/stdout" 2>"$work/stderr" &
  supervisor=$!
  began=$(now)
}
no_ranks_on() { [ -z "$(ranks_on "$1")" ]; }

# must_restart N WORDS...: that often, and these words have been said.
must_restart() {
  local word
  [ "$code" -eq 0 ] || fail "$name: it ended with $code"
  [ "$(grep -c '^{.*"event":"start"' "$out/supervisor.jsonl")" -eq $(($1 + 1)) ] || fail "$name: not $1 restarts"
  for word in "${@:2}"; do has "$word" || fail "$name: it is not said: $word"; done
}

# What every case ends with: the weights of one rank, and nothing left on the hosts that are there.
must_equal() {
  local host left
  [ "$code" -eq 0 ] || fail "$name: it ended with $code"
  [ "$(weights)" = "$quiet" ] || fail "$name: other weights than the quiet run's"
  echo "$name: $(((ended_at - began) / 1000)) ms; $(grep goodput: "$work/stderr")"
  equal_state "$work/quiet" "$out"
  for host in "${!first_process[@]}"; do
    nothing_on "$host" 20 || fail "$name: on $host these live on: $(living_on "$host")"
    left=$(on "$host" find /dev/shm -mindepth 1) # a daemon of mpirun that has lost it leaves its session folder
    [ -z "$left" ] || fail "$name: this is left on $host: $left"
  done
}

name="one rank"
must_train 1 "$digits" --out "$work/quiet" "${settings[@]}"
quiet=$(weights) || { echo "$quiet"; exit 1; }

name="mpirun alone"
out=$work/four
began=$(now)
on h1 mpirun --host $all "$lockstep" train "$digits" --out "$out" "${settings[@]}" --progress off </dev/null >"$work/stdout" 2>"$work/stderr"
code=$? ended_at=$(now)
for host in h1 h2 h3 h4; do has "note: $host: 1 rank," || fail "$name: no rank on $host"; done
must_equal

# Sums over lanes in bf16 are half of their bytes, and new weights travel as floats: three quarters in all, beside control records.
declare -A sent
for wire in F32 BF16; do
  name="sums in $wire"
  short=("$digits" --set train.wire=$wire --set train.epochs=2 --executors 1)
  must_train 1 "${short[@]}" --out "$work/one-$wire"
  one=$(weights)
  on h1 mpirun --host $all "$lockstep" train "${short[@]}" --out "$work/four-$wire" --progress off </dev/null >"$work/stdout" 2>"$work/stderr"
  [ "$(weights)" = "$one" ] || fail "$name: $(weights) on four hosts, $one on one rank"
  sent[$wire]=$(python3 -c '
import json, sys
print(sum(rank["sent_bytes"] for rank in json.load(open(sys.argv[1]))["ranks"]))' "$work/four-$wire/times.json")
done
[ $((sent[BF16] * 100)) -gt $((sent[F32] * 74)) ] && [ $((sent[BF16] * 100)) -lt $((sent[F32] * 80)) ] ||
  fail "${sent[BF16]} bytes are sent with sums in bf16, ${sent[F32]} in floats"
echo "sums in bf16: ${sent[BF16]} bytes sent, in floats ${sent[F32]}"

name="a short cut"
supervise h1
until_true committed 100
pull h3
sleep 3 # how long it lasts is what this is about
plug h3
ended
must_restart 0
must_equal

name="two hosts that don't reach each other"
supervise h1 --set watchdog.timeout_seconds=4
until_true committed 100
part h3 h4
until_true has "lockstep: error: "
reunite h3 h4
ended
must_restart 1 "the network" "restart 1 on 4 ranks from step " "(1 network"
grep -q '"exit_code":6' "$out/supervisor.jsonl" || fail "$name: no start ended with exit code 6"
must_equal

name="a cut host that comes back"
supervise h1 --set watchdog.timeout_seconds=4
until_true committed 100
pull h3
until_true has "h3 no longer answers; restart 1 on 3 ranks from step "
until_true no_ranks_on h3 # though nobody can reach it
until_true committed 200
plug h3
kill -9 "$(ranks_on h2)"
ended
must_restart 2 "rank 1 on h2 was killed" "restart 2 on 4 ranks from step " "(1 lost host on h3: " "1 killed rank on h2: "
must_equal

name="a dead host"
supervise h1 --set watchdog.timeout_seconds=12
until_true committed 100
end_host h4
ended
must_restart 1 "h4 no longer answers; restart 1 on 3 ranks from step " "1 restart (1 lost host on h4: "
must_equal
start_hosts 4

name="the first rank's host loses power"
supervise h0 --set watchdog.timeout_seconds=12
until_true committed 100
pull h1 # its connections are not closed
end_host h1
ended
must_restart 1 "h1 no longer answers; restart 1 on 3 ranks from step " "1 restart (1 lost host on h1: " "took over the run from host h1"
must_equal
start_hosts 1

name="the supervisor's host is cut off"
supervise h1 --set watchdog.timeout_seconds=4
until_true committed 100
pull h1
for host in h2 h3 h4; do until_true no_ranks_on $host; done
until_true has "; restart 1 on 1 rank from step "
plug h1
ended
must_restart 1
must_equal
echo "hosts: weights $quiet in every case"
