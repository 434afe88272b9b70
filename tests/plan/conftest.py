"""A config, its datasets and jobs for the tests of the plan."""

from pathlib import Path

import pytest

from vie.config.load import load_config
from vie.plan.datasets import Datasets
from vie.plan.jobs import ROOT, Job
from vie.plan.model import Model
from vie.plan.throughputs import Throughputs


@pytest.fixture(scope="session")
def config():
    """The default experiment."""
    return load_config(ROOT / "config.yaml")


@pytest.fixture(scope="session")
def paper():
    """The paper's scale."""
    return load_config_of("experiments/kinetics400.yaml")


def load_config_of(overlay):
    """The default experiment with an overlay."""
    return load_config(ROOT / "config.yaml", ROOT / overlay)


@pytest.fixture
def model(tmp_path):
    """A model of a config with throughputs of a test, on data that are not there."""

    def build(config, measured=None, *, device="cpu", cores=8, cpus=2, root: Path = tmp_path):
        throughputs = Throughputs(device, "a test", cpus, measured or {})
        return Model(config, Datasets(config, root), throughputs, cores, cpus)

    return build


@pytest.fixture
def job():
    """A job of a rule."""

    def build(rule, threads=1, *, number=0, gpus=0, needs=(), outputs=(), priority=0, **wildcards):
        return Job(
            number, rule, wildcards, threads, 1000, gpus, priority, frozenset(needs), outputs
        )

    return build
