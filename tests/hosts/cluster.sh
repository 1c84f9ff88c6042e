# Sourced by the scripts of this folder, before anything else: hosts on this machine, with cables and OpenSSH between them. Needs
# root, iproute2 and OpenSSH (Debian: iproute2, openssh-server). Runs the script once more in namespaces of its own, sources
# tests/dist/common.sh there, and defines:
#   start_host I, start_hosts I...   hI at 10.77.0.1I: its own name, network, processes and /dev/shm; files are shared by all
#   on HOST COMMAND...     runs it there, as from that host's keyboard
#   pull HOST, plug HOST   pulls its cable, and plugs it in again: the host sees that the carrier is gone
#   part A B, reunite A B  these two no longer reach each other, but all others do
#   end_host HOST          at once, with all that runs on it
#   living_on HOST         processes of jobs there, and of mpirun
#   ranks_on HOST          those that train
#   nothing_on HOST S      whether none of them lives after S seconds at the latest
# A host's first process is its sshd, whose end is that of all others there. The first process of the namespace around them all is
# this script, so that nothing survives it, whatever ends it: no process, no interface, no mount; and its files lie in memory
# that goes with it.

missing() {
  echo "SKIPPED: $*"
  exit 77
}

kinds=(--mount --net --uts --ipc --pid --fork --kill-child --mount-proc)

# Once more, in namespaces of its own. An end of this process ends those.
enter_namespaces() {
  local program
  [ "$(id -u)" -eq 0 ] || missing "hosts of one's own need root"
  PATH=$PATH:/usr/sbin:/sbin
  for program in ip bridge unshare nsenter setpriv ssh sshd ssh-keygen mpirun; do
    command -v $program >/dev/null || missing "there is no $program here (Debian: iproute2, util-linux, openssh-server, openmpi-bin)"
  done
  unshare "${kinds[@]}" ip link add b0 type bridge 2>/dev/null || missing "this kernel gives no namespaces with a bridge"
  unshare "${kinds[@]}" ip link add v0 type veth peer name v1 2>/dev/null || missing "this kernel gives no virtual cables (veth)"
  IN_NAMESPACES=yes setpriv --pdeathsig KILL unshare "${kinds[@]}" "$0" "$@" &
  trap 'kill -9 $!' INT TERM
  wait $!
  exit $?
}
[ -n "${IN_NAMESPACES:-}" ] || enter_namespaces "$@"

mount -t tmpfs hosts /run
export TMPDIR=/run
source "$(dirname "${BASH_SOURCE[0]}")/../dist/common.sh"
cluster=/run/cluster
mkdir -p "$cluster" /run/sshd
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
unset LOCKSTEP_RSH_AGENT OMPI_MCA_plm_rsh_agent # the real ssh
declare -A first_process

# The files that all hosts share, in place of this machine's own.
replace() { # PATH: by standard input
  local file=$cluster/${1//\//-}
  cat >"$file"
  [ ! -e "$1" ] || mount --bind "$file" "$1"
}
write_settings() {
  local i file
  { echo "127.0.0.1 localhost"; for i in 0 1 2 3 4 5 6 7 8; do echo "10.77.0.1$i h$i"; done; } | replace /etc/hosts
  replace /etc/resolv.conf </dev/null # nobody to ask
  sed 's/^root:!*/root:/' /etc/shadow | replace /etc/shadow # sshd refuses a locked account even with a key
  for file in ~/.bashrc ~/.bash_profile ~/.profile; do replace "$file" </dev/null; done # what people put there takes its time
  [ ! -d ~/.ssh ] || mount -t tmpfs none ~/.ssh
  ssh-keygen -q -t ed25519 -N "" -f "$cluster/user"
  replace /etc/ssh/ssh_config <<END
IdentityFile $cluster/user
GlobalKnownHostsFile $cluster/known
StrictHostKeyChecking yes
END
  ip link set lo up
  ip link add switch type bridge
  ip addr add 10.77.0.1/24 dev switch
  ip link set switch up
}

# Becomes the sshd of a host.
become_host() { # I
  hostname "h$1"
  mount -t tmpfs shm /dev/shm
  mkdir -p "/run/tmp.h$1"
  exec "$(command -v sshd)" -D -e -f "$cluster/sshd.h$1"
}

start_host() { # I
  local i=$1 key=$cluster/key.h$1 program outer
  rm -f "$key" "$key.pub"
  ssh-keygen -q -t ed25519 -N "" -f "$key"
  [ ! -e "$cluster/known" ] || sed -i "/^h$i,/d" "$cluster/known"
  echo "h$i,10.77.0.1$i $(cut -d ' ' -f 1-2 "$key.pub")" >>"$cluster/known"
  cat >"$cluster/sshd.h$i" <<END
HostKey $key
AuthorizedKeysFile $cluster/user.pub
StrictModes no
PermitRootLogin prohibit-password
UsePAM no
PidFile none
PrintLastLog no
SetEnv TMPDIR=/run/tmp.h$i
END
  program="$(declare -f become_host); cluster='$cluster'; become_host $i"
  unshare "${kinds[@]}" bash -c "$program" \
    </dev/null >>"$cluster/sshd.h$i.log" 2>&1 &
  outer=$!
  until first_process[h$i]=$(tr -d ' ' <"/proc/$outer/task/$outer/children") && [ -n "${first_process[h$i]}" ]; do
    kill -0 $outer || fail "h$i does not start: $(cat "$cluster/sshd.h$i.log")"
  done 2>/dev/null
  ip link add "p$i" type veth peer name e0 netns "${first_process[h$i]}"
  ip link set "p$i" master switch up
  nsenter --net="/proc/${first_process[h$i]}/ns/net" bash -c "ip link set lo up; ip addr add 10.77.0.1$i/24 dev e0; ip link set e0 up"
}

start_hosts() {
  local i
  trap 'end_hosts; clean_up' EXIT
  [ -e "$cluster/user" ] || write_settings
  for i in "$@"; do start_host "$i"; done
  for i in "$@"; do
    until ssh -o ConnectTimeout=1 "h$i" true 2>"$cluster/ssh.log"; do
      kill -0 "${first_process[h$i]}" 2>/dev/null || fail "h$i: $(cat "$cluster/sshd.h$i.log")"
    done
  done
}

on() { # HOST COMMAND...
  local host=$1
  shift
  nsenter --target "${first_process[$host]}" --mount --net --uts --ipc --pid -- env TMPDIR="/run/tmp.$host" "$@"
}

pull() { ip link set "p${1#h}" down; }
plug() { ip link set "p${1#h}" up; }
part() { for host in "$@"; do bridge link set dev "p${host#h}" isolated on; done; }
reunite() { for host in "$@"; do bridge link set dev "p${host#h}" isolated off; done; }

end_host() {
  kill -9 "${first_process[$1]}"
  ip link del "p${1#h}" 2>/dev/null
  unset "first_process[$1]"
}
end_hosts() {
  local host
  for host in "${!first_process[@]}"; do end_host "$host"; done
}

living_on() {
  local host=$1 pid
  for pid in $(living) $(pgrep -x 'orted|mpirun'); do
    [ "/proc/$pid/ns/pid" -ef "/proc/${first_process[$host]}/ns/pid" ] && echo "$pid"
  done
  return 0
}
ranks_on() {
  local pid
  for pid in $(living_on "$1"); do
    tr '\0' '\n' <"/proc/$pid/cmdline" | sed -n 2p | grep -qx train && echo "$pid"
  done 2>/dev/null
  return 0
}
nothing_on() {
  local limit=$((SECONDS + $2))
  while [ -n "$(living_on "$1")" ]; do
    [ "$SECONDS" -lt "$limit" ] || return 1
    sleep 0.05
  done
}
