"""Instance recognition: tell every video from all others (protocol section 5)."""

import math
from typing import Self

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from vie.config.settings import ESTIMATORS, resolve_steps
from vie.models.encoders import Encoder
from vie.objectives.bank import similarities
from vie.objectives.base import Objective, Settings
from vie.objectives.table import BUILTIN
from vie.runtime import distributed
from vie.runtime.errors import VieError

# Z of the release: the constant that Wu et al. (2018) estimated on ImageNet, scaled to N.
PAPER_Z_PER_INSTANCE = 2876934.2 / 1281167
EPSILON = 1e-7  # added to each denominator, protocol section 5


class InstanceRecognition(Objective):
    """Loss that draws an embedding f to its own bank entry and away from the others.

    With p(j) = exp(v_j . f / temperature) / Z, K noise entries drawn uniformly from the bank and
    c = K / N, noise-contrastive estimation is

        -log(p(i) / (p(i) + c + 1e-7)) - sum over noise k of log(c / (p(k) + c + 1e-7)).

    Estimators:
        nce_paper: Z = 2876934.2 / 1281167 * N, which fits random directions in 128 dimensions at
            the paper's temperature. Too small by orders of magnitude where embeddings use few of
            them, as those of new networks do (docs/estimators.md).
        nce_estimated: Z = N * mean of exp(v . f / temperature) over the noise of the first
            `estimation_batches` batches, then frozen.
        softmax: exact cross-entropy over the whole bank; holds B x N numbers, so for small N.

    Args:
        instances: number N of videos in the bank.
        negatives: K, drawn for each clip of the batch on its own, with replacement.
        first_temperature, warm_up: the temperature of the first step, and how long it takes to
            fall to `temperature`, by equal factors, such as "10 epochs".

    Raises:
        VieError: for an unknown estimator or numbers below their minimum.
    """

    z_sum: Tensor  # () float64 buffer, sum of the batches' estimates (nce_paper: its constant)
    z_batches: Tensor  # () int64 buffer, how many; Z is the quotient
    facts = BUILTIN["instance_recognition"].facts

    def __init__(
        self,
        instances: int,
        *,
        estimator: str = "nce_paper",
        temperature: float = 0.07,
        negatives: int = 4096,
        estimation_batches: int = 10,
        first_temperature: float | None = None,
        warm_up: str = "0 steps",
    ):
        super().__init__()
        if estimator not in ESTIMATORS:
            raise VieError(
                f"estimator {estimator!r} is unknown; use one of: {', '.join(ESTIMATORS)}"
            )
        if temperature <= 0:
            raise VieError(f"temperature {temperature} must be above 0")
        if instances < 2 or negatives < 1 or estimation_batches < 1:
            raise VieError(
                f"instance recognition needs at least 2 instances, 1 negative and 1 estimation "
                f"batch, but got {instances}, {negatives} and {estimation_batches}"
            )
        self.instances, self.estimator = instances, estimator
        self.temperature = self.final_temperature = temperature
        self.first_temperature, self.warm_up = first_temperature or temperature, warm_up
        self.negatives = negatives
        self.estimation_batches = estimation_batches
        constant = PAPER_Z_PER_INSTANCE * instances if estimator == "nce_paper" else 0.0
        self.register_buffer("z_sum", torch.tensor(constant, dtype=torch.float64))
        self.register_buffer("z_batches", torch.tensor(int(estimator == "nce_paper")))

    @classmethod
    def build(
        cls, recipe: Settings, settings: Settings, labels: Tensor, seed: int, encoder: Encoder
    ) -> Self:
        """As for `Objective`."""
        return cls(len(labels), temperature=recipe["objective"]["temperature"], **settings)

    def before_step(self, step: int, steps_per_epoch: int) -> None:
        """Set the temperature of the step."""
        warm_up = resolve_steps(self.warm_up, steps_per_epoch)
        done = min(step / warm_up, 1) if warm_up else 1
        self.temperature = self.first_temperature ** (1 - done) * self.final_temperature**done

    def losses(
        self,
        embedding: Tensor,
        features: dict[str, Tensor],
        instances: Tensor,
        bank: Tensor,
        generator: Generator | None,
    ) -> dict[str, Tensor]:
        """The loss; of softmax also "gained", ln N minus it: the nats that the embedding tells of
        which video it is of. 0 is guessing; a network that is sure of wrong ones is below."""
        found = super().losses(embedding, features, instances, bank, generator)
        if self.estimator == "softmax":
            found["gained"] = math.log(len(bank)) - found["loss"].detach()
        return found

    def forward(
        self, embedding: Tensor, instances: Tensor, bank: Tensor, generator: Generator | None = None
    ) -> Tensor:
        """As for `Objective.losses`; the generator may be on any device, and softmax needs none."""
        with torch.autocast(embedding.device.type, enabled=False):
            embedding = embedding.to(torch.promote_types(embedding.dtype, torch.float32))
            vectors = bank.detach().to(embedding.dtype)
            if self.estimator == "softmax":
                logits = embedding @ vectors.T / self.temperature  # (B, D) x (D, N) -> (B, N)
                return F.cross_entropy(logits, instances)
            return self._nce(embedding, instances, vectors, generator)

    def _nce(
        self, embedding: Tensor, instances: Tensor, vectors: Tensor, generator: Generator | None
    ) -> Tensor:
        if generator is None:
            raise VieError(f"estimator {self.estimator!r} draws noise: give it a torch.Generator")
        B, N, K = len(embedding), len(vectors), self.negatives
        # Of the whole batch, whose other clips other processes may have: (world * B, K) -> (B, K)
        every = (B * distributed.world_size(), K)
        noise = torch.randint(N, every, generator=generator, device=generator.device)
        noise = distributed.shard(noise).to(embedding.device)
        others = similarities(embedding, vectors, noise)  # (B, K)
        own = (vectors[instances] * embedding).sum(1)  # (B, D) -> (B,)
        own, others = torch.exp(own / self.temperature), torch.exp(others / self.temperature)
        z = self._z(others).to(embedding.dtype)
        own, others, c = own / z, others / z, K / N
        attraction = torch.log(own / (own + c + EPSILON))  # (B,)
        repulsion = torch.log(c / (others + c + EPSILON)).sum(1)  # (B, K) -> (B,)
        return -(attraction + repulsion).mean()

    @torch.no_grad()
    def _z(self, others: Tensor) -> Tensor:
        """() float64; takes exp(v . f / temperature) of the noise, (B, K), into the estimate."""
        if self.estimator == "nce_estimated":
            # Nothing here waits for the device: no branch on its values, no number sent to it.
            estimating = self.z_batches < self.estimation_batches
            estimate = distributed.mean(others.double().mean()) * self.instances
            self.z_sum += torch.where(estimating, estimate, torch.zeros_like(estimate))
            self.z_batches += estimating
        return self.z_sum / self.z_batches
