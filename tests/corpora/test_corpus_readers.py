"""Readers of the official layouts on trees made by hand. Nothing is decoded here, so empty files stand for media."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from synctalk.corpora import grid, lrs3
from synctalk.corpora.layouts import READERS, read_corpus
from synctalk.corpora.listing import Reading, segment_id
from synctalk.corpora.records import Clip, Word, read_clips, write_clips
from synctalk.errors import Reason, UserError
from synctalk.rejected import Rejected, read_rejected, write_rejected

TEXT = "Text:  OH NO\nConf:  5\n"


def plant(root: Path, files: Mapping[str, str]) -> Path:
    """Write files below `root`, path -> content."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, newline="")
    return root


def clips_of(read: Reading) -> list[tuple[str, str, str]]:
    return [(clip.id, clip.speaker, clip.split) for clip in read.clips]


def drops_of(read: Reading) -> list[tuple[str, Reason, str]]:
    assert {row.stage for row in read.rejected} <= {"index"}
    return [(row.id, row.reason, row.detail) for row in read.rejected]


def pair(clip_id: str, text: str = TEXT) -> dict[str, str]:
    """The files of a clip with audio inside."""
    return {f"{clip_id}.mp4": "", f"{clip_id}.txt": text}


# --- all layouts ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("layout", READERS)
def test_a_root_that_is_missing_is_one_line(tmp_path: Path, layout: str) -> None:
    root = tmp_path / "nowhere"
    with pytest.raises(UserError) as error:
        read_corpus(layout, root)
    mend = "set corpora.<name>.root in params.yaml to the folder of the corpus"
    assert str(error.value) == f"{root}: is not there; {mend}"


@pytest.mark.parametrize(
    ("layout", "line"),
    [
        ("lrs2", "has none of pretrain.txt, train.txt, val.txt, test.txt; copy LRS2's lists to the root"),
        ("lrs3", "has none of the folders pretrain, trainval, test; point corpora.<name>.root at LRS3"),
        ("voxceleb2", "has neither dev/mp4 nor test/mp4; point corpora.<name>.root at VoxCeleb2"),
        ("grid", "has no videos in folders s1, s2, ...; point corpora.<name>.root at GRID"),
    ],
)
def test_a_folder_of_another_layout_is_one_line(tmp_path: Path, layout: str, line: str) -> None:
    with pytest.raises(UserError) as error:
        read_corpus(layout, tmp_path)
    assert str(error.value) == f"{tmp_path}: {line}"


def test_an_empty_folder_of_videos_has_no_clips(tmp_path: Path) -> None:
    assert read_corpus("folder", tmp_path) == Reading((), ())


def test_an_unknown_layout_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        read_corpus("other", tmp_path)
    known = f"take one of {', '.join(READERS)}"
    assert str(error.value) == f"corpora.<name>.layout: 'other' is unknown; {known}"


@pytest.mark.parametrize(
    "name", ["../other/00001", "1/../../00001", "/etc/passwd", "1\\00001", "..", "x" * 300, "1/" + "ü" * 200, "."]
)
@pytest.mark.parametrize(
    ("layout", "listing", "line"),
    [("lrs2", "test.txt", 2), ("voxceleb2", "english.txt", 2), ("folder", "splits.csv", 3)],
)
def test_a_listed_path_that_leaves_the_corpus_is_a_row_named_after_its_line(
    tmp_path: Path, layout: str, listing: str, line: int, name: str
) -> None:
    files = {"lrs2": pair("main/1/00001"), "voxceleb2": vox("dev/mp4/1/a/00001"), "folder": {"1/00001.mp4": ""}}
    good = {"lrs2": "1/00001", "voxceleb2": "dev/1/a/00001", "folder": "1/00001.mp4"}[layout]
    head, end = (f"path,split\n{good},train\n", ",test") if layout == "folder" else (f"{good}\n", "")
    root = plant(tmp_path / "corpus", {listing: f"{head}{name}{end}\n", **files[layout]})
    plant(tmp_path, {**pair("other/00001"), **pair("corpus/00001")})
    read = read_corpus(layout, root)
    shown = repr(name) if len(name) < 80 else repr(name[:76] + "...")
    detail = f"{shown} names nothing inside the corpus"
    assert (f"{listing}:{line}", Reason.BAD_LISTING, detail) in drops_of(read)
    assert Path(good).with_suffix("").name in [Path(clip.id).name for clip in read.clips]
    assert all((root / clip.video).resolve().is_relative_to(root) for clip in read.clips)


@pytest.mark.parametrize(("layout", "listing"), [("lrs2", "test.txt"), ("voxceleb2", "english.txt")])
def test_a_list_that_is_no_text_is_one_line(tmp_path: Path, layout: str, listing: str) -> None:
    plant(tmp_path, {"dev/mp4/x": ""})
    (tmp_path / listing).write_bytes(b"\x89PNG\xff")
    with pytest.raises(UserError) as error:
        read_corpus(layout, tmp_path)
    assert str(error.value) == f"{tmp_path / listing}: is no UTF-8 text; replace it by the corpus's own list"


@pytest.mark.parametrize("layout", ["lrs2", "lrs3"])
def test_a_published_track_is_attached(tmp_path: Path, layout: str) -> None:
    clip_id = {"lrs2": "main/1/00001", "lrs3": "test/1/00001"}[layout]
    other = clip_id.replace("00001", "00002")
    plant(tmp_path, {"test.txt": "1/00001\n1/00002\n", **pair(clip_id), **pair(other)})
    plant(tmp_path, {f"face_tracks/{clip_id}.npz": ""})
    assert [clip.face_track for clip in read_corpus(layout, tmp_path).clips] == [f"face_tracks/{clip_id}.npz", ""]


@pytest.mark.parametrize("layout", ["lrs2", "lrs3", "voxceleb2", "folder"])
def test_videos_may_be_links_to_another_place(tmp_path: Path, layout: str) -> None:
    plant(tmp_path / "disk", {"a.mp4": "", "a.m4a": ""})
    root = plant(tmp_path / "corpus", {"test.txt": "1/00001\n", "main/1/00001.txt": TEXT, "test/1/00001.txt": TEXT})
    names = {
        "lrs2": ["main/1/00001.mp4"],
        "lrs3": ["test/1/00001.mp4"],
        "voxceleb2": ["test/mp4/id1/a/00001.mp4", "test/aac/id1/a/00001.m4a"],
        "folder": ["1/00001.mp4"],
    }
    for name in names[layout]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        os.symlink(tmp_path / "disk" / f"a{Path(name).suffix}", root / name)
    read = read_corpus(layout, root)
    assert [clip.video for clip in read.clips] == names[layout][:1]
    assert read.rejected == ()


# --- LRS2 ----------------------------------------------------------------------------------------------------------
def test_lrs2_splits_are_its_lists(tmp_path: Path) -> None:
    words = f"{TEXT}\nWORD START END ASDSCORE\nOH 0.1 0.2 9.9\nNO 0.2 0.5 9.9\n"
    plant(
        tmp_path,
        {
            "pretrain.txt": "7/00001\n",
            "train.txt": "\ufeff1/00001\r\n\r\n1/00002\r\n",
            "val.txt": "",
            "test.txt": "2/00001 NF\n2/00002 MV\n",
            **pair("pretrain/7/00001", words),
            **pair("main/1/00001"),
            **pair("main/1/00002"),
            **pair("main/2/00001"),
            **pair("main/2/00002"),
            **pair("main/9/00009"),  # in no list
        },
    )
    read = read_corpus("lrs2", tmp_path)
    assert clips_of(read) == [
        ("main/1/00001", "main/1", "train"),
        ("main/1/00002", "main/1", "train"),
        ("main/2/00001", "main/2", "test"),
        ("main/2/00002", "main/2", "test"),
        ("pretrain/7/00001", "pretrain/7", "pretrain"),
    ]
    assert drops_of(read) == [
        ("main/9/00009", Reason.NOT_LISTED, "is not named in train.txt, val.txt, test.txt"),
    ]
    assert read.clips[-1].words == (Word("oh", 0.1, 0.2), Word("no", 0.2, 0.5))
    assert all(clip.video == clip.audio == f"{clip.id}.mp4" and clip.transcript == "oh no" for clip in read.clips)


def test_lrs2_takes_a_missing_list_for_an_empty_split(tmp_path: Path) -> None:
    plant(tmp_path, {"test.txt": "2/00001 NF\n", **pair("main/2/00001"), **pair("pretrain/2/00001")})
    read = read_corpus("lrs2", tmp_path)
    assert clips_of(read) == [("main/2/00001", "main/2", "test")]
    assert drops_of(read) == [("pretrain/2/00001", Reason.NOT_LISTED, "is not named in pretrain.txt")]


def test_lrs2_lines_may_begin_with_their_folder_and_end_as_a_file(tmp_path: Path) -> None:
    plant(tmp_path, {"train.txt": "main/1/00001\n1/00002.mp4\n", "pretrain.txt": "pretrain/1/00001.mp4\n"})
    plant(tmp_path, {**pair("main/1/00001"), **pair("main/1/00002"), **pair("pretrain/1/00001")})
    read = read_corpus("lrs2", tmp_path)
    assert [(clip.id, clip.split) for clip in read.clips] == [
        ("main/1/00001", "train"),
        ("main/1/00002", "train"),
        ("pretrain/1/00001", "pretrain"),
    ]
    assert read.rejected == ()


def test_lrs2_drops_what_is_listed_and_not_whole(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "train.txt": "1/00001\n1/00002\n1/00003\n1/00004\npretrain/1/00005\n00005\n1/00001\n",
            **pair("main/1/00001"),
            "main/1/00002.txt": TEXT,
            "main/1/00003.mp4": "",
            **pair("main/1/00004", "Text:  \nConf:  2\n"),
            **pair("main/1/00005"),
        },
    )
    read = read_corpus("lrs2", tmp_path)
    assert clips_of(read) == [("main/1/00001", "main/1", "train")]
    assert drops_of(read) == [
        ("main/1/00002", Reason.NO_VIDEO, "main/1/00002.mp4 is not there"),
        ("main/1/00003", Reason.NO_TRANSCRIPT, "00003.txt is not there"),
        ("main/1/00004", Reason.NO_TRANSCRIPT, "00004.txt has no text"),
        ("main/1/00005", Reason.NOT_LISTED, "is not named in train.txt, val.txt, test.txt"),
        ("train.txt:5", Reason.BAD_LISTING, "'pretrain/1/00005' is no <id>/<clip>"),
        ("train.txt:6", Reason.BAD_LISTING, "'00005' is no <id>/<clip>"),
    ]


def test_lrs2_clips_in_two_lists_are_in_no_split(tmp_path: Path) -> None:
    plant(tmp_path, {"train.txt": "1/00001\n1/00002\n", "test.txt": "\n1/00001 NF\n"})
    plant(tmp_path, {**pair("main/1/00001"), **pair("main/1/00002")})
    read = read_corpus("lrs2", tmp_path)
    assert clips_of(read) == [("main/1/00002", "main/1", "train")]
    assert drops_of(read) == [("main/1/00001", Reason.BAD_LISTING, "stands in test.txt and train.txt")]


def test_lrs2_pretrain_and_main_may_share_a_name(tmp_path: Path) -> None:
    plant(tmp_path, {"pretrain.txt": "1/00001\n", "train.txt": "1/00001\n"})
    plant(tmp_path, {**pair("main/1/00001"), **pair("pretrain/1/00001")})
    assert [clip.split for clip in read_corpus("lrs2", tmp_path).clips] == ["train", "pretrain"]


# --- LRS3 ----------------------------------------------------------------------------------------------------------
def test_lrs3_splits_are_its_folders_and_validation_is_by_name(tmp_path: Path) -> None:
    validation = next(name for name in map("v{}".format, range(10_000)) if lrs3.is_validation(name))
    training = next(name for name in map("t{}".format, range(10_000)) if not lrs3.is_validation(name))
    plant(
        tmp_path,
        {
            **pair("pretrain/p/00001"),
            **pair(f"trainval/{training}/50001"),
            **pair(f"trainval/{validation}/50001"),
            **pair(f"trainval/{validation}/50002"),
            **pair(f"test/{validation}/00001"),
            "trainval/README.txt": "",
            "trainval/deep/er/00001.mp4": "",
        },
    )
    read = read_corpus("lrs3", tmp_path)
    assert clips_of(read) == [
        ("pretrain/p/00001", "p", "pretrain"),
        (f"test/{validation}/00001", validation, "test"),
        (f"trainval/{training}/50001", training, "train"),
        (f"trainval/{validation}/50001", validation, "val"),
        (f"trainval/{validation}/50002", validation, "val"),
    ]
    assert read.rejected == ()


def test_lrs3_validation_is_about_four_percent_of_any_names() -> None:
    share = sum(lrs3.is_validation(f"video{k}") for k in range(20_000)) / 20_000
    assert abs(share - lrs3.VAL_SHARE) < 0.006


def test_lrs3_drops_clips_without_their_other_half(tmp_path: Path) -> None:
    plant(tmp_path, {"test/a/00001.mp4": "", "test/a/00002.txt": TEXT, **pair("test/a/00003", "Text:\n")})
    plant(tmp_path, {"test/a/._00004.mp4": "", "test/a/.00005.txt": ""})  # other systems leave these behind
    assert drops_of(read_corpus("lrs3", tmp_path)) == [
        ("test/a/00001", Reason.NO_TRANSCRIPT, "00001.txt is not there"),
        ("test/a/00002", Reason.NO_VIDEO, "test/a/00002.mp4 is not there"),
        ("test/a/00003", Reason.NO_TRANSCRIPT, "00003.txt has no text"),
    ]


# --- VoxCeleb2 -----------------------------------------------------------------------------------------------------
def vox(clip_id: str) -> dict[str, str]:
    return {f"{clip_id}.mp4": "", f"{clip_id.replace('/mp4/', '/aac/')}.m4a": ""}


def test_voxceleb2_has_no_texts_and_sound_of_its_own(tmp_path: Path) -> None:
    plant(tmp_path, {**vox("dev/mp4/id00012/x/00001"), **vox("test/mp4/id00017/x/00001")})
    read = read_corpus("voxceleb2", tmp_path)
    assert read.rejected == ()
    assert read.clips == (
        Clip(
            id="dev/mp4/id00012/x/00001",
            speaker="id00012",
            split="pretrain",
            video="dev/mp4/id00012/x/00001.mp4",
            audio="dev/aac/id00012/x/00001.m4a",
            transcript="",
        ),
        Clip(
            id="test/mp4/id00017/x/00001",
            speaker="id00017",
            split="test",
            video="test/mp4/id00017/x/00001.mp4",
            audio="test/aac/id00017/x/00001.m4a",
            transcript="",
        ),
    )


def test_voxceleb2_drops_clips_without_their_other_half(tmp_path: Path) -> None:
    plant(tmp_path, vox("dev/mp4/id1/x/00001"))
    plant(tmp_path, {"dev/mp4/id1/x/00002.mp4": "", "dev/aac/id1/x/00003.m4a": "", "dev/mp4/id1/x/._00004.mp4": ""})
    read = read_corpus("voxceleb2", tmp_path)
    assert [clip.id for clip in read.clips] == ["dev/mp4/id1/x/00001"]
    assert drops_of(read) == [
        ("dev/mp4/id1/x/00002", Reason.NO_AUDIO, "dev/aac/id1/x/00002.m4a is not there"),
        ("dev/mp4/id1/x/00003", Reason.NO_VIDEO, "dev/mp4/id1/x/00003.mp4 is not there"),
    ]


def test_voxceleb2_english_list_chooses_whatever_the_form_of_its_lines(tmp_path: Path) -> None:
    names = [f"dev/mp4/id1/x/0000{k}" for k in range(1, 8)]
    for name in [*names, "test/mp4/id2/x/00001"]:
        plant(tmp_path, vox(name))
    forms = ["dev/mp4/id1/x/00001", "dev/id1/x/00002", "dev/mp4/id1/x/00003.mp4", "dev/aac/id1/x/00004.m4a"]
    forms += ["id1/x/00005.wav", "dev/id1/x/00001", "id2/x/00001", "dev/txt/id1/x/00006.txt"]
    missing = ["dev/id9/x/00001", "train/id1/x/00001", "dev/00001", "dev", "id9/x/00002"]
    plant(tmp_path, {"english.txt": "\ufeff" + "\r\n".join([*forms, *missing])})
    read = read_corpus("voxceleb2", tmp_path)
    assert [clip.id for clip in read.clips] == [*names[:6], "test/mp4/id2/x/00001"]
    assert drops_of(read) == [
        ("dev/mp4/id1/x/00007", Reason.NOT_LISTED, "is not named in english.txt"),
        ("dev/mp4/id9/x/00001", Reason.NO_VIDEO, "dev/mp4/id9/x/00001.mp4 is not there"),
        ("dev/mp4/id9/x/00002", Reason.NO_VIDEO, "dev/mp4/id9/x/00002.mp4 is not there"),
        ("english.txt:10", Reason.BAD_LISTING, "'train/id1/x/00001' is no path of VoxCeleb2"),
        ("english.txt:11", Reason.BAD_LISTING, "'dev/00001' is no path of VoxCeleb2"),
        ("english.txt:12", Reason.BAD_LISTING, "'dev' is no path of VoxCeleb2"),
    ]


def test_voxceleb2_without_sound_files_takes_the_sound_of_its_videos(tmp_path: Path) -> None:
    plant(tmp_path, {"dev/mp4/id1/x/00001.mp4": "", **vox("test/mp4/id2/x/00001"), "test/mp4/id2/x/00002.mp4": ""})
    read = read_corpus("voxceleb2", tmp_path)
    assert [(clip.id, clip.audio) for clip in read.clips] == [
        ("dev/mp4/id1/x/00001", "dev/mp4/id1/x/00001.mp4"),
        ("test/mp4/id2/x/00001", "test/aac/id2/x/00001.m4a"),
    ]
    assert [row[:2] for row in drops_of(read)] == [("test/mp4/id2/x/00002", Reason.NO_AUDIO)]


def test_voxceleb2_names_that_repeat_are_clips_of_their_own(tmp_path: Path) -> None:
    names = ["dev/mp4/id1/x/00001", "dev/mp4/id1/y/00001", "dev/mp4/id2/x/00001", "test/mp4/id3/x/00001"]
    for name in names:
        plant(tmp_path, vox(name))
    clips = read_corpus("voxceleb2", tmp_path).clips
    assert [clip.id for clip in clips] == names
    assert len({clip.video for clip in clips}) == len({clip.audio for clip in clips}) == len(names)


# --- GRID ----------------------------------------------------------------------------------------------------------
ALIGN = "0 12250 sil\n12250 19250 set\n19250 20000 sp\n20000 27250 white\n27250 74500 sil\n"


@pytest.mark.parametrize(
    ("video", "align"),
    [
        ("s5/swwp2s.mpg", "align/s5/swwp2s.align"),
        ("s5/video/mpg_6000/swwp2s.mpg", "s5/align/swwp2s.align"),
        ("s5/video/swwp2s.mpg", "alignments/s5/swwp2s.align"),
        ("s5.mpg_6000.part1/s5/video/mpg_6000/swwp2s.mpg", "s5/align/swwp2s.align"),
        ("video/s5/swwp2s.MP4", "video/s5/swwp2s.align"),
    ],
)
def test_grid_is_read_as_its_downloads_unpack(tmp_path: Path, video: str, align: str) -> None:
    plant(tmp_path, {video: "", align: ALIGN, "s5/video/._swwp2s.mpg": "", "readme.mpg": "", "jasagrid.align": "x"})
    read = read_corpus("grid", tmp_path)
    assert drops_of(read) == []
    (clip,) = read.clips
    assert (clip.id, clip.speaker, clip.split) == (str(Path(video).with_suffix("")), "s5", "train")
    assert clip.video == clip.audio == video
    assert clip.transcript == "set white"
    assert clip.words == (Word("set", 0.49, 0.77), Word("white", 0.8, 1.09))


def test_grid_splits_share_no_speaker_and_are_fixed() -> None:
    splits: dict[str, list[int]] = {}
    for number in range(1, 35):
        splits.setdefault(grid.split_of(f"s{number}"), []).append(number)
    assert splits["test"] == [1, 2, 20, 22]  # LipNet's unseen speakers
    assert splits["val"] == [3, 4]
    assert len(splits["train"]) == 28


def test_grid_sentences_of_the_same_name_belong_to_their_own_speaker(tmp_path: Path) -> None:
    plant(tmp_path, {"s1/bbaf2n.mpg": "", "s30/bbaf2n.mpg": "", "align/s1/bbaf2n.align": ALIGN})
    plant(tmp_path, {"align/s30/bbaf2n.align": ALIGN.replace("set", "lay")})
    clips = read_corpus("grid", tmp_path).clips
    assert [(clip.id, clip.split, clip.transcript) for clip in clips] == [
        ("s1/bbaf2n", "test", "set white"),
        ("s30/bbaf2n", "train", "lay white"),
    ]


def test_grid_drops_what_has_no_other_half_and_all_but_the_best_quality(tmp_path: Path) -> None:
    plant(tmp_path, {"s5/video/mpg_6000/a.mpg": "much", "s5/mpg_vcd/a.mpg": "few", "s5/align/a.align": ALIGN})
    plant(tmp_path, {"s5/b.mpg": "", "s21/align/c.align": ALIGN, "s5/d.mpg": "", "s5/align/d.align": "0 74500 sil\n"})
    plant(tmp_path, {"s5/e.mpg": "", "s5/align/e.align": "0 12250\n", "s5/align/f.align": ALIGN})
    os.symlink(tmp_path / "nowhere.mpg", tmp_path / "s5/f.mpg")
    read = read_corpus("grid", tmp_path)
    assert [clip.id for clip in read.clips] == ["s5/f", "s5/video/mpg_6000/a"]  # the link is met again when probed
    assert drops_of(read) == [
        ("s21/align/c.align", Reason.NO_VIDEO, "s21 has no video of c"),
        ("s5/b", Reason.NO_TRANSCRIPT, "b.align of s5 is not there"),
        ("s5/d", Reason.NO_TRANSCRIPT, "d.align has no text"),
        ("s5/e", Reason.NO_TRANSCRIPT, "e.align: line 1 is not `start end word`: '0 12250'"),
        ("s5/mpg_vcd/a.mpg", Reason.DUPLICATE, "s5/video/mpg_6000/a.mpg is the same sentence"),
    ]


def test_grid_and_folders_follow_links_to_folders_and_no_circles(tmp_path: Path) -> None:
    plant(tmp_path / "disk/s5", {"a.mpg": "", "a.align": ALIGN})
    root = tmp_path / "corpus"
    root.mkdir()
    os.symlink(tmp_path / "disk/s5", root / "s5")
    os.symlink(root, tmp_path / "disk/s5/again")
    assert [clip.id for clip in read_corpus("grid", root).clips] == ["s5/a"]
    assert [clip.id for clip in read_corpus("folder", root).clips] == ["s5/a"]


# --- folder --------------------------------------------------------------------------------------------------------
def test_folder_finds_videos_at_any_depth(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "talk.MP4": "",
            "ann/one.mkv": "",
            "ann/one.txt": "Hello  {THERE}\n",
            "ann/deep/two.webm": "",
            "ann/deep/two.txt": TEXT,
            "ann/notes.txt": "not a clip",
            "ann/.hidden.mp4": "",
            ".cache/x.mp4": "",
            "folder.mp4/three.avi": "",
        },
    )
    read = read_corpus("folder", tmp_path)
    assert clips_of(read) == [
        ("ann/deep/two", "ann/deep", "test"),
        ("ann/one", "ann", "test"),
        ("folder.mp4/three", "folder.mp4", "test"),
        ("talk", "talk", "test"),
    ]
    assert [clip.transcript for clip in read.clips] == ["oh no", "hello there", "", ""]
    assert read.rejected == ()


def test_folder_splits_come_from_a_table(tmp_path: Path) -> None:
    plant(tmp_path, {"a.mp4": "", "b/c.mp4": "", "b/d.mp4": "", "b/d.txt": " \n"})
    lines = ["\ufeffsplit,path", "train,./a.mp4", "val,b/c.mp4", "train,gone/x.mp4", "val,b/c.avi", ""]
    plant(tmp_path, {"splits.csv": "\r\n".join(lines)})
    read = read_corpus("folder", tmp_path)
    assert clips_of(read) == [("a", "a", "train"), ("b/c", "b", "val")]
    assert drops_of(read) == [
        ("b/c.avi", Reason.NO_VIDEO, "splits.csv lists b/c.avi, which is no video here"),
        ("b/d", Reason.NO_TRANSCRIPT, "d.txt has no text"),
        ("gone/x.mp4", Reason.NO_VIDEO, "splits.csv lists gone/x.mp4, which is no video here"),
    ]


def test_folder_takes_word_times_beside_a_video(tmp_path: Path) -> None:
    plant(tmp_path, {"a.mpg": "", "a.align": ALIGN, "b.mpg": "", "b.align": "", "c.mpg": "", "c.align": ALIGN})
    plant(tmp_path, {"c.txt": "another text\n"})
    read = read_corpus("folder", tmp_path)
    assert [(clip.id, clip.transcript, len(clip.words)) for clip in read.clips] == [
        ("a", "set white", 2),
        ("c", "another text", 0),
    ]
    assert drops_of(read) == [("b", Reason.NO_TRANSCRIPT, "b.align has no text")]


def test_folder_videos_in_two_splits_are_in_none(tmp_path: Path) -> None:
    plant(tmp_path, {"a.mp4": "", "b.mp4": "", "splits.csv": "path,split\na.mp4,test\na.mp4,val\nb.mp4,val\n"})
    read = read_corpus("folder", tmp_path)
    assert clips_of(read) == [("b", "b", "val")]
    assert drops_of(read) == [("a", Reason.BAD_LISTING, "splits.csv puts it into test and val")]


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("file,split\n", "{root}/splits.csv: lacks the columns path,split; give it that header line"),
        ("", "{root}/splits.csv: lacks the columns path,split; give it that header line"),
        ("path,split\na.mp4,dev\n", "splits.csv:2: 'dev' is no split; take one of pretrain, train, val, test"),
        ("path,split\na.mp4\n", "splits.csv:2: None is no split; take one of pretrain, train, val, test"),
    ],
)
def test_folder_table_that_is_broken_is_one_line(tmp_path: Path, table: str, line: str) -> None:
    plant(tmp_path, {"splits.csv": table, "a.mp4": ""})
    with pytest.raises(UserError) as error:
        read_corpus("folder", tmp_path)
    assert str(error.value) == line.format(root=tmp_path)


def test_folder_table_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "splits.csv").write_bytes(b"path,split\n\xff.mp4,test\n")
    with pytest.raises(UserError, match="is no UTF-8 table; save it as CSV with the columns path,split"):
        read_corpus("folder", tmp_path)


def test_folder_of_names_that_differ_in_their_suffix_only_the_first_is_taken(tmp_path: Path) -> None:
    plant(tmp_path, {"a/x.mp4": "", "a/x.avi": "", "b/x.mp4": ""})
    read = read_corpus("folder", tmp_path)
    assert [(clip.id, clip.video) for clip in read.clips] == [("a/x", "a/x.avi"), ("b/x", "b/x.mp4")]
    assert drops_of(read) == [("a/x.mp4", Reason.DUPLICATE, "has the same name as a/x.avi")]


def test_no_clip_has_the_name_that_a_segment_of_another_may_get(tmp_path: Path) -> None:
    segment = segment_id("a/talk", 0, 400)
    plant(tmp_path, {"a/talk.mp4": "", f"{segment}.mp4": "", f"b/{segment}.mp4": ""})
    read = read_corpus("folder", tmp_path)
    assert [clip.id for clip in read.clips] == ["a/talk", f"b/{segment}"]
    detail = f"{segment}.mp4 is named as a segment of a/talk would be"
    assert drops_of(read) == [(segment, Reason.DUPLICATE, detail)]


# --- tables --------------------------------------------------------------------------------------------------------
def test_clips_and_drops_survive_their_tables(tmp_path: Path) -> None:
    words = (Word("oh", 0.1, 0.2), Word("no", 0.25, 0.5))
    clips = [
        Clip("b/1", "b", "test", "b/1.mp4", "b/1.mp4", "oh no", words, n_frames=50, fps=25.0),
        Clip("a/1", "a", "train", "a/1.mp4", "a/1.m4a", "", face_track="face_tracks/a/1.npz", video_start_s=0.04),
    ]
    rejected = [Rejected("b/2", "index", Reason.NO_FACE, "none"), Rejected("a/2", "crop", Reason.TOO_LONG, "30 s")]
    write_clips(tmp_path / "clips.parquet", clips)
    write_rejected(tmp_path / "rejected.parquet", rejected)
    assert read_clips(tmp_path / "clips.parquet") == clips[::-1]
    assert read_rejected(tmp_path / "rejected.parquet") == rejected[::-1]
    first = (tmp_path / "clips.parquet").read_bytes()
    write_clips(tmp_path / "clips.parquet", clips[::-1])
    assert (tmp_path / "clips.parquet").read_bytes() == first


def test_tables_of_another_kind_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "clips.parquet"
    with pytest.raises(UserError) as error:
        read_clips(path)
    assert str(error.value) == f"{path}: is not there; run `dvc repro`"
    path.write_text("no parquet")
    with pytest.raises(UserError) as error:
        read_clips(path)
    assert str(error.value) == f"{path}: is no parquet file, or damaged; delete it and run `dvc repro`"
    write_rejected(path, [])
    with pytest.raises(UserError, match=r"has the columns \['id', 'stage', 'reason', 'detail'\], not "):
        read_clips(path)
