# SPDX-License-Identifier: MIT
# One look at every run asked for. Only reads. The answer's grammar is in RUN_FOLDER.md.
# Arguments: LOG_BYTES_LIMIT TAIL_BYTES TOTAL_LOG_BYTES IN_DEPTH (1: also what takes a moment)
# Input: lines "run NAME folder-word" and, after each, "pos CELL INODE OFFSET"; "end".
# With the one argument `stay` it answers again and again, see serve() below. Starting a program costs
# more than all else here together, so a look counts them.
LC_ALL=C
export LC_ALL

position_of() {  # position_of CELL: sets seen_inode, seen_offset
  seen_inode=0 seen_offset=0
  case "$positions" in *" $1:"*) ;; *) return 0 ;; esac
  seen=${positions#*" $1:"}
  seen=${seen%% *}
  seen_inode=${seen%:*} seen_offset=${seen#*:}
}

# The box's clock. The folder of a process in /proc is as old as that process, so whatever stat(1) we
# start can tell the time on the way; trusted where both clocks were once seen to agree.
ask_clock() {
  now=$(date +%s)
  seconds_up
  asked_up=$uptime
  [ "$proc_clock:$staying" = unknown:1 ] || return 0
  proc_clock=no
  set -- $(stat -L -c '%Y' -- /proc/self/ 2>/dev/null)
  if [ $# -eq 1 ] && is_number "$1" && [ "$1" -ge "$now" ] && [ "$1" -le $((now + 2)) ]; then
    proc_clock=yes
  fi
}
# stat_log FILE: sets log_inode log_size log_mtime, 0 if there is none; now, where stat can tell; and
# skew, by how much the clock of the run folder's files is ahead of the box's: a file server has its
# own. The supervisor writes when it is into a file of which the server then says when that was.
stat_log() {
  log_inode=0 log_size=0 log_mtime=0 skew=0
  log=$1 recent=$folder/rgt/recent parts=
  set --
  if [ "$proc_clock" = yes ]; then set -- /proc/self/ && parts=clock; fi
  if [ -e "$log" ]; then set -- "$@" "$log" && parts="$parts log"; fi
  if [ "$beat_time" -gt 0 ] && [ -e "$recent" ]; then set -- "$@" "$recent" && parts="$parts recent"; fi
  [ $# -gt 0 ] || return 0
  fields=$(($# * 3))
  set -- $(stat -L -c '%i %s %Y' -- "$@" 2>/dev/null)
  [ $# -eq "$fields" ] || return 0  # one went away meanwhile
  for part in $parts; do
    is_number "$2" && is_number "$3" || return 0
    case $part in
      clock)
        now=$3 timed=1
        seconds_up
        asked_up=$uptime ;;
      log) inode_of "$1" && log_size=$2 log_mtime=$3 ;;
      recent) skew=$(($3 - beat_time)) ;;
    esac
    shift 3
  done
  if [ "$skew" -gt -120 ] && [ "$skew" -lt 120 ]; then skew=0; fi  # writing it takes a moment, too
  if [ "$log_mtime" -gt "$skew" ]; then log_mtime=$((log_mtime - skew)); fi
}
# Some file servers use all 64 bits, more than a shell or our number fields hold; the last digits of
# such an inode tell it apart well enough.
inode_of() {
  log_inode=$1
  while case $log_inode in ???????????????????* | 0?*) true ;; *) false ;; esac; do
    log_inode=${log_inode#?}
  done
  is_number "$log_inode"
}

say_log() {  # say_log FILE: after stat_log; only the bytes that are new, and of those the newest
  if [ "$log_inode" = 0 ]; then
    printf 'log 0 0 0 0 0 -\n'
    return 0
  fi
  position_of "$cell"
  from=0 rotated=0
  if [ "$log_inode" = "$seen_inode" ] && [ "$log_size" -ge "$seen_offset" ]; then
    from=$seen_offset
  elif [ "$seen_inode" != 0 ]; then
    rotated=1
  fi
  allowed=$limit
  if [ "$budget" -lt "$allowed" ]; then allowed=$budget; fi
  if [ "$allowed" -lt 4096 ] && [ "$limit" -ge 4096 ]; then allowed=4096; fi
  if [ $((log_size - from)) -gt "$allowed" ]; then from=$((log_size - allowed)); fi
  # The end of an ended cell's log is always shown: triage needs it whatever was read before.
  if [ "$marker" != none ] && [ $((log_size - from)) -lt "$tail_bytes" ]; then
    from=$((log_size - tail_bytes))
    [ "$from" -ge 0 ] || from=0
  fi
  count=$((log_size - from))
  budget=$((budget - count))
  printf 'log %s %s %s %s %s ' "$log_inode" "$log_size" "$log_mtime" "$from" "$rotated"
  if [ "$count" -gt 0 ]; then
    say_bytes "$1" "$from" "$count"
  else
    printf -- '-\n'
  fi
}
# say_bytes FILE FROM COUNT: a token and the line's end. dd seeks everywhere; busybox's tail would
# read from the start, and not every dd counts in bytes.
say_bytes() {
  if [ "$bytewise:$staying" = unknown:1 ]; then
    bytewise=no
    if [ "$(printf abc | dd bs=64 iflag=skip_bytes,count_bytes skip=1 count=1 2>/dev/null | base64 -w0 2>/dev/null)" = Yg== ]; then
      bytewise=yes
    fi
  fi
  printf +
  if [ "$bytewise" = yes ]; then
    dd if="$1" bs=65536 iflag=skip_bytes,count_bytes skip="$2" count="$3" 2>/dev/null | base64 -w0
  else
    dd if="$1" bs=4096 skip=$(($2 / 4096)) count=$(($3 / 4096 + 2)) 2>/dev/null |
      tail -c +$(($2 % 4096 + 1)) | head -c "$3" | base64 | tr -d '\n'
  fi
  printf '\n'
}

# Sets newest. At most 5 s and 5000 files, for a write path may be a data lake; and none once this
# look is 20 s old, so that many slow disks cannot make it miss its deadline. Searched every 30 s at
# most; and not while the log was written within a minute, for then it says enough of life.
newest_write_below() {
  newest=0
  [ -d "$1" ] || return 0
  seconds_up
  if [ "$in_depth" != 1 ] && [ "$marker" = none ]; then
    if [ $((now - log_mtime)) -ge 0 ] && [ $((now - log_mtime)) -lt 60 ]; then return 0; fi
    case $searched in *" $run/$cell:"*)
      newest=${searched#*" $run/$cell:"}
      newest=${newest%% *}
      searched_up=${newest%:*} newest=${newest#*:}
      [ $((uptime - searched_up)) -ge 30 ] || return 0 ;;
    esac
  fi
  newest=0
  [ $((uptime - uptime_at_begin)) -lt 20 ] || return 0
  newest=$(bounded 5 find "$1/." -maxdepth 8 -type f -exec stat -c %Y -- {} + 2>/dev/null | {
    newest=0 files=0
    while read -r written && [ "$files" -lt 5000 ]; do
      files=$((files + 1))
      if is_number "$written" && [ "$written" -gt "$newest" ]; then newest=$written; fi
    done
    printf %s "$newest"
  })
  case $1 in "$folder"/*) [ "$newest" -le "$skew" ] || newest=$((newest - skew)) ;; esac
  case $searched in *" $run/$cell:"*)
    older=${searched#*" $run/$cell:"}
    searched="${searched%%" $run/$cell:"*} ${older#* }" ;;
  esac
  [ "$staying" = 0 ] || searched="$searched$run/$cell:$uptime:$newest "
}

holds_anything() {
  set +f
  for held in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    if [ -e "$held" ] || [ -L "$held" ]; then set -f && return 0; fi
  done
  set -f
  return 1
}
count_artifacts() {  # count_artifacts CELL: sets present, expected, write_path
  present=0 expected=0 write_path=$folder/cells/$1/out
  [ -r "$folder/rgt/job/cells/$1/spec" ] || return 0
  while IFS= read -r line; do
    case $line in
      'write '*)
        decode "${line#* }"
        [ -z "$word" ] || write_path=$word ;;
      'artifact '*)
        decode "${line#* }"
        expected=$((expected + 1))
        if [ -f "$write_path/$word" ]; then
          present=$((present + 1))
        elif [ -d "$write_path/$word" ] && holds_anything "$write_path/$word"; then
          present=$((present + 1))
        fi ;;
    esac
  done <"$folder/rgt/job/cells/$1/spec"
}

# ---- in depth: what can only be seen over a moment

ticks_of_process() {  # after read_process: sets ticks, the CPU time so far in 1/100 s
  set -- ${stat_text##*) }
  ticks=$((${12} + ${13}))
}
snapshot() {  # sets snapshot_text to " SESSION:TICKS ...", a word per process
  snapshot_text=' '
  set +f
  set -- /proc/[0-9]*
  set -f
  for process_dir; do
    read_process "${process_dir#/proc/}" || continue
    ticks_of_process
    snapshot_text="$snapshot_text$sid:$ticks "
  done
}
uptime_hundredths() {  # sets hundredths
  IFS='. ' read -r up_seconds up_part up_rest </proc/uptime
  hundredths=$((up_seconds * 100 + 1$up_part - 100))
}
host_ticks() {  # sets host_busy, host_waits, host_all: of all CPUs since boot
  read -r host_word h_user h_nice h_system h_idle h_wait h_irq h_soft h_steal h_rest </proc/stat
  host_busy=$((h_user + h_nice + h_system + h_irq + h_soft + h_steal))
  host_waits=$h_wait host_all=$((host_busy + h_idle + h_wait))
}
cgroup_cpu() {  # sets cgroup_usec and throttled_usec; 0 where there is no cgroup v2
  cgroup_usec=0 throttled_usec=0
  cgroup_locate cpu
  [ "$cgroup" = v2 ] && [ -r "$cgroup_dir/cpu.stat" ] || return 0
  while read -r stat_key stat_value; do
    is_number "$stat_value" || continue
    case $stat_key in
      usage_usec) cgroup_usec=$stat_value ;;
      throttled_usec) throttled_usec=$stat_value ;;
    esac
  done <"$cgroup_dir/cpu.stat"
}
take_sample() {
  sampled=1 gpu_samples=
  snapshot && ticks_before=$snapshot_text
  cgroup_cpu && usec_before=$cgroup_usec throttled_before=$throttled_usec
  host_ticks && busy_before=$host_busy waits_before=$host_waits all_before=$host_all
  uptime_hundredths && moment=$hundredths
  if have nvidia-smi; then
    for gpu_round in 1 2 3; do
      gpu_samples="$gpu_samples$(bounded 5 nvidia-smi --query-gpu=index,utilization.gpu,memory.used \
        --format=csv,noheader,nounits 2>/dev/null | head -n 64)
"
      sleep 1
    done
  else
    sleep 0.3 2>/dev/null || sleep 1
  fi
  uptime_hundredths && span=$((hundredths - moment))
  host_ticks && host_busy=$((host_busy - busy_before)) host_waits=$((host_waits - waits_before)) \
    host_all=$((host_all - all_before))
  cgroup_cpu && usec_spent=$((cgroup_usec - usec_before)) \
    throttled_spent=$((throttled_usec - throttled_before))
  snapshot && ticks_after=$snapshot_text
}
not_negative() { [ "$1" -ge 0 ] && value=$1 || value=0; }
say_effort() {  # say_effort SESSION: how many processes it has, and their CPU time in the sample
  processes=0 spent=0
  for entry in $ticks_after; do
    case $entry in "$1":*) processes=$((processes + 1)) spent=$((spent + ${entry#*:})) ;; esac
  done
  for entry in $ticks_before; do
    case $entry in "$1":*) spent=$((spent - ${entry#*:})) ;; esac
  done
  not_negative "$spent"
  printf 'effort %s %s\n' "$processes" "$value"
}
say_sample() {
  printf 'sample %s %s' "$span" "$(nproc 2>/dev/null || echo 1)"
  for spent in "$host_busy" "$host_waits" "$host_all" "$usec_spent" "$throttled_spent"; do
    not_negative "$spent"
    printf ' %s' "$value"
  done
  printf '\n'
  printf '%s' "$gpu_samples" | while IFS= read -r gpu; do
    [ -n "$gpu" ] || continue
    encode "$gpu"
    printf 'gpu-sample %s\n' "$token"
  done
}

# What the kernel said about a dead cell's GPU or memory, with the box's time of it. Asked only where
# a cell has died; a box that shows nobody its kernel log shows none.
say_kernel() {
  have dmesg && have grep || return 0
  IFS='. ' read -r up_seconds up_rest </proc/uptime
  bounded 5 dmesg 2>/dev/null | tr -d '\000' |
    grep -E 'Xid \(PCI:|Out of memory: Killed|Memory cgroup out of memory' | tail -n 20 |
    while IFS= read -r kernel_line; do
      stamp=${kernel_line#*[}
      stamp=${stamp%%.*}
      while case $stamp in ' '*) true ;; *) false ;; esac do stamp=${stamp# }; done
      is_number "$stamp" || continue
      encode "$(printf %.300s "$kernel_line")"
      printf 'kernel %s %s\n' $((now - up_seconds + stamp)) "$token"
    done
}

say_cell() {
  cell=$1
  cell_state "$folder/cells/$cell"
  stat_log "$folder/cells/$cell/log"
  count_artifacts "$cell"
  newest_write_below "$write_path"
  encode "$boot"
  printf 'cell %s %s %s %s %s %s %s %s %s %s %s %s %s %s\n' "$cell" "$marker" "$exit_code" \
    "$signal" "$attempt" "$life" "$pid" "$start" "$token" "$started_at" "$ended_at" "$newest" \
    "$present" "$expected"
  say_log "$folder/cells/$cell/log"
  case $marker:$life in failed:* | none:ended) died=1 ;; esac
  [ "$in_depth" = 1 ] || return 0
  if [ "$life" = running ] && [ -r /proc/stat ]; then
    [ "$sampled" = 1 ] || take_sample
    say_effort "$pid"
  fi
  if [ -r "$folder/cells/$cell/log" ]; then
    printf 'head +%s\n' "$(head -c 1024 "$folder/cells/$cell/log" | base64 | tr -d '\n')"
  fi
}

# What the supervisor left at its last heartbeat (RUN_FOLDER.md, rgt/recent); a line that is not whole
# is left out. Sets kept_disk to the disk's numbers if they are of the last minute.
take_recent() {
  kept_disk= beats= beat_time=0 lines=0
  [ -r "$folder/rgt/recent" ] || return 0
  while IFS= read -r beat && [ "$lines" -lt 16 ]; do  # more than a supervisor leaves
    lines=$((lines + 1))
    set -- $beat
    case ${1:-}:$# in
      disk:7) is_number "$2" && is_number "$3" && is_number "$4" && is_number "$5" || continue
        is_number "$6" && [ "$7" = . ] || continue
        beat_time=$6
        seconds_up
        age=$((now + uptime - asked_up - $6))
        if [ "$age" -ge 0 ] && [ "$age" -lt 60 ]; then kept_disk="$2 $3 $4 $5"; fi ;;
      heartbeat:9)
        is_number "$2" && is_number "$3" && is_number "$4" && is_number "$5" || continue
        is_number "$6" && is_number "$7" && [ "$9" = . ] || continue
        case $8 in - | [=+]*) beats="$beats${beat% .}
" ;; esac ;;
    esac
  done <"$folder/rgt/recent"
}
any_failed() {
  while IFS= read -r queued; do
    [ ! -e "$folder/cells/$queued/FAILED" ] || return 0
  done <"$folder/rgt/job/queue"
  return 1
}
# A look in depth measures the disk itself, and so does one that finds a failure: it may be full since.
say_disk() {
  if [ "$in_depth" = 1 ] || [ -z "$kept_disk" ] || any_failed; then
    disk_space "$folder"
    kept_disk="$disk_free $disk_total $inodes_free $inodes_total"
  fi
  printf 'disk %s\n' "$kept_disk"
}

say_run() {
  if [ ! -r "$folder/rgt/job/digest" ]; then
    printf 'run %s 0\nend-run\n' "$run"
    return 0
  fi
  printf 'run %s 1\n' "$run"
  sampled=0 died=0
  read_line "$folder/rgt/job/digest"
  encode "$line"
  printf 'digest %s\n' "$token"
  supervisor_state "$folder"
  printf 'supervisor %s %s %s\n' "$life" "$older_boot" "$finished"
  take_recent
  say_disk
  printf %s "$beats"
  while IFS= read -r queued; do
    case $queued in '' | .* | *[!A-Za-z0-9._-]*) continue ;; esac
    say_cell "$queued"
  done <"$folder/rgt/job/queue"
  [ "$sampled" = 0 ] || say_sample
  [ "$died" = 0 ] || say_kernel
  printf 'end-run\n'
}

say_gpus() {
  have nvidia-smi || return 0
  bounded 10 nvidia-smi \
    --query-gpu=index,name,utilization.gpu,memory.used,memory.total,temperature.gpu \
    --format=csv,noheader,nounits 2>/dev/null | head -n 64 | while IFS= read -r gpu; do
    encode "$gpu"
    printf 'gpu %s\n' "$token"
  done
}

# answer LIMIT TAIL_BYTES BUDGET IN_DEPTH: one look, up to its "end".
answer() {
  limit=$1 tail_bytes=$2 budget=$3 in_depth=$4
  seconds_up
  uptime_at_begin=$uptime timed=0
  [ "$proc_clock" = yes ] && now=$((now + uptime - asked_up)) && asked_up=$uptime || ask_clock
  printf 'rgt-look 2\n'
  encode "$boot_id"
  printf 'boot %s\n' "$token"
  machine_id
  encode "$machine"
  printf 'machine %s\n' "$token"
  say_gpus
  # A run's positions follow it, so a run is told when the next one begins.
  run=
  while read -r keyword first second third; do
    case $keyword in
      run | end) [ -z "$run" ] || say_run </dev/null ;;
    esac
    case $keyword in
      end) break ;;
      run)
        run=$first
        decode "$second"
        folder=$word positions=' ' ;;
      pos)
        if is_number "$second" && is_number "$third"; then
          positions="$positions$first:$second:$third "
        fi ;;
    esac
  done
  if [ "$proc_clock:$timed" = yes:0 ]; then ask_clock; fi
  printf 'time %s\nend\n' "$now"
}

# Each request is "NONCE arguments" and the lines of a look; its answer stands between a line NONCE
# and a line "NONCE end".
serve() {
  staying=1
  while read -r nonce first second third rest; do
    printf '%s\n' "$nonce"
    answer "$first" "$second" "$third" "$rest"
    printf '%s end\n' "$nonce"
  done
}

proc_clock=unknown bytewise=unknown searched=' '
if [ "$1" = stay ]; then serve; else answer "$@"; fi
