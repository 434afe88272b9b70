# Videos -> manifest -> shards of frames -> index; where videos move, for recipes that ask.
rule embedded_videos:
    """The videos of a dataset that the workflow makes itself, with annotations."""
    output:
        videos=directory("resources/{dataset}/videos"),
        train="resources/{dataset}/annotations/train.csv",
        val="resources/{dataset}/annotations/val.csv",
    log:
        "logs/resources/{dataset}/embedded_videos.log",
    benchmark:
        "benchmarks/runs/resources/{dataset}/embedded_videos.tsv"
    wildcard_constraints:
        dataset=generated_as("kinetics"),
    priority: 3  # what fits no number of videos is said before anything is trained
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["videos"]
    resources:
        mem_mb=2000,
        runtime=minutes(20),
    params:
        generator=of(experiment.setting("generator")),
        version=of(experiment.layout_version("videos")),
    script:
        "../workflow_scripts/embedded.py"


use rule embedded_videos as embedded_actions with:
    """The videos that stand in for UCF101 and HMDB51."""
    output:
        videos=directory("resources/{dataset}/videos"),
        annotations=directory("resources/{dataset}/annotations"),
    log:
        "logs/resources/{dataset}/embedded_actions.log",
    benchmark:
        "benchmarks/runs/resources/{dataset}/embedded_actions.tsv"
    wildcard_constraints:
        dataset=generated_as("ucf101", "hmdb51"),
    params:
        layout=of(experiment.setting("layout")),


use rule embedded_videos as embedded_images with:
    """The images that stand in for ImageNet."""
    output:
        videos=directory("resources/{dataset}/videos"),
    log:
        "logs/resources/{dataset}/embedded_images.log",
    benchmark:
        "benchmarks/runs/resources/{dataset}/embedded_images.tsv"
    wildcard_constraints:
        dataset=generated_as("imagefolder"),
    params:
        layout=of(experiment.setting("layout")),


# Lists and files are compared first, where Snakemake runs: a mistake in them is seen at once.
rule classes:
    """The names of a dataset's classes, from its annotations."""
    input:
        of(
            lambda dataset: annotation_files(
                dataset, experiment.classes_split(dataset), "classes.csv"
            )
        ),
    output:
        "resources/{dataset}/classes.csv",
    log:
        "logs/resources/{dataset}/classes.log",
    benchmark:
        "benchmarks/runs/resources/{dataset}/classes.tsv"
    wildcard_constraints:
        dataset=found(False),
    priority: 3
    localrule: True
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(20),
    params:
        layout=of(experiment.setting("layout")),
        split=of(experiment.classes_split),
        videos=videos_folder,
        annotation=of(lambda dataset: annotation(dataset, experiment.classes_split(dataset))),
        listing=of(lambda dataset: listing(dataset, experiment.classes_split(dataset))),
        version=of(experiment.layout_version("manifest")),
    script:
        "../workflow_scripts/classes.py"


rule manifest:
    """Which videos a split has, from annotations and folders."""
    input:
        annotation=of(
            lambda dataset, split: annotation_files(dataset, split, f"{split}/manifest.parquet")
        ),
        classes="resources/{dataset}/classes.csv",
        generated=generated_videos,
    output:
        "resources/{dataset}/{split}/manifest.parquet",
    log:
        "logs/resources/{dataset}/manifest_{split}.log",
    benchmark:
        "benchmarks/runs/resources/{dataset}/manifest_{split}.tsv"
    wildcard_constraints:
        dataset=found(False),
    priority: 3
    localrule: True
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(20),
    params:
        layout=of(experiment.setting("layout")),
        videos=videos_folder,
        annotation=of(annotation),
        listing=of(listing),
        missing=of(experiment.setting("missing")),
        version=of(experiment.layout_version("manifest")),
    script:
        "../workflow_scripts/manifest.py"


# In place of both.
rule find:
    """Videos that lie anywhere, found in one search, so that no video is in both splits."""
    input:
        of(list_files),
    output:
        classes="resources/{dataset}/classes.csv",
        train="resources/{dataset}/train/manifest.parquet",
        val="resources/{dataset}/val/manifest.parquet",
        listing="resources/{dataset}/listing.txt",
    log:
        "logs/resources/{dataset}/find.log",
    benchmark:
        "benchmarks/runs/resources/{dataset}/find.tsv"
    wildcard_constraints:
        dataset=found(),
    priority: 3
    localrule: True
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["frames"]
    resources:
        mem_mb=2000,
        runtime=minutes(240),
    params:
        places=of(partial(dataset_places, config)),
        cut=of(experiment.setting("cut")),
        val_share=of(experiment.setting("val_share")),
        dataset_seed=of(experiment.setting("dataset_seed")),
        listing=of(found_listing),
        version=of(experiment.layout_version("manifest")),
    script:
        "../workflow_scripts/find.py"


rule split_assignment:
    """Which videos of a target finetuning trains, validates and tests on."""
    input:
        manifest="resources/{dataset}/all/manifest.parquet",
        annotation=of(
            lambda dataset, number: annotation_files(
                dataset, "all", f"split{number}/split_assignment.csv"
            )
        ),
    output:
        "resources/{dataset}/split{number}/split_assignment.csv",
    log:
        "logs/resources/{dataset}/split_assignment_{number}.log",
    benchmark:
        "benchmarks/runs/resources/{dataset}/split_assignment_{number}.tsv"
    priority: 3
    localrule: True
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(20),
    params:
        layout=of(experiment.setting("layout")),
        official_name=of(experiment.setting("official_name")),
        annotation=of(lambda dataset: annotation(dataset, "all")),
        held_out=canonical(finetuning.held_out(experiment)),
        version=version("split_assignment"),
    script:
        "../workflow_scripts/split_assignment.py"


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
