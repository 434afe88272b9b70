import errno
import os
import unicodedata

import pytest

from vie.datasets.finding import base_of, file_of, find_videos, piece_id
from vie.datasets.layouts.video_files import LONGEST_ID
from vie.runtime.errors import VieError


def files(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(os.fsencode(name))  # no two alike
    return folder


def ids(*places):
    return [one.id for one in find_videos(places).videos]


def test_any_depth_any_name(tmp_path):
    names = ["a.mp4", "b c/-d.MOV", "b c/日本/e🙂.webm", "b c/日本/deep/er/f.gif", "g.tar.m2ts"]
    found = find_videos([files(tmp_path, *names, "notes.txt", "x/README", "x/pic.jpg", "y/z.JPG")])
    assert [one.id for one in found.videos] == sorted(names)
    assert all(one.id == one.path and not one.label for one in found.videos)
    assert sorted(found.others) == ["notes.txt", "x/README", "x/pic.jpg", "y/z.JPG"]
    kinds = "2 .jpg, 1 .txt, 1 without extension: 'x/pic.jpg', 'notes.txt', 'x/README', 'y/z.JPG'"
    assert found.notes == [f"files that are no videos are left out: {kinds}"]


def test_hidden_files_are_counted(tmp_path):
    files(tmp_path, "a.mp4", "._a.mp4", ".git/b.mp4")
    found = find_videos([tmp_path])
    assert [one.id for one in found.videos] == ["a.mp4"]
    assert found.notes == ["files that are no videos are left out: 2 hidden: '._a.mp4', '.git'"]


def test_lists_may_spell_names_in_another_way(tmp_path):
    """As another system composes accents, as they are written here, with blanks around."""
    accent, bytes_ = unicodedata.normalize("NFD", "caf\xe9.mp4"), os.fsdecode(b"caf\xe9.mp4")
    files(tmp_path, accent, bytes_, "b.mp4")
    (tmp_path / "list.txt").write_text("caf\xe9.mp4\ncaf\\xe9.mp4\n b.mp4 \n")
    found = find_videos([tmp_path / "list.txt"])
    assert [one.path for one in found.videos] == ["b.mp4", "caf\\xe9.mp4", accent]
    found = find_videos([tmp_path])
    assert [one.path for one in found.videos] == ["b.mp4", "caf\\xe9.mp4", accent]


def test_links_are_followed_and_a_file_is_found_once(tmp_path):
    files(tmp_path, "v/b/x.mp4", "elsewhere/y.mp4")
    videos = tmp_path / "v"
    (videos / "a").symlink_to("b")  # the folder itself comes first, though its name is later
    (videos / "b" / "round").symlink_to("..")
    (videos / "outside").symlink_to("../elsewhere")
    os.link(videos / "b" / "x.mp4", videos / "b" / "z.mp4")
    (videos / "lost.mp4").symlink_to("nowhere")
    (videos / "self").symlink_to("self")
    found = find_videos([videos])
    # A link that leads nowhere is a video that is rejected later.
    assert [one.id for one in found.videos] == ["b/x.mp4", "lost.mp4", "outside/y.mp4"]
    assert f"{videos}: 1 links lead nowhere or in a circle: 'self'" in found.notes
    assert "files that were found under another name already are left out: 1" in found.notes


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    files(tmp_path, "a/x.mp4", "b/y.mp4", "c/z.mp4")
    os.mkfifo(tmp_path / "a" / "pipe.mp4")
    scandir = os.scandir

    def refused(path):  # file modes do not stop root
        if os.fspath(path) == str(tmp_path / "b"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    found = find_videos([tmp_path])
    assert [one.id for one in found.videos] == ["a/pipe.mp4", "a/x.mp4", "c/z.mp4"]
    words = f"1 folders are left out: {tmp_path / 'b'}: cannot be read as a folder: Permission"
    assert found.notes == [f"{words} denied"]
    with pytest.raises(VieError, match="b: cannot be read as a folder: Permission denied"):
        find_videos([tmp_path / "b"])


def test_several_folders_and_single_videos(tmp_path):
    files(tmp_path, "one/a.mp4", "two/deep/b.mp4", "two/c.mp4")
    assert ids(tmp_path / "one", tmp_path / "two" / "deep") == ["one/a.mp4", "two/deep/b.mp4"]
    assert ids(tmp_path / "two", tmp_path / "two" / "deep") == ["c.mp4", "deep/b.mp4"]
    assert ids(tmp_path / "one" / "a.mp4") == ["a.mp4"]
    assert base_of([tmp_path / "gone" / "list.csv"]) == tmp_path / "gone"
    assert base_of([tmp_path / "gone", tmp_path / "two"]) == tmp_path


def test_a_text_list(tmp_path):
    files(tmp_path, "a.mp4", "sub/b c.mp4")
    outside = files(tmp_path.parent / f"{tmp_path.name}-else", "d.mp4") / "d.mp4"
    (tmp_path / "list.txt").write_text(f"sub/b c.mp4\n\nsub/../a.mp4\n{outside}\nnot here.mp4\n")
    found = find_videos([tmp_path / "list.txt"])
    assert found.base == tmp_path
    paths = {one.path for one in found.videos}
    assert paths == {"sub/b c.mp4", "a.mp4", str(outside), "not here.mp4"}
    assert not any(one.id.startswith(("/", "..")) for one in found.videos)


def test_a_table_with_times_and_labels(tmp_path):
    files(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "list.csv").write_text(
        'path,start,end,label,by\na.mp4,0,2.5,run,x\na.mp4,3,6,run,x\n"b.mp4",,,"sit, down",y\n'
    )
    found = find_videos([tmp_path / "list.csv"])
    rows = [(one.id, one.label, one.start, one.end) for one in found.videos]
    assert rows == [
        ("a.mp4@0-2.5", "run", 0, 2.5),
        ("a.mp4@3-6", "run", 3, 6),
        ("b.mp4", "sit, down", 0, 0),
    ]
    assert any("by are not read" in note for note in found.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file\na.mp4\n", "line 1: a list of videos needs the column path"),
        ("path,start,end\na.mp4,3\n", "line 2: has not 3 values"),
        ("path,start,end\na.mp4,3,2\n", "line 2: start '3' and end '2' must be seconds"),
        ("path,start,end\na.mp4,3,\n", "line 2: start '3' and end ''"),
        ("path,start,end\na.mp4,nan,inf\n", "line 2: start 'nan'"),
        ("path,start,end\na.mp4,0,1e9\n", "line 2: start '0' and end '1e9'"),
        ("path,label\na.mp4,x\nb.mp4,\n", "1 of 2 videos have no label, such as 'b.mp4'"),
        ("path,start,end\na.mp4,1,2\na.mp4,1,2\n", "is found twice"),
        ("path\n", "no video there"),
        ("path\na\0.mp4\n", "is no path"),
        ('path\n"a\n', "cannot be read as UTF-8 CSV"),
    ],
)
def test_wrong_tables_are_errors(tmp_path, content, message):
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(VieError, match=message):
        find_videos([tmp_path / "list.csv"])


def test_labels_are_for_all_places_or_for_none(tmp_path):
    files(tmp_path, "one/a.mp4", "two/b.mp4")
    (tmp_path / "list.csv").write_text("path,label\none/a.mp4,x\n")
    with pytest.raises(VieError, match=r"1 of 2 videos have no label, such as 'two/b\.mp4'"):
        find_videos([tmp_path / "list.csv", tmp_path / "two"])
    with pytest.raises(VieError, match="is found twice"):
        find_videos([tmp_path / "list.csv", tmp_path / "one"])


def test_a_text_list_names_videos_line_by_line(tmp_path):
    files(tmp_path, "a.mp4", "b\u2028c.mp4", "folder/x.mp4")
    (tmp_path / "list.txt").write_bytes("a.mp4\r\nb\u2028c.mp4\n".encode())
    assert ids(tmp_path / "list.txt") == ["a.mp4", "b\u2028c.mp4"]
    (tmp_path / "list.txt").write_text("folder\n")
    with pytest.raises(VieError, match="'folder' is a folder"):
        find_videos([tmp_path / "list.txt"])


def test_paths_outside_have_ids_of_their_own(tmp_path):
    outside = files(tmp_path / "o", "x.mp4") / "x.mp4"
    here = tmp_path / "here"
    files(here, f"{str(outside).lstrip('/')}")
    (here / "list.txt").write_text(f"{outside}\n{str(outside).lstrip('/')}\n")
    assert len(set(ids(here / "list.txt"))) == 2


def test_nothing_there_is_an_error(tmp_path):
    with pytest.raises(VieError, match=r"no such file or folder: .*gone"):
        find_videos([tmp_path, tmp_path / "gone"])
    files(tmp_path, "a.doc")
    with pytest.raises(VieError, match=r"no video there.*1 \.doc.*by their extension: \.mp4"):
        find_videos([tmp_path])


def test_long_paths_have_short_ids_that_differ(tmp_path):
    long = "/".join(["ordner" * 8, "日本" * 20, "x" * 60])
    found = {piece_id(f"{long}{i}.mp4", 0, 0) for i in range(3)}
    assert len(found) == 3
    for one in found:
        assert len(one.encode()) <= LONGEST_ID
        assert one.endswith(".mp4")
    assert piece_id("a.mp4", 0, 10.25) == "a.mp4@0-10.25"
    assert piece_id("a.mp4", 12345.678, 10**6) == "a.mp4@12345.678-1000000"


def test_pieces_say_which_file_they_are_of():
    for path in ("a.mp4", "x@y/b c@2.mp4", "x" * 200 + ".mp4", "日本" * 40 + "/c.mkv"):
        pieces = [piece_id(path, start, start + 10) for start in (0, 10, 100, 999_990)]
        assert len(set(pieces)) == 4
        assert {file_of(one) for one in pieces} == {file_of(piece_id(path, 0, 0))}
    assert file_of(piece_id("y" * 200, 0, 10)) != file_of(piece_id("z" * 200, 0, 10))
