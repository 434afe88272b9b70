# A network, pretrained or not, and a split of an action dataset -> predictions of its test videos.
rule finetune:
    input:
        networks=networks_of,
        index=target_file("all/index.parquet"),
        members=target_file("split{split}/members.csv"),
        classes=target_file("classes.csv"),
    output:
        best="results/{dataset}/finetune/{target}/{pipeline}/{evaluation}/{weights}/seed{seed}/best.pt",
        predictions="results/{dataset}/finetune/{target}/{pipeline}/{evaluation}/{weights}/seed{seed}/predictions.parquet",
        facts="results/{dataset}/finetune/{target}/{pipeline}/{evaluation}/{weights}/seed{seed}/metadata.json",
        metrics="results/{dataset}/finetune/{target}/{pipeline}/{evaluation}/{weights}/seed{seed}/metrics.jsonl",
    log:
        "logs/{dataset}/finetune/{target}/{pipeline}/{evaluation}/{weights}/seed{seed}.log",
    benchmark:
        "benchmarks/runs/{dataset}/finetune/{target}/{pipeline}/{evaluation}/{weights}/seed{seed}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["finetune"]
    resources:
        mem_mb=finetune_memory,
        runtime=minutes(1440),
        gpu=ONE_GPU,
    params:
        clip=lambda wildcards: evaluation_of(wildcards)["clip"],
        transform=transform_of,
        scale_crop=lambda wildcards: (
            config["finetuning"]["scale_crop"] if wildcards.pipeline == "scale_crop" else {}
        ),
        settings={key: config["finetuning"][key] for key in ("schedule", "validation", "clips")},
        optimiser=lambda wildcards: config["finetuning"][wildcards.weights],
        precision=config["precision"],
        known=target_facts,
        code=fingerprint("vie.finetune_training", "vie.finetune"),
    script:
        "../workflow_scripts/finetune.py"
