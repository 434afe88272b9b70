"""MoCo v2 (He et al. 2020, Chen et al. 2020): tell a clip of a video from clips of other videos.

    objectives: {moco: "examples.moco:MoCo"}       # in the config
    recipes: {my_recipe: {schedule: {moco: 200 epochs, lr_drops: []}, ...}}

Of two clips of a video, one goes through the encoder and one through a slowly moving copy of it.
Clips of other videos wait in a queue. Unlike the paper's, batch norm is not shuffled over GPUs: one
batch has one set of statistics, however many GPUs share it.
"""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from vie.objectives.base import Objective
from vie.objectives.table import Facts
from vie.runtime import distributed
from vie.runtime.errors import VieError


def queue_bytes(batch, instances, dimensions, settings):
    """Similarities of a batch to the queue with their gradients, and the queue, in float32."""
    queue = settings.get("queue", 65536)
    return 4 * queue * (3 * batch + settings.get("dimensions", 128))


class MoCo(Objective):
    """-log(exp(q . k / t) / (exp(q . k / t) + sum over the queue's k' of exp(q . k' / t))).

    q is the query, an MLP of the first clip's pooled features; k is the key, the same of the second
    clip by the momentum encoder. Both have unit length. After each step the momentum encoder moves
    to m * itself + (1 - m) * encoder, and the keys take the oldest places of the queue.

    Args:
        encoder: with `embedding: pooled`, for the MLP is the head.
        dimensions: of query and key.
        queue: keys, a multiple of the batch.
        momentum: m.
        temperature: t.
        batch: videos in a step.
    """

    facts = Facts(n_views=2, scratch_bytes=queue_bytes)

    def __init__(
        self, encoder, *, batch, dimensions=128, queue=65536, momentum=0.999, temperature=0.2
    ):
        super().__init__()
        if list(encoder.head.parameters()):
            raise VieError("MoCo has a head of its own: set encoder.embedding to pooled")
        if queue % batch:
            raise VieError(f"MoCo's queue of {queue} keys must be a multiple of the batch, {batch}")
        self.momentum, self.temperature = momentum, temperature
        width = encoder.dimensions
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, dimensions))
        self.slow_encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.slow_head = copy.deepcopy(self.head).requires_grad_(False)
        self.register_buffer("queue", F.normalize(torch.randn(queue, dimensions), dim=1))
        self.register_buffer("oldest", torch.tensor(0))
        self.keys = None

    @classmethod
    def build(cls, recipe, settings, labels, seed, encoder):
        """As for `Objective`."""
        return cls(encoder, batch=recipe["optimiser"]["batch"], **settings)

    def measures(self, encoder, clips, instances, bank, generator):
        """As for `Objective`; "top1" is the share of queries nearest to their own key, in %."""
        first, second = clips.chunk(2)  # (2 B, 3, T, H, W) -> 2 x (B, 3, T, H, W)
        embedding, features = encoder(first)
        with torch.no_grad():
            _, slow_features = self.slow_encoder(second)
        with torch.autocast(clips.device.type, enabled=False):
            q = F.normalize(self.head(features["pooled"]), dim=1)  # (B, D)
            with torch.no_grad():
                self.keys = F.normalize(self.slow_head(slow_features["pooled"]), dim=1)
            own = (q * self.keys).sum(1, keepdim=True)  # (B, D) -> (B, 1)
            logits = torch.cat([own, q @ self.queue.T], 1) / self.temperature  # (B, 1 + K)
            loss = F.cross_entropy(logits, torch.zeros_like(instances))
        top1 = 100 * (logits.argmax(1) == 0).float().mean()
        return {"loss": loss, "top1": top1}, embedding

    @torch.no_grad()
    def after_step(self, encoder):
        """Move the momentum encoder; the keys take the oldest places of the queue."""
        for slow, fast in ((self.slow_encoder, encoder), (self.slow_head, self.head)):
            for a, b in zip(slow.parameters(), fast.parameters(), strict=True):
                a.lerp_(b, 1 - self.momentum)
        keys = distributed.gather(self.keys)
        places = (self.oldest + torch.arange(len(keys), device=keys.device)) % len(self.queue)
        self.queue[places] = keys
        self.oldest.copy_((self.oldest + len(keys)) % len(self.queue))
