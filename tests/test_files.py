import os
import stat

import pytest

from vie.files import digest, whole


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "table.csv"
    with whole(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.suffix == ".csv"
        assert temporary.parent == path.parent
    assert path.read_text() == "half"
    assert os.listdir(path.parent) == ["table.csv"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), whole(path) as temporary:
        temporary.write_text("\udfff")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_files_have_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    with whole(tmp_path / "ours") as temporary:
        temporary.write_text("")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")}
    assert len(modes) == 1


def test_digest_is_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert digest(tmp_path / "abc") == "ba7816bf8f01cfea"  # FIPS 180-2, appendix B.1
