"""Names of files that are hardly names, written as text and found again."""

import os
import random
import unicodedata

import pytest

from vie.datasets.file_names import as_text, by_kind, listed, on_disk

STRANGE = [
    " leading and trailing ",
    "back\\slash",
    "back\\xzz\\x41",
    "new\nline\r",
    "tab\t",
    "comma, quote' \"",
    os.fsdecode(b"caf\xe9"),
    os.fsdecode(b"\xf0\x28\x8c\xbc"),
    "-rf",
    "=1+1",
    "$x^$",
    "{braces}",
    unicodedata.normalize("NFD", "é"),
    unicodedata.normalize("NFC", "é"),
    "\x85\x1b[31m",
    "b\u2028c\u200b",
    "x" * 200,
    "日本🙂",
]


@pytest.mark.parametrize("name", STRANGE)
def test_text_stands_for_the_file(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    (folder / f"{name}.mp4").touch()
    text = as_text(f"{name}/{name}.mp4")
    text.encode()
    assert not any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text)
    assert on_disk(tmp_path, text) == folder / f"{name}.mp4"
    assert as_text(text) == text


def test_the_usual_names_stay():
    for name in ("a b/c.mp4", "日本/é.mkv", "-x\\y", "b\u2028c"):
        assert as_text(name) == name


def test_any_bytes_are_found_again(tmp_path):
    rng = random.Random(1)
    signs = [byte for byte in range(1, 256) if byte not in b"/\\"]
    names = {bytes(rng.choices(signs, k=rng.randint(3, 40))) for _ in range(200)}
    for name in names:
        (tmp_path / os.fsdecode(name)).touch()
    texts = {as_text(os.fsdecode(name)) for name in names}
    assert len(texts) == len(names)
    assert {os.fsencode(on_disk(tmp_path, text).name) for text in texts} == names


def test_a_literal_name_comes_first(tmp_path):
    literal, raw = tmp_path / "caf\\xe9", tmp_path / os.fsdecode(b"caf\xe9")
    raw.touch()
    assert on_disk(tmp_path, "caf\\xe9") == raw
    literal.touch()
    assert on_disk(tmp_path, "caf\\xe9") == literal
    assert on_disk(tmp_path, "gone\\x2f..") == tmp_path / "gone\\x2f.."  # no way out


def test_messages():
    assert listed(["a\nb", "c\\d", "e'f", "g", "h", "i"], 4) == (
        r"""'a\x0ab', 'c\d', "e'f", 'g' and 2 more"""
    )
    names = ["b/x.TXT", "a.txt", ".hidden.mp4", "README", os.fsdecode(b"y.\xff")]
    assert by_kind(names) == (
        r"2 .txt, 1 .\xff, 1 hidden, 1 without extension: "
        r"'a.txt', 'y.\xff', '.hidden.mp4', 'README', 'b/x.TXT'"
    )
    assert by_kind([f"x.{i:02d}" for i in range(14)]).startswith("1 .00, 1 .01")
    assert "2 other kinds: " in by_kind([f"x.{i:02d}" for i in range(14)])
