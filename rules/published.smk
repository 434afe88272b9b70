rule published:
    """Every published number beside what this experiment has in its place."""
    input:
        files_of(experiment),
    output:
        **in_report(f"{RESULTS}/published", "published", "Published numbers"),
    log:
        f"{LOGS}/published.log",
    benchmark:
        f"{RUNS}/published.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        rows=canonical(published_rows(experiment)),
        version=version("tables"),
    script:
        "../workflow_scripts/published.py"
