# A recipe -> its untrained network, and the network at the end of each stage of its schedule.
rule untrained:
    output:
        "results/{dataset}/pretrain/{recipe}/seed{seed}/untrained.pt",
    log:
        "logs/{dataset}/pretrain/{recipe}/seed{seed}/untrained.log",
    benchmark:
        "benchmarks/runs/{dataset}/pretrain/{recipe}/seed{seed}/untrained.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        recipe=lambda wildcards: {"encoder": recipe_of(wildcards)["encoder"]},
        code=fingerprint("vie.training.initial"),
    script:
        "../workflow_scripts/untrained.py"


rule pretrain:
    input:
        train="resources/{dataset}/train/index.parquet",
        val="resources/{dataset}/val/index.parquet",
        classes="resources/{dataset}/classes.csv",
        start_from=previous_checkpoint,
    output:
        checkpoint="results/{dataset}/pretrain/{recipe}/seed{seed}/{stage}.pt",
        metrics="results/{dataset}/pretrain/{recipe}/seed{seed}/{stage}.jsonl",
    log:
        "logs/{dataset}/pretrain/{recipe}/seed{seed}/{stage}.log",
    benchmark:
        "benchmarks/runs/{dataset}/pretrain/{recipe}/seed{seed}/{stage}.tsv"
    priority: 1  # the long chains first; readouts fill what they leave
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["pretrain"]
    resources:
        mem_mb=16000,
        runtime=minutes(10080),
        gpu=1,
    params:
        recipe=stage_recipe,
        code=stage_code,
    script:
        "../workflow_scripts/pretrain.py"
