"""Local aggregation: draw a video to its cluster among its neighbours (protocol section 5)."""

from typing import Self

import torch
from torch import Generator, Tensor

from vie.models.encoders import Encoder
from vie.objectives.bank import nearest, similarities
from vie.objectives.base import Objective, Settings
from vie.objectives.clustering import kmeans
from vie.objectives.table import BUILTIN, CHUNK
from vie.runtime import distributed
from vie.runtime.errors import VieError

EPSILON = 1e-7  # added to the ratio, protocol section 5


class LocalAggregation(Objective):
    """-log(sum of p over C_i and B_i / sum of p over B_i + 1e-7), averaged over the batch.

    B_i are the k bank entries nearest to the embedding f; C_i are the members of video i's
    clusters (the union over several clusterings); p(j) = exp(v_j . f / temperature) / Z. The
    constant Z cancels in the ratio, so it does not appear: p may be the softmax over B_i, and the
    ratio is then the sum of p over the neighbours that share a cluster with i.

    Args:
        instances: number N of videos in the bank.
        clusters: m of each k-means.
        neighbours: k.
        clusterings: how many k-means with different seeds.
        iterations, threads: of each k-means, as for `kmeans`.

    Raises:
        VieError: if there are fewer videos than clusters or neighbours.
    """

    # (clusterings, N) int64 buffer, the cluster of every video; -1 before the first epoch.
    labels: Tensor
    facts = BUILTIN["local_aggregation"].facts

    def __init__(
        self,
        instances: int,
        *,
        clusters: int = 8000,
        neighbours: int = 512,
        clusterings: int = 1,
        iterations: int = 20,
        temperature: float = 0.07,
        threads: int | None = None,
    ):
        super().__init__()
        counts = {"clusters": clusters, "neighbours": neighbours}
        if problems := self.facts.problems(counts, instances):
            raise VieError("\n".join(problems))
        if temperature <= 0 or min(clusters, neighbours, clusterings) < 1:
            raise VieError(
                f"temperature {temperature}, {clusters} clusters, {neighbours} neighbours and "
                f"{clusterings} clusterings must be above 0"
            )
        self.clusters, self.neighbours, self.iterations = clusters, neighbours, iterations
        self.temperature, self.threads = temperature, threads
        self.register_buffer("labels", torch.full((clusterings, instances), -1))
        self._clustered = False
        self.close_of_step = torch.zeros(0, neighbours, dtype=torch.bool)  # (B, k)

    @classmethod
    def build(
        cls, recipe: Settings, settings: Settings, labels: Tensor, seed: int, encoder: Encoder
    ) -> Self:
        """As for `Objective`."""
        return cls(
            len(labels),
            temperature=recipe["objective"]["temperature"],
            iterations=settings.pop("kmeans_iterations"),
            threads=torch.get_num_threads(),
            **settings,
        )

    def before_epoch(self, bank: Tensor, seed: int) -> None:
        """Cluster the bank (N, D) anew, in the main process."""
        if distributed.is_main_process():
            labels = kmeans(
                bank,
                self.clusters,
                iterations=self.iterations,
                seed=seed,
                clusterings=len(self.labels),
                threads=self.threads,
            )
            self.labels.copy_(torch.from_numpy(labels))
        distributed.broadcast(self.labels)

    def forward(
        self, embedding: Tensor, instances: Tensor, bank: Tensor, generator: Generator | None = None
    ) -> Tensor:
        """As for `Objective.losses`, without noise.

        A clip without a neighbour from its own cluster costs -log(1e-7) and has a gradient of zero.
        """
        if not self._clustered:  # read the device's memory once, not in every step
            if bool((self.labels < 0).any()):
                raise VieError("local aggregation has no clusters yet: call before_epoch first")
            self._clustered = True
        with torch.autocast(embedding.device.type, enabled=False):
            embedding = embedding.to(torch.promote_types(embedding.dtype, torch.float32))
            vectors = bank.detach().to(embedding.dtype)
            background = nearest(embedding, vectors, self.neighbours, CHUNK)  # (B, k)
            self.close_of_step = close = self.close(instances, background)  # (B, k)
            # Only these k entries take part in the backward pass.
            logits = similarities(embedding, vectors, background)  # (B, k)
            p = torch.softmax(logits / self.temperature, dim=1)
            ratio = (p * close).sum(1)  # (B, k) -> (B,)
            return -torch.log(ratio + EPSILON).mean()

    def shown(self) -> dict[str, float]:
        """Of this process's clips of the last step: how many of the k background neighbours are
        close on average, and the share of clips (%) that have no close one."""
        sizes = self.close_of_step.sum(1)  # (B,)
        without = 100 * float((sizes == 0).double().mean())
        return {
            "neighbours/close": float(sizes.double().mean()),
            "neighbours/without_close": without,
        }

    def close(self, instances: Tensor, background: Tensor) -> Tensor:
        """(B,), (B, k) -> (B, k) bool: which background neighbours share a cluster with i."""
        # (clusterings, B, k) against (clusterings, B, 1), any over clusterings
        return (self.labels[:, background] == self.labels[:, instances, None]).any(0)
