"""Launchers of two nodes, on one machine, that train the network of one process."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.processes import all_end
from tests.runtime.test_distributed import (  # noqa: F401  # two are fixtures
    IR,
    LA,
    assert_close,
    count,
    put_back,
    recipe,
    train,
)
from vie.engine.resumable import Resumable
from vie.engine.schedules import Schedule
from vie.runtime import distributed
from vie.runtime.errors import VieError
from vie.runtime.logs import job

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nodes(monkeypatch, tmp_path_factory):
    """A job of SLURM with two nodes, as far as its processes can tell."""
    tools = tmp_path_factory.mktemp("bin")
    srun = Path(__file__).with_name("srun.py")
    (tools / "srun").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{srun}" "$@"\n')
    (tools / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("SLURM_JOB_ID", "17")


@pytest.mark.slow
def test_two_nodes_train_the_network_of_one_process(recipe, small_dataset, tmp_path):  # noqa: F811
    """Bank, clusters and network, through both objectives."""
    torch.set_num_threads(1)
    one, two = tmp_path / "one", tmp_path / "two"
    for stage, previous in ((IR, None), (LA, one / f"{IR}.pt")):
        single, measured = train(1, recipe, stage, small_dataset, one, previous)
        two.mkdir(exist_ok=True)
        with job(two / "log"):
            shared, also = train(1, recipe, stage, small_dataset, two, previous, nodes=2)
        assert len(measured["loss"]) == 20
        np.testing.assert_allclose(also["loss"], measured["loss"], rtol=1e-6)
        assert also["knn_top1"] == measured["knn_top1"]
        for part in ("bank", "encoder", "objective"):
            assert_close(single[part], shared[part], part, rtol=1e-5, atol=4e-6)
    text = (two / "log").read_text()  # of the first process of the first node, and once
    assert len(re.findall("2 x CPU, float32", text)) == 1


@pytest.mark.slow
def test_the_first_process_is_on_the_first_node(tmp_path):
    distributed.launch(2, count, nodes=2, folder=tmp_path)
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["0", "1", "2", "3"]


def fails_on_the_second_node(path):
    """Its other processes, and those of the first, would wait for it for ever."""
    from vie.engine.device import accelerator

    accelerator()
    if distributed.rank() == 3:
        raise VieError("shard 7 is torn")
    time.sleep(0.1)
    distributed.barrier()
    path.touch()


@pytest.mark.slow
def test_a_process_of_another_node_that_fails_ends_all_and_is_told(tmp_path, capfd):
    end = tmp_path / "end"
    with job(tmp_path / "log"), pytest.raises(VieError, match="training on 2 nodes failed"):
        distributed.launch(2, fails_on_the_second_node, nodes=2, path=end)
    text = (tmp_path / "log").read_text()
    assert text.index("ERROR: shard 7 is torn") < text.index("one of 2 processes failed")
    assert "Traceback" not in text + capfd.readouterr().err
    assert not end.exists()


def sees_another_state(folder):
    """As on a node whose file system is another one, or lags behind."""
    from vie.engine.device import accelerator

    accelerator()
    states = Resumable(folder / str(distributed.rank()), {}, Schedule(0, 5))
    states._chosen = lambda: {"step": 3}  # of the first process
    states.load()
    (folder / "end").touch()


@pytest.mark.slow
def test_nodes_that_see_different_states_are_told(tmp_path, capfd):
    with pytest.raises(VieError, match="training on 2 nodes failed"):
        distributed.launch(1, sees_another_state, nodes=2, folder=tmp_path)
    assert "the nodes of this training do not see the same" in capfd.readouterr().err
    assert not (tmp_path / "end").exists()


def waits(folder):
    """One of the processes of a launcher whose script is killed."""
    (folder / str(os.getpid())).touch()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(100)


@pytest.mark.slow
def test_no_process_of_any_node_outlives_the_script(tmp_path):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.runtime.test_nodes import waits\n"
        "from vie.runtime import distributed\n"
        "distributed.launch(1, waits, nodes=2, folder=Path(sys.argv[1]))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], cwd=ROOT) as run:
        deadline = time.monotonic() + 90
        while len(list(tmp_path.iterdir())) < 2:
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        run.kill()
    all_end(tmp_path, seconds=20)


def test_without_slurm_there_are_no_nodes(monkeypatch, tmp_path):
    monkeypatch.delenv("SLURM_JOB_ID")
    with pytest.raises(VieError, match="nodes in the config is 2, but this is no job of SLURM"):
        distributed.launch(1, count, nodes=2, folder=tmp_path)
