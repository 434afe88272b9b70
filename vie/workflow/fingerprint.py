"""The digest of the library's code: recorded with every result, shown by `status`.

It makes nothing run again; `vie.workflow.versions` does.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vie.runtime.importing import own_file

PACKAGE = Path(__file__).parents[1]


def code_digest(package: Path = PACKAGE, own: Iterable[str] = ()) -> str:
    """First 12 hex digits of the SHA-256 of all Python files of `package`, names included.

    `own`: what a config names as "module:Name"; of these, files in the current folder count too.
    """
    files = [(path.relative_to(package).as_posix(), path) for path in sorted(package.rglob("*.py"))]
    files += [(name, path) for name in sorted(own) if (path := own_file(name))]
    code = hashlib.sha256()
    for name, path in files:
        text = path.read_bytes()
        code.update(f"{name} {len(text)}\n".encode())
        code.update(text)
    return code.hexdigest()[:12]


def own_code(config: dict[str, Any]) -> list[str]:
    """Networks and objectives of the user's own that a config names."""
    return [path for kind in ("networks", "objectives") for path in config.get(kind, {}).values()]
