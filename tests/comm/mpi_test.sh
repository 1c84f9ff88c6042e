#!/usr/bin/env bash
# mpi_test.sh PROGRAM exchange RANKS RANKS_PER_HOST | abort RANKS | abandoned RANKS | stop RANKS | full RANKS | lengths RANKS: one real job of mpi_program.cc.
set -u
program=$1 mode=$2 ranks=$3
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
folder=$(mktemp -d)
segments() { ls /dev/shm | grep "^lockstep-$(id -u)-"; }
trap 'rm -rf "$folder"' EXIT

run() {
  mpirun -n "$ranks" --oversubscribe --bind-to none --mca pml ob1 --mca btl self,vader "$program" "$@" 2>"$folder/stderr"
}
fail() {
  echo "FAILED: $*"
  cat "$folder/stderr"
  exit 1
}
# Whether a process lives: one that has ended stays as a zombie until its parent looks.
alive() {
  local state
  state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
  [ -n "$state" ] && [ "$state" != Z ]
}

# What a rank killed in another job left behind stays until a minute later and is not this job's.
segments >"$folder/before"

case $mode in
exchange)
  true &
  dead=$!
  wait
  abandoned=/dev/shm/lockstep-$(id -u)-$dead-abandoned
  touch -d "2 minutes ago" "$abandoned"
  run exchange "$4" || fail "the job ended with $?"
  # One rank per host shares no memory, so nothing looks there.
  [ "$4" -eq 1 ] || [ ! -e "$abandoned" ] || fail "$abandoned, whose maker is dead, is still there"
  rm -f "$abandoned"
  ;;
abort)
  mkdir "$folder/pids"
  run abort 2 3 "$folder/pids"
  code=$?
  ended=$(date +%s%N)
  [ $code -eq 3 ] || fail "mpirun returned $code, not 3"
  [ "$(ls "$folder/pids" | wc -l)" -eq "$ranks" ] || fail "not every rank started"
  [ "$(grep -c "the culprit's message" "$folder/stderr")" -eq 1 ] || fail "the message is not there once"
  ! grep -q "wrong news" "$folder/stderr" || fail "a rank was told something else"
  for pid in $(ls "$folder/pids"); do
    while alive "$pid"; do
      [ $(($(date +%s%N) - ended)) -lt 2000000000 ] || fail "process $pid still lives two seconds later"
    done
  done
  ;;
abandoned)
  for messages in collective exchange; do
    run abandoned "$messages"
    code=$?
    [ $code -eq 7 ] || fail "mpirun returned $code, not 7, with a late $messages"
    ! grep -q "waited for nothing" "$folder/stderr" || fail "rank 0's wait has not failed"
  done
  ;;
stop)
  mkdir "$folder/pids"
  run stop 1 "$folder"
  code=$?
  ended=$(date +%s%N)
  [ $code -eq 6 ] || fail "mpirun returned $code, not 6"
  [ "$(grep -c "^verdict:" "$folder/stderr")" -eq 1 ] || fail "the verdict is not there once"
  grep -q "^verdict: rank 1 on .* (last seen: .*); ranks 0.* wait" "$folder/stderr" || fail "the verdict names somebody else"
  for rank in 0 2; do
    [ -s "$folder/flight/rank-$rank.pb" ] || fail "no flight record of rank $rank"
  done
  for pid in $(ls "$folder/pids"); do
    while alive "$pid"; do
      [ $(($(date +%s%N) - ended)) -lt 2000000000 ] || fail "process $pid still lives two seconds later"
    done
  done
  ;;
full)
  run full "$((1 << 50))"
  code=$?
  [ $code -eq 2 ] || fail "mpirun returned $code, not 2"
  [ "$(grep -c "shared memory for gradients" "$folder/stderr")" -eq 1 ] || fail "the message is not there once"
  grep -q "/dev/shm has" "$folder/stderr" || fail "the message does not say what there is"
  ;;
lengths)
  run lengths 64 64 || fail "a message of the expected length ended with $?"
  # Not a long message into a short buffer: some of Open MPI's own ways write past its end.
  for lengths in "32 64" "100 64" "500000 1000000"; do
    run lengths $lengths
    code=$?
    [ $code -eq 6 ] || fail "mpirun returned $code, not 6, for lengths $lengths"
    grep -q "rank 0 on .* has sent .* where rank 1 on .* expects ${lengths#* }" "$folder/stderr" ||
      fail "the message does not name both ranks"
  done
  ;;
*)
  echo "unknown mode $mode"
  exit 2
  ;;
esac
segments | grep -v -x -F -f "$folder/before" && fail "segments are left in /dev/shm"
exit 0
