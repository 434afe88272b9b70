"""Edits that change results, each of which must change a golden number.

An edit replaces a few letters in the source of one function, as a hand would.
"""

import inspect
import textwrap
import types
from collections.abc import Callable

import pytest

from tests.golden import training
from tests.golden.groups import GROUPS, differences, load, measure
from vie import features
from vie.clips import color_jitter, crops, loader, sampling, windows
from vie.datasets import holdout
from vie.datasets.layouts import folders, hmdb51, imagefolder, ucf101
from vie.datasets.synthetic import images as still
from vie.datasets.synthetic import render
from vie.engine import optimizer, plateau, predict, schedules
from vie.frames import colours, ffmpeg, flow, images, index, manifest
from vie.metrics import knn, retrieval, top_k
from vie.models import convolutions, encoder_file, encoders, resnet, trunks
from vie.models.classifiers import FrozenEncoders
from vie.objectives import bank, clustering, order_prediction, rotation
from vie.objectives.instance_recognition import InstanceRecognition
from vie.objectives.local_aggregation import LocalAggregation
from vie.objectives.supervised import Supervised
from vie.reporting import statistics
from vie.runtime import randomness


def edit(monkeypatch: pytest.MonkeyPatch, function: Callable, old: str, new: str) -> None:
    """Run `function` with `old` replaced by `new` in its source, wherever it was imported."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    source = textwrap.dedent(inspect.getsource(function))
    assert old in source, f"{function.__qualname__} has no {old!r}: choose another harmful edit"
    # In a class: a method may call super().
    source = f"class Edited:\n{textwrap.indent(source.replace(old, new), '    ')}"
    space = dict(function.__globals__)
    exec(compile(source, f"<edited {function.__qualname__}>", "exec"), space)
    edited = inspect.getattr_static(space["Edited"], function.__name__)
    edited = inspect.unwrap(getattr(edited, "__func__", edited))
    assert isinstance(edited, types.FunctionType)
    monkeypatch.setattr(function, "__code__", edited.__code__)


HARM = {
    # objectives
    "temperature of NCE": (
        *("nce_paper", InstanceRecognition._nce),
        *("others / self.temperature", "others / (1.001 * self.temperature)"),
    ),
    "share of noise": ("nce_estimated", InstanceRecognition._nce, "K / N", "K / (N + 1)"),
    "batches that estimate Z": (
        "nce_estimated",
        InstanceRecognition._z,
        "estimating = ",
        "estimating = 1 + 0 * ",
    ),
    "temperature of the softmax": (
        *("softmax", InstanceRecognition.forward),
        *("/ self.temperature", "/ (1.001 * self.temperature)"),
    ),
    "temperature of local aggregation": (
        *("local_aggregation", LocalAggregation.forward),
        *("/ self.temperature", "/ (1.001 * self.temperature)"),
    ),
    "neighbours of local aggregation": (
        *("local_aggregation", LocalAggregation.forward),
        *("vectors, self.neighbours", "vectors, self.neighbours - 1"),
    ),
    "clusterings joined otherwise": (
        "local_aggregation",
        LocalAggregation.close,
        ".any(0)",
        ".all(0)",
    ),
    "number of clusters": (
        "local_aggregation",
        clustering._clustering,
        "clusters,\n",
        "clusters - 1,\n",
    ),
    "control of the embedding": (
        *("supervised", Supervised.losses),
        *('features["pooled"]', "embedding"),
    ),
    "activation of OPN": (
        "order_prediction",
        order_prediction.OrderPrediction.answers,
        "F.relu(",
        "F.gelu(",
    ),
    "numbers of the orders": (
        "order_prediction",
        order_prediction.orders,
        "for order in every})",
        "for order in every}, reverse=True)",
    ),
    "turns the other way": ("rotation", rotation.Rotation.inputs, ", turn,", ", -turn,"),
    # bank
    "momentum of the bank": ("softmax", bank.MemoryBank.update, "self.momentum *", "0.501 *"),
    "first of equal videos": ("bank", bank.MemoryBank.update, "amax(1)", "amin(1)"),
    "bank without unit length": (
        "bank",
        bank.MemoryBank.update,
        "F.normalize(mixed, dim=1)",
        "mixed",
    ),
    "farthest in place of nearest": (
        "probe",
        bank.nearest,
        "len(part)), dim=1)",
        "len(part)), dim=1, largest=False)",
    ),
    # optimiser, schedules
    "weight decay on batch norm": (
        "supervised",
        optimizer.parameter_groups,
        '"weight_decay": 0.0',
        '"weight_decay": weight_decay',
    ),
    "Nesterov": (
        "supervised",
        optimizer.sgd,
        "momentum=momentum",
        "momentum=momentum, nesterov=True",
    ),
    "drop one step early": ("supervised", schedules.Schedule.lr, "> drop", ">= drop"),
    "decay of all layers": (
        "finetune_scale_crop",
        optimizer.parameter_groups,
        "(decayed or model)",
        "model",
    ),
    "patience": ("finetune_scale_crop", plateau.Plateau.see, "> self.patience", ">= self.patience"),
    "ties are better": (
        "finetune_scale_crop",
        plateau.Plateau.see,
        "score > self.best",
        "score < self.best",
    ),
    # networks
    "padding of the pool": ("networks", resnet.ResNet18._pool, "size % 2 if", "1 if"),
    "width of the first weights": (
        *("untrained", convolutions.variance_scaling_),
        *("1 / weight[0].numel()", "1 / len(weight)"),
    ),
    "no final ReLU": (
        "softmax",
        resnet.ResNet18.run,
        "F.relu(self.final_bn(x), inplace=True)",
        "self.final_bn(x)",
    ),
    "momentum of batch norm": (
        "softmax",
        resnet.ResNet18.__init__,
        "BN_EPS, bn_momentum",
        "BN_EPS, 0.99 * bn_momentum",
    ),
    "epsilon of batch norm": ("networks", resnet.ResNet18.__init__, "BN_EPS", "2 * BN_EPS"),
    "slow frames": ("networks", trunks.SlowFast.forward, ":: self.stride", "1 :: self.stride"),
    "TRN's order": ("networks", trunks.frame_pool, ".transpose(1, 2)", ""),
    "first weights of the head": (
        "untrained",
        encoders.glorot_,
        "xavier_uniform_",
        "xavier_normal_",
    ),
    "no unit length": (
        "pooled_encoder",
        encoders.Encoder.embed,
        "F.normalize(self.norm(self.head(pooled)), dim=1)",
        "self.norm(self.head(pooled))",
    ),
    # evaluations
    "temperature of kNN": (
        "probe",
        knn.knn_predict,
        "/ temperature",
        "/ temperature / 1.001",
    ),
    "pool of large maps": ("probe", training.probe_features, "F.avg_pool2d", "F.max_pool2d"),
    "largest over time": (
        "probe",
        training.probe_features,
        "features.mean(2, dtype=torch.float32)",
        "features.amax(2)",
    ),
    "statistics move while probing": (
        "probe",
        training.Classifiers.train,
        "self.network.eval()",
        "self.network.train()",
    ),
    "average of logits": (
        "probe",
        predict.class_probabilities,
        ".softmax(2).mean(1)",
        ".mean(1).softmax(1)",
    ),
    "top-k's ties": ("tables", top_k.top_k, "labels[:, None]  #", "labels[:, None] + 9  #"),
    "ties of retrieval": ("retrieval", retrieval._keys, "keys += own", "keys -= own"),
    "precision of a rank": ("retrieval", retrieval.rank, "(number + 1)", "number"),
    "interval": ("tables", statistics.interval, "total**2", "n**2"),
    "pooled Conv5": ("image_probe", FrozenEncoders._together, "if self.pooled", "if False"),
    "images once": ("image_probe", trunks.repeated, "frames == 1", "True"),
    "order of repeats": (
        "image_probe",
        convolutions.repeat,
        "repeat_interleave(frames, 0)",
        "repeat(frames, 1, 1, 1)",
    ),
    # clips
    "sampler off by one": (
        "sampling",
        sampling.Sampling.train,
        "self.starts(n_frames)",
        "self.starts(n_frames) + 1",
    ),
    "last start": ("sampling", sampling.Sampling.test, "- length) / (clips", "- room) / (clips"),
    "ends among the starts": ("sampling", sampling.Sampling.test, "(clips + 1)", "clips"),
    "a bin's first frame": ("sampling", sampling.Sampling._of_bins, "(low + end) // 2", "low"),
    "least motion is drawn": ("sampling", sampling.Sampling._window, "- inside.min()", "- 0"),
    "frames over a window": ("sampling", sampling.Sampling._spread, "(window - 1)", "window"),
    "no wrap": (
        "sampling",
        sampling.wrap,
        "indices % n_frames",
        "np.minimum(indices, n_frames - 1)",
    ),
    "window at the end": ("sampling", windows.windows, "starts[-1] + left", "starts[-1]"),
    "an epoch's order": ("train_clips", loader.EpochBatchSampler.__iter__, "/order", "/orders"),
    "order of the draws": (
        "train_clips",
        crops.RandomResizedCrop.train_crop,
        "top, left, flip =",
        "flip, top, left =",
    ),
    "shorter side": ("crops", crops.RandomResizedCrop.train_crop, "high + 1", "high"),
    "centre of the scale crop": ("crops", crops.ScaleCrop.centre_crop, "1.0", "0.875"),
    "aspect upside down": ("random_sized", crops.Crop._rectangle, "area / aspect", "area * aspect"),
    "which try fits": ("random_sized", crops.Crop._rectangle, "wide <= 1", "wide <= 2"),
    "aspect of what does not fit": (
        "random_sized",
        crops.Crop._rectangle,
        "height * high",
        "height",
    ),
    "rounding of a crop": ("crops", crops.Crop.box, "round(self.scale", "int(self.scale"),
    "squeezed by the shorter side": ("crops", crops.Crop.box, "if self.squeeze", "if False"),
    "room of a crop": ("crops", crops._within, "(room + 1)", "room"),
    "no antialiasing": ("resized", crops.crop_frames, "antialias=True", "antialias=False"),
    "another interpolation": ("resized", crops.crop_frames, '"bilinear"', '"bicubic"'),
    "flip upside down": ("resized", crops.crop_frames, "[..., ::-1]", "[..., ::-1, :]"),
    "mean of contrast": (
        "color_jitter",
        color_jitter.adjust_contrast,
        "dim=(1, 2, 3)",
        "dim=(1, 2)",
    ),
    "hue": ("color_jitter", color_jitter.adjust_hue, "mul_(1 / 6)", "mul_(1 / 6.01)"),
    "share of gray": (
        "color_jitter",
        color_jitter.draw_color_jitter,
        "rng.random() < grey",
        "rng.random() > grey",
    ),
    "normalisation": ("finetune_scale_crop", color_jitter.normalise, "255 * std", "256 * std"),
    "streams of random numbers": (
        "train_clips",
        randomness.generator,
        "digest_size=16",
        "digest_size=16, key=b'2'",
    ),
    # features and encoder files
    "first of the clips": ("features", features.average, "one.mean(1)", "one[:, 0]"),
    "mean of embeddings without unit length": (
        *("features", features.average),
        *("F.normalize(means[EMBEDDING], dim=1)", "means[EMBEDDING]"),
    ),
    "order of two networks": (
        *("features_of_two", features.Extractor.__call__),
        *("for one in self.encoders", "for one in self.encoders[::-1]"),
    ),
    "a field of encoder files": ("encoder", encoder_file.write_encoder, '"licence"', '"license"'),
    # data
    "rate of frames": (
        "frames",
        ffmpeg._command,
        "fps={settings.fps}",
        "fps={settings.fps}:round=up",
    ),
    "size of frames": ("frames", colours.jpeg_filters, "scale=w='", "scale=w='2+"),
    "color of frames": (
        "frames",
        colours.jpeg_filters,
        "out_color_matrix=bt601",
        "out_color_matrix=bt709",
    ),
    "side of images": ("images", images._smaller, "min(size)", "max(size)"),
    "turned images": ("images", images._encoded, "ImageOps.exif_transpose(image)", "image"),
    "figures of images": ("synthetic_images", still.render_image, "uniform(0.3,", "uniform(0.2,"),
    "names of images": (
        *("manifest_imagefolder", imagefolder.read_images),
        *("path[start:]", "path[start + 1:]"),
    ),
    "unit of motion": ("motion", flow.magnitudes, "min(one.shape)", "max(one.shape)"),
    "shortest video": ("index", index.build_index, ">= min_frames", ">= 20"),
    "order of a manifest": (
        "manifest_folders",
        manifest.write_manifest,
        "for video in videos)\n    columns",
        "for video in videos)[::-1]\n    columns",
    ),
    "recordings": ("split_assignment", ucf101._row, "g{fits['group']}", "g"),
    "films": ("split_assignment", hmdb51._film, "if found else stem", "if not found else stem"),
    "share of test videos": (
        "split_assignment",
        folders.assign_folders,
        "round(TEST_SHARE *",
        "round(0.5 *",
    ),
    "held out": ("split_assignment", holdout.hold_out, "+ sizes[group] / 2", "+ sizes[group]"),
    "pixels of the synthetic videos": ("videos", render.track, "wander(T, 1.2,", "wander(T, 1.4,"),
}


@pytest.mark.parametrize("name", HARM)
def test_a_harmful_edit_changes_a_number(name, tmp_path, monkeypatch):
    group, function, old, new = HARM[name]
    edit(monkeypatch, function, old, new)
    found = measure(group, tmp_path)
    assert differences(load(group)["numbers"], found, GROUPS[group])


def test_an_edit_without_effect_changes_none(tmp_path, monkeypatch):
    """So what the others change is not a trace of how they are made."""
    edit(monkeypatch, Supervised.losses, "pooled = features", "found = pooled = features")
    found = measure("supervised", tmp_path)
    assert not differences(load("supervised")["numbers"], found, GROUPS["supervised"])
