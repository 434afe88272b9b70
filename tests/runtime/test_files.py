import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write, digest, exclusive_workdir, link


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "table.csv"
    with atomic_write(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.suffix == ".csv"
        assert temporary.parent == path.parent
    assert path.read_text() == "half"
    assert os.listdir(path.parent) == ["table.csv"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), atomic_write(path) as temporary:
        temporary.write_text("\udfff")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_files_have_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    with atomic_write(tmp_path / "ours") as temporary:
        temporary.write_text("")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")}
    assert len(modes) == 1


def test_digest_is_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert digest(tmp_path / "abc") == "ba7816bf8f01cfea"  # FIPS 180-2, appendix B.1


HOLDER = """
import os, sys, time
from pathlib import Path
from vie.runtime.files import exclusive_workdir
with exclusive_workdir(Path(sys.argv[1])):
    if os.fork() == 0:  # as a process that loads clips: it outlives a killed parent for a while
        time.sleep(1)
        os._exit(0)
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_used_by_one_process_until_that_is_killed(tmp_path):
    work = tmp_path / "state"
    command = [sys.executable, "-c", HOLDER, str(work)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        message = rf"in use by process {holder.pid} on .*: wait for its end or end it"
        with pytest.raises(VieError, match=message), exclusive_workdir(work, patience=0.1):
            pass
        holder.send_signal(signal.SIGKILL)
        began = time.monotonic()
        with exclusive_workdir(work, patience=30):
            assert time.monotonic() - began < 20


def test_a_link_is_the_same_file_until_one_of_them_is_replaced(tmp_path):
    source, path = tmp_path / "work" / "state.pt", tmp_path / "result.pt"
    source.parent.mkdir()
    source.write_text("state")
    os.utime(source, (1, 1))
    for _ in range(2):  # the second time it is there
        link(source, path)
        assert path.samefile(source)
        assert path.stat().st_mtime > 1e9
    assert sorted(os.listdir(tmp_path)) == ["result.pt", "work"]
    with atomic_write(source) as temporary:
        temporary.write_text("later")
    assert path.read_text() == "state"
    link(source, path)
    assert path.read_text() == "later"


def test_where_there_are_no_links_there_is_a_copy(tmp_path, monkeypatch):
    def refuse(source, path):
        raise OSError("Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "state.pt").write_text("state")
    link(tmp_path / "state.pt", tmp_path / "result.pt")
    assert (tmp_path / "result.pt").read_text() == "state"
    assert not (tmp_path / "result.pt").samefile(tmp_path / "state.pt")


WRITER = """
import sys, time
from vie.runtime.files import atomic_write
with atomic_write(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print(temporary, flush=True)
    time.sleep(60)
"""


def test_what_a_kill_left_is_removed_and_what_another_process_writes_is_not(tmp_path):
    path = tmp_path / "0-of-4.tar"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    names = [writer.stdout.readline().strip() for writer in writers]
    other = tmp_path / ".1-of-4.abcdefgh.tar"
    other.touch()
    writers[0].kill()
    writers[0].wait()
    with atomic_write(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert {str(p) for p in tmp_path.iterdir()} == {str(path), str(other), names[1]}
    writers[1].kill()
    writers[1].wait()
    for writer in writers:
        writer.stdout.close()
