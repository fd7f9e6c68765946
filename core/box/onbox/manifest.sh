# SPDX-License-Identifier: MIT
# Size, SHA-256 and mtime of every expected artifact. Only reads, but for FOLDER/rgt/hashes: what
# was hashed once and did not change since is not hashed again, so a manifest that was cut goes on
# where it was. Grammar in RUN_FOLDER.md.
# Arguments: FOLDER RUN MAX_FILES ROOT...   ROOT: where else to look for what would be lost
# Input: lines "cell NAME write-path-word" and, after each, "art path-word".
LC_ALL=C
export LC_ALL

folder=$1 run=$2 max_files=$3
shift 3
hashes=$folder/rgt/hashes
nl='
'
# The last word names a state of a file: any write gives it another change time, whatever is done to
# its mtime. A stat without fractions of seconds leaves its "%" there, and then nothing is kept.
facts_format='%s %Y %d-%i-%s-%.9Y-%.9Z'

# A hash of 100 GB is silent for minutes; a word now and then tells the link is alive.
ticker() {
  while read_process "$1"; do
    printf 'tick\n' || exit 0
    sleep 5 </dev/null >/dev/null 2>&1  # outlives the ticker; it must not hold the answer open
  done
}

run_is_live() {  # sets live=1 if any recorded process, or any of their sessions, is alive
  supervisor_state "$folder"
  if [ "$finished" = 0 ] && [ "$life" != ended ] && [ "$number" -gt 0 ]; then live=1; fi
  [ -r "$folder/rgt/job/queue" ] || return 0
  while IFS= read -r queued; do
    cell_state "$folder/cells/$queued"
    if [ "$attempt" = 0 ]; then continue; fi
    if [ "$marker" = none ] && [ "$life" != ended ]; then live=1; fi
    if session_alive "$pid" "$start" "$boot"; then live=1; fi
  done <"$folder/rgt/job/queue"
}

# --- Workers: a file is hashed beside others, as many as there are cores ---

slots=$(nproc 2>/dev/null)
is_number "$slots" || slots=2
[ "$slots" -ge 1 ] || slots=1
[ "$slots" -le 8 ] || slots=8
running=0 pids=
launch() {  # launch COMMAND ARGUMENT...
  if [ "$running" -ge "$slots" ]; then
    wait "${pids%% *}"
    pids=${pids#* } running=$((running - 1))
    read_process "$ticking" || exit 0  # nobody listens any more
  fi
  "$@" </dev/null &
  pids="$pids$! " running=$((running + 1))
}

count_lines() {  # sets count
  IFS=$nl
  set -- $1
  IFS=' 	'$nl
  count=$#
}
first_line() {  # first_line TEXT: sets line and rest
  line=${1%%"$nl"*} rest=${1#*"$nl"}
}

say_hashed() {  # say_hashed ART PATH SUM "SIZE MTIME KEY"
  encode "${2#./}"
  printf 'file %s %s %s %s\n' "$1" "$token" "${4% *}" "$3"
}

# A worker. Each line of the answer is one write of less than 4096 bytes, which a pipe keeps whole.
hash_files() {  # hash_files ART PATH...
  art=$1
  shift
  before=$(stat -L -c "$facts_format" -- "$@" 2>/dev/null)
  sums=$(sha256sum -- "$@" 2>/dev/null)
  after=$(stat -L -c "$facts_format" -- "$@" 2>/dev/null)
  if [ $# -gt 1 ]; then
    count_lines "$sums" && whole=$count
    count_lines "$after"
    if [ "$whole" != $# ] || [ "$count" != $# ]; then  # one of them cannot be read: which?
      for single; do hash_files "$art" "$single"; done
      return 0
    fi
  fi
  [ "$before" = "$after" ] || printf 'changed\n'
  for path; do
    first_line "$sums" && sums=$rest
    sum=${line#\\}  # where the name needed escapes
    sum=${sum%% *}
    first_line "$after" && after=$rest
    key=${line##* }
    case $sum in *[!0-9a-f]*) sum= ;; esac
    if [ ${#sum} != 64 ] || [ -z "$line" ]; then
      encode "${path#./}"
      printf 'unreadable %s %s\n' "$art" "$token"
      continue
    fi
    case $key in
      *[!0-9.-]* | *.000000000-*.000000000) ;;  # whole seconds: a second write would look the same
      *) { printf '%s %s\n' "$key" "$sum" >>"$hashes"; } 2>/dev/null ;;
    esac
    say_hashed "$art" "$path" "$sum" "$line"
  done
}

# known_hashes PATH...: sets hit_1, hit_2, ... to the digests that are kept for `facts`, or to "".
known_hashes() {
  asked= number=0 rest=$facts
  while [ "$number" -lt $# ]; do
    number=$((number + 1))
    first_line "$rest"
    asked="$asked${line##* } $number$nl"
    eval "hit_$number="
  done
  [ "$kept" = 1 ] || return 0
  found=$(printf %s "$asked" | sort -k1,1 | join -o 1.2,2.2 - "$hashes.sorted" 2>/dev/null)
  rest=$found
  while [ -n "$rest" ]; do
    first_line "$rest"
    [ "$rest" != "$line" ] || rest=
    sum=${line#* }
    is_number "${line%% *}" || continue
    case $sum in *[!0-9a-f]*) continue ;; esac
    if [ ${#sum} = 64 ]; then eval "hit_${line%% *}=$sum"; fi
  done
}

say_files() {  # say_files ART PATH...: below the write path, which is the working folder
  art=$1
  shift
  left=$#
  while [ "$left" -gt 0 ]; do
    path=$1 left=$((left - 1))
    shift
    if leads_out "$path"; then  # a pull refuses it, so it must not pass for one that can be proven
      encode "$path"
      from=$token
      encode "$real"
      printf 'outside %s %s %s\n' "$art" "$from" "$token"
    else
      set -- "$@" "./$path"
    fi
  done
  [ $# -gt 0 ] || return 0
  facts=$(stat -L -c "$facts_format" -- "$@" 2>/dev/null)
  count_lines "$facts"
  if [ "$count" != $# ]; then  # one of them has gone: the workers find out which
    for single; do launch hash_files "$art" "$single"; done
    return 0
  fi
  known_hashes "$@"
  left=$# number=0 bytes=0 rest=$facts
  while [ "$left" -gt 0 ]; do
    path=$1 left=$((left - 1)) number=$((number + 1))
    shift
    first_line "$rest"
    eval "sum=\$hit_$number"
    if [ -n "$sum" ]; then
      say_hashed "$art" "$path" "$sum" "$line"
    else
      set -- "$@" "$path"
      bytes=$((bytes + ${line%% *}))
    fi
    # $# counts those that wait for a lookup too.
    if [ $(($# - left)) -ge 64 ] || [ "$bytes" -ge 67108864 ]; then
      launch_last $(($# - left)) "$art" "$@"
      drop=$(($# - left)) bytes=0
      # The batch stands at the end: turn it to the front and let it go.
      turn=$left
      while [ "$turn" -gt 0 ]; do set -- "$@" "$1" && shift && turn=$((turn - 1)); done
      shift "$drop"
    fi
  done
  if [ $# -gt 0 ]; then launch hash_files "$art" "$@"; fi
}
launch_last() {  # launch_last COUNT ART PATH...: a worker for the last COUNT of the paths
  wanted=$1 art=$2
  shift 2
  shift $(($# - wanted))
  launch hash_files "$art" "$@"
}

say_unexpected() {  # say_unexpected KEYWORD PATH
  encode "$2"
  printf '%s %s\n' "$1" "$token"
}

# each MAX SIZE FUNCTION WORD TOO_MANY: calls the function with WORD and the paths on stdin, SIZE at a
# time, and says TOO_MANY beyond MAX. Paths are as find prints them below ".//.". A name may hold
# newlines, but "//" never stands inside a path, so only a new path begins with ".//./".
each() {
  each_max=$1 each_size=$2 each_function=$3 each_word=$4 each_limit=$5 one= seen=0 each_bytes=0
  set --
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      .//./*)
        if [ -n "$one" ]; then
          set -- "$@" "$prefix${one#.//./}"
          each_bytes=$((each_bytes + ${#one} + ${#prefix}))
        fi
        one=$line seen=$((seen + 1))
        if [ "$seen" -gt "$each_max" ]; then
          printf '%s\n' "$each_limit"
          one=
          break
        fi
        if [ $# -ge "$each_size" ] || [ "$each_bytes" -gt 65536 ]; then
          "$each_function" "$each_word" "$@" </dev/null
          set -- && each_bytes=0
        fi ;;
      *) one="$one
$line" ;;
    esac
  done
  if [ -n "$one" ]; then set -- "$@" "$prefix${one#.//./}"; fi
  if [ $# -gt 0 ]; then "$each_function" "$each_word" "$@" </dev/null; fi
}

say_artifact() {  # say_artifact RELATIVE_PATH
  arts=$((arts + 1))
  encode "$1"
  printf 'art %s %s\n' "$arts" "$token"
  [ "$inside" = 1 ] || return 0
  if [ -f "$1" ]; then
    say_files "$arts" "$1"
  elif [ -d "$1" ]; then
    prefix=$1/
    (cd -- "./$1" && find -L .//. -type f 2>/dev/null) | {
      running=0 pids=
      each "$max_files" 500 say_files "$arts" limit
      wait
    }
  fi
}

# Checkpoint-like files that nobody asked for would be lost at teardown. At most 20 s and 1000
# names: a help, not a proof; the parser drops those that are expected.
say_all_unexpected() {
  prefix=
  bounded 20 find .//. -type f \( -name '*.pt' -o -name '*.pth' -o -name '*.ckpt' -o -name '*.bin' \
    -o -name '*.safetensors' -o -name '*.npz' -o -name '*.npy' -o -name '*.h5' -o -name '*.gguf' \
    -o -name '*.onnx' \) 2>/dev/null | each 1000 1 say_unexpected unexpected more
}
# And on the rest of what would be lost: written since the job came here, and not small. Absolute.
say_all_lost() {
  [ $# -gt 0 ] || return 0
  lost_end=$(($(date +%s) + 20))
  for place; do
    lost_left=$((lost_end - $(date +%s)))
    if [ "$lost_left" -le 0 ]; then
      printf 'more\n'
      return 0
    fi
    [ -n "$place" ] || place=${HOME:-}
    [ -n "$place" ] && cd -- "$place" 2>/dev/null || continue
    prefix=${PWD%/}/
    bounded "$lost_left" find .//. -xdev -type f -size +64k -newer "$folder/rgt/job/run" \
      \( -name '*.pt' -o -name '*.pth' -o -name '*.ckpt' -o -name '*.bin' -o -name '*.safetensors' \
      -o -name '*.npz' -o -name '*.h5' -o -name '*.gguf' -o -name '*.distcp' \) 2>/dev/null |
      each 1000 1 say_unexpected lost more
  done
}

take_manifest() {
  printf 'rgt-manifest 2\n'
  encode "$run"
  printf 'run %s\n' "$token"
  ticker $$ &
  ticking=$!
  trap 'kill "$ticking" 2>/dev/null' EXIT
  live=0 kept=0 arts=0
  run_is_live
  if [ -s "$hashes" ] && have join &&
    sort -u -k1,1 "$hashes" >"$hashes.$ticking" 2>/dev/null; then
    mv -f -- "$hashes.$ticking" "$hashes.sorted" 2>/dev/null && kept=1
  fi
  rm -f -- "$hashes.$ticking" 2>/dev/null
  inside=0
  while read -r keyword first second; do
    case $keyword in
      cell)
        [ "$inside" = 0 ] || say_all_unexpected </dev/null
        decode "$second"
        [ -n "$word" ] || word=$folder/cells/$first/out
        printf 'cell %s\n' "$first"
        inside=0
        if cd -- "$word" 2>/dev/null; then inside=1 && set_base; fi ;;
      art)
        decode "$first"
        say_artifact "$word" </dev/null ;;
    esac
  done
  [ "$inside" = 0 ] || say_all_unexpected </dev/null
  say_all_lost "$@" </dev/null
  for pid_left in $pids; do wait "$pid_left"; done
  run_is_live
  kill "$ticking" 2>/dev/null || :  # our own child, not waited for yet: the number is still its
  wait "$ticking" 2>/dev/null
  printf 'live %s\nend\n' "$live"
}
take_manifest "$@" | cat  # a pipe, whatever the answer leaves by: see hash_files
