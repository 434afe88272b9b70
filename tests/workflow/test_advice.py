"""Advice: settings that fit any number of videos, their reasons, and how videos are looked at."""

import copy as copying
import itertools
import json
import subprocess
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vie.config.load import load_config, merge, validate
from vie.datasets.video import Video
from vie.frames import contents
from vie.frames.ffmpeg import ffmpeg_executable
from vie.frames.unusable import UnusableVideoError
from vie.runtime.errors import VieError
from vie.workflow import sizes
from vie.workflow.advice import advise
from vie.workflow.commented import Alias, Anchor, Why, plain, to_yaml
from vie.workflow.fitting import RECIPES, SOFTMAX, Machine, least_videos, numbers
from vie.workflow.survey import Survey, survey

ROOT = Path(__file__).parents[2]
LAPTOP, SERVER = Machine(2, ""), Machine(16, "NVIDIA H100")


def own(layout="flat", **dataset):
    """The demo's config with a dataset of the user's."""
    overlay = {"experiment": "mine", "dataset": "mine", "datasets": {"mine": {"videos": "mine"}}}
    overlay["datasets"]["mine"] |= {"layout": layout, **dataset}
    found = yaml.safe_load((ROOT / "config.yaml").read_text())
    validate(merge(found, overlay))
    return found


OWN = {layout: own(layout) for layout in ("flat", "folders")}
MINE = OWN["flat"]


def of(videos, lengths=(4.0, 9.0, 12.0), side=360, broken=0):
    """A survey of videos of which a tenth validates."""
    val = max(1, videos // 10)
    return Survey(
        videos - val, val, sorted(lengths), side, Counter({"truncated": broken} if broken else {})
    )


def completed(config, text):
    """The config with the advice as the last of its files."""
    found = merge(copying.deepcopy(config), yaml.safe_load(text))
    validate(found)
    return found


def network_cost(encoder, frames, size, repeats=1):
    """In place of counting on the network itself, which takes a second for each."""
    return 25 * frames * (size * json.loads(encoder)["width"]) ** 2, 10**6, 128


@pytest.fixture(autouse=True, scope="module")
def cheap_costs():
    with mock.patch("vie.workflow.estimate.network_cost", network_cost):
        yield


@settings(max_examples=40)
@given(
    videos=st.integers(18, 1_000_000),  # 17 to train on, for 8 GPUs
    lengths=st.lists(st.floats(0.2, 3000), min_size=1, max_size=8),
    side=st.integers(20, 2000),
    machine=st.sampled_from([LAPTOP, SERVER]),
    layout=st.sampled_from(["flat", "folders"]),
    gpus=st.sampled_from([0, 1, 2, 4, 8]),  # divide the demo's batches
)
@example(10, [5.0], 360, LAPTOP, "flat", 2)
@example(1_000_000, [5.0], 360, SERVER, "flat", 1)
@example(SOFTMAX * 10 // 9 + 10, [5.0], 360, LAPTOP, "flat", 0)
@example(18, [5.0], 360, SERVER, "flat", 8)
def test_advice_fits_any_number_of_videos(videos, lengths, side, machine, layout, gpus):
    """Also if a third of the usable videos turn out not to be."""
    config, found = copying.deepcopy(OWN[layout]) | {"gpus": gpus}, of(videos, lengths, side)
    if found.usable(found.train, 120) < least_videos(gpus) and layout == "folders":
        with pytest.raises(VieError, match="can be trained on, and a training"):
            advise(config, found, machine)
        return
    text = advise(config, found, machine)
    assert advise(config, found, machine) == text
    whole = completed(config, text)
    dataset = whole["datasets"]["mine"]
    limit, cut = dataset["frames"]["max_seconds"], dataset.get("cut")
    usable = found.usable(found.train, limit, cut)
    for count in (usable, 2 * usable // 3):
        problems = sizes.problems(whole, RECIPES, lambda frames, n=count: n, probes=count >= 10)
        assert not problems, (count, problems)
    for name in RECIPES:
        recipe = whole["recipes"][name]
        assert dataset["frames"]["shorter_side"] >= min(
            side // 2 * 2, recipe["geometry"]["size"], 16
        )
        nce = recipe["objective"]["instance_recognition"]["estimator"] != "softmax"
        assert nce == (usable >= SOFTMAX)
    assert ("Too few" in text.splitlines()[0]) == (
        usable + found.usable(found.val, limit, cut) < 50
    )


def test_the_demo_s_and_the_paper_s_size_give_their_numbers():
    demo, paper = numbers(480), numbers(240_000)
    assert (demo.batch, demo.recognition, demo.clusters, demo.neighbours) == (32, 40, 40, 60)
    assert (paper.batch, paper.clusters, paper.neighbours) == (64, 8000, 512)
    assert 13 <= paper.recognition <= 20
    assert 350 <= paper.most <= 390


@given(gpus=st.integers(1, 64), more=st.integers(0, 10**6))
def test_half_of_the_videos_fill_a_batch_that_gpus_share(gpus, more):
    found = numbers(least_videos(gpus) + more, gpus)
    assert found.batch % gpus == 0
    assert gpus <= found.batch <= found.videos / 2


def test_numbers_grow_with_the_videos():
    every = [numbers(n) for n in (10, 30, 100, 300, 1000, 10_000, 100_000, 1_000_000)]
    for before, after in itertools.pairwise(every):
        assert before.batch <= after.batch
        assert before.neighbours <= after.neighbours
        if before.videos >= 1000:  # below, what counts is the steps of an epoch
            assert before.recognition >= after.recognition
            assert before.clusters <= after.clusters


def test_a_larger_machine_trains_larger_networks_and_the_reason_is_given():
    texts = [advise(MINE, of(20_000), machine) for machine in (LAPTOP, SERVER)]
    widths = [completed(MINE, t)["recipes"]["vie_slow"]["encoder"]["width"] for t in texts]
    assert widths[0] < widths[1] == 64
    assert "would take" in texts[0]
    assert "no GPU" in texts[0]
    assert "NVIDIA H100" in texts[1]


def test_small_frames_are_not_enlarged():
    whole = completed(MINE, advise(MINE, of(20_000, side=100), SERVER))
    assert whole["recipes"]["vie_slow"]["geometry"]["size"] == 64
    assert whole["datasets"]["mine"]["frames"]["shorter_side"] <= 100


def test_long_videos_are_cut_where_the_layout_can():
    long = of(100, [5.0, 8.0, 600.0])
    text = advise(MINE, long, LAPTOP)
    assert "1 of 3 videos play longer than 30 s" in text
    whole = completed(MINE, text)
    assert whole["datasets"]["mine"]["cut"] == {"seconds": 10, "overlap": 0}
    assert "1,860 videos to train on" in text  # (1 + 1 + 60 pieces) / 3 of 90 videos
    folders = own("folders")
    whole = completed(folders, advise(folders, of(100, [5.0, 8.0, 50.0]), LAPTOP))
    assert whole["datasets"]["mine"]["frames"]["max_seconds"] == 50
    assert "cut" not in whole["datasets"]["mine"]


@pytest.mark.parametrize(
    ("layout", "lengths"), [("flat", [5.0, 8.0, 600.0]), ("folders", [5.0, 8.0, 50.0])]
)
def test_advice_that_is_asked_for_again_keeps_what_it_said_of_long_videos(layout, lengths):
    """The videos are then pieces already, and these are not cut again."""
    first = completed(OWN[layout], advise(OWN[layout], of(100, lengths), LAPTOP))
    again = of(100, [5.0, 10.0, 14.0] if layout == "flat" else lengths)
    text = advise(first, again, LAPTOP)
    assert "as before" in text
    assert "about 90 videos to train on" in text
    second = completed(OWN[layout], text)["datasets"]["mine"]
    before = first["datasets"]["mine"]
    assert second.get("cut") == before.get("cut")
    assert second["frames"]["max_seconds"] == before["frames"]["max_seconds"]


def test_what_the_user_said_of_long_videos_is_kept():
    config = own(cut={"seconds": 14, "overlap": 5}, frames={"max_seconds": 22})
    kept = completed(MINE, advise(config, of(100), LAPTOP))["datasets"]["mine"]
    assert kept["cut"] == {"seconds": 14, "overlap": 5}
    assert kept["frames"]["max_seconds"] == 22


def test_a_limit_that_nobody_set_is_not_written():
    assert "max_seconds" not in advise(MINE, of(100), LAPTOP)


def test_pieces_that_validate_are_counted_for_shards():
    text = advise(MINE, of(1000, [600.0]), LAPTOP)
    assert completed(MINE, text)["datasets"]["mine"]["shards"] == {"train": 54, "val": 6}


def test_broken_videos_are_counted_and_named():
    text = advise(MINE, of(100, [5.0] * 6, broken=3), LAPTOP)
    assert "about 60 videos to train on" in text
    assert "9 of 100 videos; 3 cannot be read (3 truncated)" in text.replace("\n# ", " ")


def test_advice_on_almost_nothing_is_refused():
    with pytest.raises(VieError, match=r"training on 8 GPUs needs 16: add videos, lower `gpus`"):
        advise(MINE | {"gpus": 8}, of(10), SERVER)
    with pytest.raises(VieError, match="about 2 of 3 videos can be trained on"):
        advise(MINE, Survey(3, 1, [1.0, 1.0], 64, Counter({"truncated": 1})), LAPTOP)


def test_yaml_reads_what_was_meant():
    tree = {
        "a": Why({"b": 1, "c": "2 epochs"}, "one reason " * 20),
        "d": Anchor("shared", {"e": Why([1, "x"], "another: # one"), "f": {"g": True}}),
        "h": {"i": Alias("shared"), "10": 0.1},
    }
    text = to_yaml(tree, ["# first"])
    assert yaml.safe_load(text) == plain(tree)
    assert plain(tree)["h"]["i"] == {"e": [1, "x"], "f": {"g": True}}
    assert max(map(len, text.splitlines())) <= 100


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two videos of 1 and 2 s, 96 x 64 pixels, an empty file, and a name without a file."""
    folder = tmp_path_factory.mktemp("videos")
    for seconds in (1, 2):
        source = f"testsrc=size=96x64:rate=25:duration={seconds}"
        command = [ffmpeg_executable(), "-v", "error", "-f", "lavfi", "-i", source]
        subprocess.run([*command, str(folder / f"{seconds}.mp4")], check=True)
    (folder / "empty.mp4").touch()
    return folder


def look(folder, *names, **piece):
    listed = [Video(name, name, "", **piece) for name in names]
    return survey(folder, listed, [], timeout_seconds=30, processes=2)


def test_videos_are_looked_at(videos):
    found = look(videos, "1.mp4", "2.mp4", "empty.mp4", "gone.mp4")
    assert found.seconds == pytest.approx([1, 2], abs=0.05)
    assert found.shorter_side == 64
    assert found.broken == {"empty file": 1, "missing file": 1}
    assert (found.sampled, found.longer(1.5), found.usable(400, 30)) == (4, 1, 200)
    piece = look(videos, "2.mp4", start=0.5, end=1.5)
    assert piece.seconds == pytest.approx([1], abs=0.05)
    with pytest.raises(VieError, match=r"none of 1 videos.*empty file"):
        look(videos, "empty.mp4")


def test_many_videos_are_sampled_the_same_way_each_time(tmp_path, monkeypatch):
    seen = []

    def read(path, **limits):
        seen.append(path.name)
        return SimpleNamespace(span=lambda: (0.0, 3.0))

    monkeypatch.setattr("vie.workflow.survey.read_contents", read)
    monkeypatch.setattr("vie.workflow.survey.frame_size", lambda *a, **limits: (64, 48))
    names = [f"{i}.mp4" for i in range(1000)]
    for name in names:
        (tmp_path / name).touch()
    found = look(tmp_path, *names)
    first = sorted(seen)
    assert found.sampled == len(set(first)) == 100
    seen.clear()
    look(tmp_path, *names)
    assert sorted(seen) == first
    assert found.usable(1000, 30) == 1000


def test_a_video_that_takes_long_is_not_called_broken(videos, tmp_path, monkeypatch):
    allowed = {}

    def read(path, timeout_seconds, *how):
        assert path.name not in allowed  # once
        allowed[path.name] = timeout_seconds
        if path.name == "1.mp4":
            raise UnusableVideoError(f"timed out after {timeout_seconds:g} s")
        return whole(path, timeout_seconds, *how)

    whole = contents._read
    monkeypatch.setattr(contents, "_read", read)
    monkeypatch.setattr(contents, "READING", 1000)  # bytes/s: less than the files have
    found = look(videos, "1.mp4", "2.mp4")
    assert min(allowed.values()) > 30  # the file's size counts
    assert found.broken == {"timed out": 1}
    text = advise(MINE, of(100)._replace(broken=found.broken), LAPTOP).replace("\n# ", " ")
    assert "; 1 take longer to read than frames.timeout_seconds allows; the others" in text
    assert "cannot be read" not in text


@pytest.mark.slow
def test_the_rule_writes_an_overlay_that_the_workflow_takes(copy, tmp_path, videos, snakemake):
    """12 videos: what the demo's settings refuse is planned with the advice."""
    for i in range(12):
        (tmp_path / f"{i}.mp4").write_bytes((videos / "1.mp4").read_bytes() + bytes(i))
    mine = {"experiment": "mine", "dataset": "mine"}
    mine["datasets"] = {"mine": {"layout": "flat", "videos": str(tmp_path)}}
    (copy / "mine.yaml").write_text(yaml.safe_dump(mine))
    advice, last = (
        "results/mine/advice.yaml",
        "results/mine/pretrain/vie_trn/seed0/local_aggregation.pt",
    )
    assert "is more than the" in snakemake(
        copy, "-n", "--cores", "2", "--configfile", "mine.yaml", "--", last, fails=True
    )
    snakemake(copy, "--cores", "2", "--configfile", "mine.yaml", "--", advice)
    assert (copy / advice).read_text().startswith("# Too few: 12 usable videos")
    load_config(copy / "config.yaml", copy / "mine.yaml", copy / advice)
    snakemake(copy, "-n", "--cores", "2", "--configfile", "mine.yaml", advice, "--", last)
