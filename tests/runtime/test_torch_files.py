"""Files of tensors that were made to take more memory than they have bytes."""

import io
import zipfile

import pytest
import torch

from vie.runtime import torch_files
from vie.runtime.errors import VieError


@pytest.fixture
def members(tmp_path):
    """Name -> content of the zip that torch writes."""
    torch_files.save(tmp_path / "whole.pt", {"weight": torch.zeros(1000)})
    with zipfile.ZipFile(tmp_path / "whole.pt") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def refused(path, match, monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("it is loaded"))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *a, **k: pytest.fail("it is read"))
    with pytest.raises(VieError, match=match):
        torch_files.load(path)


def test_compressed_content_is_refused(members, tmp_path, monkeypatch):
    path = tmp_path / "small.pt"
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        if method == zipfile.ZIP_STORED:
            assert torch_files.load(path)["weight"].shape == (1000,)
    refused(path, "its content is compressed, which torch never does", monkeypatch)


def test_content_that_is_named_twice_is_refused(members, tmp_path, monkeypatch):
    path, content = tmp_path / "small.pt", io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, one in members.items():
            archive.writestr(name, one)
        archive.filelist *= 9
    path.write_bytes(content.getvalue())
    refused(path, "it promises more bytes than it has", monkeypatch)


def test_what_a_file_says_is_quoted(members, tmp_path):
    path = tmp_path / "odd.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("\x1b[31m", b"content")
    path.write_bytes(path.read_bytes().replace(b"content", b"CONTENT"))
    with pytest.raises(VieError, match=r"the checksum of \\x1b\[31m is wrong") as error:
        torch_files.load(path)
    assert str(error.value).isprintable()
