"""Networks out of files, in one line: `vie.load_encoder` and `vie.load_classifier`."""

from pathlib import Path

from vie.models.checkpoint_format import CLASSIFIER, classifier_of, encoder_of, read
from vie.models.classifiers import Classifier
from vie.models.encoders import Encoder


def load_encoder(path: str | Path, *, trust: bool = False) -> Encoder:
    """The encoder of a checkpoint of pretraining: of a stage's end, or untrained.

        encoder = vie.load_encoder("results/.../local_aggregation.pt")
        embedding, features = encoder(clips)  # clips as encoder.input says

    Args:
        path: of the file.
        trust: whether a network that is not part of vie may be imported, which runs its code.

    Returns:
        The encoder on the CPU, in evaluation mode. `input` says what it expects, `metadata` is a
        dict of its recipe, stage, step, seed, n_train (videos it was trained on) and vie_version.

    Raises:
        VieError: the file is damaged, no checkpoint of pretraining, or names foreign code.
    """
    return encoder_of(read(path), trust=trust, source=path)


def load_classifier(path: str | Path, *, trust: bool = False) -> Classifier:
    """The classifier of a checkpoint of finetuning (`best.pt`).

    Args:
        path, trust: as for `load_encoder`.

    Returns:
        The classifier on the CPU, in evaluation mode: clips -> logits (B, classes). `classes` are
        the names in the order of the logits; `input` and `metadata` are as an encoder's.

    Raises:
        VieError: the file is damaged, no checkpoint of finetuning, or names foreign code.
    """
    return classifier_of(read(path, CLASSIFIER), trust=trust, source=path)
