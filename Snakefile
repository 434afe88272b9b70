# Unsupervised Learning from Video with Deep Neural Embeddings, from videos to tables.
#
#   snakemake --cores 8 results/table_s1.csv
#
# Functions are in rules/common.smk, rules in the other files of rules/, code in vie/.
from snakemake.utils import min_version

min_version("9.19")


configfile: "config.yaml"


report: "report/workflow.rst"


# These only list files: where Snakemake runs, their warnings are seen.
localrules:
    classes,
    manifest,
    members,


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/pretrain.smk"
include: "rules/probe.smk"
include: "rules/finetune.smk"
include: "rules/tables.smk"


rule all:
    default_target: True
    input:
        "results/table_s1.csv",
        "results/random_control.csv",
        "results/table_1.csv",
        "results/learning_curves.csv",
        expand("results/{table}.csv", table=PIPELINES),
        expand("results/{table}_{target}_classes.csv", table=PIPELINES, target=TARGETS),
        "results/pretext.csv" if pretext_rows() else [],
        expand("results/{dataset}/summary.csv", dataset=datasets_used()),


# What trainings kept in case that they are killed in their last moment.
onsuccess:
    remove_work_of_finished_jobs()
