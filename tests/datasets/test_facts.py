"""Differences from the paper's Kinetics are said, and only for it."""

import re
from pathlib import Path

import pytest
from torchvision.models.video import R3D_18_Weights

from vie.datasets.facts import (
    expected_videos,
    report_classes,
    report_split,
    report_usable,
    single_frame_ceiling,
)
from vie.datasets.synthetic.actions import HMDB51, UCF101
from vie.datasets.synthetic.render import CLASSES, SCENE_CLASSES
from vie.datasets.synthetic.trajectories import MOTIONS, SWAYS

OFFICIAL = R3D_18_Weights.KINETICS400_V1.meta["categories"]
PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"


def test_numbers_are_the_protocols():
    row = next(line for line in PROTOCOL.read_text().splitlines() if "pretraining set" in line)
    train, val = (int(n.replace(",", "")) for n in re.findall(r"\d+,\d+", row))
    assert expected_videos("kinetics400") == {"train": train, "val": val}
    row = next(line for line in PROTOCOL.read_text().splitlines() if "1,281,167" in line)
    assert [int(n.replace(",", "")) for n in re.findall(r"\d+,[\d,]+\d", row)] == [
        1000,
        *expected_videos("imagenet").values(),
    ]
    for other in (None, "ucf101", "hmdb51"):
        assert expected_videos(other) == {}


def test_the_official_classes_need_no_word(caplog):
    report_classes(OFFICIAL, "kinetics400")
    report_classes([label.replace(" ", "_").upper() for label in OFFICIAL], "kinetics400")
    report_classes(["any", "thing"], None)
    report_classes(["any", "thing"], "ucf101")
    assert not caplog.records


def test_other_classes_are_named(caplog):
    labels = [label for label in OFFICIAL if label not in ("zumba", "yoga")]
    report_classes([*labels, "dancing on ice"], "kinetics400")
    assert [record.getMessage() for record in caplog.records] == [
        "399 classes, and kinetics400 has 400",
        "1 classes are not of kinetics400: 'dancing on ice'",
        "2 classes of kinetics400 are absent: 'yoga', 'zumba'",
    ]


def test_the_number_of_imagenets_classes_is_looked_at(caplog):
    report_classes([f"n{i:08d}" for i in range(1000)], "imagenet")
    assert not caplog.records
    report_classes(["ant", "bee"], "imagenet")
    assert "2 classes, and imagenet has 1000" in caplog.text


def test_classes_without_a_video_in_a_split(caplog):
    report_split(["a", "b", "a"], ["a", "b"], "val")
    assert not caplog.records
    report_split(["a"], [*"abcdefgh"], "val")
    assert "the list of val has no video of 7 classes: 'b', 'c', 'd', 'e', 'f' and 2 more" in (
        caplog.text
    )


@pytest.mark.parametrize(
    ("usable", "split", "identity", "words"),
    [
        (234_619, "train", "kinetics400", "234,619 usable .* 239,888 .-5269, 97.8 %"),
        (19_761, "val", "kinetics400", "19,761 usable .* 19,653 .+108, 100.5 %"),
        (1_281_160, "train", "imagenet", "1,281,160 usable .* 1,281,167 .-7, 100.0 %"),
        (239_888, "train", "kinetics400", None),
        (5, "train", None, None),
        (5, "all", "ucf101", None),
    ],
)
def test_numbers_that_differ_are_said(caplog, usable, split, identity, words):
    report_usable(usable, split, identity)
    assert len(caplog.records) == (words is not None)
    if words:
        assert caplog.records[0].levelname == "WARNING"
        assert re.search(words, caplog.text)


def best_guess(labels, seen):
    """The most right answers (%) that {label: {what is seen: share}} allows."""
    views = {view for shares in seen.values() for view in shares}
    most = (max(seen[label].get(view, 0) for label in labels) for view in views)
    return 100 * sum(most) / len(labels)


@pytest.mark.parametrize("scene", [None, 0.0, 0.3, 0.5, 0.75, 1.0])
def test_what_single_frames_are_worth(scene):
    """Worked out from what a frame of each class may show: figure and clouds."""
    labels = CLASSES if scene is None else SCENE_CLASSES
    seen = {}
    for label in labels:
        figure, action = label.split(" ")
        kinds = [action] if action in SWAYS else list(SWAYS)
        seen[label] = dict.fromkeys([(figure, "fine"), (figure, "coarse")], 0.0)
        for kind in kinds:
            for goes_with, share in ((True, scene or 0.0), (False, 1 - (scene or 0.0))):
                clouds = "fine" if (kind == "trembling") == goes_with else "coarse"
                seen[label][figure, clouds] += share / len(kinds)
        if scene is None:
            seen[label] = {figure: 1.0}
    assert len(MOTIONS) == len(SWAYS) == 2
    generator = {"dataset_seed": 1} | ({} if scene is None else {"scene": scene})
    found = single_frame_ceiling({"layout": "kinetics", "generator": generator})
    assert found == pytest.approx(best_guess(labels, seen))


def test_what_single_frames_of_the_stand_ins_are_worth():
    for layout, actions in (("ucf101", UCF101), ("hmdb51", HMDB51)):
        seen = {action: {action.figure: 1.0} for action in actions}
        reverse = {"approaching": "receding", "rising": "sinking"}
        assert {action.motion for action in actions} <= {*reverse, *reverse.values()}
        found = single_frame_ceiling({"layout": layout, "generator": {}})
        assert found == pytest.approx(best_guess(actions, seen)) == 50


def test_of_other_datasets_the_limit_is_not_known():
    assert single_frame_ceiling({"layout": "kinetics", "official_name": "kinetics400"}) is None
    assert single_frame_ceiling({"layout": "ucf101", "official_name": "ucf101"}) is None
    assert single_frame_ceiling({"layout": "imagefolder", "generator": {}}) is None
