#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The readers beside other programs on the same two files of a little over 1 GiB, warm cache, in rounds: medians of
# elapsed and of processor seconds. Other work on the machine shows in the first, hardly in the second.
# measure_readers.sh [ROUNDS] [FOLDER that keeps the files]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
rgt=$root/build/rgt
rounds=${1:-5}
files=${2:-$(mktemp -d)}
[ $# -ge 2 ] || trap 'rm -rf "$files"' EXIT
python=/usr/bin/python3  # Debian's, which has python3-torch
mkdir -p "$files"
[ -e "$files/flat.safetensors" ] || "$python" "$root/bench/make_checkpoints.py" "$files"

load='import sys, time, torch
start = time.perf_counter(), time.process_time()
def walk(value):
    if isinstance(value, torch.Tensor): assert not value.is_floating_point() or torch.isfinite(value).all()
    elif isinstance(value, dict): [walk(v) for v in value.values()]
    elif isinstance(value, (list, tuple)): [walk(v) for v in value]
walk(torch.load(sys.argv[1]))
print(time.perf_counter() - start[0], time.process_time() - start[1])'
in_process() { "$python" -c "$load" "$1"; }
whole_process() {  # whole_process FILE COMMAND...: elapsed and processor seconds, start and all
  local file=$1 spent
  shift
  spent=$( { TIMEFORMAT='%R %U %S'; time "$@" "$file" >/dev/null 2>&1; } 2>&1)
  echo "$spent" | awk '{ print $1, $2 + $3 }'
}
one() {
  case $1 in
    'torch load + isfinite') in_process "$2" ;;
    'rgt, no SHA-256') whole_process "$2" "$rgt" check --no-digest ;;
    'rgt, with SHA-256') whole_process "$2" "$rgt" check ;;
    cat) whole_process "$2" cat ;;
    'openssl sha256') whole_process "$2" openssl dgst -sha256 ;;
  esac
}
for file in ckpt.pt flat.safetensors; do
  bytes=$(stat -c %s "$files/$file")
  echo "$file, $bytes bytes, $rounds rounds"
  tests=(cat 'rgt, no SHA-256' 'rgt, with SHA-256' 'openssl sha256')
  [ "$file" = ckpt.pt ] && "$python" -c 'import torch' 2>/dev/null && tests+=('torch load + isfinite')
  cat "$files/$file" >/dev/null
  results=$(mktemp)
  for _ in $(seq "$rounds"); do
    for test in "${tests[@]}"; do echo "$test|$(one "$test" "$files/$file")" >>"$results"; done
  done
  for test in "${tests[@]}"; do
    median() { grep "^$test|" "$results" | cut -d'|' -f2 | awk -v c="$1" '{ print $c }' | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
    awk -v name="$test" -v e="$(median 1)" -v p="$(median 2)" -v b="$bytes" \
      'BEGIN { printf "  %-24s %7.3f s %7.2f GB/s   processor %6.3f s\n", name, e, b / e / 1e9, p }'
  done
  rm -f "$results"
done
for file in ckpt.pt flat.safetensors; do
  echo "resident at most, $file: $(/usr/bin/env "$python" -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, "KiB")' "$rgt" check "$files/$file")"
done
