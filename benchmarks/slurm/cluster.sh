#!/usr/bin/env bash
# A real SLURM of one node on this machine, for root in a container without systemd.
#
#     eval "$(benchmarks/slurm/cluster.sh start)"    # installs what is missing; sets SLURM_CONF
#     benchmarks/slurm/cluster.sh stop               # ends its jobs and daemons, removes its folder
#
# Both may be said twice; a daemon that died is started again. Everything lies in one folder,
# $ELBAX_SLURM_DIR (default /run/elbax-slurm): configuration, munge key, sockets, states, logs; /etc
# is left alone. Four CPUs are declared whatever the machine has, so that an array of four runs at
# once. There is no slurmdbd, so `sacct` fails; ask `squeue --states=all` for a job's state.
set -euo pipefail

home=${ELBAX_SLURM_DIR:-/run/elbax-slurm}
cpus=4
mark="# Written by elbax's benchmarks/slurm/cluster.sh"
export SLURM_CONF=$home/slurm.conf

fail() {
    echo "cluster.sh: $*" >&2
    exit 1
}

install_missing() {
    local program
    for program in sbatch slurmctld slurmd munged mungekey; do
        command -v "$program" >/dev/null && continue
        command -v apt-get >/dev/null || fail "expected $program or apt-get on PATH; got neither."
        apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends slurm-wlm munge >&2
        return
    done
}

configure() {
    local host memory
    host=$(hostname -s)
    memory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
    mkdir -p -m 755 "$home" "$home/state" "$home/spool"
    [ -s "$home/munge.key" ] || mungekey --create --keyfile "$home/munge.key"
    # cred_expire: a requeued job waits this long before it starts again, two minutes by default.
    # KillWait: between SIGTERM and SIGKILL, thirty seconds by default.
    cat >"$SLURM_CONF" <<CONF
$mark
ClusterName=elbax
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$home/munge.socket,cred_expire=5
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool
SlurmctldPidFile=$home/slurmctld.pid
SlurmdPidFile=$home/slurmd.pid
SlurmctldLogFile=$home/slurmctld.log
SlurmdLogFile=$home/slurmd.log
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
KillWait=5
InactiveLimit=0
MinJobAge=300
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP GraceTime=5
CONF
}

alive() { # the daemon whose process id is in $home/$1.pid
    local pid
    pid=$(cat "$home/$1.pid" 2>/dev/null) || return 1
    # Nobody may be there to reap one that was killed; it keeps its name as a zombie.
    grep -q "^Name:[[:space:]]*$1\$" "/proc/$pid/status" 2>/dev/null &&
        ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status"
}

launch() { # a daemon, then the words that start it in the background
    alive "$1" && return
    # A daemon that kept the lock of this script open would hold it for good.
    "${@:2}" >&2 9>&- || fail "$1 did not start; see $home/$1.log"
}

node_is_up() {
    sinfo --noheader --format=%t 2>/dev/null | grep -qE '^(idle|mix|alloc)$'
}

start() {
    install_missing
    [ -f "$SLURM_CONF" ] || configure
    launch munged munged --key-file="$home/munge.key" --socket="$home/munge.socket" \
        --pid-file="$home/munged.pid" --log-file="$home/munged.log" --seed-file="$home/munged.seed"
    launch slurmctld slurmctld
    launch slurmd slurmd
    for _ in $(seq 60); do
        if node_is_up; then
            echo "export SLURM_CONF=$SLURM_CONF"
            return
        fi
        sleep 0.5
    done
    tail -n 5 "$home"/slurm*.log >&2
    fail "no node was ready within 30 seconds; the last lines of the logs are above."
}

end_jobs() {
    scancel --user="$(id -un)" 2>/dev/null || return 0
    for _ in $(seq 20); do
        [ -z "$(squeue --noheader 2>/dev/null)" ] && return
        sleep 0.5
    done
}

stop() {
    [ -e "$home" ] || return 0
    grep -qF "$mark" "$SLURM_CONF" 2>/dev/null || fail "$home is not a folder of this script."
    alive slurmctld && end_jobs
    local daemon
    for daemon in slurmd slurmctld munged; do
        alive "$daemon" || continue
        kill "$(cat "$home/$daemon.pid")"
        for _ in $(seq 40); do
            alive "$daemon" || break
            sleep 0.25
        done
        alive "$daemon" && fail "$daemon did not end; see $home/$daemon.log"
    done
    rm -rf "$home"
}

case ${1:-} in
start | stop) ;;
*) fail "expected start or stop; got '${1:-}'." ;;
esac
[ "$(id -u)" = 0 ] || fail "expected root, as whom a node starts jobs; got $(id -un)."
exec 9>"$home.lock"
flock 9
"$1"
