"""Results that were made by other code, other versions or other settings than the present ones."""

import ast
import contextlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vie.runtime.csv_files import seconds_in
from vie.workflow.versions import VERSIONS

OTHER_CODE = "code"  # the reason that makes nothing run again
REASONS = ("version", "settings", "inputs", "incomplete", "follows", OTHER_CODE)


class Row(NamedTuple):
    """A result that is there and not up to date."""

    result: str  # its first file
    reason: str  # one of `REASONS`; "follows" if what it reads is made again
    details: str  # what differs, then and now
    seconds: float | None  # that its job took the last time, if that is known


def outdated(
    snakefile: Path, config: dict[str, Any], targets: Sequence[str], triggers: set[str], code: str
) -> list[Row]:
    """Results behind `targets` that are there and not up to date, by Snakemake's own judgement.

    Args:
        snakefile: of the workflow, or of one that it is a module of.
        triggers: Snakemake's rerun triggers, by name.
        code: digest of the present code.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.settings import types

    logging.disable(logging.CRITICAL)  # Snakemake's own words
    with contextlib.redirect_stdout(None), SnakemakeApi(types.OutputSettings(dryrun=True)) as api:
        workflow = api.workflow(
            resource_settings=types.ResourceSettings(cores=1),
            config_settings=types.ConfigSettings(config=config, replace_workflow_config=True),
            snakefile=snakefile,
        )
        settings = types.DAGSettings(
            targets=frozenset(targets),
            rerun_triggers=frozenset(types.RerunTrigger.parse_choices_set(triggers)),
        )
        workflow.dag(settings).execute_workflow(executor="dryrun")
        dag = workflow._workflow.dag
        found = [_judged(dag, job, code) for job in dag.jobs if _is_there(job)]
    logging.disable(logging.NOTSET)
    rows = [row for row in found if row]
    return sorted(rows, key=lambda row: (REASONS.index(row.reason), row.result))


def _is_there(job: Any) -> bool:
    """Copies of tables, right under results/, are not counted."""
    paths = [Path(path) for path in job.output]
    return any(path.exists() and path.parent != Path("results") for path in paths)


def _judged(dag: Any, job: Any, code: str) -> Row | None:
    """What is to be said of a job's results; None if they are up to date."""
    made = _code_in(Path(job.log[0])) if job.log else None
    if dag.needrun(job):
        reason, details = _explained(dag.reason(job))
    elif made in (None, code):
        return None
    else:
        reason, details = OTHER_CODE, f"{made} -> {code}"
    return Row(str(job.output[0]), reason, details, seconds_in(job.benchmark or ""))


def _explained(reason: Any) -> tuple[str, str]:
    """Snakemake's reason to run a job: a word, and what differs."""
    if reason.params_changed:
        old = [ast.literal_eval(text) for text in reason.params_changed.only_old]
        new = [ast.literal_eval(text) for text in reason.params_changed.only_new]
        kinds = [value for value in new if str(value).split(" ")[0] in VERSIONS]
        return ("version" if kinds else "settings"), "; ".join(differences(old, new))
    if reason.updated_input_run:
        return "follows", ""
    if reason.missing_output or reason.incomplete_output:
        return "incomplete", ""
    return "inputs", ", ".join(map(str, reason.updated_input or ()))


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """What differs between two params, key by key, such as "schedule.rotation: 5 -> 6"."""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new) == 1 and not key:
        return differences(old[0], new[0])
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(name for name in new if name not in old)]
        pairs = [(f"{key}.{name}".lstrip("."), old.get(name), new.get(name)) for name in keys]
        return [text for name, a, b in pairs if a != b for text in differences(a, b, name)]
    return [f"{key}: {old} -> {new}".removeprefix(": ")]


def _code_in(log: Path) -> str | None:
    """The digest that the first line of a job's log names."""
    if not log.exists():
        return None
    with log.open(encoding="utf-8", errors="replace") as file:
        found = re.search(r"code (\w{12}) of ", file.readline())
    return found[1] if found else None
