"""Networks before their first step."""

from pathlib import Path
from typing import Any

import torch

from vie.clips.transform import ClipTransform
from vie.models.checkpoint_format import describe
from vie.models.encoders import Encoder, build_encoder
from vie.runtime.randomness import torch_seed
from vie.runtime.torch_files import save


def new_encoder(recipe: dict[str, Any], seed: int) -> Encoder:
    """The recipe's network with the random weights of `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, "encoder"))
        return build_encoder(recipe["encoder"], recipe.get("classes"))


def write_untrained(
    recipe: dict[str, Any],
    seed: int,
    path: Path,
    fps: float | None = None,
    version: str = "",
    code: str = "",
) -> None:
    """Checkpoint of the network before its first step: the control of every evaluation.

    `fps` is that of the frames which the network will be shown.
    """
    save(
        path,
        {
            **describe(recipe, ClipTransform.of(recipe), fps),
            "seed": seed,
            "step": 0,
            "version": version,
            "code": code,
            "encoder": new_encoder(recipe, seed).state_dict(),
        },
    )
