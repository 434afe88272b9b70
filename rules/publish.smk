# Tables of one experiment under the names of all, compared with those of others, and their state.
# results/table_s1.csv and its sisters are those of the experiment that the command names.
rule publish:
    """A table under the name that all experiments share, results/table_s1.csv and the like."""
    input:
        multiext(f"{RESULTS}/{{name}}", ".csv", "_seeds.csv", ".svg", ".png"),
    output:
        multiext("results/{name}", ".csv", "_seeds.csv", ".svg", ".png"),
    log:
        f"{LOGS}/publish_{{name}}.log",
    benchmark:
        f"{RUNS}/publish_{{name}}.tsv"
    wildcard_constraints:
        name="table_s1|table_1|table_1_imagenet|random_control|pretext|retrieval|ablations|"
        + "|".join(PIPELINES),
    localrule: True
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=minutes(10),
    params:
        experiment=experiment.name,
        version=version("tables"),
    script:
        "../workflow_scripts/publish.py"


use rule publish as publish_plots with:
    """A table with plots under the name that all experiments share."""
    input:
        multiext(f"{RESULTS}/{{name}}", ".csv", ".svg", ".png"),
    output:
        multiext("results/{name}", ".csv", ".svg", ".png"),
    wildcard_constraints:
        name="learning_curves|published|summary_(" + "|".join(config["datasets"]) + ")",


use rule publish as publish_classes with:
    """The plots of classes under the names that all experiments share."""
    input:
        multiext(
            f"{RESULTS}/{{name}}_",
            "classes.csv",
            "confusion.csv",
            "confusion.svg",
            "confusion.png",
        ),
    output:
        multiext(
            "results/{name}_", "classes.csv", "confusion.csv", "confusion.svg", "confusion.png"
        ),
    wildcard_constraints:
        name="({})_({})".format("|".join(PIPELINES), "|".join(experiment.targets)),


rule comparison:
    """Every experiment in results/ that has one of the tables, row by row."""
    input:
        tables_of_experiments(),
    output:
        **in_report("results/comparison", "comparison", "All experiments"),
    log:
        "logs/comparison.log",
    benchmark:
        "benchmarks/runs/comparison.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        version=version("tables"),
    script:
        "../workflow_scripts/comparison.py"


# It has no output: it always runs.
rule status:
    """Says which results were made by other code, versions or settings."""
    log:
        f"{LOGS}/status.log",
    localrule: True
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        snakefile=str(workflow.main_snakefile),
        targets=ALL,
        triggers=lambda wildcards: sorted(map(str, workflow.dag_settings.rerun_triggers)),
        table=f"{RESULTS}/status.csv",
    script:
        "../workflow_scripts/status.py"
