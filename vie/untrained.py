"""The networks of recipes before their first step."""

from pathlib import Path

import torch

from vie.clips.transform import ClipTransform
from vie.engine import checkpoints
from vie.models.checkpoint_format import describe
from vie.models.encoders import build_encoder
from vie.runtime.randomness import torch_seed


def new_encoder(recipe: dict, seed: int) -> torch.nn.Module:
    """The recipe's network with the random weights of `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, "encoder"))
        return build_encoder(recipe["encoder"], recipe.get("classes"))


def write_untrained(recipe: dict, seed: int, path: Path, fps: float | None = None) -> None:
    """Checkpoint of the network before its first step: the control of every evaluation.

    `fps` is that of the frames which the network will be shown.
    """
    encoder = new_encoder(recipe, seed)
    checkpoints.save(
        path,
        {
            **describe(recipe, ClipTransform.of(recipe), fps),
            "seed": seed,
            "step": 0,
            "encoder": encoder.state_dict(),
        },
    )
