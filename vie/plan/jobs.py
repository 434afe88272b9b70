"""The jobs that Snakemake would run: its own job graph, so that a plan knows no rule by heart."""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vie.datasets.layouts import LAYOUTS
from vie.plan.datasets import Datasets
from vie.runtime.errors import VieError

ROOT = Path(__file__).parents[2]
NODE = 1024  # cores of a node on which no job is given fewer than it asks for


@dataclass(frozen=True)
class Job:
    """A job of the graph.

    Attributes:
        number: of the job, unique.
        rule: its rule; a rule that is another one with a priority goes by that one's name.
        wildcards: by name.
        threads: that it is given.
        memory_mb: that it asks for.
        gpus: that it asks for.
        priority: jobs with more go first.
        needs: numbers of the jobs whose outputs it reads.
        outputs: files that it writes.
    """

    number: int
    rule: str
    wildcards: dict[str, str]
    threads: int
    memory_mb: int
    gpus: int
    priority: int
    needs: frozenset[int]
    outputs: tuple[str, ...]


def jobs_of(
    configfiles: Sequence[Path],
    overrides: dict[str, Any],
    targets: Sequence[str],
    *,
    cores: int | None = None,
    forceall: bool = False,
    root: Path = ROOT,
) -> list[Job]:
    """Jobs that are still to do, in an order in which each comes after those it needs.

    Args:
        configfiles: overlays, as for Snakemake's --configfile.
        overrides: as by Snakemake's --config.
        targets: files; none for what Snakemake makes without a target.
        cores: as for Snakemake's --cores; None for nodes with enough.
        forceall: whether jobs that are done count too.
        root: the folder of the workflow.

    Raises:
        VieError: with Snakemake's words.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import RuleException, WorkflowError
    from snakemake.settings.types import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        Quietness,
        ResourceSettings,
    )

    with _quiet(), SnakemakeApi(OutputSettings(dryrun=True, quiet=set(Quietness))) as api:
        try:
            workflow = api.workflow(
                resource_settings=ResourceSettings(cores=cores or NODE),
                config_settings=ConfigSettings(config=overrides, configfiles=list(configfiles)),
                snakefile=root / "Snakefile",
                workdir=root,
            )
            dag = workflow.dag(
                DAGSettings(
                    targets=frozenset(targets),
                    forceall=forceall,
                    **_reruns(root),
                )
            )
            dag.execute_workflow(executor="dryrun")
        except (RuleException, WorkflowError) as error:
            raise VieError(f"Snakemake cannot plan this: {error}") from None
        return _sorted(workflow._workflow.dag)


def _reruns(root: Path) -> dict[str, Any]:
    """What makes a job run again, as in the workflow's own profile."""
    from snakemake.settings.types import RerunTrigger

    profile = yaml.safe_load((root / "profiles" / "default" / "config.yaml").read_text())
    triggers = frozenset(RerunTrigger.parse_choices_set(profile["rerun-triggers"]))
    return {"rerun_triggers": triggers, "force_incomplete": profile["rerun-incomplete"]}


def _sorted(graph) -> list[Job]:
    """Jobs of Snakemake's graph that need to run, each after those that it needs.

    Otherwise in the order of the rules, as the graph's own changes from run to run.
    """
    rules = {rule.name: place for place, rule in enumerate(graph.workflow.rules)}
    jobs = graph.needrun_jobs(exclude_finished=False)
    in_order = sorted(jobs, key=lambda job: (rules[job.rule.name], tuple(job.output)))
    wanted = {job: i for i, job in enumerate(in_order)}
    found: dict[int, Job] = {}

    def visit(job) -> None:
        if wanted[job] in found:
            return
        needed = sorted((j for j in graph.dependencies[job] if j in wanted), key=wanted.__getitem__)
        for other in needed:
            visit(other)
        resources = job.resources
        found[wanted[job]] = Job(
            number=wanted[job],
            rule=job.rule.name.removesuffix("_early"),
            wildcards=dict(job.wildcards_dict),
            threads=int(job.threads),
            memory_mb=int(resources.get("mem_mb", 0)),
            gpus=int(resources.get("gpu", 0)),
            priority=int(job.priority),
            needs=frozenset(wanted[other] for other in needed),
            outputs=tuple(map(str, job.output)),
        )

    for job in wanted:
        visit(job)
    return list(found.values())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Snakemake's own words, and with the environment and folder as they were."""
    environment, folder = dict(os.environ), Path.cwd()
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
            yield
    finally:
        logging.disable(logging.NOTSET)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)


@contextlib.contextmanager
def stand_ins(
    config: dict[str, Any], datasets: Datasets, overrides: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], dict[str, Path]]]:
    """`overrides` with empty annotations for datasets that are not here, and these datasets,
    with the path of each that is missing.

    A plan is wanted before the data are there; Snakemake has no graph without the lists of videos,
    unless it has made of them what it needs. They may be away by then.
    """
    absent: dict[str, Path] = {}
    with tempfile.TemporaryDirectory() as folder:
        changed = {**overrides, "datasets": {**overrides.get("datasets", {})}}
        for name in used(config):
            dataset = config["datasets"][name]
            layout = LAYOUTS[dataset["layout"]]
            paths = [datasets.annotation(name, split) for split in dataset["shards"]]
            missing = [path for path in paths if not path.exists()]
            made = [datasets.root / "resources" / name / "classes.csv"]
            made += [made[0].parent / split / "manifest.parquet" for split in dataset["shards"]]
            if "generator" in dataset or not missing or all(path.exists() for path in made):
                continue
            absent[name] = missing[0]
            here = Path(folder) / name
            here.mkdir()
            kind = "annotations" if layout.lists else "videos"
            for split in dataset["shards"]:
                path = layout.annotations(here, here, split)
                path.touch() if path.suffix else path.mkdir(exist_ok=True)
            above = changed["datasets"].get(name, {})
            changed["datasets"][name] = {**above, kind: str(here)}
        yield (changed if absent else overrides), absent


def used(config: dict[str, Any]) -> list[str]:
    """The dataset of pretraining and those that networks are finetuned on."""
    targets = config["finetuning"]["targets"].values()
    return [config["dataset"], *dict.fromkeys(target["dataset"] for target in targets)]
