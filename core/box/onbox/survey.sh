# SPDX-License-Identifier: MIT
# What the box has, before money is spent on it. Only reads, but for one file per asked path that is
# made and removed to see whether it can be. Grammar in RUN_FOLDER.md.
# Arguments: PATH...
LC_ALL=C
export LC_ALL

say() {  # say KEY TEXT
  encode "$2"
  printf '%s %s\n' "$1" "$token"
}

os_name() {  # PRETTY_NAME="..." without running the file, which is shell text from the box
  os=
  [ -r /etc/os-release ] || return 0
  while IFS= read -r line; do
    case $line in
      PRETTY_NAME=*)
        os=${line#PRETTY_NAME=}
        os=${os#[\"\']}
        os=${os%[\"\']} ;;
    esac
  done </etc/os-release
}

cpu_numbers() {  # quota and period in microseconds; 0 0: no limit seen
  quota=0 period=0
  cgroup_locate cpu
  level=$cgroup_dir
  while [ "$cgroup" != none ]; do
    level_quota= level_period=
    if [ "$cgroup" = v2 ]; then
      read_line "$level/cpu.max"
      level_quota=${line%% *} level_period=${line##* }
    else
      read_line "$level/cpu.cfs_quota_us" && level_quota=$line
      read_line "$level/cpu.cfs_period_us" && level_period=$line
    fi
    if is_number "$level_quota" && is_number "$level_period" && [ "$level_quota" -gt 0 ] &&
       [ "$level_period" -gt 0 ] && [ "$level_quota" -lt 1000000000 ] &&
       [ "$level_period" -lt 1000000000 ] && { [ "$quota" = 0 ] ||
         [ $((level_quota * period)) -lt $((quota * level_period)) ]; }; then
      quota=$level_quota period=$level_period
    fi
    [ "$level" != "$cgroup_root" ] || break
    level=${level%/*}
  done
}

say_mount() {  # an absent path is measured at its nearest parent: that is where it would be made
  [ -n "$1" ] || set -- "${HOME:-/}"
  place=$1
  while [ ! -e "$place" ] && [ -n "$place" ]; do place=${place%/*}; done
  [ -n "$place" ] || place=/
  disk_space "$place"
  filesystem=$(bounded 5 stat -f -c %T -- "$place" 2>/dev/null)
  writable=0
  if [ -d "$place" ] && [ -w "$place" ]; then
    trial=$place/.rgt-write-test.$$
    # -w says yes on a full disk and on some read-only mounts; only writing tells.
    if (set -C && echo rgt >"$trial") 2>/dev/null; then writable=1; fi
    rm -f -- "$trial" 2>/dev/null
  fi
  encode "$1" && path_token=$token
  [ -e "$1" ] || disk_mount=
  encode "$disk_mount" && mount_token=$token
  encode "$filesystem"
  printf 'mount %s %s %s %s %s %s %s %s\n' "$path_token" "$mount_token" "$token" "$disk_total" \
    "$disk_free" "$inodes_total" "$inodes_free" "$writable"
}

say_gpus() {
  if ! have nvidia-smi; then
    printf 'nvidia-smi 0 -\n'
    return 0
  fi
  fields=index,name,driver_version,memory.total,memory.used,utilization.gpu
  rows=$(bounded 10 nvidia-smi \
    --query-gpu=$fields,ecc.errors.uncorrected.volatile.total,mig.mode.current \
    --format=csv,noheader,nounits 2>&1)
  status=$?
  if [ "$status" != 0 ]; then
    [ "$status" != 124 ] || rows='nvidia-smi gave no answer within 10 s'
    say 'nvidia-smi 1' "$(printf %.2000s "$rows")"
    return 0
  fi
  printf 'nvidia-smi 1 -\n'
  printf '%s\n' "$rows" | head -n 64 | while IFS= read -r row; do
    say gpu "$row"
  done
}

printf 'rgt-survey 1\n'
printf 'time %s\n' "$(date +%s)"
say boot "$boot_id"
machine_id
say machine "$machine"
os_name
say os "$os"
say kernel "$(uname -sr 2>/dev/null)"
say user "$(id -un 2>/dev/null)"
say home "${HOME:-}"
cpus=$(nproc 2>/dev/null)
is_number "$cpus" || cpus=0
cpu_numbers
printf 'cpu %s %s %s\n' "$cpus" "$quota" "$period"
memory_total=0
if [ -r /proc/meminfo ]; then
  while read -r key amount unit; do
    if [ "$key" = MemTotal: ] && is_number "$amount"; then memory_total=$((amount * 1024)); fi
  done </proc/meminfo
fi
memory_numbers
printf 'memory %s %s %s %s %s\n' "$memory_total" "$memory_limit" "$memory_current" "$oom_kills" \
  "$cgroup"
if [ -d /dev/shm ]; then
  disk_space /dev/shm
  printf 'shm %s %s\n' "$disk_total" "$disk_free"
else
  printf 'shm 0 0\n'
fi
for asked; do say_mount "$asked"; done
say_gpus
for tool in tmux nohup setsid rsync sha256sum base64 stat python3 nvidia-smi; do
  if have "$tool"; then printf 'tool %s 1\n' "$tool"; else printf 'tool %s 0\n' "$tool"; fi
done
printf 'end\n'
