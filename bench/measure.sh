#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Figures, not tests: start-up to the first answer, a warm tick, the readers. Machines differ and are noisy:
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
coproc SERVER { exec "$rgt" serve; }
printf '%s\n' "$hello" >&"${SERVER[1]}"
read -r _ <&"${SERVER[0]}"
# shellcheck disable=SC2153  # the shell sets SERVER_PID
echo "resident memory after initialize: $(sed -n 's/^VmRSS:[[:space:]]*//p' "/proc/$SERVER_PID/status")"
kill "$SERVER_PID"
head -c 268435456 /dev/urandom >"$work/blob.bin"
echo "rgt check of 256 MiB (digest): $(best "$rgt" check "$work/blob.bin")   sha256sum: $(best sha256sum "$work/blob.bin")"
echo "lines of code by folder:"
(cd "$root" && for folder in server tools core tests; do
  printf '  %-7s %s\n' "$folder" "$(git ls-files "$folder" | grep -E '\.(cc|h|sh|mjs|py|tsv)$' | xargs cat | wc -l)"
done)
