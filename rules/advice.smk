rule advice:
    """Settings that fit the videos of the experiment and this machine, as an overlay."""
    input:
        train=f"resources/{DATASET}/train/manifest.parquet",
        val=f"resources/{DATASET}/val/manifest.parquet",
        generated=f"resources/{DATASET}/videos" if DATASET in experiment.generated() else [],
    output:
        f"{RESULTS}/advice.yaml",
    log:
        f"{LOGS}/advice.log",
    benchmark:
        f"{RUNS}/advice.tsv"
    localrule: True
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["frames"]
    resources:
        mem_mb=4000,
        runtime=minutes(60),
    params:
        videos=lambda wildcards: videos.videos_folder(config, DATASET),
        version=version("advice"),
    script:
        "../workflow_scripts/advice.py"
