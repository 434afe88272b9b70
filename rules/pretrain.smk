# A recipe -> its untrained network, the network at the end of each stage of its schedule or the one
# whose weights it names, and, for a pretext task, its answers on validation videos.
rule untrained:
    """The network of a recipe before its first step."""
    output:
        f"{RESULTS}/pretrain/{{recipe}}/seed{{seed}}/untrained.pt",
    log:
        f"{LOGS}/pretrain/{{recipe}}/seed{{seed}}/untrained.log",
    benchmark:
        f"{RUNS}/pretrain/{{recipe}}/seed{{seed}}/untrained.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        recipe=of(experiment.encoder),
        fps=config["datasets"][DATASET]["frames"]["fps"],
        version=version("untrained"),
    script:
        "../workflow_scripts/untrained.py"


rule import_weights:
    """The network of a recipe whose weights come from a file."""
    input:
        weights=weights_input,
        index=of(experiment.bank_index),
        sizes=of(lambda recipe: sizes_of(DATASET, "train") if experiment.bank_index(recipe) else []),
    output:
        f"{RESULTS}/pretrain/{{recipe}}/seed{{seed}}/{IMPORTED}.pt",
    log:
        f"{LOGS}/pretrain/{{recipe}}/seed{{seed}}/{IMPORTED}.log",
    benchmark:
        f"{RUNS}/pretrain/{{recipe}}/seed{{seed}}/{IMPORTED}.tsv"
    wildcard_constraints:
        recipe="|".join(experiment.imported_recipes()) or "(?!)",
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=minutes(30),
    params:
        recipe=of(experiment.imported_recipe),
        fps=config["datasets"][DATASET]["frames"]["fps"],
        version=version("import"),
    script:
        "../workflow_scripts/import_weights.py"


rule pretrain:
    """One stage of a recipe's pretraining."""
    input:
        train=of(experiment.train_index),
        # Only the monitor reads these: newer ones are no reason to train again.
        val=ancient(f"resources/{DATASET}/val/index.parquet"),
        val_sizes=ancient(sizes_of(DATASET, "val")),
        classes=ancient(f"resources/{DATASET}/classes.csv"),
        start_from=of(previous_checkpoint),
        motion=of(experiment.motion("train")),
        frames=frame_files(experiment, DATASET, "train"),
    output:
        checkpoint=f"{RESULTS}/pretrain/{{recipe}}/seed{{seed}}/{{stage}}.pt",
        metrics=f"{RESULTS}/pretrain/{{recipe}}/seed{{seed}}/{{stage}}.jsonl",
    log:
        f"{LOGS}/pretrain/{{recipe}}/seed{{seed}}/{{stage}}.log",
    benchmark:
        f"{RUNS}/pretrain/{{recipe}}/seed{{seed}}/{{stage}}.tsv"
    priority: 1  # the long chains first; evaluations fill what they leave
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["pretrain"]
    resources:
        **pretrain_nodes(config["gpus"], config["nodes"]),
        mem_mb=pretrain_memory,
        runtime=minutes(10080),
    params:
        # Without the monitor, which trains nothing: the script takes it from the config.
        recipe=of(experiment.stage_recipe),
        precision=config["precision"],
        version=of(experiment.stage_version),
    script:
        "../workflow_scripts/pretrain.py"


# Begun last, they would keep all others waiting at the end.
use rule pretrain as pretrain_early with:
    """The same as pretrain, for recipes that take longest: they begin first."""
    wildcard_constraints:
        recipe="|".join(experiment.first_recipes()) or "(?!)",
    priority: 2


ruleorder: pretrain_early > pretrain


rule pretext:
    """How well a network does its pretext task on validation videos."""
    input:
        checkpoint=of(experiment.final_checkpoint),
        val=f"resources/{DATASET}/val/index.parquet",
        motion=of(experiment.motion("val")),
        frames=frame_files(experiment, DATASET, "val"),
    output:
        answers=f"{RESULTS}/pretext/{{recipe}}/seed{{seed}}/answers.parquet",
        metadata=f"{RESULTS}/pretext/{{recipe}}/seed{{seed}}/metadata.json",
    log:
        f"{LOGS}/pretext/{{recipe}}/seed{{seed}}.log",
    benchmark:
        f"{RUNS}/pretext/{{recipe}}/seed{{seed}}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["probe"]
    resources:
        mem_mb=pretext_memory,
        runtime=minutes(240),
        gpu=ONE_GPU,
    params:
        official_name=config["datasets"][DATASET].get("official_name"),
        version=version("pretext"),
    script:
        "../workflow_scripts/pretext.py"
