#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A pull by rgt beside plain rsync, over a real sshd on loopback: the median of three turns each, taken in turn, and
# their ratio. Figures for a table, never asserted; machines differ and are noisy.
#   bench/pull.sh [MIB_IN_ALL] [FILES]
set -euo pipefail
mib=${1:-2048} files=${2:-200}
root=$(cd "$(dirname "$0")/.." && pwd)
load=${PULL_LOAD:-$root/build/bench/pull_load}
work=$(mktemp -d "${TMPDIR:-/tmp}/rgt-pull-XXXXXX")
trap '"$root/tests/boxes/loopback_box.sh" stop "$work/box"; rm -rf "$work"' EXIT
trap "exit 1" INT TERM

"$root/tests/boxes/loopback_box.sh" start "$work/box" >/dev/null
mkdir "$work/far"
for ((i = 0; i < files; i++)); do
  head -c $((mib * 1048576 / files)) /dev/urandom >"$work/far/shard-$i.safetensors"
done
sync

by_rsync() {
  local start=$EPOCHREALTIME
  rsync -a -e "ssh -F $work/box/ssh_config" "rented-box:$work/far/" "$1/"
  awk "BEGIN { printf \"%.2f\\n\", $EPOCHREALTIME - $start }"
}
by_rgt() { "$load" "$work/box/ssh_config" rented-box "$work/far" "$1"; }
median() { sort -n | sed -n 2p; }

for turn in 1 2 3; do
  for way in rsync rgt; do
    seconds=$("by_$way" "$work/near")
    echo "$seconds" >>"$work/$way"
    printf '%s %s: %s s\n' "$turn" "$way" "$seconds"
    diff -rq "$work/far" "$work/near" >&2
    rm -rf "$work/near"
  done
done
awk -v plain="$(median <"$work/rsync")" -v ours="$(median <"$work/rgt")" -v mib="$mib" 'BEGIN {
  printf "median: rsync %.2f s (%.0f MiB/s), rgt %.2f s (%.0f MiB/s); rgt/rsync %.2f\n",
    plain, mib / plain, ours, mib / ours, ours / plain }'
