"""What is handed out: blind by construction, alike in form, and with a key that notices a change."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from study.small_study import CLIPS, METHODS, N_FRAMES, picture, small_build, write_folders

from synctalk.errors import UserError
from synctalk.media import probe, read_audio, read_video, write_video
from synctalk.study.build import HANDED_OUT, Built, StudyPlan, build_study, folder_sources
from synctalk.study.records import Origin, assignment_digest, read_key
from synctalk.study.videos import Form, fit, write_clip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Built]:
    root = tmp_path_factory.mktemp("study")
    return root, small_build(root, overlap=2)


def files_of(root: Path) -> list[Path]:
    return sorted(path for path in (root / "study").rglob("*") if path.is_file())


def test_nothing_that_is_handed_out_names_a_method_or_a_clip(built: tuple[Path, Built]) -> None:
    root, _ = built
    files = files_of(root)
    assert len(files) == 2 + len(METHODS) * len(CLIPS)
    words = [*METHODS, "quokka", "zebra", "kumquat", "spk7", "spk9", str(root), "walnut"]
    for path in files:
        content = path.read_bytes().lower() + str(path.relative_to(root)).encode()
        for word in words:
            for coding in ("utf-8", "utf-16-le"):
                assert word.encode(coding) not in content, (path, word)


def test_file_names_times_and_tags_say_nothing(built: tuple[Path, Built]) -> None:
    root, _ = built
    for path in [root / "study", *(root / "study").rglob("*")]:
        assert path.stat().st_mtime == HANDED_OUT
    for path in (root / "study/videos").iterdir():
        assert re.fullmatch(r"[0-9a-f]{16}\.mp4", path.name)
        with av.open(str(path)) as container:
            tags = dict(container.metadata)
            assert set(tags) <= {"major_brand", "minor_version", "compatible_brands"}
            for stream in container.streams:
                assert set(stream.metadata) <= {"language", "handler_name", "vendor_id"}
                assert stream.metadata.get("language", "und") == "und"


def test_videos_of_all_methods_have_one_form(built: tuple[Path, Built]) -> None:
    root, _ = built
    forms = set()
    for path in (root / "study/videos").iterdir():
        info = probe(path)
        assert info.video is not None
        assert info.audio is not None
        forms.add(
            (info.video.width, info.video.height, info.video.fps, info.video.n_frames, info.video.codec,
             info.audio.sample_rate, info.audio.channels, info.audio.codec)
        )  # fmt: skip
    assert forms == {(96, 96, 25.0, N_FRAMES, "h264", 16000, 1, "aac")}


def test_a_name_cannot_be_had_from_the_files_alone(tmp_path: Path, built: tuple[Path, Built]) -> None:
    again = small_build(tmp_path, overlap=2)
    assert built[1].key.videos.keys().isdisjoint(again.key.videos)
    # the same clips to the same places all the same: the seed decides on those
    assert sorted((s.method, s.clip) for s in built[1].key.videos.values()) == sorted(
        (s.method, s.clip) for s in again.key.videos.values()
    )
    for one, other in zip(built[1].key.raters.values(), again.key.raters.values(), strict=True):
        assert [(s.method, s.clip) for s in map(built[1].key.videos.get, one)] == [
            (s.method, s.clip) for s in map(again.key.videos.get, other)
        ]


def test_the_key_says_what_each_video_is(built: tuple[Path, Built]) -> None:
    root, result = built
    key = read_key(root / "key.json")
    assert key == result.key
    assert {path.stem for path in (root / "study/videos").iterdir()} == key.videos.keys()
    for name, shown in key.videos.items():
        path = root / "study/videos" / f"{name}.mp4"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == shown.sha256
        # the pictures are those of the clip: they differ in phase
        width = 64 + 16 * METHODS.index(shown.method)
        made = read_video(path).frames
        expected = np.stack([fit(frame, 96) for frame in picture(N_FRAMES, width, 64, CLIPS.index(shown.clip))])
        assert np.abs(made.astype(int) - expected).mean() < 6


def test_raters_get_what_study_json_says(built: tuple[Path, Built]) -> None:
    root, result = built
    study = json.loads((root / "study/study.json").read_text(encoding="utf-8"))
    key = result.key
    assert study["study"] == key.study
    assert [question["name"] for question in study["questions"]] == ["intelligibility", "sync", "authenticity"]
    for code, share in study["raters"].items():
        assert re.fullmatch(r"\d\d-[a-z2-9]{3}", code)
        assert tuple(share["videos"]) == key.raters[code]
        assert share["assignment"] == assignment_digest(key.study, code, share["videos"])
        clips = [key.videos[name].clip for name in share["videos"]]
        assert all(a != b for a, b in pairwise(clips))
    seen = Counter(name for share in study["raters"].values() for name in share["videos"])
    assert set(seen.values()) == {2}
    page = (root / "study/index.html").read_text(encoding="utf-8")
    inlined = re.search(r'<script type="application/json" id="study">(.*?)</script>', page)
    assert inlined is not None
    assert json.loads(inlined[1]) == study
    with (root / "key-raters.csv").open(encoding="utf-8", newline="") as file:
        assert [row["page"] for row in csv.DictReader(file)] == [f"index.html?rater={code}" for code in study["raters"]]


def test_the_page_needs_nothing_from_elsewhere(built: tuple[Path, Built]) -> None:
    page = (built[0] / "study/index.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(|<link(?! rel=\"icon\" href=\"data:,\")|src=\"", page)


def test_what_might_tell_methods_apart_is_said(built: tuple[Path, Built]) -> None:
    notes = built[1].notes
    assert len(notes) == 2 * len(CLIPS)
    assert "spk7/kumquat1: cut to the shortest video, 20 frames (quokkalip by 1, zebratalk by 2)" in notes
    sizes = "(ground_truth 64x64, quokkalip 80x64, zebratalk 96x64)"
    assert sum(sizes in note and "unlike size" in note for note in notes) == len(CLIPS)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["key"]["videos"][min(content["key"]["videos"])].update(method="zebratalk "),
        lambda content: content["key"].update(overlap=7),
        lambda content: content["key"]["raters"].popitem(),
        lambda content: content.update(study="0" * 64),
    ],
)
def test_a_key_that_was_changed_is_refused(tmp_path: Path, built: tuple[Path, Built], change) -> None:
    content = json.loads((built[0] / "key.json").read_text(encoding="utf-8"))
    change(content)
    (tmp_path / "key.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UserError, match=r"key\.json: was changed after it was written"):
        read_key(tmp_path / "key.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"study": "x", "key": {"secret": 3}}'])
def test_what_is_no_key_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "key.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"key\.json: is no key of a study"):
        read_key(tmp_path / "key.json")


def test_the_key_never_lies_in_the_folder_and_nothing_is_written_over(tmp_path: Path) -> None:
    plan = StudyPlan(3, 1, 1, 0, Form(96, 20))
    sources = {method: {"a": Path("none.mp4")} for method in METHODS}
    with pytest.raises(UserError, match="lies in the folder that is handed out"):
        build_study(sources, plan, Origin(), tmp_path / "study", tmp_path / "study/deep/key.json")
    (tmp_path / "study").mkdir()
    (tmp_path / "study/old").touch()
    with pytest.raises(UserError, match="is there already"):
        build_study(sources, plan, Origin(), tmp_path / "study", tmp_path / "key.json")
    (tmp_path / "key.json").touch()
    with pytest.raises(UserError, match=r"key\.json: is there already"):
        build_study(sources, plan, Origin(), tmp_path / "other", tmp_path / "key.json")


def test_a_video_that_does_not_decode_leaves_no_half_study(tmp_path: Path) -> None:
    folders = write_folders(tmp_path / "videos")
    (folders["quokkalip"] / f"{CLIPS[0]}.mp4").write_bytes(b"no video")
    plan = StudyPlan(12, 3, 1, 0, Form(96, 20))
    with pytest.raises(UserError, match=r"quokkalip/spk7/kumquat1\.mp4: cannot be shown"):
        build_study(folder_sources(folders), plan, Origin(), tmp_path / "study", tmp_path / "key.json")
    assert [path.name for path in tmp_path.iterdir()] == ["videos"]


def test_videos_of_unlike_length_are_not_of_one_clip(tmp_path: Path) -> None:
    sources, targets = {}, {}
    for name, n_frames in (("short", 10), ("long", 23)):
        sources[name], targets[name] = tmp_path / f"{name}.mp4", tmp_path / f"{name}-out.mp4"
        write_video(sources[name], picture(n_frames, 64, 64, 0), audio=np.ones(640 * n_frames, np.int16))
    with pytest.raises(UserError, match=r"clip: its videos have unlike lengths \(long 0\.92 s, short 0\.40 s\)"):
        write_clip(("clip", {name: (sources[name], targets[name]) for name in sources}), Form(64, 20))


def test_each_take_keeps_its_own_sound_from_its_beginning(tmp_path: Path) -> None:
    sources, targets = {}, {}
    for name, hertz, n_frames in (("low", 200, 50), ("high", 1000, 52)):
        sources[name], targets[name] = tmp_path / f"{name}.mp4", tmp_path / f"{name}-out.mp4"
        tone = 9000 * np.sin(2 * np.pi * hertz * np.arange(640 * n_frames) / 16000)
        tone[: 640 * 25] = 0
        write_video(sources[name], picture(n_frames, 64, 64, 0), audio=tone.astype(np.int16))
    write_clip(("clip", {name: (sources[name], targets[name]) for name in sources}), Form(64, 20))
    for name, hertz in (("low", 200), ("high", 1000)):
        pcm = read_audio(targets[name]).astype(float)
        loud = np.flatnonzero(np.abs(pcm) > 4000)[0]
        assert abs(loud - 640 * 25) < 160  # within 10 ms
        spectrum = np.abs(np.fft.rfft(pcm[640 * 30 : 640 * 45]))
        assert np.argmax(spectrum) * 16000 / (640 * 15) == pytest.approx(hertz, abs=10)


def test_frames_keep_their_shape_within_the_square() -> None:
    wide = np.full((40, 80, 3), 200, np.uint8)
    square = fit(wide, 160)
    assert square.shape == (160, 160, 3)
    assert (square[40:120] == 200).all()
    assert not square[:40].any()
    assert not square[120:].any()
    assert (fit(np.full((300, 300, 3), 90, np.uint8), 64) == 90).all()
