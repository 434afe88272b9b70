# Inputs of rules that train. Where they are looked up, settings that cannot fit the videos or any
# memory are refused, before a job runs. Jobs look for themselves, at the index.


@functools.cache  # every seed asks
def refuse_too_much(what, memory, threads, **wildcards):
    """Before any job runs; Snakemake itself asks for the memory of a job when it starts it."""
    mb, on_cpu = (
        memory(SimpleNamespace(**wildcards), config["threads"][threads], {**config, "gpus": gpus})
        for gpus in (config["gpus"], 0)
    )
    here = workflow.local_exec and not workflow.dryrun
    resources.refuse_too_much(what, mb, on_cpu, here=here)


@functools.cache
def check_recipe(recipe):
    sizes.check_graph(config, recipe, most_videos(DATASET, "train"))
    refuse_too_much(f"recipes.{recipe}", pretrain_memory, "pretrain", recipe=recipe)


def trained(evaluation, weights):
    """Recipes whose networks a result reads once they are trained."""
    return recipes_of(experiment.evaluations[evaluation]) if weights == "trained" else []


@functools.cache
def check_probe(key, dataset, evaluation, weights):
    counted = dataset == DATASET or dataset in experiment.generated()  # images take seconds
    train = most_videos(dataset, "train") if counted else None
    recipes = trained(evaluation, weights)
    sizes.check_probes(config, key, train, most_videos(DATASET, "train"), recipes)
    memory = probe_memory if key == "probe" else image_probe_memory
    refuse_too_much(f"evaluations.{evaluation}", memory, "probe", evaluation=evaluation)


@functools.cache
def check_row(target, evaluation, weights):
    most, recipes = most_videos(DATASET, "train"), trained(evaluation, weights)
    sizes.check_row(config, target, (evaluation, weights), most, recipes)
    row = {"evaluation": evaluation, "weights": weights}
    refuse_too_much(f"evaluations.{evaluation}", finetune_memory, "finetune", **row)


def previous_checkpoint(recipe, seed, stage):
    """What a stage starts from."""
    if stage == "supervised":
        videos.labels_of(config, DATASET)
    if not IN_JOB:
        check_recipe(recipe)
    return experiment.previous_checkpoint(recipe, seed, stage)


def probed_index(key, dataset, evaluation, weights):
    """The index that classifiers are trained on."""
    if not IN_JOB:
        check_probe(key, dataset, evaluation, weights)
    return f"resources/{dataset}/train/index.parquet"


def split_assignment(target, evaluation, weights):
    """The split that a network is finetuned on."""
    if not IN_JOB:
        check_row(target, evaluation, weights)
    return experiment.target_file("split{split}/split_assignment.csv")(target)
