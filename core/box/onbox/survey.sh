# SPDX-License-Identifier: MIT
# What the box has, before money is spent on it. Only reads, but for one file per asked path that is
# made and removed to see whether it can be. Grammar in RUN_FOLDER.md.
# Arguments: PYTHON HOG_SECONDS MIRROR_COUNT MIRROR... PATH...
#   PYTHON: the interpreter to ask for torch, empty: none. HOG_SECONDS: for finding what fills the
#   disks, 0: not at all. MIRROR: a URL to fetch a little of.
LC_ALL=C
export LC_ALL
python=$1 hog_seconds=$2 mirror_count=$3
shift 3

say() {  # say KEY TEXT
  encode "$2"
  printf '%s %s\n' "$1" "$token"
}

os_name() {  # PRETTY_NAME="..." without running the file, which is shell text from the box
  os=
  [ -r /etc/os-release ] || return 0
  while IFS= read -r line; do
    case $line in
      PRETTY_NAME=*)
        os=${line#PRETTY_NAME=}
        os=${os#[\"\']}
        os=${os%[\"\']} ;;
    esac
  done </etc/os-release
}

cpu_numbers() {  # quota and period in microseconds; 0 0: no limit seen
  quota=0 period=0
  cgroup_locate cpu
  level=$cgroup_dir
  while [ "$cgroup" != none ]; do
    level_quota= level_period=
    if [ "$cgroup" = v2 ]; then
      read_line "$level/cpu.max"
      level_quota=${line%% *} level_period=${line##* }
    else
      read_line "$level/cpu.cfs_quota_us" && level_quota=$line
      read_line "$level/cpu.cfs_period_us" && level_period=$line
    fi
    if is_number "$level_quota" && is_number "$level_period" && [ "$level_quota" -gt 0 ] &&
       [ "$level_period" -gt 0 ] && [ "$level_quota" -lt 1000000000 ] &&
       [ "$level_period" -lt 1000000000 ] && { [ "$quota" = 0 ] ||
         [ $((level_quota * period)) -lt $((quota * level_period)) ]; }; then
      quota=$level_quota period=$level_period
    fi
    [ "$level" != "$cgroup_root" ] || break
    level=${level%/*}
  done
}

say_mount() {  # an absent path is measured at its nearest parent: that is where it would be made
  [ -n "$1" ] || set -- "${HOME:-/}"
  place=$1
  while [ ! -e "$place" ] && [ -n "$place" ]; do place=${place%/*}; done
  [ -n "$place" ] || place=/
  disk_space "$place"
  filesystem=$(bounded 5 stat -f -c %T -- "$place" 2>/dev/null)
  writable=0
  if [ -d "$place" ] && [ -w "$place" ]; then
    trial=$place/.rgt-write-test.$$
    # -w says yes on a full disk and on some read-only mounts; only writing tells.
    if (set -C && echo rgt >"$trial") 2>/dev/null; then writable=1; fi
    rm -f -- "$trial" 2>/dev/null
  fi
  encode "$1" && path_token=$token
  df_numbers -k "$place"
  disk_mount=$df_mount
  [ -e "$1" ] || disk_mount=
  encode "$disk_mount" && mount_token=$token
  encode "$filesystem"
  printf 'mount %s %s %s %s %s %s %s %s\n' "$path_token" "$mount_token" "$token" "$disk_total" \
    "$disk_free" "$inodes_total" "$inodes_free" "$writable"
}

# The reclaimable part of what the cgroup counts as used: the kernel gives file pages back on need.
memory_cache() {
  cache=0 cache_key=inactive_file
  [ "$cgroup" != v1 ] || cache_key=total_inactive_file
  [ "$cgroup" != none ] && [ -r "$biting/memory.stat" ] || return 0
  while read -r key amount; do
    if [ "$key" = "$cache_key" ] && is_number "$amount"; then cache=$amount; fi
  done <"$biting/memory.stat"
}

# --- What fills the disks ---

# weigh PATH: says its size if it is large. Each thing gets a few seconds only and is weighed by
# itself, so that one endless tree costs neither the others their turn nor us what we know already.
weigh() {
  left=$((hog_end - $(date +%s)))
  if [ "$left" -le 0 ] || [ "$weighed_count" -ge 500 ]; then hogs_whole=0 && return 1; fi
  [ "$left" -le 3 ] || left=3
  target= weighed=$1
  if [ -L "$1" ]; then  # a cache that was moved away: its bytes lie elsewhere
    target=$(readlink -f -- "$1" 2>/dev/null) && [ -d "$target" ] || return 0
    weighed=$target
  fi
  case "$weighed_all" in *"|$weighed|"*) return 0 ;; esac
  weighed_all="$weighed_all$weighed|" weighed_count=$((weighed_count + 1))
  kib=$(bounded "$left" du -skx -- "$weighed" 2>/dev/null)
  kib=${kib%%[!0-9]*} whole=1
  if ! is_number "$kib"; then kib=0 whole=0 hogs_whole=0; fi
  if [ "$whole" = 1 ] && [ "$kib" -lt 102400 ]; then return 0; fi  # under 100 MiB nobody gains
  df_numbers -k "$weighed"
  encode "$1" && path_token=$token
  encode "$target" && target_token=$token
  encode "$df_mount"
  printf 'hog %s %s %s %s %s\n' "$path_token" "$target_token" "$token" "$kib" "$whole"
}
weigh_below() {
  set +f
  set -- "$1"/* "$1"/.[!.]*
  set -f
  for child; do
    case $child in /proc | /sys | /dev | /run) continue ;; esac
    if [ -d "$child" ] || [ -f "$child" ]; then weigh "$child" || return 1; fi
  done
}
say_hogs() {
  hog_end=$(($(date +%s) + hog_seconds)) hogs_whole=1 weighed_all='|' weighed_count=0
  if [ "$hog_seconds" -gt 0 ]; then
    home=${HOME:-/root}
    for suspect in "${HF_HOME:-$home/.cache/huggingface}" "$home/.cache/pip" "$home/.cache/uv" \
      "$home/.cache/torch" "$home/.cache/wandb" "$home/.cache/vllm" "$home/.triton" \
      "$home/.local/share/Trash" "$home/miniconda3/pkgs" /opt/conda/pkgs /tmp; do
      if [ -d "$suspect" ]; then weigh "$suspect" || break; fi
    done
    for asked; do
      [ -n "$asked" ] || asked=$home
      if [ -d "$asked" ]; then weigh_below "${asked%/}" || break; fi
    done
    for asked; do  # and all of a filesystem that is short of space, whoever wrote there
      [ -n "$asked" ] || asked=$home
      [ -d "$asked" ] || continue
      disk_space "$asked"
      if [ -d "$disk_mount" ] && [ $((disk_free / 1048576)) -lt 20480 ]; then
        weigh_below "${disk_mount%/}" || break
      fi
    done
  fi
  printf 'hogs %s\n' "$hogs_whole"
}

# --- GPUs: nvidia-smi's words go out as they are, gpu_report.cc reads them ---

# ask_gpu QUESTION ARGUMENT...: sets answer and status. Nothing more is asked once it was silent or
# 20 s have gone: without persistence mode each call wakes up all cards first.
ask_gpu() {
  question=$1 answer= status=124
  shift
  [ "$gpu_silent" = 0 ] && [ $(($(date +%s) - gpu_began)) -lt 20 ] || return 0
  answer=$({ bounded 10 nvidia-smi "$@" 2>&1 </dev/null; printf '\nrc=%s' "$?"; } | tail -c 65536)
  status=${answer##*rc=}
  answer=${answer%?rc=*}
  is_number "$status" || status=255
  [ "$status" != 124 ] || gpu_silent=1
  encode "$answer"
  printf 'nvidia-smi %s %s %s\n' "$question" "$status" "$token"
}
ask_fields() { ask_gpu gpu "--query-gpu=index,uuid,$1" --format=csv,nounits; }
is_refused() { case $answer in *'is not a valid field to query'*) true ;; *) false ;; esac; }

# A call to the driver of a lost card can sleep in the kernel, where no signal ends it: a first call
# is watched from outside, so that at worst one process is left behind and we still answer.
gpu_answers() {
  nvidia-smi -L >/dev/null 2>&1 </dev/null &
  first=$! waited=0
  while read_process "$first"; do
    if [ "$waited" -ge 100 ]; then
      kill -9 "$first" 2>/dev/null
      return 1
    fi
    waited=$((waited + 1))
    sleep 0.1 2>/dev/null || { sleep 1 && waited=$((waited + 9)); }
  done
}

# nvidia-smi refuses a whole question for one field that its driver does not know, so what is
# younger than the oldest drivers is asked again in groups: a field lost costs its group only.
say_gpus() {
  gpu_silent=0 gpu_began=$(date +%s)
  have nvidia-smi || return 0
  if ! gpu_answers; then
    printf 'nvidia-smi hang 124 -\n'
    return 0
  fi
  identity=pci.bus_id,name,driver_version,memory.total,memory.used,utilization.gpu
  power=temperature.gpu,power.draw,power.limit,power.default_limit,clocks.sm,clocks.max.sm
  modes=persistence_mode,compute_mode,pcie.link.width.current,pcie.link.width.max
  ecc=ecc.mode.current,ecc.errors.uncorrected.volatile.total
  ecc=$ecc,ecc.errors.uncorrected.aggregate.total,retired_pages.pending
  new=mig.mode.current,clocks_event_reasons.active
  ask_fields "$identity,$power,$modes,$ecc,$new"
  if is_refused; then
    ask_fields "$identity"
    ! is_refused || ask_fields name,driver_version,memory.total,memory.used
    for group in clocks_event_reasons.active "$power" "$modes" "$ecc" mig.mode.current; do
      ask_fields "$group"
      if is_refused && [ "$group" = clocks_event_reasons.active ]; then
        ask_fields clocks_throttle_reasons.active  # its name up to driver 530
      fi
    done
  fi
  [ -n "$answer" ] || return 0
  ask_gpu apps --query-compute-apps=gpu_uuid,pid,used_memory,process_name --format=csv,nounits
  ask_gpu remapped --query-remapped-rows=gpu_uuid,remapped_rows.pending,remapped_rows.failure \
    --format=csv,nounits
  ask_gpu header
  ask_gpu list -L
}

say_xids() {  # the kernel's GPU errors of this boot, or else of the log file; the newest 40
  xid_source=none xid_lines=
  if have dmesg && have grep && bounded 5 dmesg >/dev/null 2>&1; then
    xid_source=dmesg
    xid_lines=$(bounded 5 dmesg 2>/dev/null | tr -d '\000' | grep 'Xid (PCI:' | tail -n 40)
  elif have grep; then
    for log in /var/log/kern.log /var/log/messages; do
      [ -r "$log" ] || continue
      xid_source=log
      xid_lines=$(tail -c 4194304 "$log" 2>/dev/null | tr -d '\000' | grep 'Xid (PCI:' |
        tail -n 40)
      break
    done
  fi
  printf 'xids %s\n' "$xid_source"
  [ -n "$xid_lines" ] || return 0
  printf '%s\n' "$xid_lines" | while IFS= read -r xid_line; do
    say xid "$(printf %.300s "$xid_line")"
  done
}

say_torch() {
  [ -n "$python" ] || return 0
  answer=$({
    bounded 45 "$python" -c '
try:
    import torch
    print("rgt version", torch.__version__)
    print("rgt cuda", torch.version.cuda)
    print("rgt archs", *torch.cuda.get_arch_list())
    print("rgt available", torch.cuda.is_available())
    print("rgt devices", torch.cuda.device_count())
    print("rgt capability %d.%d" % torch.cuda.get_device_capability())
except BaseException as error:
    print("rgt error", type(error).__name__, str(error).split("\n")[0])
' 2>&1 </dev/null
    printf '\nrc=%s' "$?"
  } | tail -c 8192)
  status=${answer##*rc=}
  is_number "$status" || status=255
  encode "${answer%?rc=*}"
  printf 'torch %s %s\n' "$status" "$token"
}

# --- Which platform this is: names of variables only, for their values may be secrets ---

sign() { say "sign $1 $2" "$3"; }
sign_env() {  # sign_env PLATFORM STRONG NAME...
  platform=$1 strong=$2
  shift 2
  for name; do
    case "$names" in *" $name "*) sign "$platform" "$strong" "env $name" ;; esac
  done
}
sign_path() {  # sign_path PLATFORM STRONG PATH...
  platform=$1 strong=$2
  shift 2
  for place; do
    if [ -e "$place" ]; then sign "$platform" "$strong" "$place"; fi
  done
}
say_signs() {
  names=" $({ env; tr '\000' '\n' </proc/1/environ; } 2>/dev/null | head -c 131072 |
    cut -d= -f1 | tr '\n' ' ') "
  sign_env autodl 1 AutoDLContainerUUID AutoDLRegion AutoDLDataCenter AutoDLServiceURL
  sign_path autodl 1 /etc/network_turbo /etc/autodl-motd /root/autodl-tmp /root/autodl-fs
  sign_path autodl 0 /root/autodl-pub /root/tf-logs
  sign_env runpod 1 RUNPOD_POD_ID RUNPOD_DC_ID
  sign_env runpod 0 RUNPOD_POD_HOSTNAME
  sign_env vastai 1 VAST_CONTAINERLABEL CONTAINER_API_KEY
  sign_path vastai 1 /root/.vast_containerlabel /etc/.vast_containerlabel
  sign_path vastai 0 /etc/vast_boot.d /root/onstart.sh
  sign_env paperspace 1 PAPERSPACE_FQDN PAPERSPACE_CLUSTER_ID PAPERSPACE_METRIC_WORKLOAD_ID
  if [ -d /notebooks ] && [ -d /storage ]; then sign paperspace 0 '/notebooks and /storage'; fi
  sign_path paperspace 0 /home/paperspace
  sign_env kaggle 1 KAGGLE_KERNEL_RUN_TYPE KAGGLE_URL_BASE
  sign_path kaggle 1 /kaggle/working
  sign_env colab 1 COLAB_RELEASE_TAG COLAB_GPU COLAB_BACKEND_VERSION
  sign_path colab 0 /content
  sign_path featurize 1 /home/featurize/work
  sign_path featurize 0 /cloud
  sign_path gpushare 1 /hy-tmp /hy-netdisk /hy-nas
  sign_path matpool 1 /public/script/switch_conda_source.sh /root/miniconda3/envs/myconda
  sign_path lanrui 1 /home/user/netdisk/data /home/user/datadisk
  sign_path lambda 1 /lambda/nfs /etc/lambda/guest-agent
  sign_path lambda 0 /var/lib/dpkg/info/lambda-stack-cuda.list
  sign_env slurm 1 SLURM_JOB_ID SLURM_CLUSTER_NAME
  if have sbatch && have squeue; then sign slurm 1 'sbatch and squeue'; fi
  sign_path slurm 0 /etc/slurm
  sign_env kubernetes 1 KUBERNETES_SERVICE_HOST
  sign_path kubernetes 1 /var/run/secrets/kubernetes.io/serviceaccount/namespace
}

say_mirror() {  # a few MiB at most, with the very proxy settings that a transfer from here has
  have curl || return 0
  proxied=0
  case " $names " in *' https_proxy '* | *' HTTPS_PROXY '* | *' ALL_PROXY '*) proxied=1 ;; esac
  answer=$(bounded 9 curl -sSL -o /dev/null -r 0-4194303 -m 7 --connect-timeout 4 \
    -w ' %{http_code} %{speed_download} %{size_download}' -- "$1" 2>/dev/null)
  code= speed= size=
  for word in $answer; do code=$speed speed=$size size=${word%%[.,]*}; done
  is_number "$code" && is_number "$speed" && is_number "$size" || code=000 speed=0 size=0
  encode "$1"
  printf 'mirror %s %s %s %s %s\n' "$token" "$((1$code - 1000))" "$speed" "$size" "$proxied"
}

printf 'rgt-survey 1\n'
printf 'time %s\n' "$(date +%s)"
say boot "$boot_id"
machine_id
say machine "$machine"
os_name
say os "$os"
say kernel "$(uname -sr 2>/dev/null)"
say user "$(id -un 2>/dev/null)"
say home "${HOME:-}"
cpus=$(nproc 2>/dev/null)
is_number "$cpus" || cpus=0
cpu_numbers
printf 'cpu %s %s %s\n' "$cpus" "$quota" "$period"
memory_total=0
if [ -r /proc/meminfo ]; then
  while read -r key amount unit; do
    if [ "$key" = MemTotal: ] && is_number "$amount"; then memory_total=$((amount * 1024)); fi
  done </proc/meminfo
fi
memory_numbers
memory_cache
printf 'memory %s %s %s %s %s %s\n' "$memory_total" "$memory_limit" "$memory_current" "$cache" \
  "$oom_kills" "$cgroup"
if [ -d /dev/shm ]; then
  disk_space /dev/shm
  printf 'shm %s %s\n' "$disk_total" "$disk_free"
else
  printf 'shm 0 0\n'
fi
mirrors= count=0
while [ "$count" -lt "$mirror_count" ]; do  # a URL holds no space: Survey checks them
  mirrors="$mirrors $1" count=$((count + 1))
  shift
done
for asked; do say_mount "$asked"; done
say_gpus
say_xids
say_torch
say_signs
for mirror in $mirrors; do say_mirror "$mirror"; done
say_hogs "$@"
for tool in tmux nohup setsid rsync sha256sum base64 stat python3 nvidia-smi; do
  if have "$tool"; then printf 'tool %s 1\n' "$tool"; else printf 'tool %s 0\n' "$tool"; fi
done
printf 'ended %s\n' "$(date +%s)"
printf 'end\n'
