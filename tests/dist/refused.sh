# Sourced, after common.sh, by the scripts about jobs that must not go on.

# refused CODE TEXT...: the job that has just ended did so with this exit code and one error, which says all these texts (the
# first of them is said nowhere else), without a done line; and all its ranks ended within two seconds of the message.
# $name says in failures which case it was.
refused() {
  local wanted=$1 message text
  shift
  [ "$code" -eq "$wanted" ] || fail "$name: it ended with $code, not $wanted"
  once "lockstep: error:" || fail "$name: not one error"
  once "$1" || fail "$name: not once: $1"
  message=$(grep -hF "lockstep: error:" "$work/stderr")
  for text in "$@"; do
    [[ $message == *"$text"* ]] || fail "$name: the error does not say: $text"
  done
  ! grep -q '^done ' "$work/stdout" || fail "$name: there is a done line"
  gone || fail "$name: ranks still live two seconds after mpirun ended: $(living)"
  [ $((ended_at - said_at)) -lt 2000000 ] || fail "$name: mpirun ended only $((ended_at - said_at)) us after the message"
  printf '%s: %d ms after the message\n  %s\n' "$name" $(((ended_at - said_at) / 1000)) "${message//$work/WORK}"
}
