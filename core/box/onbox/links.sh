# SPDX-License-Identifier: MIT
# Which of the named files are reached through a symbolic link that leads out of ROOT. Only reads.
# Argument: ROOT. Input: a word per path. A look before a pull, no lock: the box could change it.
LC_ALL=C
export LC_ALL

has_link() {  # has_link PATH: is any part of it, below the root, a symbolic link?
  part=$base rest=$1
  while :; do
    part=$part/${rest%%/*}
    [ ! -L "$part" ] || return 0
    case $rest in */*) rest=${rest#*/} ;; *) return 1 ;; esac
  done
}

printf 'rgt-links 1\n'
if cd -- "$1" 2>/dev/null; then
  base=$(pwd -P && echo x)  # "x" keeps newlines at the end of a name
  base=${base%?x}
  while read -r coded; do
    decode "$coded"
    has_link "$word" || continue
    real=$(readlink -f -- "$base/$word" && echo x) || continue  # leads nowhere: missing
    real=${real%?x}
    case $real in "${base%/}"/*) continue ;; esac
    encode "$word"
    from=$token
    encode "$real"
    printf 'out %s %s\n' "$from" "$token"
  done
fi
printf 'end\n'
