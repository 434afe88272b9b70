"""Clips straight from files, against the frames of whole videos."""

import functools
import subprocess
import tempfile
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from vie.clips import video_files
from vie.clips.crops import crop_frames
from vie.clips.cutting import decode
from vie.clips.transform import ClipTransform
from vie.clips.video_files import FileClips, VideoFile, read_clips
from vie.frames import pieces
from vie.frames.ffmpeg import FrameSettings, extract_jpegs, ffmpeg_executable
from vie.runtime.errors import VieError

FRAMES = FrameSettings(fps=25, shorter_side=40, quality=3, timeout_seconds=60, max_seconds=600)


def video(path, frames, rate=25):
    source = f"testsrc2=size=64x48:rate={rate}:duration={frames / rate}"
    argv = [ffmpeg_executable(), "-v", "error", "-f", "lavfi", "-i", source, "-threads", "1"]
    subprocess.run([*argv, "-c:v", "mpeg4", "-q:v", "2", path], check=True)
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Videos of 4, 31 and 110 frames."""
    folder = tmp_path_factory.mktemp("videos")
    return [video(folder / f"{n}.mp4", n) for n in (4, 31, 110)]


@pytest.fixture
def settings(recipe, tmp_path):
    """Three frames, each the third: a clip spans 7."""
    transform = ClipTransform.of(recipe, {"frames": 3, "stride": 3})
    return FileClips(transform, FRAMES, clips=2, scratch=tmp_path)


every_jpeg = functools.cache(extract_jpegs)


def expected(path, frames, settings, excerpt=None):
    """(3, T, size, size) of frames by number, from all frames of a video."""
    jpegs = every_jpeg(path, settings.frames, excerpt).jpegs
    geometry = settings.transform.geometry
    chosen = [decode(jpegs[frame % len(jpegs)]) for frame in frames]
    return crop_frames(chosen, geometry.centre_crop(), geometry.size)


def read(paths, settings, threads=2, **how):
    """{number of a video: (all clips, all starts, its end)}."""
    found = {}
    for part in read_clips(paths, settings, threads, **how):
        clips, starts, end = found.setdefault(part.number, ([], [], []))
        if part.clips is None:
            end.append(part)
        else:
            clips.append(part.clips)
            starts += part.starts.tolist()
    assert all(len(end) == 1 for _, _, end in found.values())
    return {number: (clips, starts, end[0]) for number, (clips, starts, end) in found.items()}


def test_evenly_spaced_clips_are_those_of_an_index(videos, settings):
    found = read([VideoFile(path) for path in videos], settings)
    for number, frames in enumerate((4, 31, 110)):
        (clips,), _, end = found[number]
        assert end.n_frames == frames
        for clip, wanted in zip(clips, settings.transform.sampling.test(frames, 2), strict=True):
            assert torch.equal(clip, expected(videos[number], wanted, settings))


@pytest.mark.parametrize("stride", [0.08, 0.2, 1.0])
def test_strided_clips_start_every_so_many_seconds(videos, settings, stride):
    """Overlapping and apart; the last one ends within the video."""
    strided = replace(settings, stride_seconds=stride)
    clips, starts, end = read([VideoFile(videos[2])], strided)[0]
    firsts = list(range(0, 110 - 6, round(25 * stride)))
    np.testing.assert_allclose(starts, np.array(firsts) / 25)
    assert end.n_frames == 110
    every = torch.cat(clips)
    for clip, first in zip(every, firsts, strict=True):
        assert torch.equal(clip, expected(videos[2], [first, first + 3, first + 6], settings))


def test_a_video_that_is_shorter_than_a_clip_is_repeated(videos, settings):
    clips, starts, end = read([VideoFile(videos[0])], replace(settings, stride_seconds=0.04))[0]
    assert (starts, end.n_frames) == ([0], 4)
    assert torch.equal(clips[0][0], expected(videos[0], [0, 3, 6], settings))


def test_pieces_of_one_file_are_decoded_together(videos, settings, monkeypatch):
    """As for shards; strided clips are of each piece alone."""
    calls = []
    whole = video_files.extract_pieces

    def counted(path, how, places, *rest):
        calls.append(places)
        return whole(path, how, places, *rest)

    monkeypatch.setattr(video_files, "extract_pieces", counted)
    files = [VideoFile(videos[2], 1, 2), VideoFile(videos[1]), VideoFile(videos[2], 2, 4)]
    found = read(files, settings)
    assert calls == [[(1, 2), (2, 4)]]
    assert [found[number][2].n_frames for number in range(3)] == [25, 31, 50]
    for clip, wanted in zip(found[2][0][0], settings.transform.sampling.test(50, 2), strict=True):
        assert torch.equal(clip, expected(videos[2], 25 + wanted, settings, (1, 4)))
    # What is done already is still decoded with the others, so that their frames stay the same.
    assert set(read(files, settings, done={0, 1})) == {2}
    assert calls[1] == calls[0]
    _, starts, _ = read(files[2:], replace(settings, stride_seconds=1.0))[0]
    assert starts == [2, 3]


def test_bad_videos_have_a_problem_and_the_others_go_on(videos, settings, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(videos[2].read_bytes()[:-300])
    bad = [tmp_path / "none.mp4", tmp_path / "text.mp4", cut]
    for how in (settings, replace(settings, stride_seconds=0.5)):
        files = [*map(VideoFile, [*bad, videos[1]]), VideoFile(videos[1], 0.5, 9)]
        ends = {number: end for number, (_, _, end) in read(files, how).items()}
        assert ends[0].problem == "missing file"
        assert ends[1].problem.startswith("cannot be decoded")
        assert ends[2].problem
        assert (ends[3].problem, ends[3].n_frames) == ("", 31)
        assert ends[4].problem.startswith("clip incomplete: 0.7")


def test_what_does_not_fit_the_memory_lies_on_the_disk(videos, settings, monkeypatch):
    before = read([VideoFile(videos[2])], settings)[0][0][0]
    rolled = []
    kept = tempfile.SpooledTemporaryFile.rollover

    def rollover(file):
        rolled.append(file)
        kept(file)

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", rollover)
    monkeypatch.setattr(pieces, "IN_MEMORY", 2000)
    assert torch.equal(read([VideoFile(videos[2])], settings)[0][0][0], before)
    assert rolled


def test_of_strided_clips_few_frames_are_held(settings, tmp_path, monkeypatch):
    """However long the video is."""
    long = video(tmp_path / "long.mp4", 1500)
    most = [0]
    cut = video_files._cut

    def seen(jpeg_of, frames, how):
        most[0] = max(most[0], len(jpeg_of.__self__))
        return cut(jpeg_of, frames, how)

    monkeypatch.setattr(video_files, "_cut", seen)
    clips, starts, end = read([VideoFile(long)], replace(settings, stride_seconds=0.4))[0]
    assert end.n_frames == 1500
    assert len(starts) == sum(map(len, clips)) == 150
    assert most[0] <= 2 * video_files.FRAMES_TOGETHER


def test_closing_the_iterator_ends_threads_and_ffmpeg(settings, tmp_path):
    long = video(tmp_path / "long.mp4", 3000)
    parts = read_clips([VideoFile(long)] * 3, replace(settings, stride_seconds=0.04), 2)
    before = threading.active_count()
    next(parts)
    parts.close()
    assert threading.active_count() <= before


def test_closing_the_iterator_ends_pieces(videos, settings, tmp_path, monkeypatch):
    long, closes, decoded = video(tmp_path / "long.mp4", 1500), threading.Event(), []
    every = pieces.stream_jpegs

    def counted(path, *how):
        for jpeg in every(path, *how):
            if path == long:
                decoded.append(closes.wait(60))
            yield jpeg

    for module in (video_files, pieces):
        monkeypatch.setattr(module, "stream_jpegs", counted)
    files = [VideoFile(videos[0]), VideoFile(long, 0, 30), VideoFile(long, 30, 60)]
    parts = read_clips(files, settings, 2)
    next(parts)
    closes.set()
    parts.close()
    assert len(decoded) < 750


def test_a_missing_ffmpeg_is_no_fault_of_the_video(videos, settings, monkeypatch):
    def none():
        raise VieError("no ffmpeg")

    monkeypatch.setattr("vie.frames.process.ffmpeg_executable", none)
    with pytest.raises(VieError, match="no ffmpeg"):
        read([VideoFile(videos[0])], settings)
