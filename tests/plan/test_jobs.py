"""The jobs of a plan against what Snakemake itself prints."""

import collections
import re
import subprocess
import sys

import pytest

from tests.plan.conftest import load_config_of
from vie.plan.datasets import Datasets
from vie.plan.jobs import ROOT, jobs_of, stand_ins
from vie.runtime.errors import VieError

OVERLAY = ROOT / "experiments" / "smoke.yaml"
TARGET = "results/smoke/table_1.csv"


@pytest.fixture(scope="module")
def jobs():
    return jobs_of([OVERLAY], {"seeds": [0, 1]}, [TARGET], cores=3, forceall=True)


def test_as_many_of_each_rule_as_snakemake_counts(jobs):
    command = "-n --forceall --cores 3 --configfile experiments/smoke.yaml --config seeds=[0,1]"
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *command.split(), "--", TARGET],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    table = re.search(r"^job +count\n[- ]+\n(.*?)\ntotal", done.stdout, re.M | re.S)[1]
    counts: collections.Counter = collections.Counter()
    for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.M):
        counts[rule.removesuffix("_early")] += int(count)
    assert collections.Counter(job.rule for job in jobs) == counts


def test_jobs_come_after_those_they_need(jobs):
    seen = set()
    for job in jobs:
        assert job.needs <= seen
        seen.add(job.number)
    last = jobs[-1]
    assert last.rule == "table_1"
    assert {job.rule for job in jobs if job.number in last.needs} == {"probe"}


def test_threads_and_resources_are_those_of_the_rules(jobs):
    pretraining = [job for job in jobs if job.rule == "pretrain"]
    assert {job.threads for job in pretraining} == {3}  # asked for 4 of 3 cores
    assert {job.priority for job in pretraining} == {1, 2}
    assert all(job.memory_mb >= 4000 for job in pretraining)
    assert {job.wildcards["seed"] for job in pretraining} == {"0", "1"}
    assert pretraining[0].outputs[0].startswith("results/smoke/pretrain/")


def test_snakemakes_complaint_is_passed_on():
    with pytest.raises(VieError, match="results/nothing"):
        jobs_of([OVERLAY], {}, ["results/nothing.csv"])


def test_data_that_are_not_here_are_planned_for(tmp_path):
    """With empty lists in their place; the config's own folders elsewhere are left alone."""
    config = load_config_of("experiments/kinetics400.yaml")
    datasets = Datasets(config, tmp_path)
    with stand_ins(config, datasets, {"seeds": [3]}) as (changed, absent):
        assert list(absent) == ["kinetics400", "ucf101", "hmdb51"]
        lists = tmp_path / "data" / "kinetics400" / "annotations"
        assert absent["kinetics400"] == lists / "train.csv"
        assert changed["seeds"] == [3]
        overlay = ROOT / "experiments" / "kinetics400.yaml"
        planned = jobs_of([overlay], changed, ["results/summary_kinetics400.csv"])
    counts = collections.Counter(job.rule for job in planned)
    assert counts["frames"] == 220
    assert counts["index"] == 2
    # What Snakemake needs of the lists has been made of them.
    made = tmp_path / "resources" / "kinetics400"
    for path in (made / "train" / "manifest.parquet", made / "val" / "manifest.parquet"):
        path.parent.mkdir(parents=True)
        path.touch()
        with stand_ins(config, datasets, {}) as (_, absent):
            assert "kinetics400" in absent
    (made / "classes.csv").touch()
    with stand_ins(config, datasets, {}) as (_, absent):
        assert list(absent) == ["ucf101", "hmdb51"]
