# A network and a clip sampling -> linear classifiers on Conv3, Conv4 and Conv5.
rule probe:
    """Linear classifiers on Conv3, Conv4 and Conv5 of a network, and what they predict."""
    input:
        networks=of(experiment.networks),
        train=of(partial(probed_index, "probe", DATASET)),
        val=f"resources/{DATASET}/val/index.parquet",
        classes=of(partial(videos.labels_of, config, DATASET)),
        frames=frame_files(experiment, DATASET),
    output:
        predictions=f"{RESULTS}/probe/{{evaluation}}/{{weights}}/seed{{seed}}/predictions.parquet",
        metadata=f"{RESULTS}/probe/{{evaluation}}/{{weights}}/seed{{seed}}/metadata.json",
        metrics=f"{RESULTS}/probe/{{evaluation}}/{{weights}}/seed{{seed}}/metrics.jsonl",
    log:
        f"{LOGS}/probe/{{evaluation}}/{{weights}}/seed{{seed}}.log",
    benchmark:
        f"{RUNS}/probe/{{evaluation}}/{{weights}}/seed{{seed}}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["probe"]
    resources:
        mem_mb=probe_memory,
        runtime=minutes(1440),
        gpu=ONE_GPU,
    params:
        clip=of(lambda evaluation: experiment.evaluations[evaluation]["clip"]),
        transform=of(experiment.transform),
        probe=of(lambda evaluation: probe_of(config, evaluation)),
        precision=config["precision"],
        official_name=config["datasets"][DATASET].get("official_name"),
        version=version("probe"),
    script:
        "../workflow_scripts/probe.py"


# Networks that want a clip see an image repeated.
use rule probe as image_probe with:
    """Linear classifiers of a network on images."""
    input:
        networks=of(experiment.networks),
        train=of(
            lambda evaluation, weights: probed_index(
                "image_probe", image_dataset(experiment), evaluation, weights
            )
        ),
        val=of(partial(image_file, experiment, "val/index.parquet")),
        classes=of(partial(image_file, experiment, "classes.csv")),
        frames=of(partial(image_frame_files, experiment)),
    output:
        predictions=f"{RESULTS}/image_probe/{{evaluation}}/{{weights}}/seed{{seed}}/predictions.parquet",
        metadata=f"{RESULTS}/image_probe/{{evaluation}}/{{weights}}/seed{{seed}}/metadata.json",
        metrics=f"{RESULTS}/image_probe/{{evaluation}}/{{weights}}/seed{{seed}}/metrics.jsonl",
    log:
        f"{LOGS}/image_probe/{{evaluation}}/{{weights}}/seed{{seed}}.log",
    benchmark:
        f"{RUNS}/image_probe/{{evaluation}}/{{weights}}/seed{{seed}}.tsv"
    resources:
        mem_mb=image_probe_memory,
        runtime=minutes(1440),
        gpu=ONE_GPU,
    params:
        clip="single",
        transform=of(partial(image_transform, experiment)),
        probe=of(partial(image_settings, experiment)),
        official_name=of(lambda: experiment.setting("official_name")(image_dataset(experiment))),
        pretrained_on=experiment.setting("official_name")(DATASET),
        version=version("probe", "images"),
