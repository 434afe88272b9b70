# What the rules share; no rules here. Paths and settings are worked out in vie/workflow/.
import functools
import inspect
import itertools
import logging
import os
import re
import shlex
import signal
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from snakemake.cli import get_argument_parser
from snakemake.exceptions import WorkflowError
from snakemake.settings.enums import Quietness
from snakemake.io import apply_wildcards, glob_wildcards, is_flagged

# Snakemake puts it into shell commands as it is; an environment may lie in a folder with a blank.
if os.path.exists(sys.executable):
    sys.executable = shlex.quote(sys.executable)

# The library that lies beside these rules, whichever clone's environment is active; jobs and the
# processes that they start inherit it. Rules that come from the web use the one that is installed.
BASE = Path(str(workflow.current_basedir)).parent
if {"{", "}"} & set(str(BASE)):  # Snakemake takes what is between them for a wildcard
    raise WorkflowError(f"{BASE}: rules cannot run in a folder whose path has {{ or }}: rename it")
SNAKEFILES = [(BASE / name).resolve() for name in ("Snakefile", "workflow/Snakefile")]
if (BASE / "vie").is_dir():
    SEARCHED = "PYTHONPATH"
    others = [path for path in os.getenv(SEARCHED, "").split(os.pathsep) if path != str(BASE)]
    os.environ[SEARCHED] = os.pathsep.join([str(BASE), *filter(None, others)])
    sys.path.insert(0, str(BASE))

from vie.config.load import validate
from vie.config.reading import read_yaml, repeated_keys
from vie.config.settings import (
    IMPORTED,
    canonical,
    dataset_places,
    probe_of,
    recipes_of,
)
from vie.runtime.disk import read_only
from vie.runtime.errors import VieError
from vie.runtime.files import digest
from vie.runtime.logs import BESIDE, CODE
from vie.runtime.threads import PROMISED
from vie.workflow import finetuning, resources, sizes, targets, videos
from vie.workflow.ablations import ablation_runs
from vie.workflow.fingerprint import code_digest, own_code
from vie.workflow.frame_files import frame_files, image_frame_files, sizes_of, target_frame_files
from vie.workflow.generated import check_generated
from vie.workflow.image_probes import (
    image_dataset,
    image_file,
    image_probes,
    image_settings,
    image_transform,
)
from vie.workflow.instances import instances_used
from vie.workflow.leftovers import SCRIPTS, remove_scripts
from vie.workflow.overview import overview
from vie.workflow.paths import IMAGES_TABLE, PIPELINES, PUBLISHED, Experiment
from vie.workflow.published import files_of, published_rows
from vie.workflow.retrieval import label_words, retrieval_runs, retrieval_splits
from vie.workflow.stopping import wait_elsewhere
from vie.workflow.terminal import Terminal
from vie.workflow.titles import (
    ceiling,
    control_labels,
    dataset_title,
    groups,
    retrieval_ceilings,
    retrieval_titles,
    table_title,
    target_ceilings,
    target_titles,
)
from vie.workflow.versions import version
from vie.workflow.weights import weights_files


@functools.cache
def command():
    """The command's arguments, which `workflow` does not know here yet; none if it is Python's."""
    called = Path(sys.argv[0]).stem in ("snakemake", "__main__")
    return get_argument_parser().parse_known_args(sys.argv[1:] if called else [])[0]


logging.getLogger("vie.datasets").setLevel(logging.ERROR)  # jobs say what they leave out
IN_JOB = workflow.remote_exec or workflow.subprocess_exec
default = BASE / "config.yaml"
try:
    validate(config, read_yaml(default) if default.is_file() else {})
    check_generated(config)
    for name, dataset in config["datasets"].items():
        mb = resources.frames(dataset, config["threads"]["frames"])
        resources.refuse_too_much(f"datasets.{name}", mb, mb, here=False)
except VieError as error:
    raise WorkflowError(str(error)) from None
# Snakemake took the last one of each key.
if not IN_JOB and (twice := list(itertools.chain(*map(repeated_keys, workflow.configfiles)))):
    raise WorkflowError("\n".join(twice))
if not IN_JOB and (said := read_only((".", ".snakemake", "logs", "benchmarks"))):
    raise WorkflowError(said)

# How many cores local jobs share. With --jobs (nodes) they run elsewhere, each with its own.
settings = workflow.resource_settings
if workflow.remote_exec or settings.nodes is not None or settings.cores is None:
    os.environ.pop(PROMISED, None)
elif not workflow.subprocess_exec:  # a job of its own Snakemake inherits the first one's
    os.environ[PROMISED] = str(settings.cores)
os.environ[CODE] = code_digest(own=own_code(config))  # for the logs of jobs
if (BASE / "vie").is_dir():
    os.environ[BESIDE] = str(BASE)

wait_elsewhere()
if IN_JOB:
    # SLURM sends it to all processes of a job, and trainings save their state: not to Snakemake.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
elif (most := workflow.global_resources.get("gpu").value) is not None and most < config["gpus"]:
    # Snakemake would give each job that much, and say nothing.
    raise WorkflowError(
        f"gpus in the config is {config['gpus']}, but `--resources gpu={most}` (on the command "
        "line or in a profile) leaves no job more than that: raise it, or change `gpus`"
    )

labelled = videos.is_labelled(config, config["dataset"], in_job=IN_JOB)
experiment = Experiment(config, labelled=labelled)
RESULTS = experiment.folder
LOGS = f"logs/{experiment.name}"
RUNS = f"benchmarks/runs/{experiment.name}"
DATASET = experiment.dataset
TITLE = dataset_title(experiment, DATASET)
CEILING = ceiling(experiment, DATASET)
CURVES = experiment.curves("table_1" if experiment.labelled else "retrieval")
ALL = experiment.published_files()
INSTANCES = instances_used(experiment.recipes)
ONE_GPU = min(config["gpus"], 1)
TERMINAL = Terminal()
said = workflow.output_settings  # with --verbose, -p or --quiet, Snakemake's own messages
SHORT_MESSAGES = not (
    said.verbose or said.printshellcmds or {*(said.quiet or ())} - {Quietness.HOST}
)
REPORT = not IN_JOB and command().report and not command().report_after_run
PUBLISHED_DIGESTS = [digest(PUBLISHED / name) for name in ("table_s1.csv", "other.csv")]


def refuse_read_only_outputs(jobs):
    """Snakemake would end with a traceback, perhaps after hours."""
    folders = {str(Path(path).parent) for job in jobs for path in job.output}
    if said := read_only(sorted(folders)):
        raise WorkflowError(said)


def refuse_nodes_without_slurm(jobs):
    """Before the first job, and not after hours of other jobs."""
    pretrained = any(job.rule.name in ("pretrain", "pretrain_early") for job in jobs)
    if config["nodes"] > 1 and pretrained and workflow.local_exec and not os.getenv("SLURM_JOB_ID"):
        raise WorkflowError(
            f"nodes in the config is {config['nodes']}, but jobs would run on this machine alone: "
            "use --profile profiles/slurm, or nodes: 1"
        )


def refuse_unknown_targets():
    """Snakemake would name no other. To be called after all rules."""
    encoders = [f"{RESULTS}/encoders/{recipe}.pt" for recipe in config["recipes"]]
    try:
        targets.refuse_unknown(command().targets, [*workflow.rules], [*ALL, *encoders])
        if REPORT:
            targets.refuse_missing(command().targets, [*workflow.rules], finished(), ALL[0])
    except VieError as error:
        raise WorkflowError(str(error)) from None


def alternatives(names):
    """Constraint of a wildcard: any of these names."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    split="train|val|all",
    number=r"\d+",
    shard=r"\d+",
    shards=r"\d+",
    recipe=alternatives(config["recipes"]),
    evaluation=alternatives(config["evaluations"]),
    weights="trained|untrained",
    stage="|".join(experiment.stages()) or "(?!)",
    target="|".join(experiment.targets),
    pipeline="|".join(PIPELINES.values()),
    table="|".join(PIPELINES),
    seed=r"\d+",


def of(function):
    """`function` of the wildcards that its arguments are named as, for inputs and params."""
    names = list(inspect.signature(function).parameters)

    def found(wildcards):
        try:
            return canonical(function(*(getattr(wildcards, name) for name in names)))
        except VieError as error:
            raise WorkflowError(str(error)) from None

    return found


most_videos = functools.cache(partial(videos.most_videos, config))


def generated_as(*layouts):
    """Constraint of a wildcard: datasets that the workflow writes in one of some layouts."""
    names = [name for name, layout in experiment.generated().items() if layout in layouts]
    return "|".join(names) or "(?!)"


def found(found=True):
    """Constraint of a wildcard: datasets whose videos are looked for, or the others."""
    names = [name for name in config["datasets"] if videos.are_found(config, name) == found]
    return "|".join(names) or "(?!)"


def generated_videos(wildcards):
    """The folder of videos where the workflow writes it: newer videos need new frames."""
    generated = wildcards.dataset in experiment.generated()
    return f"resources/{wildcards.dataset}/videos" if generated else []


videos_folder = of(partial(videos.videos_folder, config))
annotation_files = partial(videos.annotation_files, config)
annotation = partial(videos.annotation, config)
listing = partial(videos.listing, config)
list_files, found_listing = (
    partial(one, config) for one in (videos.list_files, videos.found_listing)
)
weights_input = of(lambda recipe, seed: weights_files(experiment, recipe, seed))
index_memory = of(partial(resources.index, config))


def finished():
    """Files that the report shows, of jobs all of whose files for it exist."""
    found = []
    for outputs in (each.output for each in workflow.rules):
        files = [file for file in outputs if is_flagged(file, "report")]
        values = glob_wildcards(files[0]) if files else ()
        # A file without wildcards has no values.
        for job in zip(*values) if values else [()]:
            wildcards = dict(zip(getattr(values, "_fields", ()), job))
            made = [apply_wildcards(file, wildcards) for file in files]
            found += made if all(map(os.path.exists, made)) else []
    return found


def shown(file, caption, category, result, kind):
    """An output that the report shows; `result` is what it is of, or a function of wildcards."""
    labels = lambda wildcards: {
        "result": result(wildcards) if callable(result) else result,
        "kind": kind,
    }
    return report(file, caption=f"../report/{caption}.rst", category=category, labels=labels)


def in_report(file, caption, result, plot=None, category="Tables"):
    """Outputs of a table and its plot, which the report shows; both files without their ends."""
    plot = plot or file
    about = caption, category, result
    return {
        "page": shown(f"{file}.html", *about, "table"),
        "table": shown(f"{file}.csv", *about, "table as CSV file"),
        "svg": shown(f"{plot}.svg", *about, "plot"),
        "png": f"{plot}.png",
    }


label_of_recipe = of(lambda recipe: experiment.recipes[recipe]["label"])
title_of_dataset = of(partial(dataset_title, experiment))
OF_NEIGHBOURS = "neighbours", "Videos", label_of_recipe


def tables_of_experiments():
    """Tables 1 and S1 of all experiments that have them."""
    results = Path("results")
    return sorted(map(str, [*results.glob("*/table_1.csv"), *results.glob("*/table_s1.csv")]))


def pretrain_memory(wildcards, threads, given=config):
    return resources.pretrain(given, DATASET, experiment.recipes[wildcards.recipe], threads)


def pretrain_nodes(gpus, nodes):
    """Resources as Snakemake's SLURM plugin reads them; `--gres` counts GPUs of each node."""
    if nodes == 1:
        return {"gpu": gpus, "nodes": 1}
    return {"gpu": 0, "nodes": nodes} | ({"gres": f"gpu:{gpus}"} if gpus else {"tasks": nodes})


def pretext_memory(wildcards, threads):
    return resources.pretext(config, experiment.recipes[wildcards.recipe], threads)


def read_by(evaluation):
    """What an evaluation reads: recipes of its networks, their clip, its transform."""
    one = experiment.evaluations[evaluation]
    recipes = [experiment.recipes[name] for name in recipes_of(one)]
    return recipes, one["clip"], experiment.transform(evaluation)


def probe_memory(wildcards, threads, given=config):
    return resources.probe(given, DATASET, *read_by(wildcards.evaluation), threads)


def image_probe_memory(wildcards, threads, given=config):
    recipes, _, transform = read_by(wildcards.evaluation)
    settings = transform["geometry"]["size"], image_settings(experiment, wildcards.evaluation)
    return resources.image_probe(given, image_dataset(experiment), recipes, *settings, threads)


def features_memory(wildcards, threads):
    return resources.features(config, wildcards.dataset, *read_by(wildcards.evaluation), threads)


def finetune_memory(wildcards, threads, given=config):
    return finetuning.memory(
        experiment, wildcards.evaluation, wildcards.weights, threads, gpus=given["gpus"]
    )


def frames_memory(wildcards, threads):
    return resources.frames(config["datasets"][wildcards.dataset], threads)


def minutes(at_least):
    """Runtime that doubles with each attempt, for --retries on clusters with time limits."""
    return lambda wildcards, attempt: at_least * 2 ** (attempt - 1)
