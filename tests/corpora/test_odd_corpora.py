"""Look-alikes of every layout with the odd cases of real corpora planted: each becomes a known row of the index.

A planting copies clips that were made, changes what is odd about the copy, and notes what must become of it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from indexed import Indexed, indexed
from small_recipes import cut, per_split

from synctalk.corpora import lrs3
from synctalk.corpora.layouts import read_corpus
from synctalk.corpora.records import Clip
from synctalk.corpora.segments import MARGIN_S
from synctalk.corpora.synthetic.recipe import SyntheticCorpus
from synctalk.corpora.synthetic.synthesize import synthesize
from synctalk.errors import Reason
from synctalk.faces.extract import CropParams, crop_clip
from synctalk.media import write_video
from synctalk.params.read import load
from synctalk.shards.write import sample_key
from synctalk.timebase import FPS

MAX_SEGMENT_S = 4.0
RECIPES: dict[str, SyntheticCorpus] = {
    "lrs2": cut("lrs2", per_split(pretrain=1, train=1, val=1, test=1), per_split(1, 1, 1, 1)),
    "lrs3": cut("lrs3", per_split(pretrain=1, train=1, test=1), per_split(1, 1, 0, 1)),
    "voxceleb2": cut("voxceleb2", per_split(pretrain=1, test=1), per_split(1, 0, 0, 1)),
    "grid": cut("grid", per_split(train=1, test=1), per_split(0, 1, 0, 1)),
    "folder": cut("folder", per_split(train=1, test=1), per_split(0, 1, 0, 1)),
}


@dataclass
class Planting:
    """A corpus that is being spoilt, and what must become of it: id -> reason, None for a clip that is kept."""

    root: Path
    layout: str
    fates: dict[str, Reason | None] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    """Transcripts that must come out."""

    def write(self, relative: str, content: str) -> None:
        """A file byte for byte."""
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())

    def read(self, relative: str) -> str:
        return (self.root / relative).read_bytes().decode()

    def copy(self, source: str, target: str) -> None:
        """A copy of one file."""
        (self.root / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.root / source, self.root / target)

    def mute(self, relative: str) -> None:
        """Put pictures without audio in a video's place."""
        (self.root / relative).parent.mkdir(parents=True, exist_ok=True)
        write_video(self.root / relative, np.zeros((10, 64, 64, 3), np.uint8))

    def check(self, index: Indexed) -> None:
        """Every clip that was there, or is listed, is a row once, with the fate that was noted."""
        found = {clip.id: None for clip in index.clips} | {row.id: row.reason for row in index.rejected}
        assert found == self.fates
        assert len(found) == len(index.clips) + len(index.rejected)
        assert {row.stage for row in index.rejected} == {"index"}
        assert all(row.detail for row in index.rejected)
        transcripts = {clip.id: clip.transcript for clip in index.clips}
        assert {clip_id: transcripts[clip_id] for clip_id in self.texts} == self.texts
        assert all((self.root / clip.video).resolve().is_relative_to(self.root) for clip in index.clips)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One tiny corpus a layout; `pretrain` clips of six sentences."""
    folder = tmp_path_factory.mktemp("odd")
    for layout, recipe in RECIPES.items():
        synthesize(replace(recipe, size=64, pretrain_sentences=6), folder / layout, workers=1)
    return {layout: folder / layout for layout in RECIPES}


@pytest.fixture
def planting(request: pytest.FixtureRequest, made: dict[str, Path], tmp_path: Path) -> Planting:
    layout: str = request.param
    shutil.copytree(made[layout], tmp_path / layout)
    return Planting(tmp_path / layout, layout)


def clip_in(planting: Planting, split: str) -> Clip:
    """The clip of a split that was made."""
    (clip,) = [clip for clip in read_corpus(planting.layout, planting.root).clips if clip.split == split]
    return clip


def copy_spoken(planting: Planting, clip: Clip, clip_id: str, text: str | None = None) -> None:
    """A copy of a clip of LRS2 or LRS3, with another text where one is given."""
    planting.copy(clip.video, f"{clip_id}.mp4")
    planting.write(f"{clip_id}.txt", planting.read(f"{clip.id}.txt") if text is None else text)


def without_words(text: str) -> str:
    """A text file without its last block."""
    return text[: text.index("WORD START END")]


def require_segments(index: Indexed, clip: Clip) -> list[str]:
    """Check that segments of `clip` say all its words once, at their times; return their ids."""
    segments = [found for found in index.clips if found.id.startswith(f"{clip.id}/")]
    said = [(word.text, word.start_s + s.first_frame / FPS) for s in segments for word in s.words]
    assert [text for text, _ in said] == [word.text for word in clip.words]
    assert np.allclose([start for _, start in said], [word.start_s for word in clip.words], atol=1e-4)
    assert len(segments) > 1
    assert all(s.n_cut_frames <= MAX_SEGMENT_S * FPS and sample_key(s.id) == s.id for s in segments)
    assert all((s.video, s.face_track, s.split) == (clip.video, clip.face_track, "pretrain") for s in segments)
    return [s.id for s in segments]


def spoil_texts(planting: Planting, clip: Clip, parent: str) -> None:
    """Plant every odd text and video of LRS2 and LRS3 below the folder `parent`, as clips 10001, 10002, ..."""
    whole = planting.read(f"{clip.id}.txt")
    sentence = clip.transcript.upper()
    kept = {
        "crlf": whole.replace("\n", "\r\n"),
        "mark": f"\ufeff{whole}",
        "braces": whole.replace(sentence, f"{{{sentence.split()[0]}}} {sentence.partition(' ')[2]}", 1),
        "no third block": without_words(whole),
        "spaces": whole.replace("\t", "   ").replace("Text:  ", "Text: "),
        "same basename": whole,
    }
    lost = {
        "empty": (f"Text:  \n{whole.partition(chr(10))[2]}", Reason.NO_TRANSCRIPT),
        "nothing": ("", Reason.NO_TRANSCRIPT),
        "torn row": (whole.rsplit(" ", 2)[0], Reason.NO_TRANSCRIPT),
    }
    for number, text in enumerate(kept.values(), 10_001):
        copy_spoken(planting, clip, f"{parent}/{number}", text)
        planting.fates[f"{parent}/{number}"] = None
        planting.texts[f"{parent}/{number}"] = clip.transcript
    for number, (text, reason) in enumerate(lost.values(), 20_001):
        copy_spoken(planting, clip, f"{parent}/{number}", text)
        planting.fates[f"{parent}/{number}"] = reason
    copy_spoken(planting, clip, f"{parent}/30001")
    (planting.root / f"{parent}/30001.txt").unlink()
    planting.fates[f"{parent}/30001"] = Reason.NO_TRANSCRIPT
    copy_spoken(planting, clip, f"{parent}/30002")
    planting.mute(f"{parent}/30002.mp4")
    planting.fates[f"{parent}/30002"] = Reason.NO_AUDIO
    copy_spoken(planting, clip, f"{parent}/30003")
    (planting.root / f"{parent}/30003.mp4").write_bytes(b"")
    planting.fates[f"{parent}/30003"] = Reason.EMPTY_FILE
    copy_spoken(planting, clip, f"{parent}/30004")
    planting.write(f"{parent}/30004.mp4", "no video " * 500)
    planting.fates[f"{parent}/30004"] = Reason.UNDECODABLE


@pytest.mark.parametrize("planting", ["lrs2"], indirect=True)
def test_lrs2(planting: Planting) -> None:
    long_clip, train, val, test = (clip_in(planting, split) for split in ("pretrain", "train", "val", "test"))
    planting.fates = {train.id: None, test.id: None, val.id: Reason.NOT_LISTED}
    (planting.root / "val.txt").unlink()  # a list that was not copied
    spoil_texts(planting, train, "main/1111111111111111111")
    listed = [clip_id.removeprefix("main/") for clip_id in planting.fates if clip_id.startswith("main/1111")]

    copy_spoken(planting, train, "main/2222222222222222222/10001")  # in no list, and a basename that repeats
    planting.fates["main/2222222222222222222/10001"] = Reason.NOT_LISTED
    copy_spoken(planting, train, "main/2222222222222222222/10002")
    planting.fates["main/2222222222222222222/10002"] = Reason.BAD_LISTING
    planting.fates["main/3333333333333333333/00001"] = Reason.NO_VIDEO
    train_list = [*listed, "2222222222222222222/10002", "3333333333333333333/00001", "../../etc/passwd", ""]
    planting.write("train.txt", "\ufeff" + "\r\n".join([train.id.removeprefix("main/"), *train_list]))
    planting.fates[f"train.txt:{len(train_list)}"] = Reason.BAD_LISTING
    planting.write("test.txt", f"{test.id.removeprefix('main/')} NF\r\n2222222222222222222/10002 MV\r\n")

    # a long clip without word times, and one whose times are those of a longer video
    whole = planting.read(f"{long_clip.id}.txt")
    blocks = {"00001": without_words(whole), "00002": f"{whole}LATE 900.0 901.0 9.9\n"}
    for name, text in blocks.items():
        copy_spoken(planting, long_clip, f"pretrain/4444444444444444444/{name}", text)
    planting.fates["pretrain/4444444444444444444/00001"] = Reason.TOO_LONG
    planting.fates["pretrain/4444444444444444444/00002"] = Reason.LENGTH_MISMATCH
    names = [long_clip.id.removeprefix("pretrain/"), *(f"4444444444444444444/{name}" for name in blocks)]
    planting.write("pretrain.txt", "".join(f"{name}\n" for name in names))

    index = indexed("lrs2", planting.root, MAX_SEGMENT_S)
    planting.fates |= dict.fromkeys(require_segments(index, long_clip))
    planting.check(index)


@pytest.mark.parametrize("planting", ["lrs3"], indirect=True)
def test_lrs3(planting: Planting) -> None:
    long_clip, train, test = (clip_in(planting, split) for split in ("pretrain", "train", "test"))
    planting.fates = {train.id: None, test.id: None}
    spoil_texts(planting, train, "trainval/abcdefghijk")
    validation = next(name for name in (f"validation{k}" for k in range(999)) if lrs3.is_validation(name))
    copy_spoken(planting, train, f"trainval/{validation}/00001")
    planting.fates[f"trainval/{validation}/00001"] = None
    planting.write("test/abcdefghijk/00007.txt", planting.read(f"{train.id}.txt"))
    planting.fates["test/abcdefghijk/00007"] = Reason.NO_VIDEO
    planting.write("trainval/abcdefghijk/._10001.mp4", "left behind by another system")
    copy_spoken(planting, long_clip, "pretrain/abcdefghijk/00001", without_words(planting.read(f"{long_clip.id}.txt")))
    planting.fates["pretrain/abcdefghijk/00001"] = Reason.TOO_LONG

    index = indexed("lrs3", planting.root, MAX_SEGMENT_S)
    planting.fates |= dict.fromkeys(require_segments(index, long_clip))
    planting.check(index)
    splits = {clip.id: clip.split for clip in index.clips}
    assert splits[f"trainval/{validation}/00001"] == "val"
    assert splits["trainval/abcdefghijk/10001"] == ("val" if lrs3.is_validation("abcdefghijk") else "train")


@pytest.mark.parametrize("planting", ["voxceleb2"], indirect=True)
def test_voxceleb2(planting: Planting) -> None:
    long_clip, test = clip_in(planting, "pretrain"), clip_in(planting, "test")
    (planting.root / "english.txt").unlink()
    planting.fates = {test.id: None}

    def copy(clip_id: str, fate: Reason | None) -> str:
        planting.copy(test.video, f"{clip_id}.mp4")
        planting.copy(test.audio, f"{clip_id.replace('/mp4/', '/aac/')}.m4a")
        planting.fates[clip_id] = fate
        return clip_id

    copy("dev/mp4/id00901/aaaaaaaaaaa/00001", None)  # the same basename three times
    copy("dev/mp4/id00901/bbbbbbbbbbb/00001", None)
    copy("dev/mp4/id00902/aaaaaaaaaaa/00001", None)
    for number, (suffix, reason) in enumerate(((".m4a", Reason.NO_AUDIO), (".mp4", Reason.NO_VIDEO)), 1):
        clip_id = copy(f"dev/mp4/id00903/ccccccccccc/0000{number}", reason)
        half = clip_id if suffix == ".mp4" else clip_id.replace("/mp4/", "/aac/")
        (planting.root / f"{half}{suffix}").unlink()
    copy("dev/mp4/id00903/ccccccccccc/00003", Reason.EMPTY_FILE)
    planting.write("dev/aac/id00903/ccccccccccc/00003.m4a", "")
    copy("dev/mp4/id00903/ccccccccccc/00004", Reason.UNDECODABLE)
    planting.write("dev/aac/id00903/ccccccccccc/00004.m4a", "no audio " * 500)
    planting.write("dev/mp4/id00903/ccccccccccc/._00001.mp4", "left behind by another system")

    index = indexed("voxceleb2", planting.root, MAX_SEGMENT_S)
    parts = [clip for clip in index.clips if clip.id.startswith(f"{long_clip.id}/")]  # nobody wrote down what is said
    assert len(parts) > 1
    assert [a.first_frame + a.n_cut_frames for a in parts[:-1]] == [b.first_frame for b in parts[1:]]
    everything = dict(planting.fates)
    planting.fates |= dict.fromkeys(part.id for part in parts)
    planting.check(index)

    # with an English list: the others are left out, broken lines are rows
    lines = ["dev/id00901/aaaaaaaaaaa/00001", "id00902/aaaaaaaaaaa/00001.wav", "dev/mp4/id00999/ddddddddddd/00001.mp4"]
    planting.write("english.txt", "\ufeff" + "\r\n".join([*lines, "../dev/id00901/bbbbbbbbbbb/00001", "dev/00001"]))
    planting.fates = dict.fromkeys([*everything, long_clip.id], Reason.NOT_LISTED)
    planting.fates |= {
        "dev/mp4/id00901/aaaaaaaaaaa/00001": None,
        "dev/mp4/id00902/aaaaaaaaaaa/00001": None,
        "dev/mp4/id00999/ddddddddddd/00001": Reason.NO_VIDEO,
        "english.txt:4": Reason.BAD_LISTING,
        "english.txt:5": Reason.BAD_LISTING,
    }
    planting.check(indexed("voxceleb2", planting.root, MAX_SEGMENT_S))


@pytest.mark.parametrize("planting", ["grid"], indirect=True)
def test_grid(planting: Planting) -> None:
    train, test = clip_in(planting, "train"), clip_in(planting, "test")
    planting.fates = {train.id: None, test.id: None}
    align = planting.read(f"{train.speaker}/align/{Path(train.id).name}.align")

    def plant(speaker: str, name: str, text: str | None, fate: Reason | None) -> None:
        planting.copy(train.video, f"{speaker}/{name}.mpg")
        if text is not None:
            planting.write(f"align/{speaker}/{name}.align", text)
        planting.fates[f"{speaker}/{name}"] = fate
        if fate is None:
            planting.texts[f"{speaker}/{name}"] = train.transcript

    plant("s30", "bbaf1n", align.replace("\n", "\r\n"), None)
    plant("s31", "bbaf1n", f"\ufeff{align}", None)  # the same name, another speaker
    plant("s31", "bbaf2n", align.upper().replace("SP", "sil"), None)
    plant("s31", "bbaf3n", None, Reason.NO_TRANSCRIPT)
    plant("s31", "bbaf4n", "", Reason.NO_TRANSCRIPT)
    plant("s31", "bbaf5n", "0 74500 sil\n", Reason.NO_TRANSCRIPT)
    plant("s31", "bbaf6n", align[:-9], Reason.NO_TRANSCRIPT)
    plant("s31", "bbaf7n", align, Reason.NO_AUDIO)
    planting.mute("s31/bbaf7n.mp4")
    (planting.root / "s31/bbaf7n.mp4").replace(planting.root / "s31/bbaf7n.mpg")
    plant("s31", "bbaf8n", align, Reason.EMPTY_FILE)
    planting.write("s31/bbaf8n.mpg", "")
    planting.write("s31/mpg_vcd/bbaf1n.mpg", "the smaller of two files")
    planting.fates["s31/mpg_vcd/bbaf1n.mpg"] = Reason.DUPLICATE
    planting.write("align/s21/bbaf1n.align", align)  # GRID has no videos of s21
    planting.fates["align/s21/bbaf1n.align"] = Reason.NO_VIDEO
    planting.check(indexed("grid", planting.root))


@pytest.mark.parametrize("planting", ["folder"], indirect=True)
def test_folder(planting: Planting) -> None:
    train, test = clip_in(planting, "train"), clip_in(planting, "test")
    planting.fates = {train.id: None, test.id: None}

    def plant(name: str, files: dict[str, str], fate: Reason | None, text: str = "") -> None:
        clip_id = f"talks of 2024/{name}"
        planting.copy(train.video, f"{clip_id}.mp4")
        for suffix, content in files.items():
            planting.write(f"{clip_id}{suffix}", content)
        planting.fates[clip_id] = fate
        if fate is None:
            planting.texts[clip_id] = text

    plant("bare", {}, None)
    plant("crlf", {".txt": "\ufeffPlace blue\r\nat F two {now}\r\n"}, None, "place blue at f two now")
    plant("lrs", {".txt": "Text:  OH NO\nConf:  3\n"}, None, "oh no")
    plant("aligned", {".align": "0 5000 sil\n5000 9000 oh\n9000 9500 sp\n9500 12000 no\n"}, None, "oh no")
    plant("empty", {".txt": "\r\n"}, Reason.NO_TRANSCRIPT)
    plant("torn", {".align": "0 5000\n"}, Reason.NO_TRANSCRIPT)
    plant("latin", {}, Reason.NO_TRANSCRIPT)
    (planting.root / "talks of 2024/latin.txt").write_bytes(b"caf\xe9")
    plant("mute", {}, Reason.NO_AUDIO)
    planting.mute("talks of 2024/mute.mp4")
    plant("zero", {}, Reason.EMPTY_FILE)
    planting.write("talks of 2024/zero.mp4", "")
    plant("in two splits", {}, Reason.BAD_LISTING)
    planting.copy(train.video, "talks of 2024/bare.webm")  # the same name twice, whatever is inside
    planting.fates["talks of 2024/bare.webm"] = Reason.DUPLICATE
    planting.copy(train.video, "other talks/bare.MP4")
    planting.fates["other talks/bare"] = None
    planting.write(".cache/x.mp4", "hidden")
    rows = ["talks of 2024/in two splits.mp4,val", "talks of 2024/in two splits.mp4,test", "gone.mp4,train"]
    rows += ["/etc/passwd.mp4,train", "../x.mp4,test", "talks of 2024/lrs.mp4,val"]
    planting.write("splits.csv", planting.read("splits.csv").replace("\n", "\r\n") + "".join(f"{r}\r\n" for r in rows))
    planting.fates |= {
        "gone.mp4": Reason.NO_VIDEO,
        "splits.csv:7": Reason.BAD_LISTING,
        "splits.csv:8": Reason.BAD_LISTING,
    }
    index = indexed("folder", planting.root)
    planting.check(index)
    splits = {clip.id: clip.split for clip in index.clips}
    assert (splits["talks of 2024/lrs"], splits["talks of 2024/bare"], splits[train.id]) == ("val", "test", "train")


@pytest.mark.parametrize("planting", ["lrs2", "lrs3"], indirect=True)
def test_segments_of_a_long_clip_become_crops_of_their_own_stretch(planting: Planting) -> None:
    long_clip = clip_in(planting, "pretrain")
    index = indexed(planting.layout, planting.root, MAX_SEGMENT_S)
    params = load("crop", CropParams, Path(__file__).parents[2] / "params.yaml")
    params = replace(params, track=replace(params.track, min_face_px=16))
    boxes = np.load(planting.root / long_clip.face_track)["boxes"]
    segments = [clip for clip in index.clips if clip.id.startswith(f"{long_clip.id}/")]
    for segment in segments:
        (crop,) = crop_clip(planting.root, segment, params, None, ("faces", "mouth"))
        assert (crop.id, crop.clip, crop.start, crop.audio_start, crop.n_frames) == (
            segment.id,
            segment.id,
            segment.first_frame,
            segment.first_frame,
            segment.n_cut_frames,
        )
        stretch = boxes[segment.first_frame : segment.first_frame + segment.n_cut_frames]
        assert np.abs(crop.boxes - stretch).max() <= 1
        assert segment.words[0].start_s <= MARGIN_S + 1 / FPS
