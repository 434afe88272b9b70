# Videos -> manifest -> shards of frames -> index; where videos move, for recipes that ask.
rule embedded_videos:
    output:
        videos=directory("resources/{dataset}/videos"),
        train="resources/{dataset}/annotations/train.csv",
        val="resources/{dataset}/annotations/val.csv",
    log:
        "logs/{dataset}/embedded_videos.log",
    benchmark:
        "benchmarks/runs/{dataset}/embedded_videos.tsv"
    wildcard_constraints:
        dataset=generated_as("kinetics"),
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["videos"]
    resources:
        mem_mb=2000,
        runtime=minutes(20),
    params:
        generator=lambda wildcards: dataset_of(wildcards)["generator"],
        code=fingerprint("vie.datasets.synthetic.write_videos"),
    script:
        "../workflow_scripts/embedded_videos.py"


rule embedded_actions:
    output:
        videos=directory("resources/{dataset}/videos"),
        annotations=directory("resources/{dataset}/annotations"),
    log:
        "logs/{dataset}/embedded_actions.log",
    benchmark:
        "benchmarks/runs/{dataset}/embedded_actions.tsv"
    wildcard_constraints:
        dataset=generated_as("ucf101", "hmdb51"),
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["videos"]
    resources:
        mem_mb=2000,
        runtime=minutes(20),
    params:
        layout=lambda wildcards: dataset_of(wildcards)["layout"],
        generator=lambda wildcards: dataset_of(wildcards)["generator"],
        code=fingerprint("vie.datasets.synthetic.action_files"),
    script:
        "../workflow_scripts/embedded_actions.py"


# Lists and files are compared first: a mistake in them is seen at once, not after a training.
rule classes:
    input:
        lambda wildcards: annotation_files(wildcards, classes_split(wildcards), "classes.csv"),
    output:
        "resources/{dataset}/classes.csv",
    log:
        "logs/{dataset}/classes.log",
    benchmark:
        "benchmarks/runs/{dataset}/classes.tsv"
    priority: 3
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(20),
    params:
        layout=lambda wildcards: dataset_of(wildcards)["layout"],
        split=classes_split,
        videos=videos_folder,
        annotation=lambda wildcards: str(annotation(wildcards, classes_split(wildcards))),
        listing=lambda wildcards: listing(wildcards, classes_split(wildcards)),
        code=layout_code("vie.frames.manifest"),
    script:
        "../workflow_scripts/classes.py"


rule manifest:
    input:
        annotation=lambda wildcards: annotation_files(
            wildcards, wildcards.split, f"{wildcards.split}/manifest.parquet"
        ),
        classes="resources/{dataset}/classes.csv",
        generated=generated_videos,
    output:
        "resources/{dataset}/{split}/manifest.parquet",
    log:
        "logs/{dataset}/manifest_{split}.log",
    benchmark:
        "benchmarks/runs/{dataset}/manifest_{split}.tsv"
    priority: 3
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(20),
    params:
        layout=lambda wildcards: dataset_of(wildcards)["layout"],
        videos=videos_folder,
        annotation=lambda wildcards: str(annotation(wildcards, wildcards.split)),
        listing=lambda wildcards: listing(wildcards, wildcards.split),
        missing=lambda wildcards: dataset_of(wildcards).get("missing"),
        code=layout_code("vie.frames.manifest", "vie.datasets.layouts.video_files"),
    script:
        "../workflow_scripts/manifest.py"


rule members:
    input:
        manifest="resources/{dataset}/all/manifest.parquet",
        annotation=lambda wildcards: annotation_files(
            wildcards, "all", f"split{wildcards.number}/members.csv"
        ),
    output:
        "resources/{dataset}/split{number}/members.csv",
    log:
        "logs/{dataset}/members_{number}.log",
    benchmark:
        "benchmarks/runs/{dataset}/members_{number}.tsv"
    priority: 3
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(20),
    params:
        layout=lambda wildcards: dataset_of(wildcards)["layout"],
        official_name=lambda wildcards: dataset_of(wildcards).get("official_name"),
        annotation=lambda wildcards: str(annotation(wildcards, "all")),
        held_out=held_out,
        code=layout_code("vie.datasets.split_assignment", "vie.datasets.holdout"),
    script:
        "../workflow_scripts/members.py"


rule frames:
    input:
        manifest="resources/{dataset}/{split}/manifest.parquet",
        generated=generated_videos,
    output:
        tar="resources/{dataset}/{split}/frames/{shard}-of-{shards}.tar",
        table="resources/{dataset}/{split}/frames/{shard}-of-{shards}.parquet",
        rejected="resources/{dataset}/{split}/frames/{shard}-of-{shards}.rejected.csv",
    log:
        "logs/{dataset}/frames_{split}_{shard}-of-{shards}.log",
    benchmark:
        "benchmarks/runs/{dataset}/frames_{split}_{shard}-of-{shards}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["frames"]
    resources:
        mem_mb=frames_memory,
        runtime=minutes(120),
    params:
        videos=videos_folder,
        frames=lambda wildcards: dataset_of(wildcards)["frames"],
        code=fingerprint("vie.frames.extract"),
    script:
        "../workflow_scripts/frames.py"


rule index:
    input:
        manifest="resources/{dataset}/{split}/manifest.parquet",
        tars=shard_files(".tar"),
        tables=shard_files(".parquet"),
        rejected=shard_files(".rejected.csv"),
    output:
        index="resources/{dataset}/{split}/index.parquet",
        sizes="resources/{dataset}/{split}/index.sizes.npy",
        rejected="resources/{dataset}/{split}/rejected.csv",
    log:
        "logs/{dataset}/index_{split}.log",
    benchmark:
        "benchmarks/runs/{dataset}/index_{split}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=index_memory,
        runtime=minutes(30),
    params:
        min_frames=lambda wildcards: dataset_of(wildcards)["min_frames"],
        code=fingerprint("vie.frames.index"),
    script:
        "../workflow_scripts/index.py"


rule motion:
    input:
        tar="resources/{dataset}/{split}/frames/{shard}-of-{shards}.tar",
        table="resources/{dataset}/{split}/frames/{shard}-of-{shards}.parquet",
    output:
        "resources/{dataset}/{split}/motion/{shard}-of-{shards}.npy",
    log:
        "logs/{dataset}/motion_{split}_{shard}-of-{shards}.log",
    benchmark:
        "benchmarks/runs/{dataset}/motion_{split}_{shard}-of-{shards}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: config["threads"]["frames"]
    resources:
        mem_mb=4000,
        runtime=minutes(120),
    params:
        code=fingerprint("vie.frames.flow"),
    script:
        "../workflow_scripts/motion.py"


rule motion_index:
    input:
        index="resources/{dataset}/{split}/index.parquet",
        tars=shard_files(".tar"),
        tables=shard_files(".parquet"),
        motions=shard_files(".npy", "motion"),
    output:
        "resources/{dataset}/{split}/motion.npy",
    log:
        "logs/{dataset}/motion_index_{split}.log",
    benchmark:
        "benchmarks/runs/{dataset}/motion_index_{split}.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=index_memory,
        runtime=minutes(30),
    params:
        code=fingerprint("vie.frames.join_motion"),
    script:
        "../workflow_scripts/motion_index.py"


rule summary:
    input:
        indexes=every_split("index.parquet"),
        rejected=every_split("rejected.csv"),
        classes="resources/{dataset}/classes.csv",
    output:
        table=report(
            "results/{dataset}/summary.csv",
            caption="../report/summary.rst",
            category="Data",
            labels={"dataset": "{dataset}", "shown as": "table"},
        ),
        svg=report(
            "results/{dataset}/summary.svg",
            caption="../report/summary.rst",
            category="Data",
            labels={"dataset": "{dataset}", "shown as": "plot"},
        ),
        png="results/{dataset}/summary.png",
    log:
        "logs/{dataset}/summary.log",
    benchmark:
        "benchmarks/runs/{dataset}/summary.tsv"
    conda:
        "../envs/vie.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=minutes(10),
    params:
        splits=lambda wildcards: list(dataset_of(wildcards)["shards"]),
        official_name=lambda wildcards: dataset_of(wildcards).get("official_name"),
        code=fingerprint("vie.reporting.summary", "vie.datasets.facts"),
    script:
        "../workflow_scripts/summary.py"
