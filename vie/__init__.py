"""Unsupervised Learning from Video with Deep Neural Embeddings (VIE, CVPR 2020).

encoder = vie.load_encoder("results/.../local_aggregation.pt")
classifier = vie.load_classifier("results/.../best.pt")
index = vie.load_index("resources/.../index.parquet")
config = vie.load_config("config.yaml")
ids, features = vie.extract("results/.../encoders/vie_slow.pt", "my_videos")
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vie.config.load import load_config
    from vie.extract import extract
    from vie.frames.index import load_index
    from vie.models.checkpoint_format import load_classifier, load_encoder

__version__ = "0.2.0"
__all__ = ["__version__", "extract", "load_classifier", "load_config", "load_encoder", "load_index"]

# Imported when first asked for: torch takes seconds, and Snakemake needs none of it.
_HOMES = {
    "extract": "vie.extract",
    "load_classifier": "vie.models.checkpoint_format",
    "load_config": "vie.config.load",
    "load_encoder": "vie.models.checkpoint_format",
    "load_index": "vie.frames.index",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        known = ", ".join(sorted(_HOMES))
        raise AttributeError(f"module 'vie' has no attribute {name!r}; it has {known}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
