import pyarrow.parquet as pq
import pytest

from vie.datasets.layouts import LAYOUTS
from vie.datasets.layouts.kinetics import read_kinetics
from vie.frames.manifest import (
    Video,
    class_names,
    read_classes,
    read_manifest,
    read_videos,
    write_classes,
    write_manifest,
)
from vie.runtime.errors import VieError

HEADER = "label,youtube_id,time_start,time_end,split"


def layout(tmp_path, lines, files=(), header=HEADER):
    """A folder of videos and an annotation."""
    (tmp_path / "videos" / "train").mkdir(parents=True, exist_ok=True)
    for name in files:
        path = tmp_path / "videos" / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    annotation = tmp_path / "train.csv"
    annotation.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return tmp_path / "videos", annotation, "train"


def test_kinetics(tmp_path):
    found = LAYOUTS["kinetics"].read(
        *layout(
            tmp_path,
            [
                '"passing American football (in game)",-_aB3,7,17,train',
                "riding a bike,bbb,0,10,train",
                "riding a bike,bbb,100.0,110,train",
                "juggling,gone,1,11,train",
                "juggling,other,1,11,val",
            ],
            [
                "passing American football (in game)/-_aB3_000007_000017.mp4",
                "riding_a_bike/bbb_000000_000010.webm",
                "riding_a_bike/bbb_000100_000110.MKV",
                "riding_a_bike/bbb_000100_000110.txt",
            ],
        )
    )
    game, bike = "passing American football (in game)", "train/riding_a_bike"
    assert found == [
        Video(
            "-_aB3_000007_000017", f"train/{game}/-_aB3_000007_000017.mp4", game, file_found=True
        ),
        Video(
            "bbb_000000_000010", f"{bike}/bbb_000000_000010.webm", "riding a bike", file_found=True
        ),
        Video(
            "bbb_000100_000110", f"{bike}/bbb_000100_000110.MKV", "riding a bike", file_found=True
        ),
        # No such file: it stays, to be rejected with its reason.
        Video("gone_000001_000011", "train/juggling/gone_000001_000011.mp4", "juggling"),
    ]


def test_extra_columns_any_order_and_byte_order_mark(tmp_path):
    arguments = layout(
        tmp_path,
        ["0,train,11,1,x,juggling"],
        files=["x.mp4"],
        header="is_cc,split,time_end,time_start,youtube_id,label",
    )
    arguments[1].write_bytes(b"\xef\xbb\xbf" + arguments[1].read_bytes().replace(b"\n", b"\r\n"))
    assert [v.video for v in read_kinetics(*arguments)] == ["x_000001_000011"]


@pytest.mark.parametrize("name", ["val", "validate", "validation"])
def test_names_of_the_validation_split(tmp_path, name):
    videos, annotation, _ = layout(tmp_path, [f"juggling,x,1,11,{name}"])
    (videos / "val").mkdir()
    (videos / "val" / "x.mp4").touch()
    assert read_kinetics(videos, annotation, "val")[0].path == "val/x.mp4"


@pytest.mark.parametrize(
    ("lines", "header", "message"),
    [
        (["a,x,1,11"], "label,youtube_id,time_start,time_end", "line 1: .* look at split"),
        (["a,x,1,11,train,b"], HEADER + ",label", "line 1: .* look at label"),
        (["a,x,1,11,train", "b,x,1,11,train"], HEADER, "line 3: .* second time, first in line 2"),
        (["a,x,1,11,train", "a,y,1,11,holdout"], HEADER, "line 3: split 'holdout'"),
        (["a,x,1,train"], HEADER, "line 2: 4 values for 5 columns"),
        (["a,x,one,11,train"], HEADER, "line 2: time_start 'one'"),
        (["a,x,1,11.5,train"], HEADER, "line 2: time_end '11.5'"),
        (["a,x,-1,11,train"], HEADER, "line 2: time_start '-1'"),
        (["a,x,nan,11,train"], HEADER, "line 2: time_start 'nan'"),
        (["a,x,11,11,train"], HEADER, "line 2: time_end 11 is not after time_start 11"),
        (["../x,x,1,11,train"], HEADER, "line 2: label '../x'"),
        (["..,x,1,11,train"], HEADER, "line 2: label"),
        (["/etc,x,1,11,train"], HEADER, "line 2: label '/etc'"),
        ([",x,1,11,train"], HEADER, "line 2: label ''"),
        (["a,../../x,1,11,train"], HEADER, "line 2: youtube_id"),
        (["a,x\0,1,11,train"], HEADER, "line 2: youtube_id"),
        (
            ["../a,x,1,11,train", "b,x/,2,12,train", " c,y,3,13,train"],
            HEADER,
            "3 names are .*: line 2: label '../a'; line 3: youtube_id 'x/'; line 4: label ' c'",
        ),
        (["a,x,1,11,val"], HEADER, "no row of the split 'train'"),
        ([], HEADER, "no row of the split 'train'"),
        (['a,"x'], HEADER, "cannot be read as UTF-8 CSV"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, lines, header, message):
    with pytest.raises(VieError, match=message) as error:
        read_kinetics(*layout(tmp_path, lines, header=header))
    assert "train.csv" in str(error.value)


def test_missing_folder_and_annotation(tmp_path):
    videos, annotation, split = layout(tmp_path, ["a,x,1,11,train"])
    with pytest.raises(VieError, match=r"none\.csv: no such file"):
        read_kinetics(videos, tmp_path / "none.csv", split)
    with pytest.raises(VieError, match="val: no such folder"):
        read_kinetics(videos, annotation, "val")
    with pytest.raises(VieError, match="split 'dev' is unknown"):
        read_kinetics(videos, annotation, "dev")


def test_two_files_of_one_video(tmp_path):
    files = ["a/x_000001_000011.mp4", "a/x_000001_000011.webm"]
    with pytest.raises(VieError, match="are one video"):
        read_kinetics(*layout(tmp_path, ["a,x,1,11,train"], files))


def test_manifest_and_classes(tmp_path):
    videos = [
        Video("b_1", "p/b", "zoom"),
        Video("c_1", "p/c", "apple"),
        Video("a_1", "p/a", "zoom", 7, 17, file_found=True),
    ]
    labels = class_names([*videos, Video("d", "p", "middle, with comma")])
    assert labels == ["apple", "middle, with comma", "zoom"]
    write_classes(labels, tmp_path / "classes.csv")
    assert (tmp_path / "classes.csv").read_text().splitlines()[:2] == ["class,label", "0,apple"]
    assert read_classes(tmp_path / "classes.csv") == labels
    write_manifest(videos, labels, tmp_path / "manifest.parquet")
    table = read_manifest(tmp_path / "manifest.parquet")
    whole = {"start": 0, "end": 0, "file_found": 0}
    assert table.to_pylist() == [
        {"video": "c_1", "path": "p/c", "label": "apple", "class": 0, **whole},
        {
            "video": "a_1",
            "path": "p/a",
            "label": "zoom",
            "class": 2,
            "start": 7,
            "end": 17,
            "file_found": 1,
        },
        {"video": "b_1", "path": "p/b", "label": "zoom", "class": 2, **whole},
    ]
    assert read_videos(tmp_path / "manifest.parquet") == [videos[1], videos[2], videos[0]]


def test_manifest_refuses(tmp_path):
    path = tmp_path / "manifest.parquet"
    video = Video("a", "p/a", "zoom")
    with pytest.raises(VieError, match="1 repeated video ids, the first is 'a'"):
        write_manifest([video, video], ["zoom"], path)
    with pytest.raises(VieError, match="not among the 1 classes, the first is 'zoom'"):
        write_manifest([video], ["apple"], path)
    with pytest.raises(VieError, match="no videos"):
        write_manifest([], ["apple"], path)
    path.write_text("no table")
    with pytest.raises(VieError, match="cannot be read as a manifest"):
        read_manifest(path)
    write_manifest([video], ["zoom"], path)
    pq.write_table(pq.read_table(path).drop_columns(["class"]).replace_schema_metadata(), path)
    with pytest.raises(
        VieError, match="not the format of a manifest: its columns are video, path, label"
    ):
        read_manifest(path)
    (tmp_path / "classes.csv").write_text("class,label\n1,a\n")
    with pytest.raises(VieError, match=r"classes\.csv"):
        read_classes(tmp_path / "classes.csv")
