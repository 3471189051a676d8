# Shared by `up` and `down`: where the cluster's files are, and which processes belong to it.
DIR=${TESSERA_SLURM_DIR:-/var/lib/tessera-slurm}
CONF=$DIR/etc/slurm.conf
SITE_CONF=/etc/slurm/slurm.conf
DAEMONS="slurmd slurmctld slurmdbd slurmstepd munged mariadbd"
export SLURM_CONF=$CONF

say() { echo "slurm: $*"; }
die() { echo "slurm: $*" >&2; exit 1; }

need_root() {
    [ "$(id -u)" = 0 ] || die "the daemons need root: run 'sudo env/slurm/$(basename "$0")'"
}

# The cluster's daemons have files under $DIR open. Its jobs have its SLURM_CONF and a job id in their environment.
own_processes() {
    { own_daemons; own_jobs; } | sort -un
}

own_daemons() {
    local fd pid
    for fd in $(find /proc/[0-9]*/fd -lname "$DIR/*" 2>/dev/null); do
        pid=${fd#/proc/}; pid=${pid%%/*}
        if is_daemon "$pid"; then echo "$pid"; fi
    done
}

is_daemon() {
    local name
    name=$(basename "$(readlink "/proc/$1/exe" 2>/dev/null)")
    name=${name% (deleted)}
    [[ " $DAEMONS " == *" ${name%-wlm} "* ]]
}

own_jobs() {
    local environ pid
    for environ in $(grep -slzx "SLURM_CONF=$CONF" /proc/[0-9]*/environ); do
        pid=${environ#/proc/}; pid=${pid%/environ}
        if grep -sqz '^SLURM_JOB_ID=' "$environ"; then echo "$pid"; fi
    done
}

# wait_for SECONDS WHAT COMMAND...: wait until the command succeeds, or end with an error that names WHAT.
wait_for() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    while ! "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || die "no $what; the logs are in $DIR/log"
        sleep 0.2
    done
}
