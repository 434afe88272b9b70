# Videos -> manifest, classes, splits.
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
