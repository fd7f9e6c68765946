# SPDX-License-Identifier: MIT
# The supervisor of one run; its working folder is the run folder (see RUN_FOLDER.md). Modes:
#   main NUMBER RESUME DETACH   start cells, at most `parallel` at once; heartbeats; END
#   plan RESUME                 say what main would do with each cell, and do nothing
#   keep CELL ATTEMPT           one per running cell, in its own session: outlives main, marks ends
#   cell CELL ATTEMPT           becomes the cell's command: same pid from record to exec
# Every process of a cell is reachable by identity alone; nothing here looks for a name.

folder=$(pwd)
script=$0

settings() {  # sets parallel, heartbeat_seconds, secrets_expected
  read_line rgt/job/settings
  settings_line=$line
  number_of parallel "$settings_line" 1 && parallel=$value
  number_of heartbeat_seconds "$settings_line" 30 && heartbeat_seconds=$value
  number_of secrets "$settings_line" 0 && secrets_expected=$value
}

say() { printf '%s %s\n' "$(date +%s)" "$1" >&2; }  # to rgt/supervisor.log

# decide CELL RESUME: sets decision to start, live, done, failed, lost or leftover.
decide() {
  cell_state "cells/$1"
  case $marker:$life in
    done:*) decision=done ;;
    failed:*)
      decision=failed
      if [ "$2" = 1 ]; then
        decision=start
        # Its leader ended but others of its session live on: a second writer beside them would
        # ruin the checkpoints, and killing them is not ours to decide.
        if session_alive "$pid" "$start" "$boot"; then decision=leftover; fi
      fi ;;
    none:running) decision=live ;;
    *)
      if [ "$attempt" = 0 ]; then decision=start
      elif [ "$life" = unknown ]; then decision=live  # never a second one beside what we cannot see
      elif [ "$2" = 1 ]; then decision=start
      else decision=lost; fi ;;
  esac
}

plan() {
  while IFS= read -r planned; do
    decide "$planned" "$1"
    printf '%s %s %s\n' "$decision" "$planned" "$pid"
  done <rgt/job/queue
}

# ---- cell -------------------------------------------------------------------------------------

run_cell() {  # never returns
  cell=$1 attempt=$2
  read_process $$ || exit 70
  printf 'pid=%s start=%s boot=%s pgid=%s attempt=%s started_at=%s\n' \
    $$ "$start_time" "$boot_id" $$ "$attempt" "$(date +%s)" >"cells/$cell/process.new" &&
    mv "cells/$cell/process.new" "cells/$cell/process" || {
    echo "rgt: could not record this process (is the disk full?); the command was not started" >&2
    exit 125
  }
  write_path= directory=
  set --
  while IFS= read -r line; do
    rest=${line#* }
    case $line in
      'write '*) decode "$rest" && write_path=$word ;;
      'directory '*) decode "$rest" && directory=$word ;;
      'env '*) decode "${rest#* }" && set -- "$@" "${rest%% *}=$word" ;;
    esac
  done <"rgt/job/cells/$cell/spec"
  [ -n "$write_path" ] || write_path=$folder/cells/$cell/out
  [ -n "$directory" ] || directory=$write_path
  mkdir -p -- "$write_path" || exit 125
  read_line rgt/job/run
  set -- PYTHONUNBUFFERED=1 "$@" "RGT_RUN=$line" "RGT_CELL=$cell" "RGT_OUT=$write_path" \
    "RGT_RUN_DIR=$folder" "RGT_ATTEMPT=$attempt"
  cd -- "$directory" || exit 125
  interpreter=$(command -v bash || command -v sh)
  set -- "$(command -v env)" "$@" "$(command -v setsid)" "$interpreter" \
    "$folder/rgt/job/cells/$cell/command"
  # Secrets arrive under another name, so that none can shadow a variable of this script, and get
  # their own name only here. The loop's own names are refused as secrets by the job's parser.
  for rgt_name in ${RGT_SECRETS:-}; do
    eval "rgt_value=\$RGT_SECRET_$rgt_name"
    unset "RGT_SECRET_$rgt_name"
    export "$rgt_name=$rgt_value"
  done
  unset RGT_SECRETS
  exec "$@"
}

# ---- keep -------------------------------------------------------------------------------------

keep_cell() {
  cell=$1 attempt=$2
  claim "cells/$cell/attempts" "$attempt" || exit 0  # another keeper has this attempt
  # The marker's bytes are set aside now: it must be writable when the disk is full.
  printf '%255s\n' ' ' >"cells/$cell/marker" || :
  poked=0
  trap 'poked=1' HUP INT TERM
  sh "$script" cell "$cell" "$attempt" </dev/null >>"cells/$cell/log" 2>&1 &
  child=$!
  while :; do
    poked=0
    wait "$child"
    code=$?
    [ "$poked" = 1 ] || break  # else the signal was for us, and the cell's status is still to come
  done
  mark "$cell" "$attempt" "$code"
  wake
}

# mark CELL ATTEMPT EXIT_CODE: the marker appears whole or not at all.
mark() {
  mark_signal=0 mark_name=FAILED
  if [ "$3" -gt 128 ] && [ "$3" -le 192 ]; then mark_signal=$(($3 - 128)); fi
  if [ "$3" = 0 ]; then mark_name=DONE; fi
  mark_line="exit_code=$3 signal=$mark_signal attempt=$2 ended_at=$(date +%s)"
  tries=0
  # In place, into the bytes set aside; a full disk may free up, so it is tried for a day.
  until printf '%s\n' "$mark_line" 1<>"cells/$1/marker" &&
    mv "cells/$1/marker" "cells/$1/$mark_name"; do
    tries=$((tries + 1))
    [ "$tries" -lt 17280 ] || return 1
    sleep 5
  done
}

wake() {  # the newest supervisor, which need not be the one that started this keeper
  supervisor_state .
  if [ "$life" = running ]; then kill -USR1 "$claim_pid" 2>/dev/null || :; fi
}

# ---- main -------------------------------------------------------------------------------------

take_secrets() {  # reads the file into memory and removes it before anything else runs
  secrets=
  if [ -e "rgt/secrets.$1" ]; then
    secrets=$(cat "rgt/secrets.$1")
    rm -f "rgt/secrets.$1"
  elif [ "$secrets_expected" -gt 0 ]; then
    say "the secrets are missing; no cell was started"
    exit 71
  fi
}

export_secrets() {  # in the subshell that becomes a keeper, so that only cells inherit them
  RGT_SECRETS=
  IFS='
'
  for secret in $secrets; do
    decode "${secret#* }"
    export "RGT_SECRET_${secret%% *}=$word"
    RGT_SECRETS="$RGT_SECRETS${secret%% *} "
  done
  unset IFS
  export RGT_SECRETS
}

start_cell() {
  mkdir -p "cells/$1/attempts"
  chain_top "cells/$1/attempts"
  next_attempt=$((top + 1))
  if [ -e "cells/$1/FAILED" ]; then mv "cells/$1/FAILED" "cells/$1/FAILED.$top"; fi
  (
    export_secrets
    exec setsid sh "$script" keep "$1" "$next_attempt"
  ) </dev/null >>rgt/supervisor.log 2>&1 &
  live="$live $1/$!"
  live_count=$((live_count + 1))
}

reap() {  # drops from `live` what has ended
  still=
  live_count=0
  for entry in $live; do
    entry_cell=${entry%/*} keeper=${entry#*/}
    # A marker of an earlier attempt was moved away before this one began.
    if [ -e "cells/$entry_cell/DONE" ] || [ -e "cells/$entry_cell/FAILED" ]; then
      next_beat=0  # what the box was like when it ended tells why
      continue
    fi
    if [ "$keeper" != 0 ] && read_process "$keeper" && [ "$parent" = $$ ]; then
      still="$still $entry" live_count=$((live_count + 1))
      continue
    fi
    cell_state "cells/$entry_cell"
    [ "$marker" = none ] || continue
    if [ "$life" != ended ]; then
      still="$still $entry_cell/0" live_count=$((live_count + 1))
    elif [ "$attempt" -gt 0 ]; then
      # It ended and its keeper was gone: nobody saw the status, and -1 says so.
      say "cell $entry_cell ended unseen"
      printf 'exit_code=-1 signal=0 attempt=%s ended_at=%s\n' "$attempt" "$(date +%s)" \
        >"cells/$entry_cell/marker" && mv "cells/$entry_cell/marker" "cells/$entry_cell/FAILED"
    else
      say "cell $entry_cell could not be started"
      printf 'exit_code=125 signal=0 attempt=0 ended_at=%s\n' "$(date +%s)" \
        >"cells/$entry_cell/marker" && mv "cells/$entry_cell/marker" "cells/$entry_cell/FAILED"
    fi
  done
  live=$still
}

# enqueue RESUME: adopts what lives, queues what is to be started, leaves the rest.
enqueue() {
  while IFS= read -r listed; do
    case " $queue " in *" $listed "*) continue ;; esac
    case "$live " in *" $listed/"*) continue ;; esac
    decide "$listed" "$1"
    case $decision in
      start) queue="$queue $listed" ;;
      live) live="$live $listed/0" ;;
    esac
  done <rgt/job/queue
}

fill() {
  set -- $queue
  while [ $# -gt 0 ] && [ "$live_count" -lt "$parallel" ] && [ "$stopping" = 0 ]; do
    start_cell "$1"
    shift
  done
  queue=$*
}

heartbeat() {
  now=$(date +%s)
  [ "$now" -ge "$next_beat" ] || [ "$now" -lt "$last_beat" ] || return 0
  last_beat=$now next_beat=$((now + heartbeat_seconds))
  disk_space .
  memory_numbers
  gpu=
  if have nvidia-smi; then
    gpu=$(bounded 5 nvidia-smi --query-gpu=utilization.gpu,memory.used \
      --format=csv,noheader,nounits 2>/dev/null | head -n 16 |
      while IFS=', ' read -r used_percent used_mib; do
        printf '%s%%,%s MiB;' "$used_percent" "$used_mib"
      done)
  fi
  printf '%s\n' "time=$now disk_free=$disk_free disk_total=$disk_total inodes_free=$inodes_free \
inodes_total=$inodes_total memory=$memory_current memory_limit=$memory_limit \
oom_kills=$oom_kills gpu=$gpu" >>rgt/heartbeats 2>/dev/null || :
  write_recent || :
  beats=$((beats + 1))
  if [ $((beats % 10000)) = 0 ]; then  # about 1.5 MB: a long run must not fill its own disk
    tail -n 1000 rgt/heartbeats >rgt/heartbeats.new && mv rgt/heartbeats.new rgt/heartbeats
  fi
}

say_heartbeat() {  # say_heartbeat LINE; a line torn by a full disk is left out
  case $1 in time=*' gpu='*) ;; *) return 0 ;; esac
  encode "${1#* gpu=}"
  numbers=
  for key in time disk_free inodes_free memory memory_limit oom_kills; do
    number_of "$key" "${1%% gpu=*}" -1
    case $value in -*) return 0 ;; esac
    numbers="$numbers $value"
  done
  printf 'heartbeat%s %s .\n' "$numbers" "$token"
}
# The last five, and before them ever sparser ones: with a beat each 30 s they reach back 8 hours.
say_heartbeats() {
  kept=$(wc -l <rgt/heartbeats) && kept=$((kept))
  oldest=5 wanted=
  for back in 960 480 240 120 60 30 15 8; do  # line numbers of what the tail below prints
    [ "$kept" -ge "$back" ] || continue
    [ -n "$wanted" ] || oldest=$back
    wanted="$wanted$((oldest - back + 1))p;"
  done
  if [ -n "$wanted" ]; then
    tail -n "$oldest" rgt/heartbeats | sed -n "$wanted$((oldest - 4)),\$p"
  else
    tail -n 5 rgt/heartbeats
  fi | while IFS= read -r beat; do say_heartbeat "$beat"; done
}
write_recent() {  # what a look would else have to measure and pick out, each time
  [ -r rgt/heartbeats ] || return 0
  {
    printf 'disk %s %s %s %s %s .\n' "$disk_free" "$disk_total" "$inodes_free" "$inodes_total" "$now"
    say_heartbeats
  } >rgt/recent.new 2>/dev/null && mv rgt/recent.new rgt/recent
}

nap() {  # short, and a keeper's signal ends it at once; 2 s bound what a lost signal can cost
  [ "$woken" = 0 ] || return 0
  sleep 2 &
  napping=$!
  wait "$napping"
  if read_process "$napping" && [ "$parent" = $$ ]; then kill "$napping" 2>/dev/null || :; fi
}

finish() {
  while IFS= read -r listed; do
    cell_state "cells/$listed"
    [ "$marker" != none ] || return 0
  done <rgt/job/queue
  printf 'ended_at=%s\n' "$(date +%s)" >"rgt/END.new" && mv rgt/END.new "rgt/END.$1"
}

supervise() {
  trap : HUP
  trap 'woken=1' USR1
  stopping=0
  trap 'stopping=1' TERM INT  # no new cells; those that live are watched to their end
  settings
  mkdir -p rgt/supervisors cells
  if ! claim rgt/supervisors "$1"; then
    [ -L "rgt/supervisors/$1" ] || say "could not write rgt/supervisors/$1"
    exit 0
  fi
  take_secrets "$1"
  queue= live= live_count=0 woken=0 next_beat=0 last_beat=0 beats=0
  enqueue "$2"
  printf 'detach=%s started_at=%s\n' "$3" "$(date +%s)" >"rgt/ready.new" &&
    mv rgt/ready.new "rgt/ready.$1" || exit 71
  while :; do
    woken=0
    if [ "$stopping" = 0 ] && [ -e rgt/again ]; then
      enqueue 1
      rm -f rgt/again
    fi
    reap
    fill
    if [ -z "$live" ] && { [ -z "$queue" ] || [ "$stopping" = 1 ]; }; then
      [ -e rgt/again ] && [ "$stopping" = 0 ] || break
    fi
    heartbeat
    nap
  done
  next_beat=0
  heartbeat
  finish "$1"
}

case ${1:-} in
  main) supervise "$2" "$3" "$4" ;;
  plan) plan "$2" ;;
  keep) keep_cell "$2" "$3" ;;
  cell) run_cell "$2" "$3" ;;
  *) echo "rgt: supervise.sh: unknown mode" >&2 && exit 64 ;;
esac
