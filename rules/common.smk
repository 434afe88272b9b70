# Functions that the rules use; no rules here.
import hashlib
import os
import signal
from pathlib import Path

from snakemake.exceptions import WorkflowError

from vie.config.load import validate
from vie.datasets.layouts import LAYOUTS
from vie.runtime.errors import VieError
from vie.runtime.files import remove_finished
from vie.workflow.fingerprint import fingerprint
from vie.workflow import resources
from vie.config.settings import PRETEXTS, STAGES, asks_for_motion, dataset_folder, recipes_of, stages
from vie.runtime.threads import PROMISED

try:
    validate(config)
except VieError as error:
    raise WorkflowError(str(error)) from None

# How many cores local jobs share. With --jobs (nodes) they run elsewhere, each with its own.
settings = workflow.resource_settings
if workflow.remote_exec or settings.nodes is not None or settings.cores is None:
    os.environ.pop(PROMISED, None)
elif not workflow.subprocess_exec:  # a job of its own Snakemake inherits the first one's
    os.environ[PROMISED] = str(settings.cores)

if workflow.remote_exec or workflow.subprocess_exec:
    # SLURM sends it to all processes of a job, and trainings save their state: not to Snakemake.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
elif (most := workflow.global_resources.get("gpu").value) is not None and most < config["gpus"]:
    # Snakemake would give each job that much, and say nothing.
    raise WorkflowError(
        f"gpus in the config is {config['gpus']}, but `--resources gpu={most}` (on the command "
        "line or in a profile) leaves no job more than that: raise it, or change `gpus`"
    )

DATASET = config["dataset"]
GENERATED = {
    name: dataset["layout"]
    for name, dataset in config["datasets"].items()
    if "generator" in dataset
}
EARLY = [name for name, recipe in config["recipes"].items() if recipe.get("start_first")]
ONE_GPU = min(config["gpus"], 1)
TARGETS = config["finetuning"]["targets"]
PIPELINES = {"table_2": "scale_crop", "table_3": "color_jitter"}
PUBLISHED = Path(workflow.basedir) / "vie" / "reporting" / "published"


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    split="train|val|all",
    number=r"\d+",
    shard=r"\d+",
    shards=r"\d+",
    recipe="|".join(config["recipes"]),
    evaluation="|".join(config["evaluations"]),
    weights="trained|untrained",
    stage="|".join(STAGES),
    target="|".join(TARGETS),
    pipeline="|".join(PIPELINES.values()),
    table="|".join(PIPELINES),
    seed=r"\d+",


def dataset_of(wildcards):
    return config["datasets"][wildcards.dataset]


def videos_folder(wildcards):
    return dataset_folder(config, wildcards.dataset, "videos")


def generated_videos(wildcards):
    """The folder of videos where the workflow writes it: newer videos need new frames."""
    generated = wildcards.dataset in GENERATED
    return f"resources/{wildcards.dataset}/videos" if generated else []


def annotations_folder(wildcards):
    return dataset_folder(config, wildcards.dataset, "annotations")


def annotation(wildcards, split):
    """What the layout of a dataset reads to know the videos of a split."""
    layout = LAYOUTS[dataset_of(wildcards)["layout"]]
    folders = Path(videos_folder(wildcards)), Path(annotations_folder(wildcards))
    return layout.annotations(*folders, split)


def no_dataset(name, path, split):
    """What to say of a dataset of the user's that is not where the config says."""
    layout = LAYOUTS[config["datasets"][name]["layout"]]
    kind = "annotations" if layout.lists else "videos"
    folder = Path(dataset_folder(config, name, kind)) if layout.lists else path
    keys = [f"`datasets.{name}.{kind}` ({config['datasets'][name][kind]!r})"]
    if root := config.get("roots", {}).get(name):
        keys.insert(0, f"`roots.{name}` ({root!r})")
    return f"{layout.absent(folder, split)}. See the config's {' and '.join(keys)}"


def annotation_files(wildcards, split, made):
    """The files behind `annotation`, as Snakemake sees no edit of a file inside a folder.

    Lists that the workflow writes come with their folder. Videos without lists are watched by
    `listing`. Without them `made`, the file of the dataset that is made of them, is as good if it
    is there: data may be taken away once their frames are extracted.
    """
    path, layout = annotation(wildcards, split), LAYOUTS[dataset_of(wildcards)["layout"]]
    if wildcards.dataset in GENERATED:
        return [path]
    if not path.exists() and not Path("resources", wildcards.dataset, made).exists():
        raise WorkflowError(no_dataset(wildcards.dataset, path, split))
    if not layout.lists:
        return [path]
    return sorted(path.glob("*.txt")) or [path]


def listing(wildcards, split):
    """Where no list says which videos there are, a digest of their names: new ones are seen."""
    layout = LAYOUTS[dataset_of(wildcards)["layout"]]
    root = annotation(wildcards, split)
    if layout.lists or not root.is_dir():
        return None
    try:
        videos = layout.read(Path(videos_folder(wildcards)), root, split)
    except VieError as error:
        return str(error)  # the job will say so
    names = "\n".join(video.path for video in videos)
    return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def classes_split(wildcards):
    """The split whose labels are a dataset's classes."""
    return "train" if "train" in dataset_of(wildcards)["shards"] else "all"


def layout_code(*modules):
    """Fingerprint of `modules` and a dataset's own layout."""

    def code(wildcards):
        layout = dataset_of(wildcards)["layout"]
        return fingerprint(f"vie.datasets.layouts.{layout}", *modules)

    return code


def generated_as(*layouts):
    """Constraint of a wildcard: datasets that the workflow writes in one of some layouts."""
    return "|".join(name for name, layout in GENERATED.items() if layout in layouts) or "(?!)"


def shard_files(suffix, kind="frames"):
    """Files of all shards of a split."""

    def files(wildcards):
        shards = dataset_of(wildcards)["shards"][wildcards.split]
        folder = f"resources/{wildcards.dataset}/{wildcards.split}/{kind}"
        return [f"{folder}/{shard}-of-{shards}{suffix}" for shard in range(shards)]

    return files


def datasets_used():
    """The dataset of pretraining and those that networks are finetuned on."""
    return [DATASET, *dict.fromkeys(target["dataset"] for target in TARGETS.values())]


def every_split(file):
    """`file` of each split of a dataset."""
    return lambda wildcards: [
        f"resources/{wildcards.dataset}/{split}/{file}" for split in dataset_of(wildcards)["shards"]
    ]


def recipe_of(wildcards):
    return config["recipes"][wildcards.recipe]


def final_checkpoint(dataset, recipe, seed):
    """The network at the end of a recipe's last stage."""
    stage = stages(config["recipes"][recipe])[-1]
    return f"results/{dataset}/pretrain/{recipe}/seed{seed}/{stage}.pt"


def motion_of(split):
    """Where the videos of a split move, if the clips of a recipe ask for it."""

    def file(wildcards):
        asks = asks_for_motion(recipe_of(wildcards)["clip"])
        return f"resources/{wildcards.dataset}/{split}/motion.npy" if asks else []

    return file


def previous_checkpoint(wildcards):
    """What a stage starts from: the previous one, the end of another recipe, or nothing."""
    recipe = recipe_of(wildcards)
    earlier = [s for s in stages(recipe) if STAGES.index(s) < STAGES.index(wildcards.stage)]
    if earlier:
        folder = f"results/{wildcards.dataset}/pretrain/{wildcards.recipe}/seed{wildcards.seed}"
        return f"{folder}/{earlier[-1]}.pt"
    origin = recipe.get("start_from")
    return final_checkpoint(wildcards.dataset, origin, wildcards.seed) if origin else []


def stage_recipe(wildcards):
    """What of a recipe the result of a stage depends on.

    An edit of what only another stage reads must not repeat this one.
    """
    recipe = recipe_of(wildcards)
    others = set(STAGES) - {wildcards.stage}
    needed = {k: v for k, v in recipe.items() if k not in ("label", "start_from", "start_first")}
    for key in ("objective", "schedule"):
        needed[key] = {k: v for k, v in recipe[key].items() if k not in others}
    return needed


def stage_code(wildcards):
    """Fingerprint of what a stage runs: its own objective and not the others'."""
    others = [f"vie.objectives.{stage}" for stage in STAGES if stage != wildcards.stage]
    modules = ("vie.pretrain", "vie.pretrain_monitored")
    return fingerprint(*modules, without=others)


def stage_without(wildcards):
    """Objectives that a recipe's last stage does not run."""
    last = stages(recipe_of(wildcards))[-1]
    return [f"vie.objectives.{stage}" for stage in STAGES if stage != last]


def pretext_code(wildcards):
    """Fingerprint of the questions to a pretext network: its own objective and not the others'."""
    return fingerprint("vie.pretext", without=stage_without(wildcards))


def pretext_rows():
    """Answers of every pretext recipe and seed, and the model they are of."""
    place = "results/{}/pretext/{}/seed{}/{}"
    return [
        {
            "model": recipe["label"],
            "answers": place.format(DATASET, name, seed, "answers.parquet"),
            "facts": place.format(DATASET, name, seed, "metadata.json"),
        }
        for name, recipe in config["recipes"].items()
        if stages(recipe)[-1] in PRETEXTS
        for seed in config["seeds"]
    ]


def evaluation_of(wildcards):
    return config["evaluations"][wildcards.evaluation]


def networks_of(wildcards):
    """Checkpoints that an evaluation reads: the end of pretraining, or its start."""
    where = (wildcards.dataset, wildcards.seed)
    untrained = "results/{}/pretrain/{}/seed{}/untrained.pt"
    return [
        (
            final_checkpoint(where[0], recipe, where[1])
            if wildcards.weights == "trained"
            else untrained.format(where[0], recipe, where[1])
        )
        for recipe in recipes_of(evaluation_of(wildcards))
    ]


def transform_of(wildcards):
    """RandomResizedCrop and colour of an evaluation's clips: its own, or those of its recipe."""
    evaluation = evaluation_of(wildcards)
    recipe = config["recipes"][recipes_of(evaluation)[0]]
    return {key: evaluation.get(key, recipe[key]) for key in ("geometry", "color_jitter")}


def target_file(file):
    """A file of the dataset that a target is a split of."""
    return lambda wildcards: "resources/{}/{}".format(
        TARGETS[wildcards.target]["dataset"], file.format(**TARGETS[wildcards.target])
    )


def target_facts(wildcards):
    """What the results of a target say about it."""
    target = TARGETS[wildcards.target]
    return {
        "target": wildcards.target,
        "dataset_official_name": config["datasets"][target["dataset"]].get("official_name"),
        "pretrained_on": dataset_of(wildcards).get("official_name"),
        "split": target["split"],
        "pipeline": wildcards.pipeline,
        "trained": wildcards.weights == "trained",
    }


def held_out(wildcards):
    """Share of the training videos that validation takes; none where it takes the test videos."""
    settings = config["finetuning"]
    return settings["held_out"] if settings["validation"] == "held_out" else 0


def finetuned_of(table, target=None):
    """Results of every row, target and seed of a table (or of one target), and what they are of."""
    place = "results/{}/finetune/{}/{}/{}/{}/seed{}/{}"
    found = []
    for name in config["tables"][table]["evaluations"]:
        evaluation = config["evaluations"][name]
        for one in [target] if target else TARGETS:
            for seed in config["seeds"]:
                where = (DATASET, one, PIPELINES[table], name, evaluation["weights"], seed)
                found.append(
                    {
                        "model": evaluation["label"],
                        "trained": evaluation["weights"] == "trained",
                        "target": one,
                        "predictions": place.format(*where, "predictions.parquet"),
                        "facts": place.format(*where, "metadata.json"),
                    }
                )
    return found


def evaluations_of(table, file, weights=None):
    """`file` of every evaluation and seed of a table, evaluation by evaluation.

    `weights` are trained or untrained for all; left out, each evaluation's own.
    """
    folder = "results/{}/probe/{}/{}/seed{}/{}"
    return [
        folder.format(DATASET, name, weights or config["evaluations"][name]["weights"], seed, file)
        for name in config["tables"][table]["evaluations"]
        for seed in config["seeds"]
    ]


def labels_of(table):
    """{evaluation: label} of a table's rows, in order."""
    return {name: config["evaluations"][name]["label"] for name in config["tables"][table]["evaluations"]}


def pretrained_in(table):
    """Recipes whose pretraining a table reads, in order."""
    evaluations = [config["evaluations"][name] for name in config["tables"][table]["evaluations"]]
    names = [name for r in evaluations if r["weights"] == "trained" for name in recipes_of(r)]
    return list(dict.fromkeys(names))


def curves_of(table):
    """Metrics of every stage, recipe and seed that a table reads, and what they are of."""
    folder = "results/{}/pretrain/{}/seed{}/{}.jsonl"
    return [
        {
            "path": folder.format(DATASET, name, seed, stage),
            "model": config["recipes"][name]["label"],
            "seed": seed,
            "stage": stage,
        }
        for name in pretrained_in(table)
        for seed in config["seeds"]
        for stage in stages(config["recipes"][name])
    ]


def pretrain_memory(wildcards, threads):
    return resources.pretrain(config, wildcards.dataset, recipe_of(wildcards), threads)


def pretext_memory(wildcards, threads):
    return resources.pretext(config, recipe_of(wildcards), threads)


def probe_memory(wildcards, threads):
    evaluation = evaluation_of(wildcards)
    recipes = [config["recipes"][name] for name in recipes_of(evaluation)]
    settings = evaluation["clip"], transform_of(wildcards)
    return resources.probe(config, wildcards.dataset, recipes, *settings, threads)


def finetune_memory(wildcards, threads):
    evaluation, size = evaluation_of(wildcards), transform_of(wildcards)["geometry"]["size"]
    recipe = config["recipes"][recipes_of(evaluation)[0]]
    return resources.finetune(config, recipe, evaluation["clip"], size, wildcards.weights, threads)


def frames_memory(wildcards, threads):
    return resources.frames(dataset_of(wildcards), threads)


def index_memory(wildcards):
    return resources.index(config, wildcards.dataset, wildcards.split)


def minutes(at_least):
    """Runtime that doubles with each attempt, for --retries on clusters with time limits."""
    return lambda wildcards, attempt: at_least * 2 ** (attempt - 1)


def remove_work_of_finished_jobs():
    """After a run that succeeded: what its jobs kept while their end was not on record."""
    for job in workflow.dag.jobs:
        for path in map(Path, job.output):
            remove_finished(path.with_suffix(".in_progress"))  # of a stage of pretraining
            remove_finished(path.with_name("in_progress"))
