# SPDX-License-Identifier: MIT
# Which of the named files are reached through a symbolic link that leads out of ROOT. Only reads.
# Argument: ROOT. Input: a word per path. A look before a pull, no lock: the box could change it.
LC_ALL=C
export LC_ALL

printf 'rgt-links 1\n'
if cd -- "$1" 2>/dev/null; then
  set_base
  while read -r coded; do
    decode "$coded"
    leads_out "$word" || continue
    encode "$word"
    from=$token
    encode "$real"
    printf 'out %s %s\n' "$from" "$token"
  done
fi
printf 'end\n'
