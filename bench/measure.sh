#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Figures, not tests: start-up to the first answer, memory, calls over HTTP, the readers. Machines differ and are noisy:
# quote ratios from one run.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
rgt=$root/build/rgt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export RGT_STATE_DIR=$work/state HOME=$work

hello='{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}'
list='{"jsonrpc":"2.0","id":2,"method":"tools/list"}'
now() { date +%s%N; }
best() {  # best COMMAND...: the best of nine, in ms
  local best=999999999999 start spent
  for _ in 1 2 3 4 5 6 7 8 9; do
    start=$(now)
    "$@" >/dev/null 2>&1 || true
    spent=$(($(now) - start))
    [ "$spent" -lt "$best" ] && best=$spent
  done
  echo "$((best / 1000)) us"
}
start_up() { printf '%s\n' "$hello" | "$rgt" serve; }
bare() { printf '%s\n' "$hello" | cat; }

echo "start to initialize answer and exit: $(best start_up) (a bare cat: $(best bare))"
echo "tools/list bytes: $(printf '%s\n%s\n' "$hello" "$list" | "$rgt" serve | tail -n 1 | wc -c)"

"$root/build/bench/handbook_search" "$root"/tests/core/handbook/data/*.tsv | grep -v '^  '

# Beside a server on the TypeScript SDK (tests/clients installs it), the same in one run: start, memory, load.
node=$root/tests/clients/node_modules/.bin/node
reference=$root/tests/clients/reference_server.mjs
memory() { sed -n 's/^VmRSS:[[:space:]]*//p' "/proc/$1/status"; }
idle_memory() {  # idle_memory COMMAND...: resident after the answer to initialize
  coproc SERVER { exec "$@" 2>/dev/null; }
  printf '%s\n' "$hello" >&"${SERVER[1]}"
  read -r _ <&"${SERVER[0]}"
  # shellcheck disable=SC2153  # the shell sets SERVER_PID
  memory "$SERVER_PID"
  kill "$SERVER_PID"
  wait "$SERVER_PID" 2>/dev/null || true
}
load() {  # load COMMAND...: serves on a free port and prints its URL; a short round first, to warm it up
  "$@" >"$work/url" 2>/dev/null &
  local server=$! port
  until grep -q http "$work/url"; do :; done
  port=$(sed -n 's/.*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/url")
  for clients in 1 64; do
    "$root/build/bench/http_load" "$port" "$clients" 50 lookup '{"query":"disk full"}' >/dev/null
    echo "  $clients clients x 200 calls: $("$root/build/bench/http_load" "$port" "$clients" 200 lookup '{"query":"disk full"}')"
  done
  echo "  resident after it: $(memory "$server")"
  kill "$server"
  wait "$server" 2>/dev/null || true
}
echo "resident memory after initialize: $(idle_memory "$rgt" serve)"
echo "rgt serve --http:"
load "$rgt" serve --http 127.0.0.1:0
if [ -x "$node" ]; then
  reference_start() { printf '%s\n' "$hello" | "$node" "$reference"; }
  echo "the TypeScript SDK's server, start to initialize answer and exit: $(best reference_start)"
  echo "resident memory after initialize: $(idle_memory "$node" "$reference")"
  load "$node" "$reference" --http
else
  echo "(./dev test installs the npm server that would stand beside it)"
fi
head -c 268435456 /dev/urandom >"$work/blob.bin"
echo "rgt check of 256 MiB (digest): $(best "$rgt" check "$work/blob.bin")   sha256sum: $(best sha256sum "$work/blob.bin")"
echo "lines of code by folder:"
(cd "$root" && for folder in server tools core tests; do
  printf '  %-7s %s\n' "$folder" "$(git ls-files "$folder" | grep -E '\.(cc|h|sh|mjs|py|tsv)$' | xargs cat | wc -l)"
done)
