"""Files of tensors and plain values, written whole and read without running code."""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import torch

from vie.runtime.disk import check_machine
from vie.runtime.errors import VieError, made_anew, shown
from vie.runtime.files import atomic_write

STATE, CHECKPOINT = ".state", "checkpoint.pt"  # suffix of a run's folder, and its file in there


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values to `path`, whole or not at all."""
    with atomic_write(path) as temporary:
        torch.save(content, temporary)


def load(path: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted, never code.

    Raises:
        VieError: the file is damaged, or holds more than that.
        OSError: it cannot be read now (`vie.runtime.disk.check_machine`).
    """
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not compare the checksums
            _check_sizes(path, archive.infolist())
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"the checksum of {damaged} is wrong")
        content: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        return content
    except FileNotFoundError:
        raise VieError(f"{path}: no such checkpoint") from None
    except Exception as error:  # torch and pickle raise many kinds on damaged files
        check_machine(error, path)
        reason = shown(next(iter(str(error).splitlines()), type(error).__name__), longest=300)
        raise VieError(
            f"{path} is not a checkpoint that can be read ({reason}). If a rule made it, "
            f"{made_anew(path, *_state_of(path))}; else name another file, such as "
            "results/<experiment>/encoders/<recipe>.pt; the authors' .tar goes through "
            "python -m vie.import_checkpoint"
        ) from None


def _state_of(path: Path) -> list[Path]:
    """The state of a run of which a checkpoint is another name, and whose damage is the same."""
    state = path.with_suffix(STATE) / CHECKPOINT
    return [state] if state.exists() and path.exists() and state.samefile(path) else []


def _check_sizes(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuse what would take more memory than the file has bytes; torch writes no such files."""
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("its content is compressed, which torch never does")
    if sum(member.file_size for member in members) > Path(path).stat().st_size:
        raise ValueError("it promises more bytes than it has")


def content_digest(content: Any) -> str:
    """First 16 hex digits of the SHA-256 of nested dicts and lists of tensors and plain values.

    Unlike a file's, it stays when what the file says besides is written anew.
    """
    sha = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            sha.update(f"{value.dtype} {tuple(value.shape)}".encode())
            flat = value.detach().cpu().contiguous().flatten()  # any shape -> (numbers,)
            sha.update(flat.view(torch.uint8).numpy().data)
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
