# A network or several together, pretrained or not, and a split -> predictions of its test videos.
rule finetune:
    """Training of a whole network with labels, and its predictions of test videos."""
    input:
        networks=of(experiment.networks),
        index=of(experiment.target_file("all/index.parquet")),
        split_assignment=of(split_assignment),
        classes=of(experiment.target_file("classes.csv")),
        frames=of(target_frame_files(experiment)),
    output:
        best=f"{RESULTS}/finetune/{{target}}/{{pipeline}}/{{evaluation}}/{{weights}}/seed{{seed}}/best.pt",
        predictions=f"{RESULTS}/finetune/{{target}}/{{pipeline}}/{{evaluation}}/{{weights}}/seed{{seed}}/predictions.parquet",
        metadata=f"{RESULTS}/finetune/{{target}}/{{pipeline}}/{{evaluation}}/{{weights}}/seed{{seed}}/metadata.json",
        metrics=f"{RESULTS}/finetune/{{target}}/{{pipeline}}/{{evaluation}}/{{weights}}/seed{{seed}}/metrics.jsonl",
    log:
        f"{LOGS}/finetune/{{target}}/{{pipeline}}/{{evaluation}}/{{weights}}/seed{{seed}}.log",
    benchmark:
        f"{RUNS}/finetune/{{target}}/{{pipeline}}/{{evaluation}}/{{weights}}/seed{{seed}}.tsv"
    wildcard_constraints:
        target="|".join(experiment.single_splits),
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
        scale_crop=of(partial(finetuning.scale_crop, experiment)),
        settings=of(partial(finetuning.settings, experiment)),
        optimiser=of(partial(finetuning.optimiser, config)),
        precision=config["precision"],
        known=of(partial(finetuning.target_facts, experiment)),
        version=version("finetune"),
    script:
        "../workflow_scripts/finetune.py"
