# Manifest -> shards of frames -> index; where videos move, for recipes that ask.
rule frames:
    """Frames of one shard of videos, by ffmpeg."""
    input:
        manifest="resources/{dataset}/{split}/manifest.parquet",
        generated=generated_videos,
    output:
        tar="resources/{dataset}/{split}/frames/{shard}-of-{shards}.tar",
        table="resources/{dataset}/{split}/frames/{shard}-of-{shards}.parquet",
        rejected="resources/{dataset}/{split}/frames/{shard}-of-{shards}.rejected.csv",
    log:
        "logs/resources/{dataset}/frames_{split}_{shard}-of-{shards}.log",
    benchmark:
        "benchmarks/runs/resources/{dataset}/frames_{split}_{shard}-of-{shards}.tsv"
    priority: 3  # what fits no number of videos is said before anything is trained
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["frames"]
    resources:
        mem_mb=frames_memory,
        runtime=minutes(120),
    params:
        videos=videos_folder,
        frames=of(experiment.setting("frames")),
        version=of(experiment.frames_version),
    script:
        "../workflow_scripts/frames.py"


rule index:
    """A dataset's usable videos, one row each, and the rejected ones with the reason."""
    input:
        manifest="resources/{dataset}/{split}/manifest.parquet",
        tars=of(experiment.shard_files(".tar")),
        tables=of(experiment.shard_files(".parquet")),
        rejected=of(experiment.shard_files(".rejected.csv")),
    output:
        index="resources/{dataset}/{split}/index.parquet",
        sizes="resources/{dataset}/{split}/index.sizes.npy",
        rejected="resources/{dataset}/{split}/rejected.csv",
    log:
        "logs/resources/{dataset}/index_{split}.log",
    benchmark:
        "benchmarks/runs/resources/{dataset}/index_{split}.tsv"
    priority: 3  # what fits no number of videos is said before anything is trained
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=index_memory,
        runtime=minutes(30),
    params:
        min_frames=of(experiment.setting("min_frames")),
        version=version("index"),
    script:
        "../workflow_scripts/index.py"


rule instances:
    """Parts of the training videos, for recipes that are pretrained on these."""
    input:
        index="resources/{dataset}/train/index.parquet",
        sizes="resources/{dataset}/train/index.sizes.npy",
    output:
        "resources/{dataset}/train/instances/{instances}/index.parquet",
    log:
        "logs/resources/{dataset}/instances_{instances}.log",
    benchmark:
        "benchmarks/runs/resources/{dataset}/instances_{instances}.tsv"
    wildcard_constraints:
        instances=alternatives(INSTANCES),
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=of(lambda dataset: resources.index(config, dataset, "train")),
        runtime=minutes(30),
    params:
        settings=of(lambda instances: INSTANCES[instances]),
        version=version("instances"),
    script:
        "../workflow_scripts/instances.py"


rule motion:
    """How much moves from frame to frame, for recipes that choose frames by it."""
    input:
        tar="resources/{dataset}/{split}/frames/{shard}-of-{shards}.tar",
        table="resources/{dataset}/{split}/frames/{shard}-of-{shards}.parquet",
    output:
        "resources/{dataset}/{split}/motion/{shard}-of-{shards}.npy",
    log:
        "logs/resources/{dataset}/motion_{split}_{shard}-of-{shards}.log",
    benchmark:
        "benchmarks/runs/resources/{dataset}/motion_{split}_{shard}-of-{shards}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["frames"]
    resources:
        mem_mb=4000,
        runtime=minutes(120),
    params:
        version=version("motion"),
    script:
        "../workflow_scripts/motion.py"


rule motion_index:
    """The motion of all shards, in the order of the index."""
    input:
        index="resources/{dataset}/{split}/index.parquet",
        sizes="resources/{dataset}/{split}/index.sizes.npy",
        tars=of(experiment.shard_files(".tar")),
        tables=of(experiment.shard_files(".parquet")),
        motions=of(experiment.shard_files(".npy", "motion")),
    output:
        "resources/{dataset}/{split}/motion.npy",
    log:
        "logs/resources/{dataset}/motion_index_{split}.log",
    benchmark:
        "benchmarks/runs/resources/{dataset}/motion_index_{split}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=index_memory,
        runtime=minutes(30),
    params:
        version=version("motion"),
    script:
        "../workflow_scripts/motion_index.py"


rule summary:
    """Videos per class, durations, and rejected videos by reason, of a dataset."""
    input:
        indexes=of(experiment.every_split("index.parquet")),
        sizes=of(experiment.every_split("index.sizes.npy")),
        rejected=of(experiment.every_split("rejected.csv")),
        classes="resources/{dataset}/classes.csv",
    output:
        **in_report(f"{RESULTS}/summary_{{dataset}}", "summary", title_of_dataset, category="Data"),
        rejected=shown(
            f"{RESULTS}/rejected_{{dataset}}.html",
            *("rejected", "Data", title_of_dataset, "rejected files"),
        ),
    log:
        f"{LOGS}/summary_{{dataset}}.log",
    benchmark:
        f"{RUNS}/summary_{{dataset}}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        splits=of(experiment.splits),
        official_name=of(experiment.setting("official_name")),
        title=title_of_dataset,
        version=version("tables"),
    script:
        "../workflow_scripts/summary.py"
