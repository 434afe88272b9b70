"""SimCLR (Chen et al. 2020): find a clip's partner from the same video among a batch of clips.

objectives: {simclr: "examples.simclr:SimCLR"}       # in the config
recipes: {my_recipe: {schedule: {simclr: 200 epochs, lr_drops: []}, ...}}
"""

import torch
import torch.nn.functional as F
from torch import nn

from vie.objectives.base import Objective
from vie.objectives.table import Facts
from vie.runtime import distributed
from vie.runtime.errors import VieError


def similarity_bytes(batch, instances, dimensions, settings):
    """Similarities of 2 B clips to 2 B clips, and what is computed from them, in float32."""
    return 4 * 4 * (2 * batch) ** 2


class SimCLR(Objective):
    """-log(exp(z . z' / t) / sum over all other clips z'' of exp(z . z'' / t)), for every clip z.

    z is an MLP of a clip's pooled features, of unit length; z' is that of the other clip of the
    same video. The other clips are those of the whole batch, whichever GPU has them.

    Args:
        width: of the pooled features.
        dimensions: of z.
        temperature: t.
    """

    facts = Facts(n_views=2, scratch_bytes=similarity_bytes)

    def __init__(self, width, *, dimensions=128, temperature=0.1):
        super().__init__()
        if temperature <= 0:
            raise VieError(f"temperature {temperature} must be above 0")
        self.temperature = temperature
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, dimensions))

    @classmethod
    def build(cls, recipe, settings, labels, seed, encoder):
        """As for `Objective`."""
        if list(encoder.head.parameters()):
            raise VieError("SimCLR has a head of its own: set encoder.embedding to pooled")
        return cls(encoder.dimensions, **settings)

    def losses(self, embedding, features, instances, bank, generator):
        """As for `Objective`; "top1" is the share of clips nearest to their partner, in %."""
        pooled = features["pooled"]  # (2 B, C), all first views, then all second ones
        B = len(instances)
        with torch.autocast(pooled.device.type, enabled=False):
            z = F.normalize(self.head(pooled), dim=1)  # (2 B, D)
            every = distributed.gather_with_gradient(z)  # (world * 2 B, D), process by process
            logits = z @ every.T / self.temperature  # (2 B, world * 2 B)
            first = 2 * B * distributed.rank()
            mine = torch.arange(2 * B, device=z.device)
            logits[mine, first + mine] = -torch.inf  # a clip is not compared with itself
            partner = first + (mine + B) % (2 * B)
            loss = F.cross_entropy(logits, partner)
        return {"loss": loss, "top1": 100 * (logits.argmax(1) == partner).float().mean()}
