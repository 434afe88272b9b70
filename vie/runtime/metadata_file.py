"""JSON files that say of results how they came about, with a digest of what they say."""

import hashlib
import json
from pathlib import Path
from typing import Any

from vie.runtime.errors import VieError, made_anew
from vie.runtime.files import write_json

DIGEST = "sha256"  # a key of the file


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def write_metadata(content: dict[str, Any], path: Path) -> None:
    """Write a file, whole."""
    plain = json.loads(json.dumps(content))  # with lists in place of tuples, as it will be read
    write_json({**content, DIGEST: _digest(plain)}, path)


def read_metadata(path: Path) -> dict[str, Any]:
    """What `write_metadata` wrote, or an earlier version of vie without a digest.

    Raises:
        VieError: the file cannot be read, or is damaged.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        digest = content.pop(DIGEST, None)
    except OSError as error:
        raise VieError(f"{path}: cannot be read: {error.strerror}") from error
    except (AttributeError, RecursionError, TypeError, ValueError) as error:
        raise VieError(f"{path}: is no JSON file of metadata; {made_anew(path)}") from error
    if digest not in (None, _digest(content)):
        raise VieError(f"{path}: its checksum is wrong: it is damaged; {made_anew(path)}")
    return content
