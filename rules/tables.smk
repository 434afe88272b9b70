# Evaluations -> the paper's tables and plots.
rule table_s1:
    input:
        predictions=evaluations_of("table_s1", "predictions.parquet", "trained"),
        facts=evaluations_of("table_s1", "metadata.json", "trained"),
        published=[PUBLISHED / "table_s1.csv", PUBLISHED / "other.csv"],
    output:
        table=report(
            "results/table_s1.csv",
            caption="../report/table_s1.rst",
            category="Tables",
            labels={"table": "S1", "shown as": "table"},
        ),
        seeds="results/table_s1_seeds.csv",
        svg=report(
            "results/table_s1.svg",
            caption="../report/table_s1.rst",
            category="Tables",
            labels={"table": "S1", "shown as": "plot"},
        ),
        png="results/table_s1.png",
    log:
        "logs/table_s1.log",
    benchmark:
        "benchmarks/runs/table_s1.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        labels=labels_of("table_s1"),
        title="Table S1: linear probe, single-frame network on multi-frame inputs",
        code=fingerprint("vie.reporting.tables", "vie.reporting.plots"),
    script:
        "../workflow_scripts/table_s1.py"


rule random_control:
    input:
        predictions=evaluations_of("table_s1", "predictions.parquet", "untrained"),
        facts=evaluations_of("table_s1", "metadata.json", "untrained"),
        published=[PUBLISHED / "table_s1.csv", PUBLISHED / "other.csv"],
    output:
        table=report(
            "results/random_control.csv",
            caption="../report/random_control.rst",
            category="Tables",
            labels={"table": "S1, untrained networks", "shown as": "table"},
        ),
        seeds="results/random_control_seeds.csv",
        svg=report(
            "results/random_control.svg",
            caption="../report/random_control.rst",
            category="Tables",
            labels={"table": "S1, untrained networks", "shown as": "plot"},
        ),
        png="results/random_control.png",
    log:
        "logs/random_control.log",
    benchmark:
        "benchmarks/runs/random_control.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        labels=labels_of("table_s1"),
        title="Table S1's evaluations of untrained networks",
        code=fingerprint("vie.reporting.tables", "vie.reporting.plots"),
    script:
        "../workflow_scripts/table_s1.py"


rule table_1:
    input:
        predictions=evaluations_of("table_1", "predictions.parquet"),
        facts=evaluations_of("table_1", "metadata.json"),
        published=[PUBLISHED / "table_s1.csv", PUBLISHED / "other.csv"],
    output:
        table=report(
            "results/table_1.csv",
            caption="../report/table_1.rst",
            category="Tables",
            labels={"table": "1", "shown as": "table"},
        ),
        seeds="results/table_1_seeds.csv",
        svg=report(
            "results/table_1.svg",
            caption="../report/table_1.rst",
            category="Tables",
            labels={"table": "1", "shown as": "plot"},
        ),
        png="results/table_1.png",
    log:
        "logs/table_1.log",
    benchmark:
        "benchmarks/runs/table_1.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        labels=labels_of("table_1"),
        title="Table 1: linear probes and nearest neighbours of every network",
        code=fingerprint("vie.reporting.tables", "vie.reporting.plots"),
    script:
        "../workflow_scripts/table_1.py"


rule learning_curves:
    input:
        [curve["path"] for curve in curves_of("table_1")],
    output:
        table=report(
            "results/learning_curves.csv",
            caption="../report/learning_curves.rst",
            category="Training",
            labels={"shown as": "table"},
        ),
        svg=report(
            "results/learning_curves.svg",
            caption="../report/learning_curves.rst",
            category="Training",
            labels={"shown as": "plot"},
        ),
        png="results/learning_curves.png",
    log:
        "logs/learning_curves.log",
    benchmark:
        "benchmarks/runs/learning_curves.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        curves=curves_of("table_1"),
        code=fingerprint("vie.reporting.learning_curves"),
    script:
        "../workflow_scripts/learning_curves.py"


rule pretext_table:
    input:
        answers=[row["answers"] for row in pretext_rows()],
        facts=[row["facts"] for row in pretext_rows()],
        published=PUBLISHED / "other.csv",
    output:
        table=report(
            "results/pretext.csv",
            caption="../report/pretext.rst",
            category="Tables",
            labels={"table": "Pretext tasks", "shown as": "table"},
        ),
        seeds="results/pretext_seeds.csv",
        svg=report(
            "results/pretext.svg",
            caption="../report/pretext.rst",
            category="Tables",
            labels={"table": "Pretext tasks", "shown as": "plot"},
        ),
        png="results/pretext.png",
    log:
        "logs/pretext.log",
    benchmark:
        "benchmarks/runs/pretext.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        rows=pretext_rows(),
        code=fingerprint("vie.reporting.pretext_table"),
    script:
        "../workflow_scripts/pretext_table.py"


rule finetuning_table:
    input:
        predictions=lambda wildcards: [run["predictions"] for run in finetuned_of(wildcards.table)],
        facts=lambda wildcards: [run["facts"] for run in finetuned_of(wildcards.table)],
        published=PUBLISHED / "other.csv",
    output:
        table=report(
            "results/{table}.csv",
            caption="../report/finetuning.rst",
            category="Tables",
            labels={"table": "{table}", "shown as": "table"},
        ),
        seeds="results/{table}_seeds.csv",
        svg=report(
            "results/{table}.svg",
            caption="../report/finetuning.rst",
            category="Tables",
            labels={"table": "{table}", "shown as": "plot"},
        ),
        png="results/{table}.png",
    log:
        "logs/{table}.log",
    benchmark:
        "benchmarks/runs/{table}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        runs=lambda wildcards: finetuned_of(wildcards.table),
        pipeline=lambda wildcards: PIPELINES[wildcards.table],
        code=fingerprint("vie.reporting.finetune_tables", "vie.reporting.finetune_plots"),
    script:
        "../workflow_scripts/finetuning_table.py"


rule finetuning_classes:
    input:
        predictions=lambda wildcards: [
            run["predictions"] for run in finetuned_of(wildcards.table, wildcards.target)
        ],
        facts=lambda wildcards: [
            run["facts"] for run in finetuned_of(wildcards.table, wildcards.target)
        ],
        classes=target_file("classes.csv"),
    output:
        table=report(
            "results/{table}_{target}_classes.csv",
            caption="../report/finetuning_classes.rst",
            category="Tables",
            labels={"table": "{table}, best network on {target}", "shown as": "table"},
        ),
        confusion="results/{table}_{target}_confusion.csv",
        svg=report(
            "results/{table}_{target}_confusion.svg",
            caption="../report/finetuning_classes.rst",
            category="Tables",
            labels={"table": "{table}, best network on {target}", "shown as": "plot"},
        ),
        png="results/{table}_{target}_confusion.png",
    log:
        "logs/{table}_{target}_classes.log",
    benchmark:
        "benchmarks/runs/{table}_{target}_classes.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        runs=lambda wildcards: finetuned_of(wildcards.table, wildcards.target),
        pipeline=lambda wildcards: PIPELINES[wildcards.table],
        code=fingerprint("vie.reporting.finetune_tables", "vie.reporting.finetune_plots"),
    script:
        "../workflow_scripts/finetuning_classes.py"
