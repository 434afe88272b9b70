"""The command that makes the authors' checkpoint one of vie."""

from types import SimpleNamespace

import numpy as np
import pytest

import vie
from tests.models.bundles import NAME, RELEASED, packed, rewritten
from vie.import_checkpoint import main
from vie.models import imported, release
from vie.models.tensorflow_checkpoint import TensorBundle
from vie.runtime import torch_files
from vie.runtime.errors import VieError

INDEX = str(RELEASED / f"{NAME}.index")


def refused(match, *arguments):
    with pytest.raises(VieError, match=match) as error:
        main([str(argument) for argument in arguments])
    assert str(error.value).isprintable()


def test_the_command_line_writes_a_checkpoint(tmp_path, capsys):
    output = tmp_path / "vie_3dresnet.pt"
    main([INDEX, str(output)])
    assert "step 1450000, 40 videos" in capsys.readouterr().out
    encoder = vie.load_encoder(output)
    assert (encoder.input.frames, encoder.input.size, encoder.dimensions) == (16, 112, 128)
    content = torch_files.load(output)
    assert content["imported_from"] == INDEX
    assert (content["version"], len(content["code"])) == ("import 1", 12)
    refused("is there already", INDEX, output)


def test_a_name_alone_is_enough(tmp_path, monkeypatch, capsys):
    """Also of a release without a memory bank."""
    (tmp_path / "far").mkdir()
    packed(RELEASED, tmp_path / "far" / f"{NAME}.tar")
    monkeypatch.chdir(tmp_path)
    main([f"far/{NAME}.tar"])
    assert vie.load_encoder(f"{NAME}.pt").metadata["step"] == 1_450_000
    rewritten(tmp_path / "bare", {"instance/memory_bank": None})
    capsys.readouterr()
    main(["bare.index"])
    assert capsys.readouterr().out == "bare.pt: step 1450000\n"


def test_the_bank_is_said_to_be_of_its_index(tmp_path, monkeypatch):
    labels = TensorBundle(INDEX).array("instance/all_labels")
    monkeypatch.setattr(release, "load_index", lambda path: SimpleNamespace(labels=labels))
    monkeypatch.setattr(imported, "digest", lambda path: "of the index")
    main([INDEX, str(tmp_path / "it.pt"), "--index", "index.parquet"])
    content = torch_files.load(tmp_path / "it.pt")
    assert content["bank_index"] == "of the index"
    assert np.shape(content["bank"]["vectors"]) == (40, 128)


def test_wrong_arguments_are_sentences(tmp_path, caplog):
    output, file = tmp_path / "it.pt", tmp_path / "file"
    refused(
        "--recipe opn: its network is single, and the authors' is 3dresnet: name one of vie_3d",
        INDEX,
        output,
        "--recipe",
        "opn",
    )
    refused("--recipe none: the config has vie_3dresnet", INDEX, output, "--recipe", "none")
    none = tmp_path / "none.yaml"
    refused("none.yaml: cannot be read: No such file", INDEX, output, "--configfile", none)
    file.write_bytes(b"a: [\n\xff")
    refused("file: line 2: is no UTF-8", INDEX, output, "--configfile", file)
    file.write_text("a: [\n")
    refused("file: cannot be read as YAML: line 2", INDEX, output, "--configfile", file)
    refused("(File exists|Not a directory)", INDEX, file / "it.pt")
    refused("is a folder", tmp_path, output)
    refused("no such file", tmp_path / "none.tar", output)
    refused(r"file is no \.tar or \.index", file, output)
    assert not output.exists()


def test_no_index_is_a_sentence(tmp_path):
    refused("none.parquet", INDEX, tmp_path / "it.pt", "--index", tmp_path / "none.parquet")
