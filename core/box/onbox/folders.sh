# SPDX-License-Identifier: MIT
# The folders below a run root, whoever made them. Only reads. Argument: ROOT (empty: ~/.rgt/runs).
LC_ALL=C
export LC_ALL

root=${1:-${HOME:-}/.rgt/runs}
printf 'rgt-folders 1\n'
set +f
for folder in "$root"/*/; do
  [ -d "$folder" ] || continue
  folder=${folder%/}
  encode "${folder##*/}"
  printf 'folder %s\n' "$token"
done | head -n 1000
set -f
printf 'end\n'
