# SPDX-License-Identifier: MIT
# Size, SHA-256 and mtime of every expected artifact. Only reads. Grammar in RUN_FOLDER.md.
# Arguments: FOLDER RUN MAX_FILES
# Input: lines "cell NAME write-path-word" and, after each, "art path-word".
LC_ALL=C
export LC_ALL

folder=$1 run=$2 max_files=$3

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

say_file() {  # say_file PATH: below the write path, which is the working folder
  if leads_out "$1"; then  # a pull refuses it, so it must not pass for one that can be proven
    encode "$1"
    from=$token
    encode "$real"
    printf 'outside %s %s\n' "$from" "$token"
    return 0
  fi
  before=$(stat -L -c '%s %Y' -- "$1" 2>/dev/null)
  sum=$(sha256sum <"$1" 2>/dev/null)
  after=$(stat -L -c '%s %Y' -- "$1" 2>/dev/null)
  [ "$before" = "$after" ] || printf 'changed\n'
  encode "$1"
  if [ -n "$sum" ] && [ -n "$after" ]; then
    printf 'file %s %s %s\n' "$token" "$after" "${sum%% *}"
  else
    printf 'unreadable %s\n' "$token"
  fi
}

say_unexpected() {
  encode "$1"
  printf 'unexpected %s\n' "$token"
}

# each FUNCTION MAX: calls it with every path on stdin, as find prints them below ".//.". A name may
# hold newlines, but "//" never stands inside a path, so only a new path begins with ".//./".
each() {
  one= seen=0
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      .//./*)
        if [ -n "$one" ]; then "$1" "$prefix${one#.//./}" </dev/null; fi
        one=$line seen=$((seen + 1))
        if [ "$seen" -gt "$2" ]; then
          printf 'limit\n'
          return 0
        fi ;;
      *) one="$one
$line" ;;
    esac
  done
  if [ -n "$one" ]; then "$1" "$prefix${one#.//./}" </dev/null; fi
}

say_artifact() {  # say_artifact RELATIVE_PATH
  encode "$1"
  printf 'art %s\n' "$token"
  if [ -f "$1" ]; then
    say_file "$1"
  elif [ -d "$1" ]; then
    prefix=$1/
    (cd -- "./$1" && find -L .//. -type f 2>/dev/null) | each say_file "$max_files"
  fi
}

# Checkpoint-like files that nobody asked for would be lost at teardown. At most 20 s and 1000
# names: a help, not a proof; the parser drops those that are expected.
say_all_unexpected() {
  prefix=
  bounded 20 find .//. -type f \( -name '*.pt' -o -name '*.pth' -o -name '*.ckpt' -o -name '*.bin' \
    -o -name '*.safetensors' -o -name '*.npz' -o -name '*.npy' -o -name '*.h5' -o -name '*.gguf' \
    -o -name '*.onnx' \) 2>/dev/null | each say_unexpected 1000
}

printf 'rgt-manifest 1\n'
encode "$run"
printf 'run %s\n' "$token"
ticker $$ &
ticking=$!
live=0
run_is_live
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
      if [ "$inside" = 1 ]; then
        say_artifact "$word" </dev/null
      else
        encode "$word"
        printf 'art %s\n' "$token"
      fi ;;
  esac
done
[ "$inside" = 0 ] || say_all_unexpected </dev/null
run_is_live
kill "$ticking" 2>/dev/null || :  # our own child, not waited for yet: the number is still its
wait "$ticking" 2>/dev/null
printf 'live %s\nend\n' "$live"
