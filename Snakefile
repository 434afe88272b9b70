# Unsupervised Learning from Video with Deep Neural Embeddings, from videos to tables.
#
#   snakemake --cores 8 results/table_s1.csv
#
# Functions are in rules/common.smk, rules in the other files of rules/, code in vie/.
from snakemake.utils import min_version

min_version("9.19")


# Beside this file, wherever Snakemake runs.
configfile: f"{workflow.current_basedir}/config.yaml"


include: "rules/common.smk"
include: "rules/checks.smk"
include: "rules/data.smk"
include: "rules/frames.smk"
include: "rules/advice.smk"
include: "rules/pretrain.smk"
include: "rules/probe.smk"
include: "rules/features.smk"
include: "rules/finetune.smk"
include: "rules/tables.smk"
include: "rules/published.smk"
include: "rules/retrieval.smk"
include: "rules/publish.smk"


# Jobs inherit it: the first that knows how many videos there are checks all that will be trained.
onstart:
    planned = list(workflow.dag.needrun_jobs())
    os.environ[sizes.PLANNED] = sizes.planned(planned)
    refuse_read_only_outputs(planned)
    refuse_nodes_without_slurm(planned)
    if not IN_JOB:
        remove_scripts(SCRIPTS, at_least_seconds=5 if PROMISED in os.environ else 300)
        if SHORT_MESSAGES:
            TERMINAL.install(planned)


# A run ends with what it made, or why it failed.
onsuccess:
    if not IN_JOB:
        print(targets.outcome(sorted(workflow.dag.derived_targetfiles)))


onerror:
    if failures := TERMINAL.failures():
        print(failures, file=sys.stderr)


rule all:
    """Every table and plot of the experiment: what a command without a target makes."""
    default_target: True
    input:
        lambda wildcards: finished() if REPORT else ALL,


# A workflow that uses this one as a module has rules of its own, which come later.
if not IN_JOB and Path(workflow.main_snakefile).resolve() in SNAKEFILES:
    refuse_unknown_targets()
    if command().report:  # its first page knows nothing but the config
        config["overview"] = overview(experiment, Path(LOGS), Path(RUNS))

        report: "report/workflow.rst"
