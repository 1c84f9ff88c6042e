# Sourced: defines `make_cpu_group NAME PERCENT`, which makes a control group whose processes have PERCENT of a core together, in
# periods of 10 ms so that even short steps are slowed alike, and prints its folder: a process writes itself into its cgroup.procs.
# The group has the highest weight, so that it is the quota alone that slows. Fails where that can't be made: it takes root and
# control groups of version 1 or 2 with cpu in them.
make_cpu_group() {
  local group period=10000 quota=$((100 * $2)) # of microseconds; the kernel takes none below 1000
  if [ -e /sys/fs/cgroup/cpu/cpu.cfs_quota_us ]; then
    group=/sys/fs/cgroup/cpu/$1
    mkdir "$group" && echo $period >"$group/cpu.cfs_period_us" && echo $quota >"$group/cpu.cfs_quota_us" && echo 262144 >"$group/cpu.shares"
  else
    group=/sys/fs/cgroup/$1
    grep -qw cpu /sys/fs/cgroup/cgroup.subtree_control && mkdir "$group" && echo "$quota $period" >"$group/cpu.max" && echo 10000 >"$group/cpu.weight"
  fi 2>/dev/null && echo "$group"
}
