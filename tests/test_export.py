"""The command that exports an encoder, its model card, and a network run without this project."""

import json
import re
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

import vie
from tests.frames.test_ffmpeg import H264, encode
from tests.models.test_export import checkpoint
from vie.clips.color_jitter import normalise
from vie.clips.crops import crop_frames
from vie.clips.cutting import decode
from vie.clips.transform import ClipTransform
from vie.export import main
from vie.frames.ffmpeg import FrameSettings, extract_jpegs
from vie.models.export import FORMATS
from vie.reporting.model_card import model_card
from vie.runtime import torch_files
from vie.runtime.errors import VieError

pytestmark = pytest.mark.usefixtures("one_thread")
PROVENANCE = {
    "experiment": "ours",
    "dataset": "kinetics",
    "official_name": "kinetics-400",
    "stages": ["rotation"],
    "objectives": {"temperature": 0.07, "rotation": {"angles": 4}},
    "imported_from": None,
}
TABLES = {
    "table_1.csv": "model,conv5,conv5_ci95,n_val,seeds\nA network,40.5,3.1,480,0 1\nB,1,1,9,0\n",
    "retrieval.csv": "dataset,model,layer,r1,r1_ci95\nucf,A network,conv5,30.25,2.5\nx,B,y,7,7\n",
}


@pytest.fixture
def encoder_file(tmp_path):
    """An encoder in the folder of an experiment."""

    def write(**changes):
        content = checkpoint("slow", 4) | {
            "seed": 1,
            "frames": {"fps": 25.0, "shorter_side": 48, "quality": 2},
            "provenance": PROVENANCE,
            "licence": None,
        }
        path = tmp_path / "ours" / "encoders" / "slow.pt"
        torch_files.save(path, content | changes)
        return path

    return write


def export(*arguments):
    main([str(argument) for argument in arguments])


def card_of(path):
    """The card of an encoder of which no file was written."""
    return model_card(vie.load_encoder(path), torch_files.load(path), path, [])


def test_files_and_card_are_written_under_one_name(encoder_file, tmp_path, monkeypatch, capsys):
    path = encoder_file()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    export(path, "--to", "torch-export", "safetensors")
    names = {"slow.pt2", "slow.safetensors", "slow_loader.py", "slow.md"}
    assert {file.name for file in (tmp_path / "here").iterdir()} == names
    assert re.search(r"slow\.pt2: \d\.\d MB, largest difference", capsys.readouterr().out)
    with pytest.raises(VieError, match=r"slow\.pt2 is there already: give another name with -o"):
        export(path, "--to", "torch-export")
    # An exported file is an encoder's file too; its suffix may be given or not.
    export("slow.safetensors", "--to", "torchscript", "-o", "again/it.torchscript")
    assert {file.name for file in (tmp_path / "here/again").iterdir()} == {
        "it.torchscript",
        "it.md",
    }
    with pytest.raises(VieError, match="its suffix is that of onnx, which --to does not name"):
        export(path, "--to", "torchscript", "-o", "it.onnx")


def test_no_file_takes_the_place_of_a_module(encoder_file, tmp_path, monkeypatch):
    """Python looks for modules in the folder that it is started in."""
    monkeypatch.chdir(tmp_path)
    export(encoder_file(), "--to", "safetensors", "-o", "json")
    assert [file.name for file in tmp_path.glob("*.py")] == ["json_loader.py"]
    assert "runpy.run_path('json_loader.py')" in (tmp_path / "json.md").read_text()


@pytest.mark.parametrize("failing", ["writer", "card"])
def test_after_a_failure_the_same_command_works(encoder_file, tmp_path, monkeypatch, failing):
    def fail(*_):
        raise VieError("half-way")

    with monkeypatch.context() as patch:
        if failing == "writer":
            torchscript = FORMATS["torchscript"]._replace(write=fail)
            patch.setitem(FORMATS, "torchscript", torchscript)
        else:
            patch.setattr("vie.export.model_card", fail)
        order = encoder_file(), "--to", "safetensors", "torchscript", "-o", tmp_path / "out" / "it"
        with pytest.raises(VieError, match="half-way"):
            export(*order)
    assert not list((tmp_path / "out").iterdir())
    export(*order)
    names = {"it.safetensors", "it_loader.py", "it.torchscript", "it.md"}
    assert {file.name for file in (tmp_path / "out").iterdir()} == names


def test_what_cannot_be_exported_is_said_in_a_sentence(encoder_file, tmp_path):
    with pytest.raises(VieError, match="no such checkpoint"):
        export(tmp_path / "absent.pt", "--to", "torch-export", "-o", tmp_path / "it")
    named = checkpoint("slow", 4)["recipe"] | {"encoder": {"network": "os:system"}}
    path = encoder_file(recipe=named)
    with pytest.raises(VieError, match=r"os:system.*trust=True"):
        export(path, "--to", "torch-export", "-o", tmp_path / "it")
    assert not (tmp_path / "it.md").exists()


def test_the_card_says_what_file_and_tables_say(encoder_file, tmp_path):
    path = encoder_file(licence="CC BY 4.0")
    for name, text in TABLES.items():
        (tmp_path / "ours" / name).write_text(text)
    card = card_of(path)
    for line in (
        "# A network",
        "- Dataset: kinetics-400 (kinetics)",
        "- Videos: 24",
        "- Objective: temperature 0.07, rotation (angles 4)",
        "- Last stage: rotation",
        "- Steps: 7",
        "- Seed: 1",
        "- Also recorded: experiment ours, stages [rotation]",
        "- Licence: CC BY 4.0",
        r"| model | conv5 | conv5\_ci95 | n\_val | seeds |",
        "| A network | 40.5 | 3.1 | 480 | 0 1 |",
        "| ucf | A network | conv5 | 30.25 | 2.5 |",
    ):
        assert line in card.splitlines()
    assert "| B |" not in card
    assert "this file is the network of seed 1" in card
    assert "with a shorter side of 48 pixels (bicubic) and quality 2" in card


def test_the_card_invents_nothing(encoder_file, tmp_path):
    path = encoder_file(provenance=None, n_train=None, frames=None)
    (tmp_path / "ours" / "table_1.csv").write_text(TABLES["table_1.csv"].replace("A network", "C"))
    lines = card_of(path).splitlines()
    assert "- Dataset: not recorded" in lines
    assert "- Videos: not recorded" in lines
    assert "- Licence: none was given" in lines
    assert "No table of its experiment was found beside its file, or none has a row of it." in lines


HOSTILE = "<script>`x` | *b* _i_ [l](u) & \\\n# end"


@pytest.mark.parametrize(
    "field", ["licence", "dataset", "official_name", "quality", "label", "step"]
)
def test_what_a_file_says_is_no_markup_in_the_card(encoder_file, field):
    path = encoder_file()
    encoder, content = vie.load_encoder(path), torch_files.load(path)
    inside = {"quality": "frames", "label": "recipe", "licence": None, "step": None}
    place = inside.get(field, "provenance")
    (content[place] if place else content)[field] = HOSTILE
    card = model_card(encoder, content, path, []).split("```json")[0]
    (line,) = [line for line in card.splitlines() if "script" in line]
    said = line[line.index("script") - 2 :]
    assert said.startswith(r"\<script\>\`x\` \| \*b\* \_i\_ \[l\](u) \& ")
    assert "# end" in said  # on the same line


@pytest.mark.parametrize("output", [".", "..", "/", "folder/", "folder/.."])
def test_a_folder_is_no_name_for_files(encoder_file, output):
    with pytest.raises(VieError, match=f"-o {re.escape(output)} is a folder"):
        export(encoder_file(), "--to", "safetensors", "-o", output)


@pytest.mark.parametrize("label", ["a|b", "*a* [b]\\|<c>", "long " * 40, "a\nb"])
def test_an_odd_label_finds_its_row_and_breaks_no_table(encoder_file, tmp_path, label):
    path = encoder_file(recipe=checkpoint("slow", 4)["recipe"] | {"label": label})
    table = pd.DataFrame({"model": [label, "B"], "n_val": [480, 9], "note": [None, "x"]})
    table.to_csv(tmp_path / "ours" / "table_1.csv", index=False)
    rows = [line for line in card_of(path).splitlines() if line.startswith("| ")]
    (row,) = [one for one in rows if "| 480 |" in one]
    # A bar that ends a cell has no backslash, or an even number of them, before it.
    cells = re.split(r"(?<!\\)(?:\\\\)*\|", row)
    assert len(cells) == 5
    assert cells[2:4] == [" 480 ", "  "]
    assert not re.search(r"(?<!\\)(?:\\\\)*[*<\[]", cells[1])


def curves(path, measure="same_video_r1", model="A network"):
    """Writes what the monitor measured."""
    rows = [(0, 0.0, 12.5), (0, 9.0, 30.25), (1, 0.0, 14.0), (1, 4.5, 0.0), (1, 9.0, 55.5)]
    table = pd.DataFrame(rows, columns=["seed", "epoch", measure])
    table.insert(0, "model", model)
    table.insert(2, "stage", "rotation")
    path.parent.mkdir(exist_ok=True)
    table.to_csv(path, index=False)


def test_without_labels_the_card_says_what_the_monitor_measured(encoder_file, tmp_path):
    path = encoder_file()
    curves(tmp_path / "ours" / "learning_curves.csv")
    card = card_of(path)
    rows = [line for line in card.splitlines() if line.startswith("| A network")]
    assert rows == [
        "| A network | 1 | rotation | 0.0 | 14.0 |",
        "| A network | 1 | rotation | 9.0 | 55.5 |",
    ]
    assert "The first row is the untrained network." in card
    assert "whose last clip is nearer to their first one" in card
    assert "_ci95" not in card  # explains columns of other tables
    recipe = checkpoint("slow", 4)["recipe"] | {"start_from": "other"}
    assert "The first row is the network of recipe other." in card_of(encoder_file(recipe=recipe))


@pytest.mark.parametrize("other", [{"measure": "knn_top1"}, {"model": "B"}])
def test_other_curves_are_not_of_the_card(encoder_file, tmp_path, other):
    path = encoder_file()
    curves(tmp_path / "ours" / "learning_curves.csv", **other)
    assert (
        "No table of its experiment was found beside its file, or none has a row of it."
        in card_of(path)
    )


def embedded(encoder_file, video):
    """The embedding of the clip in the middle, by way of JPEG files, as of shards."""
    content = torch_files.load(encoder_file)
    transform = ClipTransform.from_dict(content["transform"])
    settings = FrameSettings(**content["frames"], timeout_seconds=60, max_seconds=60)
    jpegs = extract_jpegs(video, settings).jpegs
    (numbers,) = transform.sampling.test(len(jpegs), 1)
    crop, size = transform.geometry.centre_crop(), transform.geometry.size
    clip = crop_frames([decode(jpegs[number]) for number in numbers], crop, size)
    with torch.no_grad():
        return vie.load_encoder(encoder_file)(normalise(clip[None]))[0][0]


def frames_at(path, fps):
    """Frames (n, H, W, 3) of a video, decoded by PyAV, as the card says."""
    import av

    shown = {}
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            time = frame.pts * frame.time_base
            shown.setdefault("first", time)
            place = round((time - shown["first"]) * Fraction(fps))
            shown[place] = frame.to_ndarray(format="rgb24")
    del shown["first"]
    return [shown[max(k for k in shown if k <= place)] for place in range(max(shown) + 1)]


def prepared(frames, data):
    """The clip in the middle, as the model card says: words, and numbers of its block of JSON."""
    import PIL.Image

    clip, n = data["clip"], len(frames)
    start = max(0, n - clip["span"] + 1) / 2
    out = []
    for offset in clip["offsets"]:
        image = PIL.Image.fromarray(frames[int(np.floor(start + offset)) % n])
        ratio = data["resize"]["shorter_side"] / min(image.size)
        sides = [round(side * ratio) for side in image.size]
        image = image.resize(sides, PIL.Image.Resampling.BILINEAR)  # PIL's has antialiasing
        size = data["crop"]["size"]
        left, top = ((side - size) // 2 for side in sides)
        out.append(np.asarray(image.crop((left, top, left + size, top + size))))
    pixels = np.stack(out) * data["scale"]  # (T, S, S, 3)
    normal = (pixels - data["mean"]) / data["std"]
    # (T, S, S, 3) -> (1, 3, T, S, S)
    return torch.from_numpy(normal.transpose(3, 0, 1, 2)[None].astype(np.float32))


def test_another_decoder_and_the_card_give_the_embedding_of_the_video(encoder_file, tmp_path):
    rows, columns = np.mgrid[:72, :96]
    frames = np.zeros((50, 72, 96, 3), np.uint8)
    for t, frame in enumerate(frames):
        frame[..., 0] = 127 + 90 * np.sin((columns + 2 * t) / 9)
        frame[..., 1] = 127 + 90 * np.sin((rows - t) / 7)
        frame[..., 2] = 60 + t
        frame[20:44, 30 + t % 30 : 50 + t % 30] = (230, 40, 60)
    video = encode(tmp_path / "video.mp4", frames, *H264, rate=30)
    path = encoder_file()
    export(path, "--to", "torch-export", "-o", tmp_path / "it")
    data = json.loads(re.search(r"```json\n(.*?)```", (tmp_path / "it.md").read_text(), re.S)[1])
    network = FORMATS["torch-export"].load(tmp_path / "it.pt2")
    ours = embedded(path, video)
    clip = prepared(frames_at(video, data["fps"]), data)
    with torch.no_grad():
        right, *wrong = (
            1 - float(network(one)[0] @ ours) for one in (clip, clip.flip(1), clip.flip(4))
        )
    assert right < 1e-2
    # The network tells blue from red and left from right, so what the card says matters.
    assert right < min(wrong) / 5
