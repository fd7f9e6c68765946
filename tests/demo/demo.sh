#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The whole story on a "rented" box: a real sshd on loopback, with its own port, keys and folder. Nothing
# of this machine's own ssh setup is read or changed; everything is removed at the end.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
rgt=${RGT_BINARY:-$root/build/rgt}
trainer=$(dirname "$rgt")/rgt_tiny_trainer
work=$(mktemp -d "${TMPDIR:-/tmp}/rgt-demo-XXXXXX")
export RGT_STATE_DIR=$work/state RGT_SSH_CONFIG=$work/box/ssh_config
mkdir -p "$work/far"

cleanup() {
  set +e
  for file in "$work"/far/runs/*/cells/*/process "$work"/far/runs/*/rgt/supervisors/*; do
    # Recorded identities only: each file (or link) says which process group it is about.
    pid=$(readlink "$file" 2>/dev/null | cut -d: -f1)
    [ -n "$pid" ] || pid=$(sed -n 's/^pid=\([0-9]*\) .*/\1/p' "$file" 2>/dev/null)
    [ -n "$pid" ] && kill -KILL -- "-$pid" 2>/dev/null
  done
  "$root/tests/boxes/loopback_box.sh" stop "$work/box"
  rm -rf "$work"
}
trap cleanup EXIT

bold=$(tput bold 2>/dev/null || true) plain=$(tput sgr0 2>/dev/null || true)
say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ rgt %s%s\n' "$bold" "$*" "$plain"; "$rgt" "$@" || result=$?; }
field() { sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" | head -n 1; }
seen() {  # does a probe of the sweep say this now? Its exit code tells the run's health, not ours
  "$rgt" probe sweep --json >"$work/look" || true
  grep -q "$1" "$work/look"
}
expect() {  # expect CODE: the last command must have ended with it
  [ "${result:-0}" = "$1" ] || { echo "demo: expected exit code $1, got ${result:-0}" >&2; exit 1; }
  result=0
}
result=0

say "A box is rented: sshd on 127.0.0.1, known to you as the ssh alias rented-box"
"$root/tests/boxes/loopback_box.sh" start "$work/box" >/dev/null

say "1. Audit before money is spent"
show audit rented-box --path "$work/far" || true
result=0

say "2. Launch a sweep of three cells. Each trains a small model and writes real checkpoints"
cat >"$work/job.json" <<JOB
{"run": "sweep", "box": "rented-box", "run_root": "$work/far/runs", "parallel": 3, "heartbeat_seconds": 2,
 "cells": [
  {"name": "lr-low",  "command": "exec '$trainer' \"\$RGT_OUT\" 16 500 0.001", "artifacts": ["model.safetensors"]},
  {"name": "lr-mid",  "command": "exec '$trainer' \"\$RGT_OUT\" 16 500 0.004", "artifacts": ["model.safetensors"]},
  {"name": "lr-high", "command": "exec '$trainer' \"\$RGT_OUT\" 16 500 0.008", "artifacts": ["model.safetensors"]}]}
JOB
show launch "$work/job.json"
expect 0

say "3. A patrol tick while it trains: one round trip, one line, even when nothing changed"
until seen '"progress": "epoch'; do sleep 0.3; done
show patrol
result=0

say "4. Something kills one cell (this demo does, with SIGKILL to its process group)"
pid=$(sed -n 's/^pid=\([0-9]*\) .*/\1/p' "$work/far/runs/sweep/cells/lr-high/process")
kill -KILL -- "-$pid"
until seen '"verdict": "crashed"'; do sleep 0.2; done
show patrol
expect 1

say "5. Resume: the very same command, which loads its latest checkpoint; the live cells are left alone"
show launch --resume sweep
expect 0
printf 'training '
until seen '^  "verdict": "done"'; do printf .; sleep 0.7; done
echo
show probe sweep
expect 0
grep -h 'resumed' "$work/far/runs/sweep/cells/lr-high/log"

say "6. Teardown now? Refused: nothing is verified, whatever the logs say"
show teardown rented-box --price-per-hour 2.49
expect 3

say "7. Pull everything and prove that it loads"
show verify sweep
expect 0

say "8. One byte of a pulled checkpoint flips, size and time stay the same. Verification sees it"
copy=$RGT_STATE_DIR/artifacts/sweep/lr-mid/model.safetensors
cp -p "$copy" "$work/before"
printf '\377' | dd of="$copy" bs=1 seek=1500 conv=notrunc status=none
touch -r "$work/before" "$copy"
show verify sweep
expect 1
show verify sweep --repull
expect 0

say "9. Teardown again: now a person is asked. No argument and no model can answer for them"
show teardown rented-box --price-per-hour 2.49
expect 3
"$rgt" teardown rented-box --json >"$work/look" || true
request=$(field request <"$work/look")
if [ -t 0 ] && [ -t 1 ]; then
  show approve "$request"
else
  echo "(no terminal here: the demo plays the person, on a terminal of its own, and types the box's name)"
  printf '%s$ rgt approve %s%s\n' "$bold" "$request" "$plain"
  # The name is typed only after the question stands there: what is typed ahead is thrown away.
  mkfifo "$work/keys"
  (exec 3>"$work/keys"; until grep -q 'Type the name' "$work/screen" 2>/dev/null; do sleep 0.1; done; sleep 0.3; printf 'rented-box\n' >&3) &
  env -u CLAUDECODE -u CODEX_SANDBOX -u CURSOR_AGENT script -qefc "$rgt approve $request" "$work/screen" <"$work/keys" || result=$?
fi
expect 0

say "10. It is recorded, in events that nobody can change unseen"
show runs
show doctor
result=0

cat <<END

${bold}That was the whole lifecycle.${plain} Add the server to your agent:

  Claude Code   claude mcp add rgt -- $rgt serve
  Codex         codex mcp add rgt -- $rgt serve
  Cursor        ~/.cursor/mcp.json: {"mcpServers": {"rgt": {"command": "$rgt", "args": ["serve"]}}}
END
