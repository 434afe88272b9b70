"""Networks loaded from files: the same numbers, what they say of themselves, what is refused."""

import json
import math
import pickle
import subprocess
import sys

import pytest
import torch

import vie
from vie.clips.crops import RandomResizedCrop, ScaleCrop
from vie.clips.sampling import Sampling
from vie.clips.transform import ClipTransform
from vie.models.checkpoint_format import describe
from vie.models.classifiers import Classifier
from vie.models.encoders import build_encoder
from vie.runtime import importing, torch_files
from vie.runtime.errors import VieError

TRANSFORMS = {
    "pretraining": ClipTransform(
        Sampling(4, stride=25 / 16),
        RandomResizedCrop(32, (36, 46), 40, 0.5),
        {"strength": 0.4, "hue": 0.4, "grey": 0.3},
        frame_shift=2,
        channel_dropping=True,
    ),
    "finetuning": ClipTransform(Sampling(3, windows=(9, 12)), ScaleCrop(32, (1.0, 0.8)), None),
}
FOREIGN = {"r2": "examples.r2plus1d:r2plus1d_18"}


@pytest.fixture
def checkpoint(recipe, tmp_path):
    """Writes a checkpoint; returns its path and the network in it."""

    def write(transform=TRANSFORMS["pretraining"], classes=None, **changes):
        torch.manual_seed(0)
        encoder = build_encoder(recipe["encoder"], recipe.get("classes"))
        network = Classifier(encoder, len(classes)) if classes else encoder
        for module in network.modules():  # as training leaves it
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_()
        content = {**describe(recipe, transform, 25.0), "step": 7, "seed": 3}
        content["network" if classes else "encoder"] = network.state_dict()
        content |= {"classes": classes} if classes else {"stage": "rotation", "n_train": 24}
        content |= changes
        path = tmp_path / "network.pt"
        torch_files.save(path, {k: v for k, v in content.items() if v is not None})
        return path, network.eval()

    return write


def test_importing_vie_imports_no_torch():
    code = "import sys, vie; vie.__version__; assert 'torch' not in sys.modules; "
    code += "assert 'load_encoder' in dir(vie); vie.load_encoder; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'load_nothing'"):
        vie.load_nothing  # noqa: B018


def test_the_encoder_is_the_one_that_was_saved(checkpoint, recipe):
    path, network = checkpoint()
    encoder = vie.load_encoder(path)
    clips = torch.randn(3, 3, 4, 32, 32)
    assert not encoder.training
    with torch.no_grad():
        torch.testing.assert_close(encoder(clips)[0], network(clips)[0])
    assert encoder.metadata == {
        "recipe": recipe,
        "transform": torch_files.load(path)["transform"],
        "stage": "rotation",
        "step": 7,
        "seed": 3,
        "n_train": 24,
        "vie_version": vie.__version__,
    }


def test_input_of_a_pretrained_and_of_a_finetuned_network(checkpoint):
    shown = vie.load_encoder(checkpoint()[0]).input
    assert (shown.frames, shown.stride, shown.fps) == (4, 25 / 16, 25.0)
    assert (shown.size, shown.shorter_side) == (32, 40)
    assert (shown.mean, shown.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    path, _ = checkpoint(TRANSFORMS["finetuning"], classes=["a", "b"])
    shown = vie.load_classifier(path).input
    # 3 frames over the longest window, 12 frames: 0, 5, 11.
    assert (shown.frames, shown.stride, shown.size, shown.shorter_side) == (3, 5.5, 32, 32)


def test_the_classifier_is_the_one_that_was_saved(checkpoint):
    path, network = checkpoint(classes=["jump", "run", "walk"])
    classifier = vie.load_classifier(path)
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(classifier(clips), network(clips))
    assert classifier.classes == ("jump", "run", "walk")
    assert classifier.metadata["step"] == 7


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_comes_back_from_plain_values(name, tmp_path):
    path = tmp_path / "transform.pt"
    torch_files.save(path, TRANSFORMS[name].to_dict())
    assert ClipTransform.from_dict(torch_files.load(path)) == TRANSFORMS[name]
    with pytest.raises(VieError, match="no transform of clips"):
        ClipTransform.from_dict({"sampling": {"frames": 1}})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": None}, "version of vie before 0.2"),
        ({"format": 1}, "format 1.*format 2.*make it again"),
        ({"format": 3, "vie_version": "9.1"}, r"format 3.*use vie 9\.1"),
        ({"recipe": None}, "holds no recipe"),
        ({"fps": None}, "holds no fps: make it again"),
    ],
)
def test_what_is_not_of_this_format_is_refused(checkpoint, changes, reason):
    with pytest.raises(VieError, match=reason):
        vie.load_encoder(checkpoint(**changes)[0])


DAMAGED = [
    *(("transform.sampling.frames", bad) for bad in (0, 2.5, "4", None, -1, 4097)),
    *(("transform.sampling.stride", bad) for bad in (math.inf, math.nan, 0.5, "2", 2e5)),
    ("transform.sampling.windows", [-1]),
    *(("transform.crop.size", bad) for bad in (0, 2.5, math.nan, 10**6, "32")),
    *(("transform.crop.test_shorter_side", bad) for bad in (31, math.inf, None, 8193)),
    *(("transform.crop.train_shorter_side", bad) for bad in ([36], [40, 36], 36, ["a", "b"])),
    ("transform.crop", None),
    *(("transform.color_jitter", {"hue": bad}) for bad in (math.nan, 0.6)),
    ("transform.color_jitter", {"saturation": 0.4}),
    ("transform.frame_shift", -1),
    ("transform", 3),
    *(("fps", bad) for bad in (0.001, -1.0, math.nan, math.inf, "25", torch.ones(2))),
    *(("recipe.encoder.width", bad) for bad in (0, 2.5, "2", True, 4096, 10**6)),
    *(("recipe.encoder.embedding", bad) for bad in (0, 10**9, 8.0, "all", [8])),
    *(("recipe.encoder.bn_momentum", bad) for bad in ("a", math.nan, None)),
    ("recipe.encoder.form", "round"),
    *(("recipe.encoder.network", bad) for bad in (3, None, ["single"], {})),
    *(("recipe.encoder", bad) for bad in (None, [], "single")),
    *(("recipe.classes", bad) for bad in ("single", [1])),
    *(("recipe", bad) for bad in (3, [], "encoder")),
    *(("frames", bad) for bad in (3, {}, {"fps": 0, "shorter_side": 48, "quality": 2})),
    ("frames", {"fps": 25, "shorter_side": 48, "quality": "<b>"}),
    *(("frames", {"fps": 25, "shorter_side": bad, "quality": 2}) for bad in (48.5, 8193)),
    ("provenance", "mine"),
    ("provenance", {"dataset": torch.zeros(2)}),
    ("licence", ["MIT"]),
    ("step", torch.zeros(2)),
    ("format", torch.ones(2)),
    *(("encoder", bad) for bad in ([], "weights", {"a": 3}, {3: torch.zeros(1)})),
    *(("encoder.head/bias", torch.full((8,), bad)) for bad in (math.nan, math.inf, 1j)),
    ("encoder.head/bias", torch.zeros(1).expand(10**12)),
]


@pytest.mark.parametrize(("field", "bad"), DAMAGED)
def test_a_damaged_field_is_named(checkpoint, field, bad):
    path, _ = checkpoint()
    content = torch_files.load(path)
    *folders, last = (part.replace("/", ".") for part in field.split("."))
    inside = content
    for key in folders:
        inside = inside[key]
    inside[last] = bad
    torch_files.save(path, content)
    with pytest.raises(VieError, match=last.split("_")[0]) as error:
        vie.load_encoder(path)
    assert str(error.value).startswith(str(path))
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "note",
    [None, [], 3, {"vie": 3}, {"vie": None}, {"vie": "[" * 10**5}, {"vie": "{"}, {"vie": "[]"}],
)
def test_damaged_notes_of_safetensors_are_refused(tmp_path, note):
    header = json.dumps({"__metadata__": note}).encode()
    path = tmp_path / "it.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(VieError, match=r"it\.safetensors is "):
        vie.load_encoder(path)


def test_the_other_kind_of_checkpoint_is_named(checkpoint):
    with pytest.raises(VieError, match=r"of pretraining: load it with vie\.load_encoder"):
        vie.load_classifier(checkpoint()[0])
    with pytest.raises(VieError, match=r"of finetuning: load it with vie\.load_classifier"):
        vie.load_encoder(checkpoint(classes=["a"])[0])


def test_weights_of_another_network_are_refused(checkpoint, recipe):
    other = {**recipe, "encoder": {**recipe["encoder"], "width": 4}}
    with pytest.raises(VieError, match="do not fit the network"):
        vie.load_encoder(checkpoint(recipe=other)[0])


class Malicious:
    """Runs code where a pickle is loaded without care."""

    def __reduce__(self):
        return (print, ("pwned",))


def test_code_and_torn_files_are_refused(checkpoint, tmp_path, capsys):
    path, _ = checkpoint()
    whole = path.read_bytes()
    torch.save({"recipe": Malicious()}, path)
    with pytest.raises(VieError, match="not a checkpoint that can be read"):
        vie.load_encoder(path)
    path.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(VieError, match="not a checkpoint that can be read"):
        vie.load_encoder(path)
    assert "pwned" not in capsys.readouterr().out
    for size in (0, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(VieError, match="not a checkpoint that can be read"):
            vie.load_encoder(path)
    with pytest.raises(VieError, match="no such checkpoint"):
        vie.load_encoder(tmp_path / "absent.pt")


def test_a_foreign_network_is_loaded_only_if_it_is_trusted(root, checkpoint, recipe, monkeypatch):
    monkeypatch.setattr(importing, "_trusted", set())
    recipe["encoder"] = {"network": "r2", "width": 64, "embedding": 16, "bn_momentum": 0.1}
    recipe["classes"] = FOREIGN
    path, _ = checkpoint()
    with pytest.raises(VieError, match=r"examples\.r2plus1d:r2plus1d_18.*trust=True"):
        vie.load_encoder(path)
    assert vie.load_encoder(path, trust=True).dimensions == 16
    importing.trust(FOREIGN.values())
    assert vie.load_encoder(path).dimensions == 16
    torch_files.save(
        path, torch_files.load(path) | {"recipe": {"encoder": {"network": "os:system"}}}
    )
    with pytest.raises(VieError, match="os:system"):
        vie.load_encoder(path)
