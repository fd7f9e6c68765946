#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The command line's promises: exit codes, clear words, and no way around the human's terminal.
set -euo pipefail
rgt=${RGT_BINARY:?set RGT_BINARY}
work=$(mktemp -d "${TMPDIR:-/tmp}/rgt-refusals-XXXXXX")
export RGT_STATE_DIR=$work/state HOME=$work RGT_LOG=off
unset CLAUDECODE CODEX_SANDBOX CURSOR_AGENT 2>/dev/null || true
trap 'umount "$work/full" 2>/dev/null || true; rm -rf "$work"' EXIT

# expect CODE WORDS COMMAND...: the exit code, and words on stdout or stderr
expect() {
  local code=$1 words=$2 got=0
  shift 2
  timeout 60 "$@" >"$work/out" 2>&1 </dev/null || got=$?
  if [ "$got" != "$code" ] || ! grep -qF -- "$words" "$work/out"; then
    echo "refusals: $*: expected exit $code and \"$words\", got $got:" >&2
    cat "$work/out" >&2
    exit 1
  fi
}

expect 0 "rgt 0." "$rgt" --version
expect 2 "did you mean verify?" "$rgt" verfy x
expect 2 "a command is needed" "$rgt"
expect 2 "no run named" "$rgt" probe nothing
expect 2 "no tool named" "$rgt" call no_such_tool '{}'
expect 2 "not a JSON object" "$rgt" call audit 'nonsense'
expect 2 "box: expected string, got 7" "$rgt" call audit '{"box": 7}'
expect 4 "no box named" "$rgt" audit no-such-box.invalid
expect 2 "cannot be a box" "$rgt" audit -- '-oProxyCommand=id'
expect 0 "Nothing to patrol" "$rgt" patrol
expect 3 "REFUSED" "$rgt" teardown local
expect 1 "No good match" "$rgt" lookup sourdough pizza recipe
expect 0 "U7" "$rgt" lookup out of inodes
expect 2 "no depth" "$rgt" check "$0" --depth deepest
expect 1 "unverified" "$rgt" check "$0"
expect 2 "cannot open" "$rgt" check /no/such/file

# A run that is proven, so that only the human is missing.
# shellcheck disable=SC2016  # the box expands it
"$rgt" launch --run r --box local --artifact m.json -- 'echo "{\"loss\": 1}" > "$RGT_OUT/m.json"' >/dev/null
until "$rgt" probe r --json 2>/dev/null | grep -q '^  "verdict": "done"'; do sleep 0.1; done
expect 0 "OK 1/1" "$rgt" verify r

# Handed on: proven again with no ledger, and not once a byte differs.
cp -r "$work/state/artifacts/r" "$work/handed"
expect 0 "OK 1/1, errors 0" env RGT_STATE_DIR=/nowhere/at/all "$rgt" verify --bundle "$work/handed"
expect 0 '"verdict": "proven"' env RGT_STATE_DIR=/nowhere/at/all "$rgt" verify --bundle "$work/handed" --json
sed -i 's/1/2/' "$work/handed/main/m.json"
expect 1 "NOT PROVEN: 0/1 ok, errors 1" "$rgt" verify --bundle "$work/handed"
sed -i 's,"main/m.json","../m.json",' "$work/handed/rgt-bundle.json"
expect 3 "outside of its folder" "$rgt" verify --bundle "$work/handed"
expect 2 "rgt-bundle.json" "$rgt" verify --bundle "$work"
expect 2 "nothing to verify" "$rgt" verify
expect 3 "waits for a human" "$rgt" teardown local
"$rgt" teardown local --json >"$work/look" || true
request=$(sed -n 's/^ *"request": "\(.*\)",*$/\1/p' "$work/look")
expect 3 "no interactive terminal" "$rgt" approve "$request"
expect 3 "no interactive terminal" sh -c "echo local | '$rgt' approve $request"
expect 3 "belongs to a coding agent" env CLAUDECODE=1 script -qec "$rgt approve $request" /dev/null
expect 3 "no interactive terminal" "$rgt" abandon r
expect 3 "waits for a human" "$rgt" teardown local

# On a terminal, with the agents' variables gone: what was typed before the question stood there is thrown
# away, and another word is no approval.
mkfifo "$work/keys"
(exec 3>"$work/keys"
 printf 'local\n' >&3
 until grep -q 'Type the name' "$work/screen" 2>/dev/null; do sleep 0.1; done
 sleep 0.3
 printf 'yes\n' >&3) &
typed=0
script -qefc "$rgt approve $request" "$work/screen" <"$work/keys" >/dev/null || typed=$?
wait
if [ "$typed" != 3 ] || ! grep -q 'not the name of the box' "$work/screen"; then
  echo "refusals: a wrong word or words typed ahead approved (exit $typed)" >&2
  exit 1
fi
expect 3 "waits for a human" "$rgt" teardown local

# Logs by hand.
printf 'step 1\ntorch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n' >"$work/log"
expect 1 "cuda_oom" "$rgt" triage "$work/log" --exit-code 1
expect 2 "no signal" "$rgt" triage "$work/log" --signal NOPE
expect 2 "cannot read" "$rgt" triage /no/such/log

# A ledger on a full disk: the words say so, and what needs no ledger still works.
mkdir "$work/full"
if mount -t tmpfs -o size=64k,nr_inodes=20 tmpfs "$work/full" 2>/dev/null; then
  head -c 65536 /dev/zero >"$work/full/filler" 2>/dev/null || true
  RGT_STATE_DIR=$work/full/state expect 2 "ledger" "$rgt" launch --run x --box local -- true
  RGT_STATE_DIR=$work/full/state expect 0 "U7" "$rgt" lookup U7
  umount "$work/full"
else
  echo "refusals: a full disk was not tried (mounting a tmpfs needs root)"
fi

# Over MCP: damaged lines are answered and the session lives on.
hello='{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}'
{ printf '%s\n' "$hello" '{"jsonrpc":"2.0","id":2,"method":"tools/ca' '[1]' "$(printf '\377')"
  head -c 10000000 /dev/zero | tr '\0' x; printf '\n%s\n{"cut' '{"jsonrpc":"2.0","id":9,"method":"ping"}'; } | timeout 60 "$rgt" serve >"$work/out"
[ "$(wc -l <"$work/out")" = 6 ] || { echo "refusals: expected 6 answers:" >&2; cut -c1-200 "$work/out" >&2; exit 1; }
grep -q '"id":9,"jsonrpc":"2.0","result":{}' "$work/out"
[ "$(grep -c '"error"' "$work/out")" = 4 ]
echo "refusals: all as promised"
