# SPDX-License-Identifier: MIT
# Start a run in its folder, or its unfinished cells again (RUN_FOLDER.md tells the layout).
# Arguments: RUN ROOT DIGEST DETACH(auto|tmux|nohup) RESUME(0|1) SCRIPT_ID
# Input: "secrets N", N lines "NAME word", "files N", N lines "PATH BYTES", then all their bytes.
# It may be cut off at any instant: whatever is on the disk then, the next call goes on from there.

run=$1 root=$2 digest=$3 detach=$4 resume=$5 script_id=$6
stage=

problem() {  # problem CODE WORDS: the last thing this script says
  space_path=$root
  while [ -n "$space_path" ] && [ ! -d "$space_path" ]; do space_path=${space_path%/*}; done
  disk_space "${space_path:-/}"
  if [ -n "$stage" ]; then rm -rf -- "$stage"; fi
  encode "$2"
  printf 'problem %s %s\nspace %s %s %s\nend\n' "$1" "$token" "$disk_free" "$inodes_free" \
    "$inodes_total"
  cat >/dev/null 2>&1
  exit 0
}

fail() { problem remote_failed "$1"; }

check_box() {
  for tool in setsid readlink base64 stat df sha256sum head tail; do
    have "$tool" || problem missing_tool "$tool is not installed on the box"
  done
  [ -r /proc/self/stat ] || fail 'the box hides /proc, and without it no process can be identified'
  [ "$detach" != tmux ] || have tmux || problem missing_tool 'tmux is not installed on the box'
}

open_folder() {  # sets folder; makes it if it is not there
  if [ -z "$root" ]; then
    [ -n "${HOME:-}" ] || fail 'HOME is not set on the box and the job names no run_root'
    root=$HOME/.rgt/runs
  fi
  folder=$root/$run
  mkdir -p -- "$root" 2>/dev/null || fail "could not make the folder $root"
  [ -d "$folder" ] || mkdir -m 700 -- "$folder" 2>/dev/null || [ -d "$folder" ] ||
    fail "could not make the folder $folder"
  cd -- "$folder" || fail "could not enter the folder $folder"
  if [ ! -d rgt ] && [ -n "$(ls -A . | head -n 1)" ]; then
    [ -d rgt ] || problem conflict "$folder holds other files and is not a run folder"
  fi
  mkdir -p rgt/starts 2>/dev/null || fail "could not write in $folder"
}

# Only one start works in a folder at a time: the holder of the highest ticket, while it lives.
take_ticket() {
  waited=0
  while :; do
    chain_top rgt/starts
    ticket=$((top + 1))
    if [ "$top" -gt 0 ]; then
      read_claim "rgt/starts/$top"
      life_of "$claim_pid" "$claim_start" "$claim_boot"
      # Another boot id is this machine before a reboot, or another machine on the same disk.
      if [ "$life" = ended ] && [ "$claim_boot" != "$boot_id" ]; then
        made=$(stat -c %Y "rgt/starts/$top" 2>/dev/null)
        [ $(($(date +%s) - ${made:-0})) -gt 60 ] || life=running
      fi
    else
      life=ended
    fi
    if [ "$life" = ended ]; then
      if claim rgt/starts "$ticket"; then return 0; fi
      [ -L "rgt/starts/$ticket" ] || fail "could not write in $folder/rgt"
    fi
    waited=$((waited + 1))
    [ "$waited" -lt 300 ] || problem conflict "another start of this run has been at work for 30 s"
    sleep 0.1 2>/dev/null || sleep 1
  done
}

read_secrets() {  # into memory; the stream's own lines are read a byte at a time, so none is lost
  secrets=
  read -r keyword count || fail 'the input was cut off'
  [ "$keyword" = secrets ] && is_number "$count" || fail 'the input was cut off'
  secret_count=$count
  while [ "$count" -gt 0 ]; do
    IFS= read -r line || fail 'the input was cut off'
    case ${line%% *} in
      '' | [0-9]* | *[!A-Za-z0-9_]*) fail 'a secret has a name that no variable can have' ;;
    esac
    secrets="$secrets$line
"
    count=$((count - 1))
  done
}

# unpack: the files of the input into $stage, each with its exact length.
unpack() {
  stage=rgt/stage.$ticket
  full="could not write the run's files in $folder"
  remove_all rgt/stage.  # what an earlier start left when it was cut off; we hold the ticket
  mkdir "$stage" 2>/dev/null || fail "$full"
  read -r keyword count || fail 'the input was cut off'
  [ "$keyword" = files ] && is_number "$count" || fail 'the input was cut off'
  index=$stage/index
  printf '' >"$index" || fail "$full"
  while [ "$count" -gt 0 ]; do
    IFS= read -r line || fail 'the input was cut off'
    printf '%s\n' "$line" >>"$index" || fail "$full"
    count=$((count - 1))
  done 2>/dev/null
  cat >"$stage/bytes" 2>/dev/null || fail "$full"
  at=1
  while read -r path length; do
    case $path in
      /* | *..* | '') fail 'the input names a path outside the run folder' ;;
      */*) mkdir -p "$stage/${path%/*}" 2>/dev/null || fail "$full" ;;
    esac
    { tail -c +"$at" "$stage/bytes" | head -c "$length" >"$stage/$path"; } 2>/dev/null
    size=$(stat -c %s "$stage/$path" 2>/dev/null)
    if [ "${size:-0}" != "$length" ]; then
      got=$(stat -c %s "$stage/bytes" 2>/dev/null)
      [ "${got:-0}" -ge $((at + length - 1)) ] || fail 'the input was cut off'
      fail "$full"
    fi
    at=$((at + length))
  done <"$index"
  [ -e "$stage/supervise.sh" ] && [ -e "$stage/job/digest" ] ||
    fail 'the input was cut off'
}

store() {  # the script under its own digest; the job in one rename, so a job is whole or not there
  full="could not write the run's files in $folder"
  if [ ! -e "rgt/$script_id/supervise.sh" ]; then
    mkdir -p "rgt/$script_id" && mv "$stage/supervise.sh" "rgt/$script_id/supervise.sh" ||
      fail "$full"
  fi
  [ -d rgt/job ] || mv "$stage/job" rgt/job 2>/dev/null || fail "$full"
  rm -rf "$stage"
  stage=
  script=rgt/$script_id/supervise.sh
}

write_secrets() {
  remove_all rgt/secrets.
  [ "$secret_count" -gt 0 ] || return 0
  (umask 077 && printf %s "$secrets" >rgt/secrets.new) 2>/dev/null &&
    mv rgt/secrets.new "rgt/secrets.$next" ||
    { rm -f rgt/secrets.new && fail "could not write in $folder"; }
}

# launch NUMBER: under tmux or setsid + nohup. The command line holds nothing but safe characters:
# the supervisor finds everything by its working folder.
launch() {
  if [ "$detach" != nohup ] && have tmux; then
    session=rgt-$(printf %s "$run" | tr . _)
    # A server of its own, in the run folder: it has this call's environment, and no other run's end
    # or mishap is its own.
    if tmux -f /dev/null -S "rgt/tmux.$1" new-session -d -s "$session" \
      "exec sh ./$script main $1 $resume tmux >>rgt/supervisor.log 2>&1" \
      </dev/null >/dev/null 2>>rgt/supervisor.log; then
      return 0
    fi
    if [ "$detach" = tmux ]; then
      remove_all rgt/secrets.
      fail "tmux could not start a session; see $folder/rgt/supervisor.log"
    fi
  fi
  # nohup is not run where it is missing: setsid alone already leaves the terminal's reach.
  if have nohup; then
    setsid nohup sh "$script" main "$1" "$resume" nohup </dev/null >>rgt/supervisor.log 2>&1 &
  else
    setsid sh "$script" main "$1" "$resume" nohup </dev/null >>rgt/supervisor.log 2>&1 &
  fi
}

await_ready() {  # await_ready NUMBER: at most 10 s
  waited=0
  until [ -e "rgt/ready.$1" ]; do
    waited=$((waited + 1))
    if [ "$waited" -ge 100 ]; then
      remove_all rgt/secrets.
      fail "the supervisor did not start within 10 s; see $folder/rgt/supervisor.log"
    fi
    sleep 0.1 2>/dev/null || sleep 1
  done
  rm -f "rgt/secrets.$1"  # it took them before it was ready
}

ever_ready() { set +f; set -- rgt/ready.*; set -f; [ -e "$1" ]; }

answer() {  # answer STATUS
  supervisor_state .
  read_line "rgt/ready.$number"
  used=-
  case $line in *detach=tmux*) used=tmux ;; *detach=nohup*) used=nohup ;; esac
  encode "$folder"
  printf 'status %s\nfolder %s\ndetach %s\nsupervisor %s %s\n' "$1" "$token" "$used" \
    "${claim_pid:-0}" "${claim_start:-0}"
  machine_id
  encode "$machine"
  printf 'machine %s\n' "$token"
  printf '%s' "$planned" | while read -r decision cell pid; do
    case $decision in
      start) [ "$1" != started ] || printf 'cell %s\n' "$cell" ;;
      leftover) printf 'leftover %s %s\n' "$cell" "$pid" ;;
    esac
  done
  printf 'end\n'
  exit 0
}

start_new_supervisor() {
  next=$((number + 1))
  rm -f rgt/again
  write_secrets
  launch "$next"
  await_ready "$next"
  answer started
}

ask_live_supervisor() {  # it keeps the other cells; it only has to queue these again
  printf '' >rgt/again || fail "could not write in $folder"
  kill -USR1 "$claim_pid" 2>/dev/null
  waited=0
  while [ -e rgt/again ]; do
    life_of "$claim_pid" "$claim_start" "$claim_boot"
    [ "$life" = running ] || start_new_supervisor
    waited=$((waited + 1))
    if [ "$waited" -ge 100 ]; then
      rm -f rgt/again
      fail 'the supervisor was told to stop: resume again once its live cells have ended'
    fi
    sleep 0.1 2>/dev/null || sleep 1
  done
  answer started
}

printf 'rgt-start 1\n'
check_box
read_secrets
open_folder
take_ticket
if [ -d rgt/job ]; then
  read_line rgt/job/digest
  [ "$line" = "$digest" ] || problem conflict "the folder holds a run with another job: $line"
  if [ "$resume" = 0 ] && ever_ready; then  # nothing to write: this works on a full disk too
    planned=
    cat >/dev/null
    answer exists
  fi
fi
unpack
store
supervisor_state .
planned=$(sh "$script" plan "$resume" </dev/null)
planned="$planned
"
case $life in
  unknown) [ "$number" = 0 ] || fail 'the supervisor recorded here cannot be seen' ;;
  running) await_ready "$number" ;;
esac
case "
$planned" in
  *"
start "*) work=1 ;;
  *"
live "*) work=2 ;;  # nothing to start, but live cells whose supervisor may be gone
  *) work=0 ;;
esac
if ! ever_ready; then start_new_supervisor; fi
if [ "$resume" = 1 ] && [ "$work" = 1 ] && [ "$life" = running ]; then ask_live_supervisor; fi
if [ "$resume" = 1 ] && [ "$work" != 0 ] && [ "$life" != running ]; then start_new_supervisor; fi
answer exists
