"""What a run will cost, rule by rule, before it is launched.

    uv run python -m vie.plan
    uv run python -m vie.plan --configfile experiments/kinetics400.yaml -- results/table_1.csv
    uv run python -m vie.plan --measure

Jobs come from Snakemake's own job graph: what is done already costs nothing. Without --measure the
plan uses what an earlier --measure found on this machine, else defaults whose sources it names.
The exit status is 1 if the disk is too small.
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from vie.config.load import merge, validate
from vie.plan import report
from vie.plan.costs import Cost, cost
from vie.plan.datasets import Datasets
from vie.plan.jobs import ROOT, Job, jobs_of, stand_ins, used
from vie.plan.model import Model
from vie.plan.throughputs import FILE, Throughputs, cpus, load
from vie.runtime.errors import VieError

# --configfile and --config take all that follows.
SEPARATE = "; if it is a target, put -- before the targets"


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m vie.plan",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("targets", nargs="*", help="files to make; default: all tables")
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="overlays")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="single keys")
    parser.add_argument("--measure", action="store_true", help="measure this machine first")
    parser.add_argument("--cores", type=int, help="of snakemake; default: enough for every job")
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), help="where networks run; default: as measured"
    )
    parser.add_argument("--forceall", action="store_true", help="count what is done already too")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write a line for every job")
    return parser.parse_args(argv)


def config_of(configfiles: Sequence[Path], overrides: dict[str, Any]) -> dict[str, Any]:
    """The config as Snakemake has it.

    Raises:
        VieError: a file cannot be read, or the config is wrong.
    """
    config: dict[str, Any] = {}
    for path in (ROOT / "config.yaml", *configfiles):
        merge(config, overlay_of(path))
    validate(merge(config, overrides))
    return config


def overlay_of(path: Path) -> dict[str, Any]:
    """What a file of a config says.

    Raises:
        VieError: it is not there, or no YAML, or no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        what = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise VieError(f"{path}: {what} to take a config from{SEPARATE}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise VieError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(content or {}, dict):
        raise VieError(f"{path}: a config is a mapping, `key: value` in every line{SEPARATE}")
    return content or {}


def overrides_of(pairs: Sequence[str]) -> dict[str, Any]:
    """Of Snakemake's --config.

    Raises:
        VieError: one is not written key=value, or its value is no YAML.
    """
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise VieError(f"--config {pair}: is written key=value{SEPARATE}")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            why = str(error).replace("\n", " ")
            raise VieError(f"--config {pair}: the value cannot be read as YAML: {why}") from error
    return found


def check(asked: argparse.Namespace) -> None:
    """What the parser does not check.

    Raises:
        VieError: an argument cannot be meant.
    """
    if asked.cores is not None and asked.cores < 1:
        raise VieError(f"--cores {asked.cores}: must be at least 1")
    if asked.csv and not asked.csv.absolute().parent.is_dir():
        raise VieError(f"--csv {asked.csv}: there is no folder {asked.csv.parent}; make it first")


def throughputs_of(
    config: dict[str, Any], device: str | None, path: Path, *, measuring: bool = False
) -> Throughputs:
    """What was measured on this machine, and defaults.

    Without `device`, networks run where this dataset's were measured, else where it is likely
    meant: an embedded dataset on this machine, as all if it is to be measured, others on the GPUs
    that the config asks for.

    Raises:
        VieError: a GPU is asked for, and the config has none.
    """
    found = load(path)
    if config["gpus"] == 0:
        if device == "cuda":
            raise VieError("--device cuda: `gpus` is 0 in the config; set it to 1 or more")
        device = "cpu"
    if device is None and not measuring and found and config["dataset"] in found.planned:
        device = found.device
    if device is None:
        import torch

        here = measuring or "generator" in config["datasets"][config["dataset"]]
        device = "cuda" if torch.cuda.is_available() or not here else "cpu"
    if found is None:
        return Throughputs(device, cpus=cpus() if device == "cpu" else 0)
    if found.device == device:
        return found
    found = found.elsewhere(device)
    return dataclasses.replace(found, cpus=cpus()) if device == "cpu" else found


def plan(asked: argparse.Namespace) -> int:
    """Print the plan; the exit status."""
    check(asked)
    overrides = overrides_of(asked.config)
    config = config_of(asked.configfile, overrides)
    datasets = Datasets(config, ROOT)
    throughputs = throughputs_of(config, asked.device, ROOT / FILE, measuring=asked.measure)
    cores = asked.cores or max(config["threads"].values())
    with stand_ins(config, datasets, overrides) as (changed, absent):
        jobs = jobs_of(
            asked.configfile,
            changed,
            asked.targets,
            cores=cores,
            forceall=asked.forceall,
        )

    def costs_of(throughputs: Throughputs) -> tuple[Model, dict[int, Cost]]:
        model = Model(config, datasets, throughputs, cores, throughputs.cpus or cores)
        return model, {job.number: cost(model, job) for job in jobs}

    model, costs = costs_of(throughputs)
    if asked.measure:
        from vie.plan.measure import measure

        if jobs:
            model, costs = costs_of(measure(model, ROOT / FILE))
    if asked.csv:
        report.write_csv(jobs, costs, asked.csv)
    print_plan(model, jobs, costs, absent)
    short = [place for place in report.places(jobs, costs, ROOT) if not place.fits]
    if short:
        print(f"\n{report.refusal(short)}", file=sys.stderr)
    return 1 if short else 0


def print_plan(model: Model, jobs: Sequence[Job], costs: dict, absent: dict[str, Path]) -> None:
    """The table, and what it rests on."""
    rows = report.rows_of(jobs, costs)
    if not rows[-1].jobs:
        print("Nothing to be done: all files are there. --forceall counts them as if they were not")
        return
    print(report.text_table([report.COLUMNS, *(row.cells() for row in rows)]))
    print()
    chain = report.longest_chain(jobs, costs)
    gpus = max(1, model.config.get("gpus", 1))
    alone = report.makespan(jobs, costs, cores=model.cores, cpus=model.cpus, gpus=gpus)
    kind = f"{gpus} GPU" + ("s" if gpus > 1 else "") if model.on_gpu else "no GPU"
    print(f"Time: {report.duration(alone)} with --cores {model.cores} and {kind}; at least", end="")
    print(f" {report.duration(chain)} on any number of machines (the longest chain of jobs).")
    for place in report.places(jobs, costs, ROOT):
        print(
            f"Disk: {report.size(place.needed)} needed in {place.folder}, passing files of the "
            f"largest job included; {report.size(max(place.free, 0))} free."
        )
    for line in report.limits_of(model, jobs):
        print(f"Pretraining {line}.")
    print("\nRests on")
    concerned = {job.wildcards.get("dataset") for job in jobs}
    if any("target" in job.wildcards for job in jobs):  # finetuning reads other datasets, too
        concerned.update(used(model.config))
    for name in [name for name in used(model.config) if name in concerned]:
        for split in model.config["datasets"][name]["shards"]:
            print(f"  {name} {split}: {model.datasets.split(name, split).source}")
        if name in absent:
            print(
                f"  {name} is not here (there is no {absent[name]}): Snakemake planned with empty "
                "lists in its place"
            )
    if any(job.rule == "finetune" for job in jobs):
        print("  finetuning: to the last epoch of its schedule; it ends sooner where it saturates")
    print_sources(model)


def print_sources(model: Model) -> None:
    """Where each throughput comes from."""
    by_source: dict[str, list[str]] = {}
    for name, number in model.throughputs.used.items():
        by_source.setdefault(number.source, []).append(f"{name} {number.value:.3g}")
    for source, names in by_source.items():
        single = [n for n in names if not n.startswith(("train ", "test ", "probe ", "load "))]
        others = len(names) - len(single)
        more = [f"{others} speeds of single networks and clips"] if others else []
        print(f"  {source}:\n    " + "\n    ".join(single + more))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; errors are for the user."""
    try:
        return plan(arguments(argv))
    except VieError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
