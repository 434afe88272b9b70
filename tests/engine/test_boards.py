"""What TensorBoard shows of a training, and that showing it changes nothing."""

import csv
import io
import json
import random

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.loading import data_of
from vie.clips.color_jitter import MEAN, STD, apply_color_jitter, normalise
from vie.clips.loader import Batch, EpochBatchSampler, TrainClips, loader
from vie.clips.transform import ClipTransform
from vie.engine import monitor
from vie.engine.clip_grid import GAP, clip_grid, first_videos
from vie.engine.monitor import bank_measures
from vie.engine.recorder import Recorder
from vie.engine.run import Run
from vie.engine.task import Task
from vie.frames.index import load_index
from vie.objectives.bank import MemoryBank
from vie.objectives.local_aggregation import LocalAggregation
from vie.pretrain import PretrainOutputs, train_stage
from vie.runtime import torch_files

IR, LA = "instance_recognition", "local_aggregation"


def train(recipe, stage, dataset, folder, **run):
    """The checkpoint of a stage's end, with the validation videos watched."""
    train_stage(
        recipe,
        stage,
        data_of(dataset),
        Run(folder / f"{stage}.state", seed=1, name="test", workers=0, **run),
        PretrainOutputs(folder / f"{stage}.pt", folder / f"{stage}.jsonl"),
        start_from=folder / f"{IR}.pt" if stage == LA else None,
    )
    return torch_files.load(folder / f"{stage}.pt")


def rows_of(folder, stage):
    return [json.loads(line) for line in (folder / f"{stage}.jsonl").read_text().splitlines()]


def events(folder):
    return EventAccumulator(str(folder)).Reload()


def scalars(folder, tag):
    """{step: value}, each step once."""
    found = events(folder).Scalars(tag)
    steps = [one.step for one in found]
    assert steps == sorted(set(steps)), tag
    return {one.step: one.value for one in found}


def image(folder, tag="clips"):
    [found] = events(folder).Images(tag)
    return found.step, np.array(Image.open(io.BytesIO(found.encoded_image_string)))


def by_definition(bank):
    """Mean cosine of pairs one by one, and the eigenvalues' participation, in numpy."""
    vectors = bank.numpy().astype(np.float64)
    cosines = (vectors @ vectors.T)[~np.eye(len(vectors), dtype=bool)]
    values = np.linalg.eigvalsh(np.cov(vectors.T, bias=True))
    return {
        "bank/mean_cosine": pytest.approx(cosines.mean(), abs=1e-6),
        "bank/dimensions": pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-4),
    }


@pytest.fixture
def gradients(monkeypatch):
    """Norms of the gradients of all steps, computed apart from the optimiser."""
    norms, update = [], Task.update

    def measured(task, loss, lr):
        weights = [p for p in task.model.parameters() if p.requires_grad]
        found = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
        norms.append(sum(float(g.double().square().sum()) for g in found if g is not None) ** 0.5)
        update(task, loss, lr)

    monkeypatch.setattr(Task, "update", measured)
    return norms


def test_rates_gradients_and_the_bank_are_shown(recipe, small_dataset, tmp_path, gradients):
    end = train(recipe, IR, small_dataset, tmp_path)
    shown = tmp_path / f"{IR}.state" / "tensorboard"
    assert scalars(shown, "lr") == {9: pytest.approx(0.005)}  # after the drop at step 8
    assert scalars(shown, "gradient_norm") == {9: pytest.approx(gradients[-1], rel=1e-4)}
    # 4 steps of 5 videos are an epoch of 24.
    assert list(scalars(shown, "bank/untouched")) == [0, 4, 8, 10]
    untouched = scalars(shown, "bank/untouched")
    assert untouched[0] == 100
    assert untouched[4] == pytest.approx(100 * 4 / 24)
    for tag, value in by_definition(end["bank"]["vectors"]).items():
        assert scalars(shown, tag)[10] == value
    # The result has the metrics alone.
    assert {key for row in rows_of(tmp_path, IR) for key in row} == {
        *("step", "epoch", "knn_top1", "loss", "clips_per_second"),
    }


def test_what_is_measured_of_the_bank_without_spread_is_defined():
    bank = MemoryBank(10, 8)
    bank.vectors[:] = torch.eye(8)[0]
    expected = {"bank/mean_cosine": 1, "bank/dimensions": 1, "bank/untouched": 0}
    assert bank_measures(bank) == pytest.approx(expected)
    bank.vectors[:8] = torch.eye(8)  # two more of the first
    found = bank_measures(bank)
    assert found == found | by_definition(bank.vectors)


def test_neighbours_of_local_aggregation_are_counted(recipe, small_dataset, tmp_path, monkeypatch):
    counts, close = [], LocalAggregation.close

    def counted(self, instances, background):
        labels = self.labels.tolist()
        counts.append(
            [
                sum(any(one[j] == one[i] for one in labels) for j in row)
                for i, row in zip(instances.tolist(), background.tolist(), strict=True)
            ]
        )
        return close(self, instances, background)

    train(recipe, IR, small_dataset, tmp_path)
    monkeypatch.setattr(LocalAggregation, "close", counted)
    train(recipe, LA, small_dataset, tmp_path)
    shown = tmp_path / f"{LA}.state" / "tensorboard"
    assert scalars(shown, "neighbours/close") == {22: pytest.approx(np.mean(counts[-1]))}
    alone = 100 * np.mean([count == 0 for count in counts[-1]])
    assert scalars(shown, "neighbours/without_close") == {22: pytest.approx(alone)}


def test_the_first_clips_are_shown_as_the_network_sees_them(recipe, small_dataset, tmp_path):
    recipe |= {"clip": {"frames": 3, "stride": 2}}
    recipe["encoder"] |= {"network": "slow"}
    train(recipe, IR, small_dataset, tmp_path)
    step, picture = image(tmp_path / f"{IR}.state" / "tensorboard")
    assert step == 0
    index, order = small_dataset / "train" / "index.parquet", {"seed": 1, "stage": "pretraining"}
    dataset = TrainClips(index, ClipTransform.of(recipe), **order)
    keys = EpochBatchSampler(24, 5, first=0, last=1, **order)
    [batch] = loader(dataset, keys, 0, clips=5)
    clips = apply_color_jitter(batch.clips, batch.color_jitter).numpy()
    side = 32 + GAP
    assert picture.shape == (5 * side, 3 * side, 3)
    for row, clip in enumerate(clips):
        for column in range(3):
            seen = clip[:, column].transpose(1, 2, 0) * STD + MEAN  # (3, H, W) -> (H, W, 3)
            there = picture[row * side :, column * side :][:32, :32]
            np.testing.assert_allclose(there, 255 * seen.clip(0, 1), atol=0.51)


def test_a_grid_has_rows_of_videos_and_evenly_spaced_frames():
    """Clips of one colour each: frame t of view v of video i is 100 v + 10 i + t."""
    values = torch.arange(2)[:, None, None] * 100 + torch.arange(9)[:, None] * 10 + torch.arange(15)
    clips = values.flatten(0, 1).byte()[:, None, :, None, None].expand(18, 3, 15, 4, 4)
    batch = Batch(clips, torch.arange(9), torch.zeros(9), None)
    few = first_videos(batch)
    assert few.clips[:, 0, 0, 0, 0].tolist() == [*range(0, 80, 10), *range(100, 180, 10)]
    grid = clip_grid(normalise(few.clips), 8)
    side = 4 + GAP
    assert grid.shape == (3, 8 * side, 8 * side)  # at most
    assert grid[0, ::side, 0].tolist() == [0, 100, 10, 110, 20, 120, 30, 130]
    assert grid[0, 0, ::side].tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
    assert grid[0, 4].tolist() == [255] * 8 * side  # the gap
    single = clip_grid(normalise(few.clips[:, :, :1]), 8)
    assert single[0, 0, ::side].tolist() == [0, 100, 10, 110, 20, 120, 30, 130]


def test_all_rotations_of_a_clip_are_shown_below_each_other(
    recipe, single_stage, small_dataset, tmp_path
):
    train(single_stage("rotation", "1 steps"), "rotation", small_dataset, tmp_path)
    _, picture = image(tmp_path / "rotation.state" / "tensorboard")
    side = 32 + GAP
    frames = [picture[:32, side * i :][:, :32] for i in range(8)]  # single frames lie in a row
    for first in (0, 4):
        for turn in range(4):
            assert np.array_equal(frames[first + turn], np.rot90(frames[first], turn))
    assert not np.array_equal(frames[0], frames[4])


@pytest.mark.parametrize("classes", [True, False])
def test_the_projector_has_what_the_monitor_embedded(
    recipe, small_dataset, tmp_path, monkeypatch, classes
):
    embedded, embed = [], monitor.embed_videos
    monkeypatch.setattr(
        monitor, "embed_videos", lambda *a: embedded.append(embed(*a)) or embedded[-1]
    )
    monkeypatch.setattr(monitor, "MOST_POINTS", 5)
    if not classes:
        monkeypatch.setattr(monitor, "read_classes", lambda path: [])
    train(recipe, IR, small_dataset, tmp_path)
    watched = [row for row in rows_of(tmp_path, IR) if "epoch" in row]
    assert len(embedded) == len(watched) == 4
    shown = tmp_path / f"{IR}.state" / "tensorboard"
    vectors = np.loadtxt(shown / "00000" / "validation" / "tensors.tsv", delimiter="\t")
    means = embedded[-1].numpy().mean(1)[[0, 2, 4, 5, 7]]  # 8 videos, evenly spaced
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, means, atol=6e-5)
    with (shown / "00000" / "validation" / "metadata.tsv").open() as file:
        header, *rows = csv.reader(file, delimiter="\t")
    assert header == ["video", "class" if classes else "file"]
    names = load_index(small_dataset / "val" / "index.parquet").videos.to_pylist()
    assert [row[0] for row in rows] == [names[i] for i in (0, 2, 4, 5, 7)]
    own = [f"class {int(name.removeprefix('val')) % 4}" if classes else name for name, _ in rows]
    assert [row[1] for row in rows] == own
    assert "validation" in (shown / "projector_config.pbtxt").read_text()


def test_showing_changes_no_bit_and_moves_no_generator(recipe, small_dataset, tmp_path):
    def ended(name, **run):
        folder = tmp_path / name
        folder.mkdir()
        for seed in (torch.manual_seed, np.random.seed, random.seed):
            seed(7)
        found = train(recipe, IR, small_dataset, folder, **run)
        generators = torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate()
        for row in (rows := rows_of(folder, IR)):
            row.pop("clips_per_second", None)
        return found, rows, generators

    # torch's loader takes a number from torch's generator in both.
    shown, *others = ended("shown")
    hidden, *same = ended("hidden", report_to=())
    assert others == same
    assert (tmp_path / "shown" / f"{IR}.state" / "tensorboard").exists()
    assert not (tmp_path / "hidden" / f"{IR}.state" / "tensorboard").exists()
    for part in ("encoder", "bank", "objective"):
        for name, value in shown[part].items():
            assert torch.equal(value, hidden[part][name]), name
    assert str(shown["optimiser"]) == str(hidden["optimiser"])
    assert shown["run_key"] == hidden["run_key"]


def test_a_run_that_goes_on_repeats_no_row(recipe, small_dataset, tmp_path, capsys):
    train(recipe, IR, small_dataset, tmp_path)
    recipe["schedule"][IR] = "14 steps"
    train(recipe, IR, small_dataset, tmp_path)
    shown = tmp_path / f"{IR}.state" / "tensorboard"
    assert len(list(shown.glob("events*"))) == 2
    assert image(shown)[0] == 0
    for tag in ("loss", "lr", "gradient_norm"):
        assert list(scalars(shown, tag)) == [9, 13]
    for tag in ("knn_top1", "bank/untouched"):
        # That of the earlier end is gone, as it is from the result.
        assert list(scalars(shown, tag)) == [0, 4, 8, 12, 14]
    assert "warning" not in capsys.readouterr().out  # of the projector's folder


def test_rows_of_a_killed_run_are_written_once(tmp_path):
    path, shown = tmp_path / "metrics.jsonl", tmp_path / "tensorboard"
    for first in (0, 5):
        recorder = Recorder(path, shown, first)
        for step in range(first, first + 8):
            recorder.write(step, loss=float(first))
            recorder.show(step, lambda: {"lr": 0.1})
        recorder.close()
    assert scalars(shown, "loss") == {s: 0.0 if s < 5 else 5.0 for s in range(13)}
    assert list(scalars(shown, "lr")) == list(range(13))


def test_nothing_is_computed_for_no_board(tmp_path):
    recorder = Recorder(tmp_path / "metrics.jsonl", None)
    recorder.show(0, lambda: pytest.fail("computed"))
    recorder.picture(0, "clips", lambda: pytest.fail("computed"))
    recorder.close()


def test_names_of_videos_stay_in_their_cell(tmp_path):
    from vie.engine.recorder import Points, TensorBoard

    board = TensorBoard(tmp_path)
    points = Points(torch.eye(2), ["video", "class"], [["a\tb\nc", "x"], ["d", "<b>"]])
    for one in (points, replace_first(points)):  # the second takes the place of the first
        board.points("validation", one)
    board.finish()
    lines = (tmp_path / "00000" / "validation" / "metadata.tsv").read_text().splitlines()
    assert lines == ["video\tclass", "'a\\tb\\nc'\ty", "d\t<b>"]


def replace_first(points):
    return points._replace(rows=[[points.rows[0][0], "y"], *points.rows[1:]])
