# A network, pretrained or not, and a split of an action dataset -> predictions of its test videos.
rule finetune:
    input:
        networks=of(experiment.networks),
        index=of(experiment.target_file("all/index.parquet")),
        split_assignment=of(experiment.target_file("split{split}/split_assignment.csv")),
        classes=of(experiment.target_file("classes.csv")),
    output:
        best=f"{RESULTS}/finetune/{{target}}/{{pipeline}}/{{evaluation}}/{{weights}}/seed{{seed}}/best.pt",
        predictions=f"{RESULTS}/finetune/{{target}}/{{pipeline}}/{{evaluation}}/{{weights}}/seed{{seed}}/predictions.parquet",
        metadata=f"{RESULTS}/finetune/{{target}}/{{pipeline}}/{{evaluation}}/{{weights}}/seed{{seed}}/metadata.json",
        metrics=f"{RESULTS}/finetune/{{target}}/{{pipeline}}/{{evaluation}}/{{weights}}/seed{{seed}}/metrics.jsonl",
    log:
        f"{LOGS}/finetune/{{target}}/{{pipeline}}/{{evaluation}}/{{weights}}/seed{{seed}}.log",
    benchmark:
        f"{RUNS}/finetune/{{target}}/{{pipeline}}/{{evaluation}}/{{weights}}/seed{{seed}}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["finetune"]
    resources:
        mem_mb=finetune_memory,
        runtime=minutes(1440),
        gpu=ONE_GPU,
    params:
        clip=of(lambda evaluation: experiment.evaluations[evaluation]["clip"]),
        transform=of(experiment.transform),
        scale_crop=of(experiment.scale_crop),
        settings=canonical(
            {key: config["finetuning"][key] for key in ("schedule", "validation", "clips")}
        ),
        optimiser=of(lambda weights: config["finetuning"][weights]),
        precision=config["precision"],
        known=of(experiment.target_facts),
        version=version("finetune"),
    script:
        "../workflow_scripts/finetune.py"
