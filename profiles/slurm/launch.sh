#!/usr/bin/env bash
# Runs Snakemake itself as a job of SLURM, where login nodes end long processes. From the clone:
#
#   sbatch profiles/slurm/launch.sh --configfile experiments/kinetics400.yaml -- results/table_s1.csv
#
# What follows the script's name goes to Snakemake, beside the profile. Before the time limit it
# cancels its jobs, which save their state, and is queued again; so it is after its node has failed.
# To stop: `scancel --full <job>`. docs/cluster.md has more.
#
# Yours: options of sbatch, here or on its command line (--account, --partition, --qos).
#SBATCH --job-name=vie-launch
#SBATCH --output=vie-launch-%j.log
#SBATCH --open-mode=append
#SBATCH --cpus-per-task=2
#SBATCH --mem=8G
#SBATCH --time=1-00:00:00
#SBATCH --signal=B:USR1@600
#SBATCH --requeue
set -uo pipefail

name=vie-launch-$SLURM_JOB_ID # how the names of its jobs begin
snakemake=(uv run --no-sync snakemake --profile profiles/slurm --slurm-jobname-prefix "$name")

if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then # the last time may have left jobs and a lock
    squeue --me --noheader --format '%i %j' | awk "\$2 ~ /^${name}_/ { print \$1 }" |
        xargs --no-run-if-empty scancel
    "${snakemake[@]}" --unlock "$@"
fi

set -m # or Snakemake, in the background, would not hear of SIGINT
"${snakemake[@]}" "$@" &
running=$! again='' signalled=yes status=127
trap 'again=yes signalled=yes; kill -INT "$running"' USR1
trap 'signalled=yes; kill -INT "$running"' TERM
# A signal ends `wait` with its own number, and so does a Snakemake that is suspended: wait again.
while [ "$signalled" ] || kill -0 "$running" 2>/dev/null; do
    signalled=''
    wait "$running"
    ended=$?
    [ "$ended" = 127 ] || status=$ended # 127: it has been waited for already
done
if [ "$again" ] && [ "$status" != 0 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$status"
