#!/usr/bin/env bash
# A real Slurm on this machine alone, a small suite through it from start to table, and the comparison with an ordinary run.
# Usage: bash scripts/slurm-local/run.sh [gauntlet]      (default: the release build)
# Installs Debian's packages of Slurm where they are missing. Nothing is left running, nothing outside a temporary folder
# is changed. GAUNTLET_SLURM_SUITE names another suite.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary="$(realpath "${1:-${CARGO_TARGET_DIR:-target}/release/gauntlet}")"
suite="$(realpath "${GAUNTLET_SLURM_SUITE:-scripts/slurm-local/suite.toml}")"
test -x "$binary" || { echo "error: $binary is not there; cargo build --release" >&2; exit 2; }

root=()
test "$(id -u)" = 0 || root=(sudo)
if ! command -v slurmctld slurmd sbatch munged > /dev/null; then
    "${root[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends \
        slurmctld slurmd slurm-client munge > /dev/null
fi

work="$(mktemp -d)"
chmod 755 "$work"
host="$(hostname -s)"
user="$(id -un)"
started=()

stop() {
    status=$?
    set +e
    if [ "$status" != 0 ]; then
        echo "error: the suite did not go through; the logs:" >&2
        tail -n 20 "$work"/*.log "$work"/runs/slurm/*/*.log >&2
    fi
    SLURM_CONF="$work/slurm.conf" "${root[@]}" scancel --user="$user" 2> /dev/null
    # The last one started goes first.
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do
        "${root[@]}" kill "$(cat "${started[i]}")" 2> /dev/null
    done
    for pid in "${started[@]}"; do
        for _ in $(seq 50); do
            "${root[@]}" kill -0 "$(cat "$pid" 2> /dev/null)" 2> /dev/null || break
            sleep 0.1
        done
    done
    "${root[@]}" rm -rf "$work"
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT TERM

# Until a command succeeds, a minute at most.
await() {
    for _ in $(seq 300); do
        if "$@" > /dev/null 2>&1; then return 0; fi
        sleep 0.2
    done
    echo "error: a minute went by without: $*" >&2
    return 1
}

# A munged of our own, with its own key and socket: one that runs already is not touched.
mkdir -m 700 "$work/munge"
dd if=/dev/urandom of="$work/munge/key" bs=1024 count=1 status=none
chmod 400 "$work/munge/key"
mkdir -m 755 "$work/socket"
munged --key-file="$work/munge/key" --socket="$work/socket/munge" --pid-file="$work/munge/pid" \
    --log-file="$work/munge/munged.log" --seed-file="$work/munge/seed" --force
started+=("$work/munge/pid")

port=$((20000 + RANDOM % 20000))
cores="$(nproc)"
mkdir "$work/state" "$work/spool"
cat > "$work/slurm.conf" << END
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$user
SlurmdUser=root
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$work/socket/munge
CredType=cred/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
# No control groups, no accounting: a container has neither.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=1
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
# Slurm 23 can do without the plugin; older versions load one, which then has nothing to do.
case "$(slurmd -V)" in
    *" 22."*) printf 'CgroupPlugin=cgroup/v1\nCgroupMountpoint=%s/cgroup\n' "$work" ;;
    *) echo "CgroupPlugin=disabled" ;;
esac > "$work/cgroup.conf"
export SLURM_CONF="$work/slurm.conf"
slurmctld -f "$SLURM_CONF"
started+=("$work/slurmctld.pid")
"${root[@]}" env SLURM_CONF="$SLURM_CONF" slurmd -f "$SLURM_CONF" -N "$host"
started+=("$work/slurmd.pid")
await bash -c "sinfo --noheader --format=%T | grep -q idle"
sinfo

cd "$work"
begun=$SECONDS
"$binary" submit "$suite" --slurm --runs runs --out through-slurm --cpus 1 --time 10 --partition all --json | tee submitted.json
finished() { test -z "$(squeue --noheader)"; }
await finished
echo "the queue was empty after $((SECONDS - begun)) s"
cat runs/slurm/*/*.log

# Nothing is open, and the report job has written the same tables as an ordinary run in a store of its own.
"$binary" status --runs runs
"$binary" run "$suite" --runs apart --out ordinary --quiet > ordinary.txt
for file in table.csv summary.csv; do
    cmp "through-slurm/$file" "ordinary/$file"
done
for verdicts in ordinary/records/*.verdicts.csv.gz; do
    cmp "$verdicts" "through-slurm/records/${verdicts##*/}"
done
column -s, -t < through-slurm/summary.csv 2> /dev/null || cat through-slurm/summary.csv
# A suite that is done leaves only the report to be submitted.
"$binary" submit "$suite" --slurm --runs runs --out through-slurm --dry-run --json | grep -q '"cells":\[\]'
echo "the table that went through Slurm equals the ordinary one"
