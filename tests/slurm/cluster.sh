# Sourced by the scripts of this folder, after tests/dist/common.sh: a real Slurm on this machine, one controller and several nodes that
# are all this host, with its state in $work. Needs root, munge and Slurm (Debian: slurm-wlm, munge).
#   start_cluster N   nodes n1..nN with 2 cores each; skips the script where that can't be had
#   stop_cluster      called at the script's end
#   job_state ID, until_job ID STATE...: what squeue says; waiting for it
# All "nodes" share one host name, and Open MPI's shared memory between ranks of different nodes would mix them up: ranks talk by TCP.

cluster=$work/slurm
export SLURM_CONF=$cluster/slurm.conf
export OMPI_MCA_btl=self,tcp OMPI_MCA_btl_tcp_if_include=lo OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export SLURM_TIME_FORMAT=standard

# A free port, and some after it.
free_port() { python3 -c 'import random; print(random.randrange(20000, 30000, 20))'; }

write_config() {
  local nodes=$1 port name
  port=$(free_port)
  name=$(hostname -s)
  cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$name(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$port
AuthType=auth/munge
AuthInfo=socket=$cluster/munge.sock
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool.%n
TmpFS=$cluster/tmp.%n
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/slurmd.%n.pid
SlurmctldLogFile=$cluster/slurmctld.log
SlurmdLogFile=$cluster/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
ReturnToService=2
KillWait=5
MinJobAge=600
SlurmdTimeout=30
SlurmdParameters=config_overrides
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n[1-$nodes] NodeHostname=$name NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + nodes))] CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=low Nodes=n[1-$nodes] Default=YES MaxTime=INFINITE DefaultTime=5 State=UP PriorityTier=1 GraceTime=20
PartitionName=high Nodes=n[1-$nodes] MaxTime=INFINITE DefaultTime=5 State=UP PriorityTier=2 PreemptMode=OFF
END
  echo CgroupPlugin=cgroup/v1 >"$cluster/cgroup.conf"
}

start_cluster() {
  local nodes=$1 program i tries
  [ "$(id -u)" -eq 0 ] || skip "a Slurm of one's own needs root"
  for program in munged slurmctld slurmd srun sbatch; do
    command -v $program >/dev/null || skip "there is no $program here (Debian: munge, slurm-wlm)"
  done
  mkdir -p "$cluster/state"
  chmod 755 "$work" "$cluster"
  write_config "$nodes"
  dd if=/dev/urandom of="$cluster/munge.key" bs=128 count=1 status=none
  chmod 400 "$cluster/munge.key"
  trap 'stop_cluster; clean_up' EXIT
  munged --socket="$cluster/munge.sock" --key-file="$cluster/munge.key" --pid-file="$cluster/munged.pid" --log-file="$cluster/munged.log" \
    --seed-file="$cluster/munged.seed" --num-threads=2 || skip "munged does not start: $(tail -n 1 "$cluster/munged.log")"
  slurmctld -c -f "$SLURM_CONF"
  for i in $(seq "$nodes"); do
    mkdir -p "$cluster/spool.n$i" "$cluster/tmp.n$i"
    slurmd -N "n$i" -f "$SLURM_CONF"
  done
  for tries in $(seq 200); do
    [ "$(sinfo -h -p low -t idle -o %D 2>/dev/null)" = "$nodes" ] && return
    sleep 0.1
  done
  skip "this Slurm does not come up: $(tail -n 2 "$cluster/slurmctld.log")"
}

# Ends the daemons, then what they ran: everything that has the cluster's folder open or in its environment.
stop_cluster() {
  local pid pids
  timeout 5 scancel --full -u root 2>/dev/null
  pids=$(cat "$cluster"/*.pid 2>/dev/null)
  # shellcheck disable=SC2086
  [ -z "$pids" ] || kill $pids 2>/dev/null
  for pid in $pids; do timeout 5 tail --pid="$pid" -f /dev/null; done
  for pid in /proc/[0-9]*; do
    [ "${pid#/proc/}" != $$ ] || continue
    if [ "$(cat "$pid/comm" 2>/dev/null)" = slurmstepd ] && ls -l "$pid/fd" 2>/dev/null | grep -q " $cluster/"; then kill -9 "${pid#/proc/}"; fi
    if grep -qsxzF "SLURM_CONF=$SLURM_CONF" "$pid/environ" && grep -qsz '^SLURM_JOB_ID=' "$pid/environ"; then kill -9 "${pid#/proc/}"; fi
  done 2>/dev/null
}

job_state() { squeue -h -t all -o %T -j "$1" 2>/dev/null; }

# until_job SECONDS ID STATE...: waits until it is in one of these states.
until_job() {
  local limit=$((SECONDS + $1)) id=$2 state
  shift 2
  while :; do
    state=$(job_state "$id")
    [[ " $* " == *" $state "* ]] && return
    [ "$SECONDS" -lt "$limit" ] || fail "${name-}: job $id is $state, not $*, after so long"
    sleep 0.2
  done
}

# A requeued job waits for two minutes. This starts it as soon as nodes can: their clocks for what they have cancelled count whole seconds,
# and what comes within the same second is refused.
start_now() {
  while has_steps; do sleep 0.1; done
  sleep 2
  scontrol update jobid="$1" starttime=now 2>/dev/null
}
has_steps() {
  local pid
  for pid in /proc/[0-9]*; do
    [ "$(cat "$pid/comm" 2>/dev/null)" = slurmstepd ] && ls -l "$pid/fd" 2>/dev/null | grep -q " $cluster/" && return
  done
  return 1
}
