"""Synthetic corpora on disk: official layout, readable by the project's own readers, the same bytes however made."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from indexed import indexed
from small_recipes import LAYOUTS, cut, per_split, recipe_of, small

from synctalk.corpora import grid, lrs3
from synctalk.corpora.layouts import read_corpus
from synctalk.corpora.phones import PHONEME_SCHEMA, PHONEMES
from synctalk.corpora.records import SPLITS, Clip
from synctalk.corpora.synthetic import synthesize as maker
from synctalk.corpora.synthetic.grammar import WORDS
from synctalk.corpora.synthetic.perform import draw_recording, draw_speaker, frames_of, perform, track_of
from synctalk.corpora.synthetic.plan import PlannedRecording, grid_name, plan
from synctalk.corpora.synthetic.recipe import Range, SyntheticCorpus
from synctalk.corpora.synthetic.stage import build_stage
from synctalk.corpora.synthetic.synthesize import synthesize
from synctalk.corpora.transcript import parse_transcript
from synctalk.errors import Reason, UserError
from synctalk.media import probe, read_audio, read_video
from synctalk.parquet import read_table
from synctalk.timebase import FPS, SAMPLE_RATE, n_samples

OFFICIAL = {
    "lrs2": r"(main|pretrain)/\d{19}/\d{5}\.(mp4|txt)|(train|val|test|pretrain)\.txt",
    "lrs3": r"(pretrain|trainval|test)/[\w-]{11}/\d{5}\.(mp4|txt)",
    "voxceleb2": r"(dev|test)/(mp4/id\d{5}/[\w-]{11}/\d{5}\.mp4|aac/id\d{5}/[\w-]{11}/\d{5}\.m4a"
    r"|txt/id\d{5}/[\w-]{11}/\d{5}\.txt)|english\.txt",
    "grid": r"s\d{1,2}/(video/mpg_6000/[a-z]{4}[z1-9][anps]\.mpg|align/[a-z]{4}[z1-9][anps]\.align)",
    "folder": r"speaker\d\d/take\d/\d{5}\.(mp4|txt)|splits\.csv",
}
OURS = r"face_tracks/.+/\w+\.npz|phonemes\.parquet"


def digests(root: Path) -> dict[str, str]:
    """sha256 of every file below `root`."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One small corpus of each layout, made in this process."""
    folder = tmp_path_factory.mktemp("synthetic")
    for name in LAYOUTS:
        synthesize(small(name), folder / name, workers=1)
    return {name: folder / name for name in LAYOUTS}


def planned_clips(recipe: SyntheticCorpus) -> dict[str, tuple[PlannedRecording, int]]:
    """Clip id -> its recording, and its number there."""
    return {r.clip_id(k): (r, k) for r in plan(recipe) for k in range(r.n_utterances)}


# --- layout --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", LAYOUTS)
def test_files_lie_where_the_official_ones_do(made: dict[str, Path], name: str) -> None:
    files = list(digests(made[name]))
    strangers = [file for file in files if not re.fullmatch(f"{OFFICIAL[name]}|{OURS}", file)]
    assert strangers == []
    kinds = Counter(Path(file).suffix for file in files)
    n_clips = len(planned_clips(small(name)))
    assert kinds[".mpg" if name == "grid" else ".mp4"] == kinds[".npz"] == n_clips
    assert kinds[".m4a"] == (n_clips if name == "voxceleb2" else 0)
    assert [path.name for path in made[name].parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", LAYOUTS)
def test_our_reader_reads_it_back(made: dict[str, Path], name: str) -> None:
    recipe, read = small(name), read_corpus(name, made[name])
    assert read.rejected == ()
    assert {clip.id for clip in read.clips} == set(planned_clips(recipe))
    counts = Counter(clip.split for clip in read.clips)
    assert {split: counts[split] for split in SPLITS} == {split: recipe.utterances.of(split) for split in SPLITS}
    assert all(clip.face_track == f"face_tracks/{clip.id}.npz" for clip in read.clips)
    speakers = [{clip.speaker for clip in read.clips if clip.split == split} for split in SPLITS]
    assert len(set().union(*speakers)) == sum(map(len, speakers))
    for clip in read.clips:
        assert (clip.transcript == "") == (name == "voxceleb2")
        assert set(clip.transcript.split()) <= set(WORDS)
        assert clip.transcript == " ".join(word.text for word in clip.words) or name == "folder"


def test_lists_of_lrs2_mark_the_test_split_only(made: dict[str, Path]) -> None:
    lines = {split: (made["lrs2"] / f"{split}.txt").read_text().splitlines() for split in SPLITS}
    assert all(re.fullmatch(r"\d{19}/\d{5} NF", line) for line in lines["test"])
    assert all(re.fullmatch(r"\d{19}/\d{5}", line) for split in ("pretrain", "train", "val") for line in lines[split])


def test_texts_have_the_blocks_of_their_corpus(made: dict[str, Path]) -> None:
    for name in ("lrs2", "lrs3", "voxceleb2"):
        clip = read_corpus(name, made[name]).clips[0]
        path = clip.id.replace("/mp4/", "/txt/") if name == "voxceleb2" else clip.id
        content = (made[name] / f"{path}.txt").read_text()
        text = parse_transcript(content)
        n_frames = probe(made[name] / clip.video).video.n_frames  # type: ignore[union-attr]  # it has video
        assert len(text.boxes) == (0 if name == "lrs2" else n_frames)
        assert (
            list(text.head)
            == {
                "lrs2": ["Conf"],
                "lrs3": ["Conf", "Ref"],
                "voxceleb2": ["Identity", "Reference", "Offset", "FV Conf", "ASD Conf"],
            }[name]
        )
        assert content.startswith("Identity  : \tid0000" if name == "voxceleb2" else "Text:  ")
        if text.boxes:
            boxes = np.load(made[name] / clip.face_track)["boxes"] / recipe_of(name).size
            relative = np.array([(b.x, b.y, b.x + b.w, b.y + b.h) for b in text.boxes])
            np.testing.assert_allclose(relative, boxes, atol=0.0011)


# --- truth ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", LAYOUTS)
def test_media_tracks_and_phones_have_one_length(made: dict[str, Path], name: str) -> None:
    root, recipe = made[name], small(name)
    phones: dict[str, list[dict[str, Any]]] = {}
    for row in read_table(root / PHONEMES, PHONEME_SCHEMA):
        phones.setdefault(row["id"], []).append(row)
    clips = read_corpus(name, root).clips
    assert list(phones) == [clip.id for clip in clips]
    for clip in clips:
        info = probe(root / clip.video)
        video, audio = info.video, probe(root / clip.audio).audio
        assert video is not None
        assert audio is not None
        assert (info.audio is None) == (name == "voxceleb2")
        assert (video.fps, video.width, video.height) == (FPS, recipe.size, recipe.size)
        assert video.start_s == (0.54 if name == "grid" else 0.0)  # program streams leave the decoder some time
        assert (audio.sample_rate, audio.channels) == (44_100 if name == "grid" else SAMPLE_RATE, 1)
        longer = len(read_audio(root / clip.audio, video.start_s)) - n_samples(video.n_frames)
        assert abs(longer) <= 640 if name == "grid" else 0 <= longer <= 2048  # the last block of MP2 and of AAC
        track = np.load(root / clip.face_track)
        assert track["boxes"].shape == (video.n_frames, 4)
        assert track["landmarks"].shape == (video.n_frames, 5, 2)

        own = phones[clip.id]
        end_s = video.n_frames / FPS
        assert (own[0]["phone"], own[0]["start_s"]) == ("_", 0.0)
        assert (own[-1]["phone"], own[-1]["end_s"]) == ("_", end_s)
        assert [row["end_s"] for row in own[:-1]] == [row["start_s"] for row in own[1:]]
        bounds = [row["start_s"] for row in own] + [end_s]
        for word in clip.words:
            assert 0 < word.start_s < word.end_s < end_s
            assert min(abs(word.start_s - t) for t in bounds) <= 0.0051  # texts have hundredths
            assert min(abs(word.end_s - t) for t in bounds) <= 0.0051
        for word, following in zip(clip.words, clip.words[1:], strict=False):
            assert word.end_s <= following.start_s


@pytest.mark.parametrize("name", LAYOUTS)
def test_files_hold_what_was_performed(made: dict[str, Path], name: str) -> None:
    recipe = small(name)
    clip_id, (planned, number) = sorted(planned_clips(recipe).items())[-1]
    clip = next(clip for clip in read_corpus(name, made[name]).clips if clip.id == clip_id)
    performance = perform(recipe, planned.speaker, planned.take, number)
    n_frames = len(performance.shapes)
    assert len(performance.pcm) == n_samples(n_frames)
    assert performance.motion.n_frames == n_frames
    assert (performance.phones[0].start_s, performance.phones[-1].end_s) == (0.0, n_frames / FPS)
    for number, word in enumerate(performance.words):
        own = [phone for phone in performance.phones if phone.word == number]
        assert (word.start_s, word.end_s) == (own[0].start_s, own[-1].end_s)

    stage = build_stage(draw_recording(recipe, planned.speaker, planned.take))
    track, stored = track_of(stage, performance), np.load(made[name] / clip.face_track)
    assert np.array_equal(track.boxes, stored["boxes"])
    assert np.array_equal(track.landmarks, stored["landmarks"])
    rendered = np.stack(list(frames_of(stage, performance)))
    decoded = read_video(made[name] / clip.video).frames
    assert decoded.shape == rendered.shape == (n_frames, recipe.size, recipe.size, 3)
    assert np.abs(decoded.astype(int) - rendered).mean() < 5  # H.264
    start_s = probe(made[name] / clip.video).video.start_s  # type: ignore[union-attr]  # it has video
    decoded = read_audio(made[name] / clip.audio, start_s)[: len(performance.pcm)].astype(float)
    assert np.corrcoef(decoded, performance.pcm[: len(decoded)])[0, 1] > 0.97  # AAC, MP2


def test_sound_starts_with_the_first_phone() -> None:
    for name in LAYOUTS:
        for speaker in range(6):
            performance = perform(recipe_of(name), speaker, 0, 0)
            start = round(performance.words[0].start_s * SAMPLE_RATE)
            pcm = performance.pcm.astype(float)
            before, after = pcm[:start].std(), pcm[start : start + SAMPLE_RATE // 4].std()
            assert after > 5 * before
            loud = int(np.flatnonzero(np.abs(pcm) > 6 * before)[0])
            assert -0.005 < (loud - start) / SAMPLE_RATE < 0.12  # a stop begins with its silence


def test_a_long_utterance_is_sentences_one_after_the_other_with_pauses_between() -> None:
    recipe = recipe_of("lrs3")
    short, long = perform(recipe, 0, 0, 0), perform(recipe, 0, 0, 0, n_sentences=5)
    n = len(short.words)
    assert long.words[:n] == short.words
    assert len(long.words) > 4 * n - 4
    assert set(long.text.split()) <= set(WORDS)
    assert (long.phones[0].start_s, long.phones[-1].end_s) == (0.0, len(long.shapes) / FPS)
    for phone, following in pairwise(long.phones):
        assert phone.end_s == pytest.approx(following.start_s)
    pauses = [p for p in long.phones[1:-1] if p.name == "_" and p.end_s - p.start_s > 0.15]
    assert len(pauses) >= 4
    pcm = long.pcm.astype(float)
    for pause in pauses:
        quiet = pcm[round((pause.start_s + 0.1) * SAMPLE_RATE) : round(pause.end_s * SAMPLE_RATE)]
        assert quiet.std() < 0.2 * pcm.std()
    for number, word in enumerate(long.words):
        own = [phone for phone in long.phones if phone.word == number]
        assert (word.start_s, word.end_s) == (own[0].start_s, own[-1].end_s)


def test_speakers_places_and_voices_differ_within_and_between_corpora() -> None:
    people = [draw_speaker(recipe_of(name), number) for name in LAYOUTS for number in range(12)]
    assert len({person.identity for person in people}) == len(people)
    assert len({person.voice for person in people}) > 0.9 * len(people)
    assert {person.identity.female for person in people} == {True, False}
    recordings = [draw_recording(recipe_of("lrs2"), 0, number) for number in range(3)]
    assert len({recording.identity for recording in recordings}) == 1
    assert len({recording.light for recording in recordings}) == 3


def test_a_seed_is_another_corpus() -> None:
    recipe = recipe_of("lrs2")
    other = replace(recipe, seed=recipe.seed + 100)
    assert draw_speaker(recipe, 0) != draw_speaker(other, 0)
    assert not {r.folder for r in plan(recipe)} & {r.folder for r in plan(other)}


# --- bytes ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", LAYOUTS)
def test_workers_and_threads_change_no_byte(made: dict[str, Path], tmp_path: Path, name: str) -> None:
    synthesize(small(name), tmp_path / name, workers=2)
    assert digests(tmp_path / name) == digests(made[name])


def test_a_second_run_changes_no_byte(made: dict[str, Path], tmp_path: Path) -> None:
    root = tmp_path / "voxceleb2"
    before = cv2.getNumThreads()
    try:
        for threads in (1, 2):
            cv2.setNumThreads(threads)
            synthesize(small("voxceleb2"), root, workers=1)
            assert digests(root) == digests(made["voxceleb2"])
    finally:
        cv2.setNumThreads(before)
    assert [path.name for path in tmp_path.iterdir()] == ["voxceleb2"]


def test_a_clip_depends_on_its_own_recording_only(made: dict[str, Path], tmp_path: Path) -> None:
    recipe, whole = small("lrs3"), digests(made["lrs3"])
    last = plan(recipe)[-1]
    maker.synthesize_recording(last, recipe, tmp_path)
    alone = digests(tmp_path)
    assert len(alone) == 3 * last.n_utterances
    assert {name: whole[name] for name in alone} == alone


# --- interruption --------------------------------------------------------------------------------------------------
TINY = cut("lrs2", per_split(train=2), per_split(train=2))


def test_an_interrupted_run_leaves_no_corpus_and_the_next_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "corpus"

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(maker, "write_phonemes", interrupt)
        with pytest.raises(KeyboardInterrupt):
            synthesize(TINY, root, workers=1)
    assert not root.exists()
    synthesize(TINY, root, workers=1)
    whole = digests(root)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]

    # the old corpus stays as it was until the new one is whole, and no half of it is ever seen
    other = replace(TINY, seed=TINY.seed + 1)
    with monkeypatch.context() as patch:
        patch.setattr(maker, "write_lists", interrupt)
        with pytest.raises(KeyboardInterrupt):
            synthesize(other, root, workers=1)
    assert digests(root) == whole
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda path, **_: interrupt() if Path(path).exists() else None)
        patch.setattr(maker, "synthesize_recording", lambda planned, recipe, root: [])
        shutil.move(tmp_path / ".corpus.building", tmp_path / "set aside")
        with pytest.raises(KeyboardInterrupt):
            synthesize(other, root, workers=1)
    assert not set(whole) - {"train.txt", "val.txt", "test.txt", "pretrain.txt", PHONEMES} & set(digests(root))
    shutil.rmtree(tmp_path / "set aside")
    synthesize(TINY, root, workers=1)
    assert digests(root) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_files_of_others_are_never_removed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError) as error:
        synthesize(TINY, tmp_path / "mine")
    mend = "empty it or take another corpora.<name>.root"
    assert str(error.value) == f"{tmp_path}/mine: holds files that are no synthetic corpus; {mend}"
    with pytest.raises(UserError) as error:
        synthesize(TINY, tmp_path / "mine" / "thesis.txt")
    assert (
        str(error.value) == f"{tmp_path}/mine/thesis.txt: is no folder; remove it or take another corpora.<name>.root"
    )
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_linked_folder_is_filled_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "corpus").symlink_to(tmp_path / "disk")
    for _ in range(2):
        synthesize(TINY, tmp_path / "corpus", workers=1)
    assert (tmp_path / "corpus").is_symlink()
    assert (tmp_path / "disk" / PHONEMES).is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "disk"]


# --- plan ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", LAYOUTS)
def test_plans_of_the_recipes_have_their_counts_and_share_no_speaker(name: str) -> None:
    recipe = recipe_of(name)
    recordings = plan(recipe)
    for split in SPLITS:
        own = [r for r in recordings if r.split == split]
        assert sum(r.n_utterances for r in own) == recipe.utterances.of(split)
        assert len({r.speaker for r in own}) <= recipe.speakers.of(split)
        assert max((r.n_utterances for r in own), default=0) - min((r.n_utterances for r in own), default=0) <= 1
    assert len({(r.split, r.speaker) for r in recordings}) == len({r.speaker for r in recordings})
    assert len({r.clip_id(0) for r in recordings}) == len(recordings)


def test_validation_speakers_of_lrs3_get_names_that_the_reader_picks() -> None:
    recipe = cut("lrs3", per_split(train=60, val=20, test=20, pretrain=20), per_split(20, 60, 20, 20))
    for recording in plan(recipe):
        folder, name = recording.folder.split("/")
        split = "val" if folder == "trainval" and lrs3.is_validation(name) else lrs3.FOLDERS[folder]
        assert split == recording.split


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"utterances": per_split(train=-1)}, "has negative counts for train; set them to 0 or more"),
        ({"speakers": per_split()}, "has utterances but no speakers in train; set speakers.train"),
        ({"pretrain_sentences": 0}, "has pretrain_sentences below 1; set it to 1 or more"),
        ({"recordings_per_speaker": 0}, "has recordings_per_speaker below 1; set it to 1 or more"),
        ({"size": 90}, "has the size 90; take a multiple of 4, 64 or more"),
        ({"size": 60}, "has the size 60; take a multiple of 4, 64 or more"),
        ({"voices": ()}, "has an empty list of voices, accents or backgrounds; name one at least"),
        (
            {"backgrounds": ("moon", "studio")},
            "has the background 'moon'; take one of studio, stage, room, street, shelves",
        ),
        ({"yaw": Range(low=5, high=-5)}, "has yaw from 5 to -5; set low below high"),
        (
            {"words_per_minute": Range(low=20, high=160)},
            "has words_per_minute that espeak-ng cannot speak; stay in 80 to 450",
        ),
        (
            {"preset": "warp"},
            "has the preset 'warp' and crf 20; take a preset of ultrafast, superfast, veryfast, faster, fast, "
            "medium, slow, slower, veryslow and a crf of 0 to 51",
        ),
        ({"utterances": per_split(train=10**6)}, "has too many utterances a speaker in train; raise speakers.train"),
    ],
)
def test_recipes_that_contradict_themselves_are_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as error:
        plan(replace(TINY, **{"crf": 20, **change}))
    assert str(error.value) == f"synthetic lrs2: {line}"


def test_sentences_of_a_grid_look_alike_have_names_of_their_own_and_speakers_of_their_split() -> None:
    assert [grid_name(number) for number in (0, 1, 4, 63_999)] == ["bbaaza", "bbaazn", "bbaa1a", "swwz9s"]
    recordings = plan(cut("grid", per_split(train=60, val=4, test=8), per_split(train=27, val=2, test=4), 2))
    assert all(grid.split_of(r.folder.split("/")[0]) == r.split for r in recordings)
    names = [r.clip_id(k) for r in recordings for k in range(r.n_utterances)]
    assert len(set(names)) == len(names) == 72
    with pytest.raises(UserError) as error:
        plan(cut("grid", per_split(val=3), per_split(val=3)))
    assert str(error.value) == "synthetic grid: has 2 speakers in val; set speakers.val to 2 or less"


def test_a_split_that_the_layout_lacks_is_one_line() -> None:
    with pytest.raises(UserError) as error:
        plan(cut("voxceleb2", per_split(train=1), per_split(train=1)))
    assert str(error.value) == "synthetic voxceleb2: has no split train; set utterances.train to 0"


# --- index ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["lrs2", "lrs3", "voxceleb2"])
def test_an_index_has_every_clip_or_a_reason(
    made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("SYNCTALK_WORKERS", "1")
    root = tmp_path / name
    shutil.copytree(made[name], root)
    whole = indexed(name, root)
    assert whole.rejected == []
    assert [clip.id for clip in whole.clips] == sorted(planned_clips(small(name)))
    for clip in whole.clips:
        assert (clip.fps, clip.width, clip.height, clip.sample_rate) == (
            25.0,
            clip.height,
            recipe_of(name).size,
            16_000,
        )
        assert clip.n_frames == len(np.load(root / clip.face_track)["boxes"])
        assert clip.video_start_s == 0.0

    empty, noise, gone, silent = whole.clips[:4]
    (root / empty.video).write_bytes(b"")
    (root / noise.video).write_bytes(np.random.default_rng(0).bytes(5000))
    (root / gone.video).unlink()
    if name == "voxceleb2":
        (root / silent.audio).write_bytes(b"")
    else:
        (root / f"{silent.id}.txt").write_text("Text:\n")
    index = indexed(name, root)
    dropped = {row.id: (row.stage, row.reason) for row in index.rejected}
    assert dropped == {
        empty.id: ("index", Reason.EMPTY_FILE),
        noise.id: ("index", Reason.UNDECODABLE),
        gone.id: ("index", Reason.NO_VIDEO),
        silent.id: ("index", Reason.EMPTY_FILE if name == "voxceleb2" else Reason.NO_TRANSCRIPT),
    }
    assert [row.id for row in index.rejected] == sorted(dropped)
    assert index.clips == [clip for clip in whole.clips if clip.id not in dropped]
    assert {row.id: row.detail for row in index.rejected}[empty.id] == f"{Path(empty.video).name} has zero bytes"


def test_a_video_without_pictures_or_sound_is_dropped_from_the_index(
    made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCTALK_WORKERS", "1")
    root = tmp_path / "folder"
    root.mkdir()
    vox: Clip = read_corpus("voxceleb2", made["voxceleb2"]).clips[0]
    shutil.copy(made["voxceleb2"] / vox.video, root / "mute.mp4")
    shutil.copy(made["voxceleb2"] / vox.audio, root / "dark.mp4")
    index = indexed("folder", root)
    assert index.clips == []
    assert [(row.id, row.reason, row.detail) for row in index.rejected] == [
        ("dark", Reason.NO_VIDEO, "dark.mp4 has no video frames"),
        ("mute", Reason.NO_AUDIO, "mute.mp4 has no audio stream"),
    ]
