"""The worked examples train, go on after a kill, and are loaded again."""

import pytest
import torch
import yaml

import vie
from tests.test_pretrain import assert_same
from vie.engine.run import Data, Run
from vie.models.encoders import build_encoder
from vie.models.untrained import new_encoder
from vie.pretrain import Pretraining, PretrainOutputs, train_stage
from vie.runtime import torch_files

EXAMPLES = {"moco": "moco", "simclr": "simclr", "vie_r2plus1d": "r2plus1d"}  # recipe -> file


def recipe_of(root, name):
    """The recipe of an overlay as the config completes it, for 24 small videos."""
    overlay = yaml.safe_load((root / "examples" / f"{EXAMPLES[name]}.yaml").read_text())
    recipe = overlay["recipes"][name]
    recipe["classes"] = overlay.get("objectives", {}) | overlay.get("networks", {})
    recipe["optimiser"]["batch"] = 4
    stage = next(key for key in recipe["schedule"] if key != "lr_drops")
    recipe["schedule"][stage] = "5 steps"
    return recipe, stage


def train(recipe, stage, dataset, folder):
    """The checkpoint's path."""
    train_stage(
        recipe,
        stage,
        Data(dataset / "train" / "index.parquet"),
        Run(folder / f"{stage}.state", seed=1, name="test", checkpoint_seconds=0),
        PretrainOutputs(folder / f"{stage}.pt", folder / f"{stage}.jsonl"),
    )
    return folder / f"{stage}.pt"


@pytest.mark.parametrize(
    "name", ["moco", "simclr", pytest.param("vie_r2plus1d", marks=pytest.mark.slow)]
)
def test_an_example_trains_and_goes_on_with_the_same_bits(
    root, small_dataset, tmp_path, monkeypatch, name
):
    torch.set_num_threads(1)
    recipe, stage = recipe_of(root, name)
    trained, at_end, step = [], Pretraining.at_end, Pretraining.step
    with monkeypatch.context() as patch:
        patch.setattr(Pretraining, "at_end", lambda t, n: trained.append(t) or at_end(t, n))
        path = train(recipe, stage, small_dataset, tmp_path / "whole")
    whole = torch_files.load(path)
    assert whole["step"] == 5
    clips = torch.randn(2, 3, 4, 32, 32)
    network = trained[0].network().eval().cpu()
    with torch.no_grad():
        loaded = vie.load_encoder(path, trust=True)(clips)[0]
        torch.testing.assert_close(loaded, network(clips)[0])

    def killed(task, number, batch):
        if number == 3:
            raise KeyboardInterrupt
        return step(task, number, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Pretraining, "step", killed)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, stage, small_dataset, tmp_path / "killed")
    work = tmp_path / "killed" / f"{stage}.state"
    assert 0 < torch_files.load(work / "checkpoint.pt")["step"] <= 3
    again = torch_files.load(train(recipe, stage, small_dataset, tmp_path / "killed"))
    assert_same(again, whole)
    before = build_encoder(recipe["encoder"], recipe["classes"]).state_dict()
    assert any(not torch.equal(before[key], whole["encoder"][key]) for key in before)


def test_moco_s_state_is_in_the_checkpoint(root, small_dataset, tmp_path):
    recipe, stage = recipe_of(root, "moco")
    content = torch_files.load(train(recipe, stage, small_dataset, tmp_path))
    state, network = content["objective"], content["encoder"]
    assert state["oldest"] == 5 * 4
    key = "trunk.resnet.stem.weight"
    slow, fast = state[f"slow_encoder.{key}"], network[key]
    start = new_encoder(recipe, 1).state_dict()[key]
    assert 0 < (slow - start).norm() < 0.2 * (fast - start).norm()  # 4 % at most in 5 steps
