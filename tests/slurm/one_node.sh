#!/usr/bin/env bash
# A real SLURM on one Debian machine, to run the workflow through: one node, no accounting.
#
#   tests/slurm/one_node.sh start    # as root: installs slurm-wlm and munge if absent
#   snakemake --profile profiles/slurm ...
#   tests/slurm/one_node.sh stop
#
# All it leaves behind after stop are the packages. It refuses where there is a SLURM already.
# VIE_SLURM_CPUS says how many CPUs the node claims to have (16; jobs share what there really is).
set -euo pipefail

state=/run/vie-slurm # munge wants a folder that no other user can write to
# Where SLURM looks by itself: the workflow's jobs do not inherit SLURM_CONF.
configuration=/etc/slurm

die() { echo "one_node.sh: $1" >&2; exit 1; }

install() {
    if command -v slurmctld slurmd munged >/dev/null; then return; fi
    command -v apt-get >/dev/null || die "no slurmctld here, and no apt-get to install it"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        slurm-wlm munge >"$state/install.log" 2>&1 || { cat "$state/install.log" >&2; exit 1; }
}

configure() {
    local cpus=${VIE_SLURM_CPUS:-16} host memory
    host=$(hostname -s)
    memory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
    cat >"$state/slurm.conf" <<CONF
ClusterName=one-node
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$state/munge.socket
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
StateSaveLocation=$state/controller
SlurmdSpoolDir=$state/node
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
KillWait=30
MinJobAge=3600
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=$host MaxTime=INFINITE State=UP PriorityTier=2
CONF
    # Two GPUs that can be asked for; no driver stands behind these devices.
    printf 'NodeName=%s Name=gpu File=%s\n' "$host" /dev/null "$host" /dev/zero \
        >"$state/gres.conf"
    mkdir -p "$configuration"
    ln -sfn "$state/slurm.conf" "$state/gres.conf" "$configuration/"
}

start() {
    [ "$(id -u)" = 0 ] || die "start it as root"
    [ ! -e "$state" ] || die "it runs already, or did: first $0 stop"
    [ ! -e "$configuration/slurm.conf" ] || die "$configuration/slurm.conf is not mine: use that"
    mkdir -p "$state/controller" "$state/node"
    chmod 755 "$state"
    install
    configure
    dd if=/dev/urandom of="$state/munge.key" bs=1024 count=1 status=none
    chmod 600 "$state/munge.key"
    munged --force --key-file "$state/munge.key" --socket "$state/munge.socket" \
        --pid-file "$state/munge.pid" --log-file "$state/munge.log" --seed-file "$state/munge.seed"
    slurmctld
    slurmd
    for _ in $(seq 60); do
        case $(sinfo --noheader --format %T 2>/dev/null) in
            idle*) return ;;
        esac
        sleep 1
    done
    tail -n 20 "$state/slurmctld.log" "$state/slurmd.log" >&2
    die "the node did not become idle within a minute; its logs are above and in $state"
}

stop() {
    local daemon jobs
    # Jobs outlive the daemons otherwise.
    if [ -e "$state/slurmctld.pid" ] && jobs=$(squeue --noheader --format %A 2>/dev/null); then
        xargs --no-run-if-empty scancel --signal=KILL --full <<<"$jobs" || true
        for _ in $(seq 20); do
            pgrep -x slurmstepd >/dev/null || break
            sleep 0.5
        done
    fi
    for daemon in slurmd slurmctld munge; do
        if [ -e "$state/$daemon.pid" ]; then
            kill "$(cat "$state/$daemon.pid")" 2>/dev/null || true
            for _ in $(seq 20); do
                kill -0 "$(cat "$state/$daemon.pid" 2>/dev/null)" 2>/dev/null || break
                sleep 0.5
            done
        fi
    done
    local file
    for file in slurm.conf gres.conf; do
        if [ "$(readlink "$configuration/$file")" = "$state/$file" ]; then
            rm "$configuration/$file"
        fi
    done
    rm -rf "$state"
}

case ${1:-} in
    start) start ;;
    stop) stop ;;
    *) die "say start or stop" ;;
esac
