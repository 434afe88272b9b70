# A recipe -> its untrained network, the end of instance recognition, the end of local aggregation.
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
        recipe=stage_recipe("untrained"),
        code=fingerprint("vie.models.encoders"),
    script:
        "../workflow_scripts/untrained.py"


rule pretrain_instance_recognition:
    input:
        train="resources/{dataset}/train/index.parquet",
        val="resources/{dataset}/val/index.parquet",
        classes="resources/{dataset}/classes.csv",
    output:
        checkpoint="results/{dataset}/pretrain/{recipe}/seed{seed}/instance_recognition.pt",
        metrics="results/{dataset}/pretrain/{recipe}/seed{seed}/instance_recognition.jsonl",
    log:
        "logs/{dataset}/pretrain/{recipe}/seed{seed}/instance_recognition.log",
    benchmark:
        "benchmarks/runs/{dataset}/pretrain/{recipe}/seed{seed}/instance_recognition.tsv"
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["pretrain"]
    resources:
        mem_mb=16000,
        runtime=minutes(1440),
        gpu=1,
    params:
        stage="instance_recognition",
        recipe=stage_recipe("instance_recognition"),
        code=fingerprint("vie.training.pretraining", "vie.evaluation.monitor"),
    script:
        "../workflow_scripts/pretrain.py"


rule pretrain_local_aggregation:
    input:
        train="resources/{dataset}/train/index.parquet",
        val="resources/{dataset}/val/index.parquet",
        classes="resources/{dataset}/classes.csv",
        start_from="results/{dataset}/pretrain/{recipe}/seed{seed}/instance_recognition.pt",
    output:
        checkpoint="results/{dataset}/pretrain/{recipe}/seed{seed}/local_aggregation.pt",
        metrics="results/{dataset}/pretrain/{recipe}/seed{seed}/local_aggregation.jsonl",
    log:
        "logs/{dataset}/pretrain/{recipe}/seed{seed}/local_aggregation.log",
    benchmark:
        "benchmarks/runs/{dataset}/pretrain/{recipe}/seed{seed}/local_aggregation.tsv"
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["pretrain"]
    resources:
        mem_mb=16000,
        runtime=minutes(10080),
        gpu=1,
    params:
        stage="local_aggregation",
        recipe=stage_recipe("local_aggregation"),
        code=fingerprint("vie.training.pretraining", "vie.evaluation.monitor"),
    script:
        "../workflow_scripts/pretrain.py"
