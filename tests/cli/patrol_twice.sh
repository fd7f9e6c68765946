#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two patrols at once, in two processes, again and again: each reports the run, nothing is started
# twice, the ledger stays whole. And `rgt wait` as a shell in the background uses it.
set -euo pipefail
rgt=${RGT_BINARY:?set RGT_BINARY}
work=$(mktemp -d "${TMPDIR:-/tmp}/rgt-twice-XXXXXX")
export RGT_STATE_DIR=$work/state RGT_LOG=off HOME=$work
trap 'touch "$work/go"; rm -rf "$work"' EXIT
fail() { echo "patrol_twice: $*" >&2; exit 1; }

cat >"$work/job.json" <<JOB
{"run": "twice", "box": "local", "run_root": "$work/runs", "detach": "nohup",
 "cells": [{"name": "main", "artifacts": ["m.json"],
   "command": "echo started >>'$work/starts'; echo step 1; until [ -e '$work/go' ]; do sleep 0.1; done; echo all steps through; echo '{\"loss\": 1}' >\"\$RGT_OUT/m.json\""}]}
JOB
"$rgt" launch "$work/job.json" >/dev/null || fail "the launch"

for round in 1 2 3; do
  "$rgt" patrol --json >"$work/a.json" &
  first=$!
  "$rgt" patrol --json >"$work/b.json" || fail "round $round: the second patrol"
  wait "$first" || fail "round $round: the first patrol"
  for side in a b; do
    grep -q '"run": "twice"' "$work/$side.json" || fail "round $round: $side does not name the run"
    grep -q '"recorded": true' "$work/$side.json" || fail "round $round: $side was not recorded"
  done
done
[ "$(wc -l <"$work/starts")" = 1 ] || fail "it was started more than once"

"$rgt" wait twice --until done --timeout 1s >/dev/null && fail "a wait that cannot be over was met"
code=$?
"$rgt" wait twice --until done --timeout 1s >/dev/null || code=$?
[ "$code" = 5 ] || fail "time up: expected exit code 5, got $code"
code=0
"$rgt" wait twice --until 'steps (' >/dev/null 2>&1 || code=$?
[ "$code" = 2 ] || fail "a bad marker: expected exit code 2, got $code"
code=0
"$rgt" wait nobody >/dev/null 2>&1 || code=$?
[ "$code" = 2 ] || fail "an unknown run: expected exit code 2, got $code"

"$rgt" wait twice --until 'all steps' --timeout 2m >"$work/marker" &
marker=$!
"$rgt" wait twice --until done --timeout 2m >"$work/done" &
finished=$!
touch "$work/go"
wait "$marker" || fail "the marker: exit code $?"
wait "$finished" || fail "done: exit code $?"
grep -q 'all steps through' "$work/marker" || fail "the marker's line is not shown"
grep -q verify "$work/done" || grep -q 'pull the artifacts' "$work/done" || fail "no next step"

"$rgt" patrol --watch --for 1m >"$work/watch" || fail "the watch: exit code $?"
grep -q 'twice  local  done' "$work/watch" || fail "the watch does not show the run"
"$rgt" doctor >"$work/doctor" || true
grep -q 'chain intact' "$work/doctor" || fail "the ledger: $(cat "$work/doctor")"
