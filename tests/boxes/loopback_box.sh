#!/bin/sh
# SPDX-License-Identifier: MIT
# A rented box to play with: a real sshd on 127.0.0.1, with its own port, keys and folder. Nothing of
# this machine's own ssh setup is read or changed.
#   loopback_box.sh start DIR [PORT]   writes DIR/ssh_config with Host `rented-box`; prints the port.
#                                      Lines of DIR/sshd_first go before our own in sshd's configuration
#   loopback_box.sh stop DIR           ends the sshd and every session of it
set -eu

start() {
  dir=$1 port=${2:-0}
  # A home of its own: no start-up file of this machine's user runs, and nothing is left in their home.
  mkdir -p "$dir/home" && chmod 700 "$dir"
  for key in host_key client_key; do
    [ -f "$dir/$key" ] || ssh-keygen -q -t ed25519 -N '' -C "$key" -f "$dir/$key"
  done
  cp "$dir/client_key.pub" "$dir/authorized_keys" && chmod 600 "$dir/authorized_keys"
  if [ "$(id -u)" = 0 ]; then mkdir -p /run/sshd; fi  # sshd insists on it when it runs as root
  tries=0
  while :; do
    [ "$port" != 0 ] || port=$(shuf -i 20000-29999 -n 1)
    # No sftp subsystem, as on some platforms: nothing of ours may need one.
    # What a test wants otherwise comes first: of two values sshd takes the first.
    cat "$dir/sshd_first" >"$dir/sshd_config" 2>/dev/null || :
    cat >>"$dir/sshd_config" <<CONFIG
Port $port
ListenAddress 127.0.0.1
HostKey $dir/host_key
PidFile $dir/sshd.pid
AuthorizedKeysFile $dir/authorized_keys
StrictModes no
SetEnv HOME=$dir/home
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxSessions 100
MaxStartups 200
PrintMotd no
LogLevel ERROR
CONFIG
    setsid "$sshd" -D -f "$dir/sshd_config" -E "$dir/sshd.log" </dev/null >/dev/null 2>&1 &
    echo $! >"$dir/pid"
    if answers; then break; fi
    kill "$(cat "$dir/pid")" 2>/dev/null || :
    tries=$((tries + 1))
    if [ "$tries" -ge 10 ] || [ -n "${2:-}" ]; then
      echo "loopback_box: sshd did not start on port $port:" >&2
      cat "$dir/sshd.log" >&2
      exit 1
    fi
    port=0
  done
  printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1,2 "$dir/host_key.pub")" >"$dir/known_hosts"
  cat >"$dir/ssh_config" <<CONFIG
Host rented-box
  HostName 127.0.0.1
  Port $port
  User $(id -un)
  IdentityFile $dir/client_key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile $dir/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
CONFIG
  echo "$port"
}

answers() {  # the port is open and the process that holds it is ours
  waited=0
  while [ "$waited" -lt 100 ]; do
    kill -0 "$(cat "$dir/pid")" 2>/dev/null || return 1
    if ssh-keyscan -T 1 -t ed25519 -p "$port" 127.0.0.1 2>/dev/null |
      grep -qF "$(cut -d' ' -f2 "$dir/host_key.pub")"; then
      return 0
    fi
    sleep 0.05
    waited=$((waited + 1))
  done
  return 1
}

descendants() {  # of PID, parents before children
  for child in $(ps -o pid= --ppid "$1" 2>/dev/null); do
    echo "$child"
    descendants "$child"
  done
}

stop() {
  dir=$1
  [ -f "$dir/pid" ] || return 0
  pid=$(cat "$dir/pid")
  children=$(descendants "$pid")
  # The listener first, then its sessions from the top down: what is cut is the link, as when a box
  # loses power, and no session can say goodbye. By descent, never by name.
  kill -KILL "$pid" 2>/dev/null || :
  for child in $children; do kill -KILL "$child" 2>/dev/null || :; done
  rm -f "$dir/pid"
}

sshd=$(command -v sshd || echo /usr/sbin/sshd)
case ${1:-} in
  start) shift && start "$@" ;;
  stop) shift && stop "$@" ;;
  *) echo "usage: loopback_box.sh start|stop DIR [PORT]" >&2 && exit 2 ;;
esac
