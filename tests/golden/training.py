"""Golden numbers of everything that trains, from the tasks' own steps."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.golden import synthetic
from tests.golden.precision import double_precision, here
from tests.golden.synthetic import CLASSES, LABELS, SHOWN, STEPS, VIDEOS, fingerprint, weights
from vie.clips.color_jitter import normalise
from vie.config.settings import LAYERS, VECTORS
from vie.engine.plateau import Plateau
from vie.engine.predict import class_probabilities
from vie.engine.schedules import Schedule, pretraining_schedule
from vie.features import Extractor, average
from vie.finetune import Finetuning
from vie.metrics.knn import knn_predict
from vie.models.classifiers import Classifier, Classifiers, FrozenEncoders, probe_features
from vie.models.encoder_file import write_encoder
from vie.models.encoders import BUILDERS, build_encoder, feature_shapes
from vie.models.untrained import new_encoder, write_untrained
from vie.pretrain import Pretraining
from vie.probe import Probing
from vie.runtime import torch_files

SEED = 5
EPOCH = 10  # steps of an epoch, for the clusterings

Numbers = dict[str, object]


def new_pretraining(recipe: dict, stage: str) -> Pretraining:
    """The task that trains one stage of a recipe."""
    schedule = pretraining_schedule(recipe["schedule"] | {stage: f"{STEPS} steps"}, stage, EPOCH)
    return Pretraining(recipe, stage, schedule, LABELS, seed=SEED, steps_per_epoch=EPOCH)


def pretrained(stage: str, **changed: object) -> tuple[Pretraining, Numbers]:
    """A stage after its 20 steps, and what was measured on the way."""
    recipe = synthetic.recipe(**changed)
    frames = recipe["clip"]["frames"]
    task = new_pretraining(recipe, stage)
    if stage == "local_aggregation":  # four groups that k-means cannot mistake
        vectors = 0.1 * task.bank.vectors + torch.eye(8)[LABELS].to(here())
        task.bank.vectors.copy_(F.normalize(vectors, dim=1))
    measured: dict[str, list[float]] = {}
    for step, batch in enumerate(synthetic.batches(STEPS, frames, recipe["color_jitter"])):
        task.before_step(step)
        for name, value in task.step(step, batch).items():
            measured.setdefault(name, []).append(float(value))
    shown = {name: [values[step] for step in SHOWN] for name, values in measured.items()}
    state = task.state()
    return task, shown | weights(task.network()) | {
        "objective": fingerprint(list(task.objective.parameters())),
        "bank": fingerprint([task.bank.vectors]),
        "momentum": fingerprint(
            [entry["momentum_buffer"] for entry in state["optimiser"]["state"].values()]
        ),
    }


def instance_recognition(estimator: str) -> Numbers:
    """VIE's first stage."""
    with double_precision():
        objective = synthetic.recipe()["objective"]
        objective["instance_recognition"]["estimator"] = estimator
        return pretrained("instance_recognition", objective=objective)[1]


def local_aggregation() -> Numbers:
    """VIE's second stage, from a bank of four groups."""
    with double_precision():
        task, numbers = pretrained("local_aggregation")
        same = task.objective.labels[:, :, None] == task.objective.labels[:, None, :]
        return numbers | {"same_cluster": int(same.sum())}  # pairs, over both clusterings


def supervised() -> Numbers:
    """The supervised control."""
    encoder = synthetic.recipe()["encoder"] | {"embedding": "pooled"}
    with double_precision():
        return pretrained("supervised", encoder=encoder)[1]


def pretext(stage: str, **changed: object) -> Numbers:
    """A pretext task, and its answers on clips that it was not trained on."""
    encoder = synthetic.recipe()["encoder"] | {"embedding": "pooled"}
    with double_precision():
        task, numbers = pretrained(stage, encoder=encoder, **changed)
        network, objective = task.network().eval(), task.objective.eval()
        clips = synthetic.clips(np.arange(8), 77, 3 if stage == "order_prediction" else 2)
        with torch.no_grad():
            shown = objective.inputs(normalise(clips.to(here())))
            scores, right = objective.answers(network(shown)[1])
        return numbers | {
            "scores": fingerprint([scores]),
            "right": right.tolist(),
            "share": float((scores.argmax(2) == right).double().mean()),
        }


def order_prediction() -> Numbers:
    """OPN."""
    return pretext("order_prediction", clip={"frames": 3, "windows": [9, 12]})


def rotation() -> Numbers:
    """RotNet."""
    return pretext("rotation")


def networks() -> Numbers:
    """Every network: its random weights, its features and its embedding, in training mode."""
    numbers: Numbers = {}
    for name in BUILDERS:
        frames = {"slow": 4, "trn": 4}.get(name, 16)
        with double_precision():
            encoder = new_encoder({"encoder": {"network": name, "width": 4}}, SEED).to(here())
            clips = normalise(synthetic.clips(np.arange(2), 0, frames).to(here()))
            with torch.no_grad():
                embedding, features = encoder(clips)
        numbers[name] = weights(encoder) | {
            "embedding": fingerprint([embedding]),
            **{layer: fingerprint([features[layer]]) for layer in LAYERS},
        }
    return numbers


def untrained() -> Numbers:
    """Random weights as they are, in float32, whose last bits depend on the CPU."""
    return {
        name: weights(new_encoder({"encoder": {"network": name, "width": 16}}, SEED))
        for name in BUILDERS
    }


def _encoders(number: int) -> list[nn.Module]:
    """Networks with weights of their own and statistics that are not the first ones."""
    encoders = []
    for i in range(number):
        encoder = new_encoder({"encoder": synthetic.recipe()["encoder"]}, SEED + i).to(here())
        with torch.no_grad():
            encoder(normalise(synthetic.clips(np.arange(VIDEOS), 90).to(here())))
        encoders.append(encoder)
    return encoders


def _test_logits(function, clips: int) -> dict[str, Tensor]:
    """{name: (VIDEOS, clips, D)} of clips that nothing was trained on."""
    with torch.no_grad():
        each = [
            function(normalise(synthetic.clips(np.arange(VIDEOS), 50 + clip).to(here())))
            for clip in range(clips)
        ]
    return {name: torch.stack([one[name].cpu() for one in each], 1) for name in each[0]}


def probe(encoders: int = 1) -> Numbers:
    """Classifiers on frozen networks: 20 steps, probabilities, and nearest neighbours."""
    with double_precision():
        network = FrozenEncoders(_encoders(encoders))
        shapes = feature_shapes(network, (3, 2, synthetic.SIZE, synthetic.SIZE))
        widths = {layer: shapes[layer][0] for layer in LAYERS}
        torch.manual_seed(SEED)
        classifiers = Classifiers(network, widths, CLASSES)
        settings = synthetic.recipe()["optimiser"]
        task = Probing(classifiers, settings, Schedule(0, STEPS, (12,)))
        losses = [
            float(task.step(step, batch)["loss"])
            for step, batch in enumerate(
                synthetic.batches(jitter=synthetic.recipe()["color_jitter"])
            )
        ]
        classifiers = task.network().eval()
        outputs = _test_logits(classifiers.with_embedding, 3)
        probabilities = class_probabilities({layer: outputs[layer] for layer in LAYERS})
        neighbours = knn_predict(
            outputs["embedding"][:, 0], LABELS, outputs["embedding"][:, 1:], classes=CLASSES
        )
        large = probe_features(torch.arange(205_200.0).view(1, 513, 1, 20, 20))
        return weights(classifiers.network) | {
            "loss": [losses[step] for step in SHOWN],
            "heads": fingerprint(list(classifiers.heads.parameters())),
            "neighbours": fingerprint([neighbours]),
            "large_maps": [*large.shape, float(large[0, -1])],
            **{k: fingerprint([torch.from_numpy(v)]) for k, v in probabilities.items()},
        }


def image_probe() -> Numbers:
    """Classifiers on a network that sees images four times: 20 steps, and probabilities."""
    with double_precision():
        encoder = new_encoder({"encoder": {"network": "slow", "width": 4, "embedding": 8}}, SEED)
        images = normalise(synthetic.clips(np.arange(VIDEOS), 90, 1).to(here()))
        with torch.no_grad():
            encoder.to(here())(
                images.expand(-1, -1, 4, -1, -1)
            )  # statistics that are not the first ones
        network = FrozenEncoders([encoder], frames=4, pooled=True)
        shapes = feature_shapes(network, (3, 1, synthetic.SIZE, synthetic.SIZE))
        torch.manual_seed(SEED)
        widths = {layer: shapes[layer][0] for layer in LAYERS}
        classifiers = Classifiers(network, widths, CLASSES)
        task = Probing(classifiers, synthetic.recipe()["optimiser"], Schedule(0, STEPS, (12,)))
        batches = synthetic.batches(STEPS, 1, synthetic.recipe()["color_jitter"])
        losses = [float(task.step(step, batch)["loss"]) for step, batch in enumerate(batches)]
        with torch.no_grad():
            outputs = task.network().eval().with_embedding(images)
            large = F.interpolate(images, scale_factor=(1, 2, 2))  # Conv5 has several places
            outputs["large"] = network(large)["conv5"]
        return {
            "widths": widths,
            "loss": [losses[step] for step in SHOWN],
            "heads": fingerprint(list(classifiers.heads.parameters())),
            **{name: fingerprint([one]) for name, one in outputs.items()},
        }


def features(encoders: int = 1) -> Numbers:
    """Vectors of whole videos: three clips each, one network or several side by side."""
    with double_precision():
        extractor = Extractor(_encoders(encoders), VECTORS)
        vectors = average(_test_logits(extractor, 3))
        return {layer: [*one.shape, *fingerprint([one])] for layer, one in vectors.items()}


def encoder_file(folder: Path) -> Numbers:
    """What the file of an encoder says, and how much of the network it holds."""
    checkpoint, made = folder / "untrained.pt", folder / "encoder.pt"
    write_untrained(synthetic.recipe(), SEED, checkpoint, 25)
    frames = {"fps": 25, "shorter_side": 80, "quality": 3}
    write_encoder(checkpoint, made, frames, recipe={"label": "A"}, provenance={"dataset": "b"})
    content = torch_files.load(made)
    numbers = [value.numel() for value in content["encoder"].values()]
    return {
        "fields": sorted(content),
        "recipe": sorted(content["recipe"]),
        "provenance": sorted(content["provenance"]),
        "frames": [content["fps"], *content["frames"].values()],
        "network": [len(numbers), sum(numbers)],
    }


def finetune(jitter: bool) -> Numbers:
    """All of a network, with labels, with either preprocessing."""
    with double_precision():
        torch.manual_seed(SEED)
        classifier = Classifier(_encoders(1)[0], CLASSES)

        def validate(network: nn.Module) -> tuple[float, float]:
            scores = _test_logits(lambda clips: {"all": network(clips)}, 1)["all"][:, 0]
            top1 = (scores.argmax(1) == LABELS).double().mean()
            return float(top1), float(F.cross_entropy(scores, LABELS))

        decayed = {"decayed": "all" if jitter else "new_layer"}
        settings = synthetic.recipe()["optimiser"] | {"lr": 0.01} | decayed
        schedule = Schedule(0, STEPS)
        task = Finetuning(classifier, settings, schedule, Plateau(1, 3), validate, every=2)
        losses, validations = [], []
        recipe = synthetic.recipe()
        for step, batch in enumerate(
            synthetic.batches(jitter=recipe["color_jitter"] if jitter else None)
        ):
            validations += [v for k, v in task.before_step(step).items() if k != "validation_loss"]
            losses.append(float(task.step(step, batch)["loss"]))
        best = [value for value in task.best.values() if value.is_floating_point()]
        return weights(task.network()) | {
            "loss": [losses[step] for step in SHOWN],
            "validations": validations,
            "best": fingerprint(best),
            "ended": task.ended,
        }


def pooled_encoder() -> Numbers:
    """A network whose embedding is its pooled features."""
    with double_precision():
        torch.manual_seed(SEED)
        encoder = build_encoder(synthetic.recipe()["encoder"] | {"embedding": "pooled"}).eval()
        with torch.no_grad():
            embedding = encoder(normalise(synthetic.clips(np.arange(4), 0)))[0]
        return {"embedding": fingerprint([embedding])}
