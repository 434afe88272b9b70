"""The digest of the code."""

from pathlib import Path

from vie.workflow.fingerprint import code_digest, own_code


def test_it_changes_with_every_file_and_name(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.py").write_text("x = 1\n")
    (tmp_path / "two.py").write_text("")
    seen = [code_digest(tmp_path)]
    (tmp_path / "a" / "one.py").write_text("x = 2\n")
    seen.append(code_digest(tmp_path))
    (tmp_path / "two.py").rename(tmp_path / "three.py")
    seen.append(code_digest(tmp_path))
    (tmp_path / "notes.txt").write_text("not code")
    assert code_digest(tmp_path) == seen[-1]
    assert len(set(seen)) == 3
    assert all(len(digest) == 12 for digest in seen)


def test_own_objectives_and_networks_count(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine", "losses.py").write_text("x = 1\n")
    config = {"objectives": {"mine": "mine.losses:Mine"}, "networks": {"gone": "elsewhere:net"}}
    before = code_digest(own=own_code(config))
    Path("mine", "losses.py").write_text("x = 2\n")
    assert len({code_digest(), before, code_digest(own=own_code(config))}) == 3
