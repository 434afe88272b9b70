"""Which ffmpeg is used."""

import sys
from types import SimpleNamespace

import pytest

from vie.frames import process
from vie.frames.process import ffmpeg_executable
from vie.runtime.errors import VieError


@pytest.mark.parametrize(
    ("version", "new"),
    [
        ("4.3.8-0+deb11u1 Copyright (c) 2000-2024", False),
        ("4.4.2-0ubuntu0.22.04.1 Copyright", False),
        ("n5.0.3", False),
        ("2.8", False),
        ("5.1.6-0+deb12u1 Copyright", True),
        ("n6.0-22-g549430e14d", True),
        ("10.0", True),
        ("N-12345-gabcdef1234 Copyright", True),
        ("git-2020-01-01", True),
        ("2023-11-27-git-0ea9e26636-full_build", True),
    ],
)
def test_an_ffmpeg_that_is_too_old_is_passed_over(tmp_path, monkeypatch, version, new):
    fake = tmp_path / "ffmpeg"
    fake.write_text(f"#!/bin/sh\necho 'ffmpeg version {version}'\necho 'built with gcc'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    package = SimpleNamespace(get_ffmpeg_exe=lambda: "/the/package's")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", package)
    assert ffmpeg_executable.__wrapped__() == (str(fake) if new else "/the/package's")
    if not new:
        monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
        with pytest.raises(VieError, match="is too old") as error:
            ffmpeg_executable.__wrapped__()
        assert version[:10] in str(error.value)


def test_no_ffmpeg_says_what_to_install(monkeypatch):
    monkeypatch.setattr(process.shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(VieError, match="install ffmpeg"):
        ffmpeg_executable.__wrapped__()
