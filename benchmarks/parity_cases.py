"""What `parity.py` gives to the authors' release, and what vie computes from the same.

Each case has the arrays that it gives and a function from what the release found to what
vie finds, under the same names. Arrays are laid out as in the release's graph: channels last.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from parity_weights import (
    Arrays,
    all_weights,
    as_theirs,
    clips_of,
    numbered,
    random_clip,
    random_network,
    released_order,
)
from torch import Generator, Tensor, nn

from vie.engine.optimizer import sgd
from vie.metrics.knn import knn_predict
from vie.models.classifiers import Classifier, Classifiers, FrozenEncoders
from vie.models.encoders import Encoder
from vie.objectives.bank import MemoryBank
from vie.objectives.instance_recognition import InstanceRecognition
from vie.objectives.local_aggregation import LocalAggregation
from vie.objectives.order_prediction import OrderPrediction
from vie.objectives.rotation import Rotation

FORWARD, TRAINED = 1e-4, 1e-3  # tolerances: of one forward pass, of steps of training
LAYERS = ("conv3", "conv4", "conv5")
# The release's name, frames and size of the paper's input, size of the input in steps of training.
NETWORKS = {
    "single": ("single_frame", 1, 224, 112),
    "trn": ("tsrn", 4, 224, 112),
    "slow": ("slow", 4, 224, 112),
    "fast": ("fast_a4", 16, 224, 64),
    "slowfast": ("slowfast_a4", 16, 224, 64),
    "3dresnet": ("3dresnet", 16, 112, 64),
}
TEMPERATURE, RATE, DECAY, CLASSES = 0.07, 0.03, 1e-4, 400
KINK = 4.0  # deviations of a channel between its mean and 0, in steps of training


@dataclass(frozen=True)
class Case:
    """A comparison: what both sides get, and our side of it."""

    given: Arrays  # "case" says which function of the release answers
    ours: Callable[[Arrays], Arrays]  # from what the release found
    tolerance: float = FORWARD


def readouts(networks: list[Encoder], clip: NDArray[Any]) -> Arrays:
    """What the linear classifiers on each layer read: (B, numbers)."""
    classifiers = Classifiers(FrozenEncoders(networks), dict.fromkeys(LAYERS, 1), 1)
    for layer in LAYERS:
        classifiers.heads[layer] = nn.Identity()
    found = classifiers(clips_of(clip))
    return {f"{layer} readout": found[layer].numpy() for layer in LAYERS}


def network_case(name: str) -> Case:
    """Features and embedding of one network at the paper's input size."""
    model_type, frames, size, _ = NETWORKS[name]
    network, clip = random_network(0, network=name), random_clip(1, 2, frames, size)

    @torch.no_grad()
    def ours(theirs: Arrays) -> Arrays:
        embedding, features = network(clips_of(clip))
        # (B, C, T, H, W) -> (B, T, H, W, C)
        maps = {layer: np.moveaxis(features[layer].numpy(), 1, -1) for layer in LAYERS}
        return {**maps, **readouts([network], clip), "embedding": embedding.numpy()}

    given = {"model_type": np.array(model_type), "clip": clip}
    given |= numbered("weight", all_weights(network))
    return Case({"case": np.array("network"), **given}, ours)


def two_pathway_case() -> Case:
    """Readouts of Single and SlowFast side by side."""
    networks = [random_network(2, network=name) for name in ("single", "slowfast")]
    clip = random_clip(3, 1, 16, 224)
    arrays = [array for network in networks for array in all_weights(network)]
    given = {"case": np.array("two_pathway"), "clip": clip, **numbered("weight", arrays)}
    return Case(given, lambda theirs: readouts(networks, clip))


def random_bank(videos: int, batch: int, seed: int) -> Arrays:
    """A bank of unit vectors (N, D), and embeddings (B, D) near those of `instances` (B,)."""
    generator = Generator().manual_seed(seed)
    bank = F.normalize(torch.randn(videos, 128, generator=generator), dim=1)
    instances = torch.randperm(videos, generator=generator)[:batch]
    noise = torch.randn(batch, 128, generator=generator)
    embedding = F.normalize(bank[instances] + 0.1 * noise, dim=1)
    arrays = {"bank": bank, "instances": instances, "embedding": embedding}
    return {
        **{name: array.numpy() for name, array in arrays.items()},
        "temperature": np.array(TEMPERATURE),
    }


def _loss_and_gradient(loss: Callable[[Tensor], Tensor], embedding: NDArray[Any]) -> Arrays:
    leaf = torch.from_numpy(embedding.copy()).requires_grad_()
    value = loss(leaf)
    [gradient] = torch.autograd.grad(value, leaf)
    return {"loss": value.detach().numpy(), "gradient": gradient.numpy()}


def instance_recognition_case() -> Case:
    """Loss and gradient of instance recognition with the same noise."""
    given, negatives = random_bank(5000, 32, seed=4), 1024
    bank, instances = (torch.from_numpy(given[name]) for name in ("bank", "instances"))
    objective = InstanceRecognition(5000, temperature=TEMPERATURE, negatives=negatives)
    noise = torch.randint(5000, (32, negatives), generator=Generator().manual_seed(5))

    def ours(theirs: Arrays) -> Arrays:
        return _loss_and_gradient(
            lambda leaf: objective(leaf, instances, bank, Generator().manual_seed(5)),
            given["embedding"],
        )

    named = {"case": np.array("instance_recognition"), "count": np.array(negatives)}
    return Case({**given, **named, "noise": noise.numpy()}, ours)


def local_aggregation_case() -> Case:
    """Loss and gradient of local aggregation with the same two clusterings."""
    given, neighbours = random_bank(5000, 32, seed=6), 512
    bank, instances = (torch.from_numpy(given[name]) for name in ("bank", "instances"))
    objective = LocalAggregation(
        5000, clusters=10, neighbours=neighbours, clusterings=2, temperature=TEMPERATURE
    )
    labels = torch.randint(10, (2, 5000), generator=Generator().manual_seed(7))
    objective.labels.copy_(labels)

    def ours(theirs: Arrays) -> Arrays:
        return _loss_and_gradient(lambda leaf: objective(leaf, instances, bank), given["embedding"])

    named = {"case": np.array("local_aggregation"), "count": np.array(neighbours)}
    return Case({**given, **named, "labels": labels.numpy()}, ours)


def memory_bank_case() -> Case:
    """Rows of the bank after an update."""
    given = random_bank(500, 32, seed=8)

    def ours(theirs: Arrays) -> Arrays:
        bank = _bank(given["bank"])
        instances, embedding = (torch.from_numpy(given[k]) for k in ("instances", "embedding"))
        bank.update(instances, embedding)
        return {"rows": bank.vectors[instances].numpy()}

    named = {"case": np.array("memory_bank"), "count": np.array(1)}
    return Case({**given, **named}, ours)


def _bank(vectors: NDArray[Any]) -> MemoryBank:
    bank = MemoryBank(*vectors.shape)
    bank.vectors.copy_(torch.from_numpy(vectors))
    return bank


def neighbours_case() -> Case:
    """Which videos the nearest neighbours of their clips give the right class."""
    given, (V, C), generator = random_bank(500, 100, seed=9), (100, 5), Generator().manual_seed(10)
    labels = torch.randint(10, (500,), generator=generator)
    bank, instances = (torch.from_numpy(given[name]) for name in ("bank", "instances"))
    noise = torch.randn(V, C, 128, generator=generator)
    # (V, C, D), each clip farther from its video's vector than the one before
    strength = torch.linspace(0.3, 0.9, C)[:, None]
    queries = F.normalize(bank[instances][:, None] + strength * noise, dim=2)
    classes = labels[instances]

    def ours(theirs: Arrays) -> Arrays:
        predicted = knn_predict(
            bank, labels, queries, classes=10, k=10, temperature=TEMPERATURE
        ).argmax(1)
        return {"right": (predicted == classes).float().numpy()}

    arrays = {"labels": labels, "queries": queries, "classes": classes}
    named = {"case": np.array("neighbours"), "count": np.array(10)}
    named |= {name: array.numpy() for name, array in arrays.items()}
    kept = {name: given[name] for name in ("bank", "temperature")}
    return Case({**kept, **named}, ours)


def order_prediction_case() -> Case:
    """OPN: loss, accuracy, and gradient of the layer of pairs."""
    network = random_network(11, network="single", embedding="pooled")
    objective = OrderPrediction(network.trunk.channels, hidden=512)
    clip = random_clip(12, 3, 4, 80)

    def ours(theirs: Arrays) -> Arrays:
        # Our classes go by the sorted names of orders, the release's by its list.
        named = [min(tuple(order), tuple(order[::-1])) for order in theirs["orders"].tolist()]
        place = [named.index(order) for order in sorted(named)]
        sorted_head = OrderPrediction(network.trunk.channels, hidden=512)
        state = objective.state_dict()
        state |= {f"head.{k}": state[f"head.{k}"][place] for k in ("weight", "bias")}
        sorted_head.load_state_dict(state)
        with torch.no_grad():
            features = network(clips_of(clip))[1]
        unused = torch.empty(0)
        found = sorted_head.losses(unused, features, unused, unused, None)
        [gradient] = torch.autograd.grad(found["loss"], sorted_head.pair.weight)
        return {
            "loss": found["loss"].detach().numpy(),
            "accuracy": found["pretext_top1"].numpy() / 100,
            "pair gradient": gradient.T.numpy(),
            "orders": theirs["orders"],
        }

    arrays = [*all_weights(network), *(as_theirs(network, p) for p in objective.parameters())]
    given = {"case": np.array("order_prediction"), "clip": clip, **numbered("weight", arrays)}
    return Case(given, ours)


def rotation_case() -> Case:
    """3DRotNet: logits, loss and accuracy."""
    network = random_network(13, network="3dresnet", embedding="pooled")
    objective, B = Rotation(network.trunk.channels, hidden=64), 2
    clips = clips_of(random_clip(14, B, 16, 112))
    turned = objective.inputs(torch.from_numpy(random_clip(14, B, 16, 112)).permute(0, 4, 1, 2, 3))
    # (4 B, 3, T, S, S) -> (4, B, 3, T, S, S) -> (B, 4, T, S, S, 3) -> (B, 4 T, S, S, 3)
    stacked = turned.unflatten(0, (4, B)).permute(1, 0, 3, 4, 5, 2).flatten(1, 2)

    @torch.no_grad()
    def ours(theirs: Arrays) -> Arrays:
        features, unused = network(objective.inputs(clips))[1], torch.empty(0)
        found = objective.losses(unused, features, unused, unused, None)
        return {
            "logits": objective.answers(features)[0].flatten(0, 1).numpy(),
            "loss": found["loss"].numpy(),
            "accuracy": found["pretext_top1"].numpy() / 100,
        }

    arrays = [*all_weights(network), *(as_theirs(network, p) for p in objective.parameters())]
    given = {"case": np.array("rotation"), "clip": stacked.contiguous().numpy()}
    return Case({**given, **numbered("weight", arrays)}, ours)


def supervised_case() -> Case:
    """Loss of a whole network that is trained with labels."""
    encoder = random_network(15, network="single")
    classifier = Classifier(encoder, CLASSES).train()
    nn.init.normal_(classifier.head.weight, std=0.05)
    clip, classes = random_clip(16, 4, 1, 112), np.arange(4) * 90

    def ours(theirs: Arrays) -> Arrays:
        logits = classifier(clips_of(clip))
        return {"loss": F.cross_entropy(logits, torch.from_numpy(classes)).detach().numpy()}

    arrays = all_weights(encoder)[:-2]  # another head
    arrays += [as_theirs(encoder, p) for p in classifier.head.parameters()]
    given = {"model_type": np.array("single_frame"), "clip": clip, "classes": classes}
    named = {"case": np.array("supervised"), "count": np.array(CLASSES)}
    return Case({**given, **named, **numbered("weight", arrays)}, ours)


def _steady(network: Encoder) -> None:
    """Leave no number near a ReLU's kink: whole channels pass it, or none.

    One that is positive on one side and negative on the other by rounding alone would change
    gradients by far more than rounding.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            far = KINK / 2 if name.endswith("final_bn") else KINK  # or embeddings are the same
            sign = torch.where(torch.rand_like(module.bias) < 0.5, -1.0, 1.0)
            module.bias.data = sign * module.weight.detach() * far


def training_case(name: str) -> Case:
    """Two steps of instance recognition: losses, first gradient, weights and bank afterwards."""
    model_type, frames, _, size = NETWORKS[name]
    network, clip = random_network(17, network=name), random_clip(18, 8, frames, size)
    _steady(network)
    start, given = all_weights(network), random_bank(1000, 8, seed=19)
    every = (2, 8, 256)  # steps, clips, negatives
    noise = torch.randint(1000, every, generator=Generator().manual_seed(20))

    def ours(theirs: Arrays) -> Arrays:
        network.train()
        bank, generator = _bank(given["bank"]), Generator().manual_seed(20)
        instances = torch.from_numpy(given["instances"])
        objective = InstanceRecognition(1000, temperature=TEMPERATURE, negatives=every[2])
        optimizer = sgd(network, RATE, weight_decay=DECAY)
        losses, gradients = [], []
        for step in range(every[0]):
            embedding, _ = network(clips_of(clip))
            loss = objective(embedding, instances, bank.vectors, generator)
            optimizer.zero_grad()
            loss.backward()
            if step == 0:
                gradients = _gradients(network)
            optimizer.step()
            bank.update(instances, embedding.detach())
            losses.append(loss.item())
        found = {"loss": np.array(losses), "rows": bank.vectors[instances].numpy()}
        found |= numbered("gradient", gradients) | numbered("weight", all_weights(network))
        return found

    named = {"model_type": np.array(model_type), "clip": clip, "noise": noise.numpy()}
    named |= {"rate": np.array(RATE), "decay": np.array(DECAY)}
    kept = {key: given[key] for key in ("bank", "instances")}
    named |= numbered("weight", start) | kept
    return Case({"case": np.array("training"), **named}, ours, TRAINED)


def _gradients(network: Encoder) -> list[NDArray[Any]]:
    parameters = dict(network.named_parameters())
    found = (parameters[name].grad for name in released_order(network) if name in parameters)
    return [as_theirs(network, gradient) for gradient in found if gradient is not None]


def all_cases() -> dict[str, Callable[[], Case]]:
    """All of them by name, each made when it is called."""
    return {
        **{name: partial(network_case, name) for name in NETWORKS},
        "two pathways": two_pathway_case,
        "instance recognition": instance_recognition_case,
        "local aggregation": local_aggregation_case,
        "memory bank": memory_bank_case,
        "nearest neighbours": neighbours_case,
        "OPN": order_prediction_case,
        "3DRotNet": rotation_case,
        "supervised": supervised_case,
        **{f"{name} trained": partial(training_case, name) for name in NETWORKS},
    }
