#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# kill -9 of rgt, and of the whole sshd, in the middle of launches, looks and pulls: the job goes on, the
# ledger stays whole, the next call is right, and the run was started once.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
rgt=${RGT_BINARY:?set RGT_BINARY}
work=$(mktemp -d "${TMPDIR:-/tmp}/rgt-kill-XXXXXX")
export RGT_STATE_DIR=$work/state RGT_SSH_CONFIG=$work/box/ssh_config RGT_LOG=off
trap '"$root/tests/boxes/loopback_box.sh" stop "$work/box"; rm -rf "$work"' EXIT
fail() { echo "kill_anywhere: $*" >&2; exit 1; }
port=$("$root/tests/boxes/loopback_box.sh" start "$work/box")

# interrupted MILLISECONDS COMMAND...: started, and killed with -9 after so long if it still runs
interrupted() {
  local wait=$1
  shift
  "$@" >/dev/null 2>&1 &
  local pid=$!
  sleep "$(printf '0.%03d' "$wait")"
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}
cut_the_box() {  # every session dies as if the power went, and the address comes back
  "$root/tests/boxes/loopback_box.sh" stop "$work/box"
  "$root/tests/boxes/loopback_box.sh" start "$work/box" "$port" >/dev/null
}

cat >"$work/job.json" <<JOB
{"run": "big", "box": "rented-box", "run_root": "$work/runs", "heartbeat_seconds": 1,
 "cells": [{"name": "main", "artifacts": ["data.json"],
   "command": "echo started >>'$work/starts'; sleep 4; { printf '{\"x\": \"'; head -c 30000000 /dev/zero | tr '\\\\0' a; printf '\"}'; } >\"\$RGT_OUT/data.json\""}]}
JOB

for wait in 5 20 40 60 90 130 180 250; do interrupted "$wait" "$rgt" launch "$work/job.json"; done
"$rgt" launch "$work/job.json" >/dev/null || fail "the launch did not converge"
cut_the_box
for wait in 10 60 110 160; do interrupted "$wait" "$rgt" patrol; done
interrupted 400 "$rgt" probe big &
sleep 0.05
cut_the_box
wait

deadline=$((SECONDS + 60))
until "$rgt" probe big --json >"$work/look" 2>/dev/null && grep -q '^  "verdict": "done"' "$work/look"; do
  [ "$SECONDS" -lt "$deadline" ] || fail "the job did not survive: $(cat "$work/look")"
  sleep 0.3
done
[ "$(wc -l <"$work/starts")" = 1 ] || fail "the job was started $(wc -l <"$work/starts") times"

for wait in 50 150 250 350 450; do interrupted "$wait" "$rgt" verify big; done
"$rgt" verify big >/dev/null 2>&1 &
sleep 0.3
cut_the_box
wait $! || true
"$rgt" verify big >"$work/out" || fail "the pull did not converge: $(cat "$work/out")"
grep -q 'OK 1/1, errors 0' "$work/out" || fail "not proven: $(cat "$work/out")"
"$rgt" doctor >"$work/out" || fail "doctor: $(cat "$work/out")"
grep -q 'chain intact' "$work/out" || fail "the ledger's chain broke"
echo "kill_anywhere: the job ran once, survived, and was proven"
