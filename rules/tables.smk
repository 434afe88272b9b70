# Evaluations -> the paper's tables and plots of one experiment.
rule table_s1:
    input:
        predictions=experiment.probes("table_s1", "predictions.parquet", "trained"),
        metadata=experiment.probes("table_s1", "metadata.json", "trained"),
    output:
        table=report(
            f"{RESULTS}/table_s1.csv",
            caption="../report/table_s1.rst",
            category="Tables",
            labels={"table": "S1", "shown as": "table"},
        ),
        seeds=f"{RESULTS}/table_s1_seeds.csv",
        svg=report(
            f"{RESULTS}/table_s1.svg",
            caption="../report/table_s1.rst",
            category="Tables",
            labels={"table": "S1", "shown as": "plot"},
        ),
        png=f"{RESULTS}/table_s1.png",
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
        title="Table S1: linear probe, single-frame network on multi-frame inputs",
        published=PUBLISHED_DIGESTS,
        version=version("tables"),
    script:
        "../workflow_scripts/table_s1.py"


rule random_control:
    input:
        predictions=experiment.probes("table_s1", "predictions.parquet", "untrained"),
        metadata=experiment.probes("table_s1", "metadata.json", "untrained"),
    output:
        table=report(
            f"{RESULTS}/random_control.csv",
            caption="../report/random_control.rst",
            category="Tables",
            labels={"table": "S1, untrained networks", "shown as": "table"},
        ),
        seeds=f"{RESULTS}/random_control_seeds.csv",
        svg=report(
            f"{RESULTS}/random_control.svg",
            caption="../report/random_control.rst",
            category="Tables",
            labels={"table": "S1, untrained networks", "shown as": "plot"},
        ),
        png=f"{RESULTS}/random_control.png",
    log:
        f"{LOGS}/random_control.log",
    benchmark:
        f"{RUNS}/random_control.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        labels=experiment.labels("table_s1"),
        title="Table S1's evaluations of untrained networks",
        published=PUBLISHED_DIGESTS,
        version=version("tables"),
    script:
        "../workflow_scripts/table_s1.py"


rule table_1:
    input:
        predictions=experiment.probes("table_1", "predictions.parquet"),
        metadata=experiment.probes("table_1", "metadata.json"),
    output:
        table=report(
            f"{RESULTS}/table_1.csv",
            caption="../report/table_1.rst",
            category="Tables",
            labels={"table": "1", "shown as": "table"},
        ),
        seeds=f"{RESULTS}/table_1_seeds.csv",
        svg=report(
            f"{RESULTS}/table_1.svg",
            caption="../report/table_1.rst",
            category="Tables",
            labels={"table": "1", "shown as": "plot"},
        ),
        png=f"{RESULTS}/table_1.png",
    log:
        f"{LOGS}/table_1.log",
    benchmark:
        f"{RUNS}/table_1.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        labels=experiment.labels("table_1"),
        title="Table 1: linear probes and nearest neighbours of every network",
        published=PUBLISHED_DIGESTS,
        version=version("tables"),
    script:
        "../workflow_scripts/table_1.py"


rule learning_curves:
    input:
        [curve["path"] for curve in experiment.curves("table_1")],
    output:
        table=report(
            f"{RESULTS}/learning_curves.csv",
            caption="../report/learning_curves.rst",
            category="Training",
            labels={"shown as": "table"},
        ),
        svg=report(
            f"{RESULTS}/learning_curves.svg",
            caption="../report/learning_curves.rst",
            category="Training",
            labels={"shown as": "plot"},
        ),
        png=f"{RESULTS}/learning_curves.png",
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
        curves=experiment.curves("table_1"),
        version=version("tables"),
    script:
        "../workflow_scripts/learning_curves.py"


rule pretext_table:
    input:
        answers=[row["answers"] for row in experiment.pretext_rows()],
        metadata=[row["metadata"] for row in experiment.pretext_rows()],
    output:
        table=report(
            f"{RESULTS}/pretext.csv",
            caption="../report/pretext.rst",
            category="Tables",
            labels={"table": "Pretext tasks", "shown as": "table"},
        ),
        seeds=f"{RESULTS}/pretext_seeds.csv",
        svg=report(
            f"{RESULTS}/pretext.svg",
            caption="../report/pretext.rst",
            category="Tables",
            labels={"table": "Pretext tasks", "shown as": "plot"},
        ),
        png=f"{RESULTS}/pretext.png",
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
        published=PUBLISHED_DIGESTS,
        version=version("tables"),
    script:
        "../workflow_scripts/pretext_table.py"


rule finetuning_table:
    input:
        predictions=lambda wildcards: [
            run["predictions"] for run in experiment.finetuned(wildcards.table)
        ],
        metadata=lambda wildcards: [
            run["metadata"] for run in experiment.finetuned(wildcards.table)
        ],
    output:
        table=report(
            f"{RESULTS}/{{table}}.csv",
            caption="../report/finetuning.rst",
            category="Tables",
            labels={"table": "{table}", "shown as": "table"},
        ),
        seeds=f"{RESULTS}/{{table}}_seeds.csv",
        svg=report(
            f"{RESULTS}/{{table}}.svg",
            caption="../report/finetuning.rst",
            category="Tables",
            labels={"table": "{table}", "shown as": "plot"},
        ),
        png=f"{RESULTS}/{{table}}.png",
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
        runs=lambda wildcards: experiment.finetuned(wildcards.table),
        pipeline=lambda wildcards: PIPELINES[wildcards.table],
        published=PUBLISHED_DIGESTS,
        version=version("tables"),
    script:
        "../workflow_scripts/finetuning_table.py"


rule finetuning_classes:
    input:
        predictions=lambda wildcards: [
            run["predictions"] for run in experiment.finetuned(wildcards.table, wildcards.target)
        ],
        metadata=lambda wildcards: [
            run["metadata"] for run in experiment.finetuned(wildcards.table, wildcards.target)
        ],
        classes=of(experiment.target_file("classes.csv")),
    output:
        table=report(
            f"{RESULTS}/{{table}}_{{target}}_classes.csv",
            caption="../report/finetuning_classes.rst",
            category="Tables",
            labels={"table": "{table}, best network on {target}", "shown as": "table"},
        ),
        confusion=f"{RESULTS}/{{table}}_{{target}}_confusion.csv",
        svg=report(
            f"{RESULTS}/{{table}}_{{target}}_confusion.svg",
            caption="../report/finetuning_classes.rst",
            category="Tables",
            labels={"table": "{table}, best network on {target}", "shown as": "plot"},
        ),
        png=f"{RESULTS}/{{table}}_{{target}}_confusion.png",
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
        runs=lambda wildcards: experiment.finetuned(wildcards.table, wildcards.target),
        pipeline=lambda wildcards: PIPELINES[wildcards.table],
        version=version("tables"),
    script:
        "../workflow_scripts/finetuning_classes.py"
