"""Where the workflow's own files lie: Snakefile, config.yaml, rules, experiments."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_SHIPPED = _PACKAGE / "shipped"  # only in a wheel; pyproject.toml says what it has

HOME = _SHIPPED if _SHIPPED.is_dir() else _PACKAGE.parent
