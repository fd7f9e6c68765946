#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a look at a box costs, beside the ways to do without: figures for a table, never asserted. Machines differ and are
# noisy; quote ratios from one run. CPU time is taken from a cgroup of our own where one can be made (root), so that
# others on the machine do not count.
#   bench/look.sh [BOXES] [BIG_LOG_BYTES] [MILLISECONDS_EACH_WAY]
set -euo pipefail
boxes=${1:-256} big=${2:-10G} each_way=${3:-100}
root=$(cd "$(dirname "$0")/.." && pwd)
rgt=${RGT_BINARY:-$root/build/rgt} look=$root/build/bench/look_load proxy=$root/build/bench/delay_proxy
work=$(mktemp -d "${TMPDIR:-/tmp}/rgt-look-XXXXXX")
box=$work/box far=$work/far
export RGT_STATE_DIR=$work/state RGT_SSH_CONFIG=$work/config
group=

cleanup() {
  set +e
  end_run
  "$root/tests/boxes/loopback_box.sh" stop "$box"
  [ -z "${proxy_pid:-}" ] || kill "$proxy_pid"
  [ -z "${appender:-}" ] || kill "$appender"
  if [ -n "$group" ]; then
    echo $$ >"$(dirname "$group")/cgroup.procs"
    rmdir "$group"
  fi
  rm -rf "$work"
}
end_run() {  # the run's own recorded processes
  for file in "$far"/*/cells/*/process "$far"/*/rgt/supervisors/*; do
    pid=$(readlink "$file" 2>/dev/null | cut -d: -f1)
    [ -n "$pid" ] || pid=$(sed -n 's/^pid=\([0-9]*\) .*/\1/p' "$file" 2>/dev/null)
    [ -z "$pid" ] || kill -KILL -- "-$pid" 2>/dev/null
  done
}
trap cleanup EXIT
trap "exit 1" INT TERM

# --- a cgroup to count in: ours and every child's
for candidate in /sys/fs/cgroup/cpuacct/rgt-bench.$$ /sys/fs/cgroup/rgt-bench.$$; do
  if mkdir "$candidate" 2>/dev/null; then
    if echo $$ >"$candidate/cgroup.procs" 2>/dev/null; then group=$candidate && break; fi
    rmdir "$candidate"
  fi
done
cpu_ms() {  # of all that we started so far, in ms; empty where it cannot be known
  if [ -r "$group/cpuacct.usage" ]; then
    echo $(($(cat "$group/cpuacct.usage") / 1000000))
  elif [ -r "$group/cpu.stat" ]; then
    echo $(($(sed -n 's/^usage_usec //p' "$group/cpu.stat") / 1000))
  fi
}
now() { echo $((${EPOCHREALTIME/./} / 1000)); }
# timed WORDS COMMAND...: prints a line with wall and CPU time, ours and the boxes' together
timed() {
  local what=$1 wall cpu
  shift
  wall=$(now) cpu=$(cpu_ms)
  "$@" >"$work/out" 2>"$work/err" || true
  wall=$(($(now) - wall))
  [ -z "$cpu" ] || cpu=$(($(cpu_ms) - cpu))
  printf '  %-46s wall %7s ms   cpu of both sides %7s ms\n' "$what" "$wall" "${cpu:-?}"
}
median() { sort -n | sed -n "$((($1 + 1) / 2))p"; }

# --- the box, a run on it, and its many names
mkdir -p "$box" "$far"
printf 'MaxStartups 5000\nLoginGraceTime 600\n' >"$box/sshd_first"
port=$("$root/tests/boxes/loopback_box.sh" start "$box")
coproc PROXY { exec "$proxy" "$port" "$each_way"; }
# shellcheck disable=SC2153  # the shell sets PROXY_PID
proxy_pid=$PROXY_PID
read -r far_port <&"${PROXY[0]}"
tell() { echo "$1" >&"${PROXY[1]}" && read -r answer <&"${PROXY[0]}" && echo "$answer"; }
names=$(seq -f 'b%g' 1 "$boxes" | tr '\n' ' ')
{
  sed "s/^Host rented-box/Host rented-box $names/" "$box/ssh_config"
  sed "s/^Host rented-box/Host far/; s/Port $port/Port $far_port/" "$box/ssh_config"
} >"$work/config"
sed -i "p; s/:$port /:$far_port /" "$box/known_hosts"

RGT_SSH_CONFIG=$work/config "$rgt" call launch "{\"job\":{\"run\":\"r\",\"box\":\"rented-box\",\"run_root\":\"$far\",
  \"heartbeat_seconds\":60,\"detach\":\"nohup\",\"cells\":[{\"name\":\"main\",
  \"command\":\"echo epoch 1; exec sleep 100000\",\"artifacts\":[\"m.safetensors\"]}]}}" >/dev/null
run=$far/r log=$far/r/cells/main/log
until grep -q 'epoch 1' "$log" 2>/dev/null; do sleep 0.1; done

# --- 1. one box, far away
echo "one box, $each_way ms each way (a round trip is $((2 * each_way)) ms)"
work_by_hand="tail -c 8192 '$log'; df -P '$run'; df -P -i '$run'; date +%s"
ssh_=(ssh -T -F "$work/config")
by_ssh() { "${ssh_[@]}" far "$work_by_hand" </dev/null >/dev/null; }
by_master() { "${ssh_[@]}" -o ControlPath="$work/master" far "$work_by_hand" </dev/null >/dev/null; }
far_row() {  # far_row WORDS COMMAND: median of five, and the turns of the last
  local times=() start
  for _ in 1 2 3 4 5; do
    tell reset >/dev/null
    start=$(now)
    "$2"
    times+=($(($(now) - start)))
  done
  printf '  %-46s %5s ms, %s turns\n' "$1" "$(printf '%s\n' "${times[@]}" | median 5)" "$(tell turns)"
}
"$look" "$work/config" "$run" 5 far | sed 's/^/  rgt /'
far_row "ssh, a connection per tick" by_ssh
"${ssh_[@]}" -o ControlMaster=yes -o ControlPath="$work/master" -o ControlPersist=600 -f -N far </dev/null 2>/dev/null
far_row "ssh with ControlMaster" by_master
"${ssh_[@]}" -O exit -o ControlPath="$work/master" far >/dev/null 2>&1 || true

# --- 2. many boxes at once, all of them this machine
echo "$boxes boxes at once, all on the $(nproc) cores of this machine"
timed "key exchange alone, ssh-keyscan one after another" \
  sh -c "for i in \$(seq $boxes); do ssh-keyscan -t ed25519 -p $port 127.0.0.1; done"
# shellcheck disable=SC2016,SC2086  # $0 is for the inner shell; names are words
timed "ssh true, 32 at a time (xargs -P)" sh -c 'printf "%s\n" $1 | xargs -P 32 -I{} ssh -T -F "$0" {} true' "$work/config" "$names"
# shellcheck disable=SC2016,SC2086
timed "ssh and the look by hand, 32 at a time" sh -c 'printf "%s\n" $1 | xargs -P 32 -I{} ssh -T -F "$0" {} "$2"' "$work/config" "$names" "$work_by_hand"
if command -v clush >/dev/null; then
  # shellcheck disable=SC2086
  timed "clush and the look by hand, 64 at a time" clush -q -f 64 -o "-T -F $work/config" -w "$(echo $names | tr ' ' ',')" "$work_by_hand"
else
  echo "  (clush is not installed)"
fi
# shellcheck disable=SC2086
timed "rgt: cold, then 3 warm" "$look" "$work/config" "$run" 3 $names
sed 's/^/    /' "$work/out" "$work/err"

# --- 3. a long log
echo "a tick over a long log (real bytes, growing while it is looked at)"
(while sleep 0.3; do echo "epoch 2 step 1 loss 0.5" >>"$log"; done) &
appender=$!
for size in 10M "$big"; do
  yes 'epoch 1 step 10 loss 0.5 and some more words, as logs have' | head -c "$size" >>"$log" || true
  "$look" "$work/config" "$run" 6 rented-box | sed "s/^/  $(stat -c %s "$log") bytes: /"
done

# --- 4. an MCP server for SSH from npm, on the same long way
if command -v npm >/dev/null && timeout 240 npm install --prefix "$work/npm" --no-audit --no-fund --loglevel=error ssh-mcp@2 >/dev/null 2>&1; then
  ask() {  # ask ID METHOD PARAMS: one JSON-RPC call, waits for its answer
    printf '{"jsonrpc":"2.0","id":%s,"method":"%s","params":%s}\n' "$1" "$2" "$3" >&"${MCP[1]}"
    until read -r -t 30 reply <&"${MCP[0]}" && [[ $reply == *"\"id\":$1"* ]]; do [ -n "${reply:-}" ] || break; done
  }
  mkdir -p "$work/xdg/ssh-mcp" && chmod 700 "$work/xdg/ssh-mcp"
  cat >"$work/xdg/ssh-mcp/config.toml" <<CONFIG
[defaults]
defaultProfile = "far"
[[profiles]]
name = "far"
host = "127.0.0.1"
port = $far_port
user = "$(id -un)"
auth = "key"
keyRef = "$box/client_key"
role = "admin"
approvalPolicy = "auto"
CONFIG
  chmod 600 "$work/xdg/ssh-mcp/config.toml"
  coproc MCP { XDG_CONFIG_HOME=$work/xdg exec "$work/npm/node_modules/.bin/ssh-mcp" 2>"$work/mcp.err"; }
  ask 1 initialize '{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}'
  printf '{"jsonrpc":"2.0","method":"notifications/initialized"}\n' >&"${MCP[1]}"
  id=1
  by_mcp() { id=$((id + 1)) && ask "$id" tools/call "{\"name\":\"run-command\",\"arguments\":{\"command\":\"$work_by_hand\"}}"; }
  far_row "npm ssh-mcp $(sed -n 's/^  "version": "\(.*\)".*/\1/p' "$work/npm/node_modules/ssh-mcp/package.json")" by_mcp
  echo "    its last answer: ${reply:0:160}"
  # shellcheck disable=SC2153  # the shell sets MCP_PID
  kill "$MCP_PID" 2>/dev/null || true
else
  echo "  (npm ssh-mcp could not be installed here)"
fi
