# Readouts -> the paper's tables and plots.
rule table_s1:
    input:
        predictions=readouts_of("table_s1", "trained", "predictions.parquet"),
        facts=readouts_of("table_s1", "trained", "facts.json"),
        published=PUBLISHED,
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
        predictions=readouts_of("table_s1", "untrained", "predictions.parquet"),
        facts=readouts_of("table_s1", "untrained", "facts.json"),
        published=PUBLISHED,
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
        title="Table S1's readouts of untrained networks",
        code=fingerprint("vie.reporting.tables", "vie.reporting.plots"),
    script:
        "../workflow_scripts/table_s1.py"
