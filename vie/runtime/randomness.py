"""Random numbers by address. They do not depend on workers, on order, or on a resumed run."""

import hashlib

import numpy as np


def generator(
    seed: int, stage: str, epoch: int = 0, instance: int = 0, clip: int = 0
) -> np.random.Generator:
    """Generator of the address (seed, stage, epoch, instance, clip).

    The address is hashed into the 128-bit key of a Philox counter generator. Addresses that differ
    in any part give independent streams; equal addresses give equal streams everywhere.
    """
    address = f"{seed}|{stage}|{epoch}|{instance}|{clip}".encode()
    key = int.from_bytes(hashlib.blake2b(address, digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))


def torch_seed(seed: int, stage: str, epoch: int = 0) -> int:
    """A 63-bit seed of the same address for `torch.Generator.manual_seed`."""
    return int(generator(seed, stage, epoch).integers(2**63 - 1))
