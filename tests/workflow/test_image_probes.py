"""Files and settings of linear probes on images."""

import copy
from pathlib import Path

import pytest

from vie.clips.crops import RandomSizedCrop
from vie.clips.transform import ClipTransform
from vie.config.load import load_config
from vie.runtime.errors import VieError
from vie.workflow.image_probes import (
    image_dataset,
    image_file,
    image_probes,
    image_settings,
    image_transform,
)
from vie.workflow.paths import IMAGES_TABLE, Experiment
from vie.workflow.titles import dataset_title

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demo():
    return load_config(ROOT / "config.yaml")


@pytest.fixture(scope="module")
def paper(paper):
    return Experiment(paper)


def test_files_of_the_table(demo):
    experiment = Experiment(demo | {"seeds": [3, 4]})
    files = image_probes(experiment, "metadata.json")
    rows = demo["tables"][IMAGES_TABLE]["evaluations"]
    assert len(files) == 2 * len(rows)
    assert files[1] == "results/demo/image_probe/random_single/untrained/seed4/metadata.json"
    assert image_file(experiment, "classes.csv") == "resources/stand_in_imagenet/classes.csv"
    assert f"results/{IMAGES_TABLE}.csv" in experiment.published_files()


def test_only_the_real_one_is_called_imagenet(demo, paper):
    titles = [dataset_title(one, image_dataset(one)) for one in (Experiment(demo), paper)]
    assert titles == ["stand-in for ImageNet", "ImageNet"]


def test_an_image_is_shown_as_often_as_a_clip_has_frames(paper):
    shown = {name: image_settings(paper, name)["frames"] for name in paper.rows[IMAGES_TABLE]}
    assert {name: shown[name] for name in ("vie_single", "opn", "vie_slow")} == {
        "vie_single": 1,
        "opn": 1,
        "vie_slow": 4,
    }
    assert {shown[name] for name in ("vie_slowfast", "vie_3dresnet", "random_3dresnet")} == {16}
    assert image_settings(paper, "vie_single")["clips"] == 1  # one crop, from the middle


@pytest.mark.parametrize(
    ("evaluation", "size", "side"), [("vie_3dresnet", 112, 128), ("opn", 224, 256)]
)
def test_sizes_are_the_evaluations_and_crops_random_sized(paper, evaluation, size, side):
    found = ClipTransform.of(image_transform(paper, evaluation), "single")
    assert found.geometry == RandomSizedCrop(size, (0.2, 1), (0.75, 1.333333), side)
    assert found.sampling.frames == 1
    assert found.color_jitter["grey"] == 0.2


def test_an_evaluation_may_differ(demo):
    changed = copy.deepcopy(demo)
    own = {"schedule": {"duration": "3 epochs", "lr_drops": []}, "pooled": True}
    changed["evaluations"]["random_single"]["image_probe"] = own
    before, after = (image_settings(Experiment(c), "random_single") for c in (demo, changed))
    assert after == before | own


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ({"image_probe": None}, "needs `image_probe`"),
        ({"tables": {IMAGES_TABLE: None}}, f"needs `tables.{IMAGES_TABLE}`"),
    ],
)
def test_without_its_settings_there_is_no_table(tmp_path, lacking, said):
    import yaml

    (tmp_path / "overlay.yaml").write_text(yaml.safe_dump(lacking))
    experiment = Experiment(load_config(ROOT / "config.yaml", tmp_path / "overlay.yaml"))
    assert not any("imagenet" in name for name in experiment.published_files())
    for ask in (image_dataset, lambda one: image_probes(one, "metadata.json")):
        with pytest.raises(VieError, match=said):
            ask(experiment)


@pytest.mark.parametrize("overlay", ["own_videos", "smoke"])
def test_overlays_load(overlay):
    config = load_config(ROOT / "config.yaml", ROOT / "experiments" / f"{overlay}.yaml")
    assert config["datasets"][config["image_probe"]["dataset"]]["layout"] == "imagefolder"
