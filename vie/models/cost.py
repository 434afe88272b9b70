"""What a network costs, counted on the network itself."""

import functools
import json

import torch
from torch.utils.flop_counter import FlopCounterMode

from vie.config.settings import NETWORKS
from vie.models.encoders import build_encoder
from vie.models.trunks import repeated


@functools.cache
def network_cost(encoder: str, frames: int, size: int, repeats: int = 1) -> tuple[float, int, int]:
    """Floating-point operations of a forward pass of one clip, numbers in the network, and
    dimensions D of its embedding.

    `encoder` are settings of `build_encoder`, as JSON. The clip is (3, frames, size, size). With
    `repeats` above 1 it is an image, of one frame, which is shown so many times.
    """
    settings = json.loads(encoder)
    # Shapes are enough, and draw no weights. Code of the user's may need the numbers.
    device = torch.device("meta" if settings["network"] in NETWORKS else "cpu")
    with FlopCounterMode(display=False) as counter, torch.no_grad(), device:
        built = build_encoder(settings).eval()
        clip = torch.zeros(1, 3, frames, size, size)
        embedding = built.head(built.trunk.pool(repeated(built.trunk, clip, repeats)))  # (1, D)
    numbers = sum(tensor.numel() for tensor in built.state_dict().values())
    return counter.get_total_flops(), numbers, embedding.shape[1]
