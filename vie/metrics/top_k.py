"""Top-k accuracy of class scores."""

import numpy as np

from vie.runtime.errors import VieError


def top_k(probabilities: np.ndarray, labels: np.ndarray, k: int = 1) -> np.ndarray:
    """Whether each video's class is among its k most probable ones.

    Args:
        probabilities: (V, classes), any scores where larger is more likely.
        labels: (V,) integers.
        k: ties go to the lower class number, as in argmax, so constant scores earn nothing.

    Returns:
        (V,) bool.

    Raises:
        VieError: if a score is NaN, or the shapes or labels do not fit.
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise VieError(
            f"scores {probabilities.shape} and labels {labels.shape} must have the shapes "
            "(V, classes) and (V,)"
        )
    classes = probabilities.shape[1]
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise VieError(
            f"labels lie in {labels.min()}..{labels.max()}, but there are {classes} classes"
        )
    if np.isnan(probabilities).any():
        raise VieError("class scores contain NaN; the network or classifier has diverged")
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)  # (V, 1)
    earlier = np.arange(classes) < labels[:, None]  # (V, classes)
    better = (probabilities > own) | ((probabilities == own) & earlier)
    hits: np.ndarray = better.sum(axis=1) < k
    return hits
