# Evaluations -> the paper's tables and plots of one experiment.
rule table_s1:
    """Table S1: linear probes of VIE-Single on several frames."""
    input:
        predictions=experiment.probes("table_s1", "predictions.parquet", "trained"),
        metadata=experiment.probes("table_s1", "metadata.json", "trained"),
        control=f"{RESULTS}/random_control.csv",
    output:
        **in_report(f"{RESULTS}/table_s1", "table_s1", "Table S1"),
        seeds=f"{RESULTS}/table_s1_seeds.csv",
    log:
        f"{LOGS}/table_s1.log",
    benchmark:
        f"{RUNS}/table_s1.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        labels=experiment.labels("table_s1"),
        dataset=TITLE,
        ceiling=CEILING,
        title="How well do classifiers on frozen VIE-Single recognise actions, on three inputs? (Table S1)",
        published=PUBLISHED_DIGESTS,
        version=version("tables"),
    script:
        "../workflow_scripts/probe_table.py"


use rule table_s1 as random_control with:
    """Table S1 of the untrained network."""
    input:
        predictions=experiment.probes("table_s1", "predictions.parquet", "untrained"),
        metadata=experiment.probes("table_s1", "metadata.json", "untrained"),
    output:
        **in_report(f"{RESULTS}/random_control", "random_control", "Table S1, untrained networks"),
        seeds=f"{RESULTS}/random_control_seeds.csv",
    log:
        f"{LOGS}/random_control.log",
    benchmark:
        f"{RUNS}/random_control.tsv"
    params:
        labels=control_labels(experiment, "table_s1"),
        title="How well do classifiers on an untrained network recognise actions, on three inputs?",


use rule table_s1 as table_1 with:
    """Table 1: linear probes of every network."""
    input:
        predictions=experiment.probes("table_1", "predictions.parquet"),
        metadata=experiment.probes("table_1", "metadata.json"),
    output:
        **in_report(f"{RESULTS}/table_1", "table_1", "Table 1"),
        seeds=f"{RESULTS}/table_1_seeds.csv",
    log:
        f"{LOGS}/table_1.log",
    benchmark:
        f"{RUNS}/table_1.tsv"
    params:
        labels=experiment.labels("table_1"),
        groups=groups(experiment, "table_1"),
        title="How well do linear classifiers on frozen networks recognise actions? (Table 1)",


use rule table_s1 as table_1_imagenet with:
    """Table 1 on images."""
    input:
        predictions=of(partial(image_probes, experiment, "predictions.parquet")),
        metadata=of(partial(image_probes, experiment, "metadata.json")),
    output:
        **in_report(f"{RESULTS}/{IMAGES_TABLE}", IMAGES_TABLE, "Table 1, images"),
        seeds=f"{RESULTS}/{IMAGES_TABLE}_seeds.csv",
    log:
        f"{LOGS}/{IMAGES_TABLE}.log",
    benchmark:
        f"{RUNS}/{IMAGES_TABLE}.tsv"
    params:
        labels=experiment.labels(IMAGES_TABLE),
        groups=groups(experiment, IMAGES_TABLE),
        dataset=of(lambda: dataset_title(experiment, image_dataset(experiment))),
        ceiling=None,
        title="How well do linear classifiers on frozen networks recognise images? (Table 1)",


rule learning_curves:
    """Accuracy of nearest neighbours during pretraining."""
    input:
        curves=[curve["path"] for curve in CURVES],
        val=f"resources/{DATASET}/val/index.parquet",
        classes=f"resources/{DATASET}/classes.csv" if experiment.labelled else [],
    output:
        **in_report(
            f"{RESULTS}/learning_curves", "learning_curves", "Learning curves", category="Training"
        ),
    log:
        f"{LOGS}/learning_curves.log",
    benchmark:
        f"{RUNS}/learning_curves.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        curves=CURVES,
        dataset=TITLE,
        ceiling=CEILING,
        version=version("tables"),
    script:
        "../workflow_scripts/learning_curves.py"


rule pretext_table:
    """Accuracies of pretext tasks, and their plot."""
    input:
        answers=[row["answers"] for row in experiment.pretext_rows()],
        metadata=[row["metadata"] for row in experiment.pretext_rows()],
    output:
        **in_report(f"{RESULTS}/pretext", "pretext", "Pretext tasks"),
        seeds=f"{RESULTS}/pretext_seeds.csv",
    log:
        f"{LOGS}/pretext.log",
    benchmark:
        f"{RUNS}/pretext.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        rows=experiment.pretext_rows(),
        dataset=TITLE,
        published=PUBLISHED_DIGESTS,
        version=version("tables"),
    script:
        "../workflow_scripts/pretext_table.py"


rule finetuning_table:
    """Tables 2 and 3: finetuning and training from scratch."""
    input:
        predictions=of(
            lambda table: [run["predictions"] for run in finetuning.finetuned(experiment, table)]
        ),
        metadata=of(
            lambda table: [run["metadata"] for run in finetuning.finetuned(experiment, table)]
        ),
    output:
        **in_report(f"{RESULTS}/{{table}}", "finetuning", of(table_title)),
        seeds=f"{RESULTS}/{{table}}_seeds.csv",
    log:
        f"{LOGS}/{{table}}.log",
    benchmark:
        f"{RUNS}/{{table}}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        runs=lambda wildcards: finetuning.finetuned(experiment, wildcards.table),
        pipeline=lambda wildcards: PIPELINES[wildcards.table],
        titles=target_titles(experiment),
        ceilings=target_ceilings(experiment),
        groups=of(lambda table: groups(experiment, table, untrained="from scratch")),
        published=PUBLISHED_DIGESTS,
        version=version("tables"),
    script:
        "../workflow_scripts/finetuning_table.py"


rule finetuning_classes:
    """Accuracy of each class of a finetuned network, and confusions."""
    input:
        predictions=lambda wildcards: [
            run["predictions"]
            for run in finetuning.finetuned(experiment, wildcards.table, wildcards.target)
        ],
        metadata=lambda wildcards: [
            run["metadata"]
            for run in finetuning.finetuned(experiment, wildcards.table, wildcards.target)
        ],
        classes=of(experiment.target_file("classes.csv")),
    output:
        **in_report(
            f"{RESULTS}/{{table}}_{{target}}_classes",
            "finetuning_classes",
            of(lambda table, target: f"{table_title(table)}, {target_titles(experiment)[target]}"),
            plot=f"{RESULTS}/{{table}}_{{target}}_confusion",
        ),
        confusion=f"{RESULTS}/{{table}}_{{target}}_confusion.csv",
    log:
        f"{LOGS}/{{table}}_{{target}}_classes.log",
    benchmark:
        f"{RUNS}/{{table}}_{{target}}_classes.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        runs=lambda wildcards: finetuning.finetuned(experiment, wildcards.table, wildcards.target),
        pipeline=lambda wildcards: PIPELINES[wildcards.table],
        title=of(lambda target: target_titles(experiment)[target]),
        ceiling=of(lambda target: target_ceilings(experiment)[target]),
        version=version("tables"),
    script:
        "../workflow_scripts/finetuning_classes.py"


rule ablations:
    """Networks with one setting changed, and their differences to the full models."""
    input:
        predictions=of(lambda: [run["predictions"] for run in ablation_runs(experiment)]),
        metadata=of(lambda: [run["metadata"] for run in ablation_runs(experiment)]),
    output:
        **in_report(f"{RESULTS}/ablations", "ablations", "Ablations"),
        seeds=f"{RESULTS}/ablations_seeds.csv",
    log:
        f"{LOGS}/ablations.log",
    benchmark:
        f"{RUNS}/ablations.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        runs=of(lambda: ablation_runs(experiment)),
        version=version("tables"),
    script:
        "../workflow_scripts/ablations.py"


# Made when it is asked for.
rule findings:
    """The paper's findings as differences between rows of tables, with verdicts."""
    input:
        [f"{RESULTS}/{table}_seeds.csv" for table in experiment.compared_tables()],
    output:
        **in_report(f"{RESULTS}/findings", "findings", "Findings"),
    log:
        f"{LOGS}/findings.log",
    benchmark:
        f"{RUNS}/findings.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        dataset=TITLE,
        version=version("tables"),
    script:
        "../workflow_scripts/findings.py"
