# A recipe -> its untrained network, the network at the end of each stage of its schedule, and, for
# a pretext task, its answers on validation videos.
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
        code=fingerprint("vie.untrained"),
    script:
        "../workflow_scripts/untrained.py"


rule pretrain:
    input:
        train="resources/{dataset}/train/index.parquet",
        val="resources/{dataset}/val/index.parquet",
        classes="resources/{dataset}/classes.csv",
        start_from=previous_checkpoint,
        motion=motion_of("train"),
    output:
        checkpoint="results/{dataset}/pretrain/{recipe}/seed{seed}/{stage}.pt",
        metrics="results/{dataset}/pretrain/{recipe}/seed{seed}/{stage}.jsonl",
    log:
        "logs/{dataset}/pretrain/{recipe}/seed{seed}/{stage}.log",
    benchmark:
        "benchmarks/runs/{dataset}/pretrain/{recipe}/seed{seed}/{stage}.tsv"
    priority: 1  # the long chains first; evaluations fill what they leave
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["pretrain"]
    resources:
        mem_mb=pretrain_memory,
        runtime=minutes(10080),
        gpu=config["gpus"],
    params:
        recipe=stage_recipe,
        precision=config["precision"],
        code=stage_code,
    script:
        "../workflow_scripts/pretrain.py"


# The same for recipes that take longest: begun last, they would keep all others waiting at the end.
use rule pretrain as pretrain_early with:
    wildcard_constraints:
        recipe="|".join(EARLY) or "(?!)",
    priority: 2


ruleorder: pretrain_early > pretrain


rule pretext:
    input:
        checkpoint=lambda wildcards: final_checkpoint(
            wildcards.dataset, wildcards.recipe, wildcards.seed
        ),
        val="resources/{dataset}/val/index.parquet",
        motion=motion_of("val"),
    output:
        answers="results/{dataset}/pretext/{recipe}/seed{seed}/answers.parquet",
        facts="results/{dataset}/pretext/{recipe}/seed{seed}/metadata.json",
    log:
        "logs/{dataset}/pretext/{recipe}/seed{seed}.log",
    benchmark:
        "benchmarks/runs/{dataset}/pretext/{recipe}/seed{seed}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["probe"]
    resources:
        mem_mb=pretext_memory,
        runtime=minutes(240),
        gpu=ONE_GPU,
    params:
        official_name=lambda wildcards: dataset_of(wildcards).get("official_name"),
        code=pretext_code,
    script:
        "../workflow_scripts/pretext.py"
