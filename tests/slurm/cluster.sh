#!/usr/bin/env bash
# A real SLURM on one Debian machine, to run the workflow through: one node or two, no accounting.
#
#   tests/slurm/cluster.sh start    # as root: installs slurm-wlm and munge if absent
#   snakemake --profile profiles/slurm ...
#   tests/slurm/cluster.sh stop
#
# `start 2` makes two nodes: each has a network namespace and a name of its own, on a bridge that the
# machine is on too. They share its files.
#
# All it leaves behind after stop are the packages. It refuses where there is a SLURM already.
# VIE_SLURM_CPUS says how many CPUs each node claims to have (16; jobs share what there really is).
set -euo pipefail

state=/run/vie-slurm # munge wants a folder that no other user can write to
# Where SLURM looks by itself: the workflow's jobs do not inherit SLURM_CONF.
configuration=/etc/slurm
bridge=vie-slurm
network=198.18.77 # of addresses for tests within a network; nodes are .1 and .2, the machine .254

die() { echo "cluster.sh: $1" >&2; exit 1; }

install() {
    if command -v slurmctld slurmd munged >/dev/null; then return; fi
    command -v apt-get >/dev/null || die "no slurmctld here, and no apt-get to install it"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        slurm-wlm munge >"$state/install.log" 2>&1 || { cat "$state/install.log" >&2; exit 1; }
}

# Names of the nodes.
nodes() {
    if [ "$1" = 1 ]; then hostname -s; else seq -f "vie-node%g" "$1"; fi
}

address_of() { # the node with this name
    case $1 in
        vie-node*) echo "$network.${1#vie-node}" ;;
        *) echo 127.0.0.1 ;;
    esac
}

connect() { # nodes, by name, to the machine and to each other
    local node number
    command -v ip >/dev/null || die "two nodes need ip, of Debian's iproute2"
    ip link add "$bridge" type bridge
    ip address add "$network.254/24" dev "$bridge"
    ip link set "$bridge" up
    printf '%s\t%s\n' 127.0.0.1 localhost "$network.254" "$(hostname -s)" >"$state/hosts"
    for node in "$@"; do
        number=${node#vie-node}
        printf '%s\t%s\n' "$(address_of "$node")" "$node" >>"$state/hosts"
        ip netns add "$node"
        ip link add "$bridge$number" type veth peer name eth0 netns "$node"
        ip link set "$bridge$number" master "$bridge" up
        ip -n "$node" link set lo up
        ip -n "$node" address add "$(address_of "$node")/24" dev eth0
        ip -n "$node" link set eth0 up
    done
}

disconnect() {
    local node
    for node in $(ip netns list 2>/dev/null | grep -o '^vie-node[0-9]*'); do
        ip netns delete "$node" # its end of the pair of interfaces goes with it, and so does ours
    done
    ip link delete "$bridge" 2>/dev/null || true
}

daemon() { # slurmd, on the node with this name
    case $1 in
        vie-node*)
            nsenter --net="/run/netns/$1" unshare --uts --mount sh -c \
                'hostname "$1" && mount --bind "$2" /etc/hosts && exec slurmd -N "$1"' \
                sh "$1" "$state/hosts"
            ;;
        *) slurmd ;;
    esac
}

configure() { # nodes, by name
    local cpus=${VIE_SLURM_CPUS:-16} host memory controller node
    host=$(hostname -s)
    memory=$(awk -v nodes=$# '/MemTotal/ {print int($2 / 1024 / nodes)}' /proc/meminfo)
    controller=127.0.0.1
    if [ $# -gt 1 ]; then controller=$network.254; fi
    cat >"$state/slurm.conf" <<CONF
ClusterName=vie
SlurmctldHost=$host($controller)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$state/munge.socket
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/%n.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/%n.log
StateSaveLocation=$state/controller
SlurmdSpoolDir=$state/%n
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
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=2
NodeName=DEFAULT CPUs=$cpus RealMemory=$memory Gres=gpu:2 State=UNKNOWN
CONF
    for node in "$@"; do
        echo "NodeName=$node NodeAddr=$(address_of "$node")" >>"$state/slurm.conf"
        # Two GPUs that can be asked for; no driver stands behind these devices.
        printf 'NodeName=%s Name=gpu File=%s\n' "$node" /dev/null "$node" /dev/zero \
            >>"$state/gres.conf"
    done
    mkdir -p "$configuration"
    ln -sfn "$state/slurm.conf" "$state/gres.conf" "$configuration/"
}

start() {
    local names node
    [ "$(id -u)" = 0 ] || die "start it as root"
    [ ! -e "$state" ] || die "it runs already, or did: first $0 stop"
    [ ! -e "$configuration/slurm.conf" ] || die "$configuration/slurm.conf is not mine: use that"
    mapfile -t names < <(nodes "$1")
    mkdir -p "$state/controller"
    chmod 755 "$state"
    install
    if [ "$1" != 1 ]; then connect "${names[@]}"; fi
    configure "${names[@]}"
    dd if=/dev/urandom of="$state/munge.key" bs=1024 count=1 status=none
    chmod 600 "$state/munge.key"
    munged --force --key-file "$state/munge.key" --socket "$state/munge.socket" \
        --pid-file "$state/munge.pid" --log-file "$state/munge.log" --seed-file "$state/munge.seed"
    slurmctld
    for node in "${names[@]}"; do
        daemon "$node"
    done
    for _ in $(seq 60); do
        if [ "$(sinfo --noheader --partition main --states idle --format %D)" = "$1" ]; then
            return
        fi
        sleep 1
    done
    tail -n 20 "$state"/*.log >&2
    die "a node did not become idle within a minute; its logs are above and in $state"
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
    for daemon in "$state"/*.pid; do
        kill "$(cat "$daemon" 2>/dev/null)" 2>/dev/null || continue
        for _ in $(seq 20); do
            kill -0 "$(cat "$daemon" 2>/dev/null)" 2>/dev/null || break
            sleep 0.5
        done
    done
    disconnect
    local file
    for file in slurm.conf gres.conf; do
        if [ "$(readlink "$configuration/$file")" = "$state/$file" ]; then
            rm "$configuration/$file"
        fi
    done
    rm -rf "$state"
}

case ${1:-} in
    start) start "${2:-1}" ;;
    daemon) daemon "${2:-$(hostname -s)}" ;; # again, after it was killed
    stop) stop ;;
    *) die "say start, start 2 or stop" ;;
esac
