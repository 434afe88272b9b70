"""Files of tensors and plain values."""

import hashlib
from typing import Any

import torch

from vie.runtime.torch_files import load, save

__all__ = ["content_digest", "load", "save"]


def content_digest(content: Any) -> str:
    """First 16 hex digits of the SHA-256 of nested dicts and lists of tensors and plain values.

    Unlike a file's, it stays when what the file says besides is written anew.
    """
    sha = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            sha.update(f"{value.dtype} {tuple(value.shape)}".encode())
            sha.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        elif isinstance(value, dict):
            sha.update(b"{")
            for key in sorted(value, key=repr):
                sha.update(repr(key).encode())
                add(value[key])
            sha.update(b"}")
        elif isinstance(value, list | tuple):
            sha.update(b"[")
            for one in value:
                add(one)
            sha.update(b"]")
        else:
            sha.update(f"{value!r},".encode())

    add(content)
    return sha.hexdigest()[:16]
