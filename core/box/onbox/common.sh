# SPDX-License-Identifier: MIT
# Put in front of every on-box script before it is sent. POSIX sh, coreutils and /proc only.
# Answers go through variables, not $( ), because a fork per fact would make a look slow.
set -u
set -f  # names from the box are data; a star in one must never become a list of files

staying=0 claims=

have() { command -v "$1" >/dev/null 2>&1; }

# bounded SECONDS COMMAND...: df and nvidia-smi can hang for ever on a dead mount or a dead GPU.
if have timeout; then
  bounded() { timeout "$@"; }
else
  bounded() { shift && "$@"; }
fi

boot_id=unknown
if [ -r /proc/sys/kernel/random/boot_id ]; then
  IFS= read -r boot_id </proc/sys/kernel/random/boot_id
fi

seconds_up() {  # sets uptime, the box's seconds since boot: a clock that costs no fork
  uptime=0
  [ ! -r /proc/uptime ] || IFS='. ' read -r uptime uptime_rest </proc/uptime
}

# read_process PID: sets parent, pgid, sid and start_time; fails if no such process is alive.
# The command name in /proc/PID/stat may hold spaces, parentheses and newlines, so all up to the
# last ")" is dropped. A zombie has ended; only its parent has not asked yet.
read_process() {
  parent= pgid= sid= start_time= stat_text=
  { while IFS= read -r stat_line; do stat_text="$stat_text $stat_line"; done; } \
    2>/dev/null <"/proc/$1/stat" || return 1
  set -- ${stat_text##*) }
  [ $# -ge 20 ] && [ "$1" != Z ] && [ "$1" != X ] || return 1
  parent=$2 pgid=$3 sid=$4 start_time=${20}
}

# life_of PID START BOOT: sets life. What cannot be seen is unknown, not ended.
life_of() {
  life=unknown
  [ -n "$1" ] && [ "$1" != 0 ] || return 0
  [ "$3" = "$boot_id" ] || { life=ended && return 0; }
  [ -r /proc/self/stat ] || return 0
  life=ended
  if read_process "$1" && [ "$start_time" = "$2" ]; then life=running; fi
}

# session_alive PID START BOOT: does anything live in the session that this process led? A number is
# not given to a new process while its session has members, so another start time means: none left.
session_alive() {
  [ -n "$1" ] && [ "$1" != 0 ] && [ "$3" = "$boot_id" ] || return 1
  if read_process "$1" && [ "$start_time" != "$2" ]; then return 1; fi
  leader=$1
  set +f
  set -- /proc/[0-9]*
  set -f
  for process_dir; do
    if read_process "${process_dir#/proc/}" && [ "$sid" = "$leader" ]; then return 0; fi
  done
  return 1
}

# A chain is a folder of symlinks 1, 2, 3, ... whose targets are identities. Making a link is atomic
# and says who made it; links are never removed, so exactly one process ever gets each number.
chain_top() {
  top=0
  while [ -L "$1/$((top + 1))" ]; do top=$((top + 1)); done
}
claim() {  # claim FOLDER NUMBER: 0 if this very process got it
  read_process $$ || return 1
  ln -s "$$:$start_time:$boot_id" "$1/$2" 2>/dev/null
}
read_claim() {  # sets claim_pid, claim_start, claim_boot
  claim_pid= claim_start= claim_boot=
  case $claims in
    *"|$1>"*) claim_text=${claims#*"|$1>"} && claim_text=${claim_text%%|*} ;;
    *)
      claim_text=$(readlink "$1" 2>/dev/null) || return 1
      # A link never changes, so a script that stays asks once.
      [ "$staying" = 0 ] || claims="$claims|$1>$claim_text|" ;;
  esac
  claim_pid=${claim_text%%:*}
  claim_text=${claim_text#*:}
  claim_start=${claim_text%%:*} claim_boot=${claim_text#*:}
  case $claim_pid:$claim_start in *[!0-9:]* | :* | *:) claim_pid=0 claim_start=0 ;; esac
}

# remove_all PREFIX: every file or folder whose name begins so (globbing is off elsewhere).
remove_all() {
  set +f
  rm -rf -- "$1"*
  set -f
}

# leads_out PATH: is PATH, below the working folder, reached through a symbolic link that leads out of
# it? Then real says where to. A link that leads nowhere does not. set_base comes first.
set_base() {
  base=$(pwd -P && echo x)  # "x" keeps newlines at the end of a name
  base=${base%?x}
}
leads_out() {
  part=$base rest=$1
  while :; do
    part=$part/${rest%%/*}
    [ ! -L "$part" ] || break
    case $rest in */*) rest=${rest#*/} ;; *) return 1 ;; esac
  done
  real=$(readlink -f -- "$base/$1" && echo x) || return 1
  real=${real%?x}
  case $real in "${base%/}"/*) return 1 ;; esac
}

is_number() { case $1 in '' | *[!0-9]* | ???????????????????*) return 1 ;; esac; }

# number_of KEY LINE DEFAULT: sets value from a line of "key=number" words.
number_of() {
  value=$3
  case " $2 " in *" $1="*) ;; *) return 0 ;; esac
  found=" $2"
  found=${found#*" $1="}
  found=${found%% *}
  if is_number "${found#-}"; then value=$found; fi
}

read_line() {  # sets line to the first line of FILE, empty if there is none
  line=
  [ -r "$1" ] || return 0
  IFS= read -r line <"$1" || :
}

# Words to us: "=text" as it is, or "%text" for printf %b where it holds newlines or backslashes.
decode() {
  case $1 in
    =*) word=${1#=} ;;
    %*) word=$(printf '%b.' "${1#%}") && word=${word%.} ;;
    *) word= ;;
  esac
}
# Words from us: "-" empty, "=text" if every byte is harmless, else "+base64".
encode() {
  case $1 in
    '') token=- ;;
    *[!A-Za-z0-9._/+@,:%~=-]*) token=+$(printf %s "$1" | base64 | tr -d '\n') ;;
    *) token="=$1" ;;
  esac
}

# cell_state FOLDER/cells/CELL: sets marker exit_code signal attempt ended_at, pid start boot
# started_at, and life.
cell_state() {
  pid=0 start=0 boot= started_at=0 life=unknown
  chain_top "$1/attempts"
  attempt=$top
  read_marker "$1"
  [ "$attempt" -gt 0 ] || return 0
  read_line "$1/process"
  number_of attempt "$line" 0
  if [ "$value" = "$attempt" ]; then
    number_of pid "$line" 0 && pid=$value
    number_of start "$line" 0 && start=$value
    number_of started_at "$line" 0 && started_at=$value
    boot=${line#*boot=} && boot=${boot%% *}
  fi
  if [ "$marker" != none ]; then life=ended && return 0; fi
  [ -r /proc/self/stat ] || return 0
  life_of "$pid" "$start" "$boot"
  [ "$life" = running ] && return 0
  if session_alive "$pid" "$start" "$boot"; then life=running && return 0; fi
  read_claim "$1/attempts/$attempt"
  life_of "$claim_pid" "$claim_start" "$claim_boot"  # its keeper: about to start it, or to mark it
  [ "$life" = running ] && return 0
  read_marker "$1"  # the keeper may have marked it since we first looked
  life=ended
}
read_marker() {
  marker=none exit_code=-1 signal=0 ended_at=0
  if [ -e "$1/DONE" ]; then
    marker=done && read_line "$1/DONE"
  elif [ -e "$1/FAILED" ]; then
    marker=failed && read_line "$1/FAILED"
  else
    return 0
  fi
  number_of attempt "$line" 0
  if [ "$marker" = failed ] && [ "$value" -lt "$attempt" ]; then marker=none && return 0; fi
  number_of exit_code "$line" -1 && exit_code=$value
  number_of signal "$line" 0 && signal=$value
  number_of ended_at "$line" 0 && ended_at=$value
}

# supervisor_state FOLDER: sets number (0: there never was one), life, finished, older_boot and
# claim_*.
supervisor_state() {
  chain_top "$1/rgt/supervisors"
  number=$top life=unknown finished=0 older_boot=0
  claim_pid=0 claim_start=0 claim_boot=
  [ "$number" -gt 0 ] || return 0
  read_claim "$1/rgt/supervisors/$number" || return 0
  life_of "$claim_pid" "$claim_start" "$claim_boot"
  if [ "$claim_boot" != "$boot_id" ]; then older_boot=1; fi
  if [ -e "$1/rgt/END.$number" ]; then finished=1; fi
}

# df_numbers FLAG PATH: sets df_total df_free df_mount from the line of `df -P`. The device's name
# may hold spaces: the numbers are the three words before the first "NN%" (or "-").
df_numbers() {
  df_total=0 df_free=0 df_mount=
  df_line=$(bounded 5 df -P "$1" -- "$2" 2>/dev/null | tail -n 1)
  df_a= df_b= df_c=
  for df_word in $df_line; do
    case $df_word in
      *[0-9]% | -)
        if is_number "$df_a" && is_number "$df_b" && is_number "$df_c"; then
          df_total=$df_a df_free=$df_c
          df_mount=${df_line#*"$df_a"*"$df_b"*"$df_c"*"$df_word" }
          while case $df_mount in ' '*) true ;; *) false ;; esac do df_mount=${df_mount# }; done
          return 0
        fi ;;
    esac
    df_a=$df_b df_b=$df_c df_c=$df_word
  done
}
# One stat(1) says it all; df is for a stat that cannot. Both can hang on a dead mount.
disk_space() {
  disk_total=0 disk_free=0 inodes_total=0 inodes_free=0
  set -- "$1" $(bounded 5 stat -f -c '%S %b %a %c %d' -- "$1" 2>/dev/null)
  if [ $# -eq 6 ] && is_number "$2" && is_number "$3" && is_number "$4" && is_number "$5" &&
    is_number "$6"; then
    disk_total=$(($2 * $3)) disk_free=$(($2 * $4)) inodes_total=$5 inodes_free=$6
    return 0
  fi
  df_numbers -k "$1"
  disk_total=$((df_total * 1024)) disk_free=$((df_free * 1024))
  df_numbers -i "$1"
  inodes_total=$df_total inodes_free=$df_free
}

# cgroup_locate CONTROLLER: sets cgroup (v2, v1, none), cgroup_root and cgroup_dir of this process.
cgroup_locate() {
  cgroup=none cgroup_root= cgroup_dir= v1_path= v2_path=
  [ -r /proc/self/cgroup ] || return 0
  while IFS=: read -r hierarchy controllers path; do
    case ,$controllers, in
      ,,) v2_path=$path ;;
      *,"$1",*) v1_path=$path ;;
    esac
  done </proc/self/cgroup
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    cgroup=v2 cgroup_root=/sys/fs/cgroup cgroup_dir=/sys/fs/cgroup${v2_path%/}
  elif [ -d "/sys/fs/cgroup/$1" ]; then
    cgroup=v1 cgroup_root=/sys/fs/cgroup/$1 cgroup_dir=/sys/fs/cgroup/$1${v1_path%/}
  fi
  # A container often sees only its own subtree, mounted at the root, under the host's path.
  [ -d "$cgroup_dir" ] || cgroup_dir=$cgroup_root
}
# The limit that bites is the smallest between our group and the root.
memory_numbers() {
  memory_current=0 memory_limit=0 oom_kills=0
  cgroup_locate memory
  case $cgroup in
    v2) current_file=memory.current limit_file=memory.max events_file=memory.events ;;
    v1) current_file=memory.usage_in_bytes limit_file=memory.limit_in_bytes
        events_file=memory.oom_control ;;
    *) return 0 ;;
  esac
  level=$cgroup_dir biting=$cgroup_dir
  while :; do
    read_line "$level/$limit_file"
    # v1 says "no limit" with a number near 2^63; no machine has 2^60 bytes.
    if is_number "$line" && [ "$line" -gt 0 ] && [ "$line" -lt 1152921504606846976 ] &&
       { [ "$memory_limit" = 0 ] || [ "$line" -lt "$memory_limit" ]; }; then
      memory_limit=$line biting=$level
    fi
    [ "$level" != "$cgroup_root" ] || break
    level=${level%/*}
  done
  read_line "$biting/$current_file"
  if is_number "$line"; then memory_current=$line; fi
  [ -r "$biting/$events_file" ] || return 0
  while read -r event count; do
    if [ "$event" = oom_kill ] && is_number "$count"; then oom_kills=$count; fi
  done <"$biting/$events_file"
}

machine_id() {  # sets machine to what stays the same as long as it is this machine: "ID/UUID"
  read_line /etc/machine-id && machine=$line
  read_line /sys/class/dmi/id/product_uuid
  [ -z "$line" ] || machine="${machine:+$machine/}$line"
}
