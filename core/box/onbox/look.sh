# SPDX-License-Identifier: MIT
# One look at every run asked for. Only reads. The answer's grammar is in RUN_FOLDER.md.
# Arguments: LOG_BYTES_LIMIT TAIL_BYTES TOTAL_LOG_BYTES
# Input: lines "run NAME folder-word" and, after each, "pos CELL INODE OFFSET".
LC_ALL=C
export LC_ALL

limit=$1 tail_bytes=$2 budget=$3

position_of() {  # position_of CELL: sets seen_inode, seen_offset
  seen_inode=0 seen_offset=0
  case "$positions" in *" $1:"*) ;; *) return 0 ;; esac
  seen=${positions#*" $1:"}
  seen=${seen%% *}
  seen_inode=${seen%:*} seen_offset=${seen#*:}
}

say_log() {  # say_log CELL_DIR: only the bytes that are new, and of those the newest
  position_of "$cell"
  set -- "$1/log" $(stat -c '%i %s %Y' -- "$1/log" 2>/dev/null)
  if [ $# -ne 4 ] || ! is_number "$2" || ! is_number "$3" || ! is_number "$4"; then
    printf 'log 0 0 0 0 0 -\n'
    return 0
  fi
  from=0 rotated=0
  if [ "$2" = "$seen_inode" ] && [ "$3" -ge "$seen_offset" ]; then
    from=$seen_offset
  elif [ "$seen_inode" != 0 ]; then
    rotated=1
  fi
  allowed=$limit
  if [ "$budget" -lt "$allowed" ]; then allowed=$budget; fi
  if [ "$allowed" -lt 4096 ] && [ "$limit" -ge 4096 ]; then allowed=4096; fi
  if [ $(($3 - from)) -gt "$allowed" ]; then from=$(($3 - allowed)); fi
  # The end of an ended cell's log is always shown: triage needs it whatever was read before.
  if [ "$marker" != none ] && [ $(($3 - from)) -lt "$tail_bytes" ]; then
    from=$(($3 - tail_bytes))
    [ "$from" -ge 0 ] || from=0
  fi
  count=$(($3 - from))
  budget=$((budget - count))
  printf 'log %s %s %s %s %s +' "$2" "$3" "$4" "$from" "$rotated"
  if [ "$count" -gt 0 ]; then  # dd seeks everywhere; busybox's tail would read from the start
    dd if="$1" bs=4096 skip=$((from / 4096)) count=$((count / 4096 + 2)) 2>/dev/null |
      tail -c +$((from % 4096 + 1)) | head -c "$count" | base64 | tr -d '\n'
  fi
  printf '\n'
}

# Sets newest. At most 5 s and 5000 files, for a write path may be a data lake; and none once this
# look is 20 s old, so that many slow disks cannot make it miss its deadline.
newest_write_below() {
  newest=0
  [ -d "$1" ] && [ $(($(date +%s) - began)) -lt 20 ] || return 0
  newest=$(bounded 5 find "$1/." -maxdepth 8 -type f -exec stat -c %Y -- {} + 2>/dev/null |
    head -n 5000 | sort -n | tail -n 1)
  is_number "$newest" || newest=0
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
        elif [ -d "$write_path/$word" ] && [ -n "$(ls -A "$write_path/$word" | head -n 1)" ]; then
          present=$((present + 1))
        fi ;;
    esac
  done <"$folder/rgt/job/cells/$1/spec"
}

say_cell() {
  cell=$1
  cell_state "$folder/cells/$cell"
  count_artifacts "$cell"
  newest_write_below "$write_path"
  encode "$boot"
  printf 'cell %s %s %s %s %s %s %s %s %s %s %s %s %s %s\n' "$cell" "$marker" "$exit_code" \
    "$signal" "$attempt" "$life" "$pid" "$start" "$token" "$started_at" "$ended_at" "$newest" \
    "$present" "$expected"
  say_log "$folder/cells/$cell"
}

say_heartbeats() {  # the last five; a line torn by a full disk is left out
  tail -n 5 "$folder/rgt/heartbeats" 2>/dev/null | while IFS= read -r beat; do
    case $beat in time=*' gpu='*) ;; *) continue ;; esac
    encode "${beat#* gpu=}"
    beat=${beat%% gpu=*}
    numbers=
    for key in time disk_free inodes_free memory memory_limit oom_kills; do
      number_of "$key" "$beat" -1
      case $value in -*) continue 2 ;; esac
      numbers="$numbers $value"
    done
    printf 'heartbeat%s %s\n' "$numbers" "$token"
  done
}

say_run() {
  if [ ! -r "$folder/rgt/job/digest" ]; then
    printf 'run %s 0\nend-run\n' "$run"
    return 0
  fi
  printf 'run %s 1\n' "$run"
  read_line "$folder/rgt/job/digest"
  encode "$line"
  printf 'digest %s\n' "$token"
  supervisor_state "$folder"
  printf 'supervisor %s %s %s\n' "$life" "$older_boot" "$finished"
  disk_space "$folder"
  printf 'disk %s %s %s %s\n' "$disk_free" "$disk_total" "$inodes_free" "$inodes_total"
  say_heartbeats
  while IFS= read -r queued; do
    case $queued in '' | .* | *[!A-Za-z0-9._-]*) continue ;; esac
    say_cell "$queued"
  done <"$folder/rgt/job/queue"
  printf 'end-run\n'
}

printf 'rgt-look 1\n'
began=$(date +%s)
printf 'time %s\n' "$began"
encode "$boot_id"
printf 'boot %s\n' "$token"
machine_id
encode "$machine"
printf 'machine %s\n' "$token"
if have nvidia-smi; then
  bounded 10 nvidia-smi \
    --query-gpu=index,name,utilization.gpu,memory.used,memory.total,temperature.gpu \
    --format=csv,noheader,nounits 2>/dev/null | head -n 64 | while IFS= read -r gpu; do
    encode "$gpu"
    printf 'gpu %s\n' "$token"
  done
fi

# A run's positions follow it, so a run is told when the next one begins.
run=
while read -r keyword first second third; do
  case $keyword in
    run)
      [ -z "$run" ] || say_run </dev/null
      run=$first
      decode "$second"
      folder=$word positions=' ' ;;
    pos)
      if is_number "$second" && is_number "$third"; then
        positions="$positions$first:$second:$third "
      fi ;;
  esac
done
[ -z "$run" ] || say_run </dev/null
printf 'end\n'
