"""Objects by "module:Name": found beside the config, refused with a reason."""

import pytest

from vie.runtime import importing
from vie.runtime.errors import VieError
from vie.runtime.importing import check_trusted, load_object, trust


def test_a_file_in_the_current_folder_is_found(tmp_path, monkeypatch):
    (tmp_path / "lying_beside.py").write_text("def build():\n    return 7\n")
    monkeypatch.chdir(tmp_path)
    assert load_object("lying_beside:build")() == 7


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("no_colon", "is not written as"),
        ("vie.nowhere:Class", "no module 'vie.nowhere'"),
        ("vie.clips.crops:Absent", "has no 'Absent'"),
        ("needs_more:build", "needs 'not_there_at_all', which is not installed"),
    ],
)
def test_what_is_missing_is_named(tmp_path, monkeypatch, path, reason):
    (tmp_path / "needs_more.py").write_text("import not_there_at_all\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VieError, match=reason):
        load_object(path)


def test_only_vie_and_what_is_trusted_may_be_named_by_a_checkpoint(monkeypatch):
    monkeypatch.setattr(importing, "_trusted", set())
    check_trusted("vie.models.encoders:build_resnet", "x.pt")
    for path in ("os:system", "vie_of_another:f"):
        with pytest.raises(VieError, match=r"x\.pt.*trust=True"):
            check_trusted(path, "x.pt")
    trust(["my:Network"])
    check_trusted("my:Network", "x.pt")
