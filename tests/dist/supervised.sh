# Sourced, after common.sh, by scripts that try `lockstep run` in the background. A script starts it as $supervisor, with $began set
# to now; $out is the run's folder and $name what is tried. Defines:
#   ended               its end: leaves $code and $ended_at
#   until_true WORDS..  waits until that command succeeds, while the supervisor lives
#   committed STEP      whether the checkpoint of that step is there

ended() {
  wait "$supervisor"
  code=$?
  ended_at=$(now)
}

until_true() {
  until "$@"; do
    kill -0 "$supervisor" 2>/dev/null || fail "$name: it ended before: $*"
    [ $(($(now) - began)) -lt 120000000 ] || fail "$name: this takes too long: $*"
    sleep 0.01
  done
}

committed() { [ -e "$out/checkpoints/step-$(printf %08d "$1")/manifest.pb" ]; }
