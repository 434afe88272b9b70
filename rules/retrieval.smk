# Features of videos -> how well videos of a class are found by each other, and pictures of that.
rule retrieval:
    """How often the nearest videos are of the same class."""
    input:
        features=[run["features"] for run in retrieval_runs(experiment)],
        splits=list(retrieval_splits(experiment).values()),
    output:
        **in_report(f"{RESULTS}/retrieval", "retrieval", "Retrieval"),
        seeds=f"{RESULTS}/retrieval_seeds.csv",
    log:
        f"{LOGS}/retrieval.log",
    benchmark:
        f"{RUNS}/retrieval.tsv"
    # The environment of all rules.
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["probe"]
    resources:
        mem_mb=of(lambda: resources.retrieval(config, experiment.datasets_used())),
        runtime=minutes(240),
    params:
        runs=retrieval_runs(experiment),
        splits=retrieval_splits(experiment),
        layers=config["features"]["layers"],
        titles=retrieval_titles(experiment),
        ceilings=retrieval_ceilings(experiment),
        version=version("retrieval"),
    script:
        "../workflow_scripts/retrieval.py"


rule neighbours:
    """A sheet of validation videos and the training videos that are nearest to them."""
    input:
        features=f"{RESULTS}/features/{{recipe}}.parquet",
        indexes=experiment.every_split("index.parquet")(DATASET),
        frames=frame_files(experiment, DATASET),
    output:
        png=shown(f"{RESULTS}/neighbours_{{recipe}}.png", *OF_NEIGHBOURS, "neighbours, sheet"),
        page=shown(f"{RESULTS}/neighbours_{{recipe}}.html", *OF_NEIGHBOURS, "neighbours, moving"),
    log:
        f"{LOGS}/neighbours_{{recipe}}.log",
    benchmark:
        f"{RUNS}/neighbours_{{recipe}}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=of(lambda: resources.retrieval(config, experiment.datasets_used())),
        runtime=minutes(30),
    params:
        model=of(lambda recipe: experiment.recipes[recipe]["label"]),
        dataset=TITLE,
        clip=of(lambda recipe: experiment.evaluations[recipe]["clip"]),
        clips=config["features"]["clips"],
        seed=config["seeds"][0],
        version=version("retrieval"),
    script:
        "../workflow_scripts/neighbours.py"


rule feature_map:
    """A map of all videos by a network."""
    input:
        f"{RESULTS}/features/{{recipe}}.parquet",
    output:
        svg=shown(f"{RESULTS}/map_{{recipe}}.svg", "map", "Videos", label_of_recipe, "map"),
        png=f"{RESULTS}/map_{{recipe}}.png",
    log:
        f"{LOGS}/map_{{recipe}}.log",
    benchmark:
        f"{RUNS}/map_{{recipe}}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=of(lambda: resources.retrieval(config, experiment.datasets_used())),
        runtime=minutes(30),
    params:
        model=of(lambda recipe: experiment.recipes[recipe]["label"]),
        dataset=TITLE,
        words=label_words(experiment),
        seed=config["seeds"][0],
        version=version("retrieval"),
    script:
        "../workflow_scripts/feature_map.py"
