"""The digest of the library's code: recorded with every result, shown by `status`.

It makes nothing run again; `vie.workflow.versions` does.
"""

import hashlib
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def code_digest(package: Path = PACKAGE) -> str:
    """First 12 hex digits of the SHA-256 of all Python files of `package`, names included."""
    code = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        text = path.read_bytes()
        code.update(f"{path.relative_to(package).as_posix()} {len(text)}\n".encode())
        code.update(text)
    return code.hexdigest()[:12]
