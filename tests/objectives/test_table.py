"""The table of objectives: what is found by name, and what it says without torch."""

import subprocess
import sys

import pytest
import torch

from vie.config.recipes import PRETEXTS, STAGES
from vie.models.encoders import build_encoder
from vie.objectives.table import (
    BUILTIN,
    build_objective,
    facts_of,
    objective_class,
    objective_of,
    scratch_bytes,
    transform_of,
)
from vie.runtime.errors import VieError
from vie.runtime.importing import load_object

OWN = {"moco": "examples.moco:MoCo"}


def test_the_table_imports_no_torch():
    code = "import sys, vie.objectives.table; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_config_knows_the_same_objectives():
    assert set(BUILTIN) == set(STAGES)


@pytest.mark.parametrize("stage", BUILTIN)
def test_every_objective_is_found_and_built(recipe, single_stage, stage):
    alone = single_stage(stage) if stage in PRETEXTS else recipe
    assert objective_class(alone, stage).facts is BUILTIN[stage].facts
    assert load_object(BUILTIN[stage].path).__module__ == f"vie.objectives.{stage}"
    labels, encoder = torch.arange(24) % 3, build_encoder(alone["encoder"])
    first, again = (build_objective(alone, stage, labels, 5, encoder) for _ in range(2))
    other = build_objective(alone, stage, labels, 6, encoder)
    parameters = list(first.parameters())
    assert all(map(torch.equal, parameters, again.parameters()))
    assert not parameters or not all(map(torch.equal, parameters, other.parameters()))


def test_settings_of_single_frames_are_the_clips_and_not_the_objective_s(single_stage):
    transform = transform_of(single_stage("order_prediction"), "order_prediction")
    assert (transform.frame_shift, transform.channel_dropping) == (1, True)
    transform = transform_of(single_stage("rotation"), "rotation")
    assert (transform.frame_shift, transform.channel_dropping) == (0, False)


def test_memory_is_the_objective_s_own(root, recipe):
    batch, dimensions = 5, 8
    nce = scratch_bytes(recipe, "instance_recognition", 1000, dimensions)
    assert nce >= 4 * batch * 16 * dimensions  # 16 negatives of each clip
    recipe["objective"]["instance_recognition"]["estimator"] = "softmax"
    assert scratch_bytes(recipe, "instance_recognition", 1000, dimensions) >= 4 * batch * 1000
    bank = 4 * 10**6 * dimensions
    assert scratch_bytes(recipe, "local_aggregation", 10**6, dimensions) >= bank
    assert facts_of(recipe, "rotation").shown == 4
    own = recipe | {"classes": OWN, "objective": {"moco": {"queue": 100, "dimensions": 8}}}
    assert facts_of(own, "moco").n_views == 2
    assert scratch_bytes(own, "moco", 1000, 8) == 4 * 100 * (3 * batch + 8)


def test_what_is_no_objective_is_refused(root, recipe):
    with pytest.raises(VieError, match=r"'moco' is unknown.*rotation"):
        objective_class(recipe, "moco")
    with pytest.raises(VieError, match="not a subclass of"):
        objective_class(recipe | {"classes": {"moco": "vie.models.encoders:Encoder"}}, "moco")
    encoder = build_encoder(recipe["encoder"] | {"embedding": "pooled"})
    own = recipe | {"classes": OWN, "objective": {"moco": {"temprature": 1}}}
    with pytest.raises(VieError, match=r"objective\.moco of the recipe.*'temprature'"):
        build_objective(own, "moco", torch.zeros(12), 0, encoder)


def test_a_checkpoint_s_own_objective_is_not_imported(recipe):
    content = {"recipe": recipe | {"classes": {"x": "os:system"}}, "stage": "x", "seed": 0}
    with pytest.raises(VieError, match=r"the checkpoint was made with os:system"):
        objective_of(content, build_encoder(recipe["encoder"]))
