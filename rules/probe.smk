# A network and a clip sampling -> linear classifiers on Conv3, Conv4 and Conv5.
rule probe:
    input:
        networks=networks_of,
        train="resources/{dataset}/train/index.parquet",
        val="resources/{dataset}/val/index.parquet",
        classes="resources/{dataset}/classes.csv",
    output:
        predictions="results/{dataset}/probe/{evaluation}/{weights}/seed{seed}/predictions.parquet",
        facts="results/{dataset}/probe/{evaluation}/{weights}/seed{seed}/metadata.json",
        metrics="results/{dataset}/probe/{evaluation}/{weights}/seed{seed}/metrics.jsonl",
    log:
        "logs/{dataset}/probe/{evaluation}/{weights}/seed{seed}.log",
    benchmark:
        "benchmarks/runs/{dataset}/probe/{evaluation}/{weights}/seed{seed}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["probe"]
    resources:
        mem_mb=probe_memory,
        runtime=minutes(1440),
        gpu=ONE_GPU,
    params:
        clip=lambda wildcards: evaluation_of(wildcards)["clip"],
        transform=transform_of,
        probe=config["probe"],
        precision=config["precision"],
        official_name=lambda wildcards: dataset_of(wildcards).get("official_name"),
        code=fingerprint("vie.probe_training", "vie.probe"),
    script:
        "../workflow_scripts/probe.py"
