"""The released checkpoint, for the tests of its readers."""

import shutil

import pytest

from tests.models.bundles import DATA, NAME, RELEASED


@pytest.fixture
def bundle(tmp_path):
    """A copy of the checkpoint, to damage; its index."""
    for name in (f"{NAME}.index", DATA):
        shutil.copy(RELEASED / name, tmp_path)
    return tmp_path / f"{NAME}.index"
