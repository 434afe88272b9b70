"""Two processes that train one network, against one process that trains it alone."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.loading import data_of
from tests.processes import all_end
from vie import pretrain as pretraining
from vie.clips.color_jitter import apply_color_jitter, normalise
from vie.engine import device, loop
from vie.engine.run import Run
from vie.models.batchnorm import SharedBatchNorm
from vie.models.untrained import new_encoder
from vie.pretrain import PretrainOutputs
from vie.runtime import distributed, torch_files
from vie.runtime.errors import VieError
from vie.runtime.logs import job

IR, LA, ROTATION = "instance_recognition", "local_aggregation", "rotation"


@pytest.fixture(autouse=True)
def put_back(monkeypatch):
    """What `every_step` changes."""
    monkeypatch.setattr(loop, "REPORTS", loop.REPORTS)
    monkeypatch.setattr(pretraining, "new_encoder", pretraining.new_encoder)
    monkeypatch.setattr(device, "apply_color_jitter", device.apply_color_jitter)


@pytest.fixture
def recipe(recipe):
    """20 steps of each stage, of batches that two processes can share."""
    recipe["optimiser"]["batch"] = 6
    recipe["schedule"] |= {IR: "20 steps", LA: "20 steps", "lr_drops": ["15 steps"]}
    return recipe


def every_step(double, **settings):
    """One process of pretraining, with a row of metrics for every step.

    If `double` the network is float64: over 20 steps, this one's batch norm over a handful of
    numbers and its large steps magnify the last bits of float32 to a few percent. The colours then
    are a product: color jitter in float32 rounds by where in the batch a clip stands.
    """

    def product(clips, draws):
        return normalise(clips).double() * draws.factors[:, 0].double().view(-1, 1, 1, 1, 1)

    def in_double(recipe, seed):
        encoder = new_encoder(recipe, seed).double()
        encoder.register_forward_pre_hook(lambda module, inputs: (inputs[0].double(),))
        return encoder

    loop.REPORTS = 1
    pretraining.new_encoder = in_double if double else new_encoder
    device.apply_color_jitter = product if double else apply_color_jitter
    pretraining.train_stage(**settings)


def train(processes, recipe, stage, dataset, folder, start_from=None, double=True, nodes=1):
    """Checkpoint at the end, and the loss of every step."""
    distributed.launch(
        processes,
        every_step,
        nodes=nodes,
        double=double,
        recipe=recipe,
        stage=stage,
        data=data_of(dataset),
        run=Run(folder / f"{stage}.state", seed=1, name="test", gpus=0),
        outputs=PretrainOutputs(folder / f"{stage}.pt", folder / f"{stage}.jsonl"),
        start_from=start_from,
    )
    rows = [json.loads(line) for line in (folder / f"{stage}.jsonl").read_text().splitlines()]
    measured = {
        name: [row[name] for row in rows if name in row] for name in ("loss", "knn_top1", "epoch")
    }
    return torch_files.load(folder / f"{stage}.pt"), measured


def assert_close(one, other, path, **tolerance):
    for name, value in one.items():
        torch.testing.assert_close(
            value, other[name], msg=lambda m, n=name: f"{path}.{n}: {m}", **tolerance
        )


@pytest.mark.slow
def test_two_processes_train_the_network_of_one(recipe, small_dataset, tmp_path):
    torch.set_num_threads(1)
    folders = {processes: tmp_path / str(processes) for processes in (1, 2)}
    for stage, previous in ((IR, None), (LA, folders[1] / f"{IR}.pt")):
        ends = {}
        for processes, folder in folders.items():
            folder.mkdir(exist_ok=True)
            with job(folder / "log"):
                ends[processes] = train(
                    processes, recipe, stage, small_dataset, folder, start_from=previous
                )
        (single, measured), (shared, also) = ends[1], ends[2]
        assert len(measured["loss"]) == 20
        np.testing.assert_allclose(also["loss"], measured["loss"], rtol=1e-6)
        assert also["knn_top1"] == measured["knn_top1"]
        assert also["epoch"] == measured["epoch"]
        for part in ("bank", "encoder", "objective"):
            # The order of sums differs: 1.5e-6 was seen, on a machine under load.
            assert_close(single[part], shared[part], part, rtol=1e-5, atol=4e-6)
        assert (single["step"], single["n_train"]) == (shared["step"], shared["n_train"])
    text = (folders[2] / "log").read_text()  # of the main process, and once
    assert len(re.findall("2 x CPU, float32", text)) == 1
    assert "100%" in text


@pytest.mark.slow
def test_a_head_with_parameters_is_shared_too(recipe, single_stage, small_dataset, tmp_path):
    """RotNet's objective has weights of its own, and shows the network four times the clips."""
    torch.set_num_threads(1)
    one, two = tmp_path / "one", tmp_path / "two"
    recipe["optimiser"] |= {"batch": 12, "lr": 0.001}
    recipe["geometry"] |= {"size": 64, "train_shorter_side": [66, 80]}
    recipe = single_stage(ROTATION, "8 steps") | {
        key: recipe[key] for key in ("optimiser", "geometry")
    }
    expected, measured = train(1, recipe, ROTATION, small_dataset, one, double=False)
    found, also = train(2, recipe, ROTATION, small_dataset, two, double=False)
    np.testing.assert_allclose(also["loss"], measured["loss"], rtol=2e-4)
    assert_close(expected["objective"], found["objective"], "objective", rtol=1e-3, atol=1e-4)


def slowly(**settings):
    """`every_step` with a pause in each."""
    step = pretraining.Pretraining.step

    def rests(self, number, batch):
        time.sleep(0.2)
        return step(self, number, batch)

    pretraining.Pretraining.step = rests
    every_step(**settings)


STOPPED = """
    import json, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    import test_distributed
    from vie.engine.run import Run
    from vie.pretrain import PretrainOutputs
    from vie.runtime import distributed
    from vie.runtime.logs import job
    with job(sys.argv[2]):
        recipe, dataset, folder = json.loads(sys.argv[3])
        stage, folder = "instance_recognition", Path(folder)
        settings = {
            "recipe": recipe,
            "stage": stage,
            "data": test_distributed.data_of(Path(dataset)),
            "run": Run(
                folder / f"{stage}.state",
                seed=1, name="test", gpus=0, checkpoint_seconds=3600,
            ),
            "outputs": PretrainOutputs(folder / f"{stage}.pt", folder / f"{stage}.jsonl"),
            "double": True,
        }
        distributed.launch(int(sys.argv[5]), getattr(test_distributed, sys.argv[4]), **settings)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "then"), [(signal.SIGTERM, 2), (signal.SIGUSR1, 1)])
def test_processes_that_are_asked_to_stop_save_their_state(
    recipe, small_dataset, tmp_path, asked, then
):
    """All of them get the signal at once, as in a job of SLURM, and go on as if nothing was.

    So does one process alone with what two have saved, but for rounding.
    """
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    expected, _ = train(2, recipe, IR, small_dataset, whole)
    command = [sys.executable, "-c", textwrap.dedent(STOPPED), str(Path(__file__).parent)]
    arguments = json.dumps([recipe, str(small_dataset), str(stopped)])
    command += [str(tmp_path / "log"), arguments]
    run = subprocess.Popen(
        [*command, "slowly", "2"], start_new_session=True, stderr=subprocess.PIPE
    )
    work = stopped / f"{IR}.state"
    deadline = time.monotonic() + 90
    while not (work / "metrics.jsonl").exists() or not (work / "metrics.jsonl").stat().st_size:
        assert run.poll() is None, run.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(run.pid, asked)
    _, errors = run.communicate(timeout=90)
    assert run.returncode == 1, errors.decode()
    text = (tmp_path / "log").read_text()
    assert f"stopped by {asked.name} after" in text
    assert "Traceback" not in text + errors.decode()
    assert 0 < torch_files.load(work / "checkpoint.pt")["step"] < 20
    subprocess.run([*command, "every_step", str(then)], check=True, capture_output=True)
    assert "resuming at step" in (tmp_path / "log").read_text()
    found = torch_files.load(stopped / f"{IR}.pt")
    exactly = {"rtol": 0, "atol": 0} if then == 2 else {"rtol": 1e-5, "atol": 1e-6}
    for part in ("bank", "encoder"):
        assert_close(expected[part], found[part], part, **exactly)


def statistics(path, affine):
    """What one process sees of batch norm over a batch that two share."""
    from vie.engine.device import accelerator

    accelerator()
    torch.manual_seed(0)
    inputs = torch.randn(6, 3, 4, 4) * 5 + 100
    layer = nn.BatchNorm2d(3, momentum=0.2, affine=affine)
    if affine:
        nn.init.normal_(layer.weight)
    layer.__class__ = SharedBatchNorm
    part = distributed.shard(inputs).requires_grad_()
    outputs = layer(part)
    outputs.square().mul(torch.arange(48.0).view(3, 4, 4)).sum().backward()
    state = dict(layer.state_dict(), outputs=outputs, gradient=part.grad)
    gathered = {name: distributed.gather(value[None]) for name, value in state.items()}
    if distributed.is_main_process():
        torch.save(gathered, path)
    layer.eval()
    assert not torch.equal(layer(part), outputs)


@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_over_two_processes_is_batch_norm_over_the_whole_batch(tmp_path, affine):
    distributed.launch(2, statistics, path=tmp_path / "found.pt", affine=affine)
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    torch.manual_seed(0)
    inputs = (torch.randn(6, 3, 4, 4) * 5 + 100).requires_grad_()
    layer = nn.BatchNorm2d(3, momentum=0.2, affine=affine)
    if affine:
        nn.init.normal_(layer.weight)
    outputs = layer(inputs)
    outputs.square().mul(torch.arange(48.0).view(3, 4, 4)).sum().backward()
    for name, value in layer.state_dict().items():
        for process in (0, 1):
            torch.testing.assert_close(found[name][process], value)
    torch.testing.assert_close(found["outputs"].flatten(0, 1), outputs, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["gradient"].flatten(0, 1), inputs.grad, rtol=1e-3, atol=1e-2)


def count(folder):
    """A file for each call in each process."""
    (folder / f"{os.environ['RANK']}-{time.time_ns()}").touch()


@pytest.mark.slow
def test_a_script_without_a_guard_runs_once(tmp_path):
    """As Snakemake's are: all of their code is at the top."""
    script = tmp_path / "script.py"
    calls = tmp_path / "calls"
    calls.mkdir()
    here = str(Path(__file__).parent)
    script.write_text(
        f"import sys; sys.path.insert(0, {here!r})\n"
        "from pathlib import Path\n"
        "from test_distributed import count\n"
        "from vie.runtime import distributed\n"
        f"Path({str(tmp_path / 'run')!r}).open('a').write('x')\n"
        f"distributed.launch(2, count, folder=Path({str(calls)!r}))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run").read_text() == "x"
    assert sorted(path.name[0] for path in calls.iterdir()) == ["0", "1"]


def one_fails(path):
    """The second process cannot go on; the first would wait for it for ever."""
    from vie.engine.device import accelerator

    accelerator()
    if distributed.rank() == 1:
        raise VieError("shard 7 is torn")
    time.sleep(0.1)
    distributed.barrier()
    path.touch()


def test_a_process_that_fails_ends_the_others(tmp_path, capfd):
    with pytest.raises(VieError, match="one of 2 processes failed"):
        distributed.launch(2, one_fails, path=tmp_path / "end")
    assert "shard 7 is torn" in capfd.readouterr().err
    assert not (tmp_path / "end").exists()


def one_is_killed():
    """The second process leaves no message of its own."""
    if os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(100)


@pytest.mark.slow
def test_a_process_that_is_killed_is_told():
    with pytest.raises(VieError, match=r"one of 2 processes was killed \(SIGKILL\).*mem_mb"):
        distributed.launch(2, one_is_killed)


def first_fails():
    """The second process waits where no signal reaches it, as on a GPU."""
    from vie.engine.device import accelerator

    accelerator()
    if distributed.is_main_process():
        raise VieError("the loss became nan")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(100)


@pytest.mark.slow
def test_the_first_process_takes_the_others_with_it(tmp_path, capfd):
    began = time.monotonic()
    with job(tmp_path / "log"), pytest.raises(VieError, match="one of 2 processes failed"):
        distributed.launch(2, first_fails)
    assert time.monotonic() - began < 60
    text = (tmp_path / "log").read_text()
    assert text.startswith("\nERROR: the loss became nan\n")
    assert "Traceback" not in text + capfd.readouterr().err


def outlives(folder):
    """One of two processes whose parent is killed."""
    (folder / str(os.getpid())).touch()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(100)


@pytest.mark.slow
def test_no_process_outlives_the_one_that_started_it(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from test_distributed import outlives\n"
        "from vie.runtime import distributed\n"
        "distributed.launch(2, outlives, folder=Path(sys.argv[2]))\n"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)]
    with subprocess.Popen(command) as run:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.iterdir())) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        run.kill()
    all_end(tmp_path, seconds=10)


@pytest.mark.slow
def test_a_node_that_does_not_know_its_name(tmp_path, monkeypatch):
    """As nodes of clusters and containers may be."""
    monkeypatch.setattr(socket, "getfqdn", lambda name="": "no-such-host.invalid")
    distributed.launch(2, count, folder=tmp_path)
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["0", "1"]


def test_several_gpus_must_be_there_and_share_the_batch(recipe, small_dataset, tmp_path):
    gpus = torch.cuda.device_count() + 2
    run = Run(tmp_path, seed=0, name="test", gpus=gpus)
    with pytest.raises(VieError, match=f"gpus in the config is {gpus}, but this machine shows"):
        pretraining.pretrain(
            recipe, IR, data_of(small_dataset), run, PretrainOutputs(tmp_path, tmp_path)
        )


@pytest.mark.parametrize("videos", [1, 2, 7, 8])
def test_shares_cover_everything_in_order(monkeypatch, videos):
    items = np.arange(videos)
    parts = []
    for process in range(3):
        monkeypatch.setattr(distributed, "world_size", lambda: 3)
        monkeypatch.setattr(distributed, "rank", lambda process=process: process)
        parts.append(distributed.padded_shard(items))
    assert len({len(part) for part in parts}) == 1
    np.testing.assert_array_equal(np.concatenate(parts)[:videos], items)
