# A finished network -> a file to take away, and the features of all videos of a dataset.
rule encoder:
    """A finished network as a file to take away."""
    input:
        checkpoint=of(experiment.first_checkpoint),
        train=f"resources/{DATASET}/train/index.parquet",
        sizes=sizes_of(DATASET, "train"),
    output:
        file=f"{RESULTS}/encoders/{{recipe}}.pt",
        page=shown(
            f"{RESULTS}/encoders/{{recipe}}.html",
            *("encoder", "Encoders", label_of_recipe, "where it comes from"),
        ),
    log:
        f"{LOGS}/encoders/{{recipe}}.log",
    benchmark:
        f"{RUNS}/encoders/{{recipe}}.tsv"
    localrule: True
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=minutes(10),
    params:
        recipe=of(experiment.described_recipe),
        provenance=of(experiment.provenance),
        licence=config.get("licence"),
        version=version("encoder"),
    script:
        "../workflow_scripts/encoder.py"


rule features:
    """Embeddings of all videos of a dataset by a network."""
    input:
        networks=of(experiment.networks),
        indexes=of(experiment.every_split("index.parquet")),
        manifests=of(experiment.every_split("manifest.parquet")),
        frames=of(lambda dataset: frame_files(experiment, dataset)),
    output:
        f"{RESULTS}/features/{{dataset}}/{{evaluation}}/{{weights}}/seed{{seed}}.parquet",
    log:
        f"{LOGS}/features/{{dataset}}/{{evaluation}}/{{weights}}/seed{{seed}}.log",
    benchmark:
        f"{RUNS}/features/{{dataset}}/{{evaluation}}/{{weights}}/seed{{seed}}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["probe"]
    resources:
        mem_mb=features_memory,
        runtime=minutes(720),
        gpu=ONE_GPU,
    params:
        clip=of(lambda evaluation: experiment.evaluations[evaluation]["clip"]),
        geometry=of(lambda evaluation: experiment.transform(evaluation)["geometry"]),
        features=config["features"],
        precision=config["precision"],
        version=version("features"),
    script:
        "../workflow_scripts/features.py"


rule features_of_recipe:
    """The features that sheets, maps and searches of a recipe are made of."""
    input:
        of(experiment.features),
    output:
        f"{RESULTS}/features/{{recipe}}.parquet",
    log:
        f"{LOGS}/features/{{recipe}}.log",
    benchmark:
        f"{RUNS}/features/{{recipe}}.tsv"
    localrule: True
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=minutes(10),
    params:
        experiment=experiment.name,
        version=version("features"),
    script:
        "../workflow_scripts/publish.py"
