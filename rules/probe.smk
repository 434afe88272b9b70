# A network and a clip sampling -> linear classifiers on Conv3, Conv4 and Conv5.
rule probe:
    input:
        networks=networks_of,
        train="resources/{dataset}/train/index.parquet",
        val="resources/{dataset}/val/index.parquet",
        classes="resources/{dataset}/classes.csv",
    output:
        predictions="results/{dataset}/probe/{readout}/{weights}/seed{seed}/predictions.parquet",
        facts="results/{dataset}/probe/{readout}/{weights}/seed{seed}/facts.json",
        metrics="results/{dataset}/probe/{readout}/{weights}/seed{seed}/metrics.jsonl",
    log:
        "logs/{dataset}/probe/{readout}/{weights}/seed{seed}.log",
    benchmark:
        "benchmarks/runs/{dataset}/probe/{readout}/{weights}/seed{seed}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["probe"]
    resources:
        mem_mb=probe_memory,
        runtime=minutes(1440),
        gpu=ONE_GPU,
    params:
        clip=lambda wildcards: readout_of(wildcards)["clip"],
        view=view_of,
        probe=config["probe"],
        precision=config["precision"],
        identity=lambda wildcards: dataset_of(wildcards).get("identity"),
        code=fingerprint("vie.training.probing", "vie.evaluation.probe"),
    script:
        "../workflow_scripts/probe.py"
