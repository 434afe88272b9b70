"""Versions of results: a result depends on its version, data and settings, not on code's text.

Raise a number when the same data and settings give other numbers than before, and say in its line
what changed. Every result of that kind is then made again, and nothing else. An edit that leaves
results as they are (a message, a name, a faster loop) needs no new number. The golden tests notice
a number that changed without its version.
"""

from typing import NamedTuple


class Version(NamedTuple):
    """A number that goes up by one, and what the last step up changed."""

    number: int
    changed: str


# "kind" is what all results of a kind share, "kind.name" what one layout or objective adds. A name
# that is not here has number 1: it is as it was when it was added.
VERSIONS: dict[str, Version] = {
    "videos": Version(
        2, "larger figures, strokes of nearly one width"
    ),  # written by vie.datasets.synthetic
    "videos.kinetics": Version(1, "first version"),
    "videos.ucf101": Version(1, "first version"),
    "videos.hmdb51": Version(1, "first version"),
    "videos.imagefolder": Version(1, "first version"),
    "manifest": Version(1, "first version"),  # and the numbers of classes
    "manifest.kinetics": Version(1, "first version"),
    "manifest.ucf101": Version(1, "first version"),
    "manifest.hmdb51": Version(1, "first version"),
    "manifest.folders": Version(1, "first version"),
    "manifest.flat": Version(1, "first version"),
    "manifest.imagefolder": Version(1, "first version"),
    "split_assignment": Version(1, "first version"),
    "frames": Version(3, "a matrix that only the container names; damage before the first frame"),
    "images": Version(2, "frames have checksums"),  # frames of images
    "index": Version(2, "frames have checksums"),
    "instances": Version(1, "first version"),
    "motion": Version(2, "its files have a checksum"),
    "untrained": Version(2, "first weights and max pool are the release's"),
    "import": Version(1, "first version"),  # weights from elsewhere
    # clips, encoders, schedules, the loop
    "pretrain": Version(
        2, "clips, first weights, max pool and the step of a drop are the release's"
    ),
    "pretrain.instance_recognition": Version(1, "first version"),
    "pretrain.local_aggregation": Version(1, "first version"),
    "pretrain.supervised": Version(2, "a linear layer on the pooled features, no temperature"),
    "pretrain.order_prediction": Version(
        2, "Glorot's weights; motion above that of the least window"
    ),
    "pretrain.rotation": Version(2, "no non-linearity in the head"),
    "probe": Version(3, "the classifiers' first weights are not cut, as the release's"),
    "probe.images": Version(1, "first version"),
    "finetune": Version(3, "the new layer's first weights are not cut, as the release's"),
    "encoder": Version(1, "first version"),  # encoder files
    "features": Version(1, "first version"),
    "pretext": Version(2, "the heads of its networks changed"),
    # ranking, sheets of neighbours, maps
    "retrieval": Version(3, "Student's t in its intervals has all its digits"),
    "advice": Version(2, "it gives threads to the job of features"),
    "tables": Version(6, "Student's t in their intervals has all its digits"),
}


def version(kind: str, name: str | None = None) -> str:
    """What rules carry as their param `version`, such as "pretrain 1, local_aggregation 1".

    Args:
        kind: a kind of result.
        name: of its layout or objective; a user's own is written `package.module:Class`.

    Raises:
        KeyError: there is no such kind.
    """
    shared = f"{kind} {VERSIONS[kind].number}"
    if name is None:
        return shared
    own = VERSIONS.get(f"{kind}.{name}")
    return f"{shared}, {name} {own.number if own else 1}"
