"""Scoring of foreign videos: what is found of a pair, resuming, worker counts, and the command from end to end."""

from __future__ import annotations

import json
import os
import pickle
import re
import sys
import tracemalloc
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from footage import noise, waves
from training.tiny import CROP, MOUTH, reader, tokenizer

from synctalk.checkpoints import save
from synctalk.checkpoints.importing import file_sha256
from synctalk.cli.app import main
from synctalk.errors import UserError
from synctalk.evaluation import folder
from synctalk.evaluation.judges.files import Wanted, assemble
from synctalk.evaluation.videos import foreign
from synctalk.evaluation.videos import frames as frames_module
from synctalk.evaluation.videos.findings import ClipFinding
from synctalk.evaluation.videos.foreign import Setup, prepare_pair
from synctalk.evaluation.videos.images import compare_images
from synctalk.evaluation.videos.pairs import Matching, Pair
from synctalk.evaluation.videos.prepared import Pictures
from synctalk.faces.align import MouthParams
from synctalk.features.syncnet_input import View, judge_pictures
from synctalk.media import read_video, write_video
from synctalk.models.syncnet import SyncNet, SyncNetConfig
from synctalk.report.page import offset_bars

MOUTH_PARAMS = MouthParams(mode="centre", size=MOUTH, centre_px=64, window_frames=1)
NO_FACES = Setup(view="frame", judge=SyncNetConfig(image_size=48), mouth=None, face_size=96, detector=None)
LENGTHS = (20, 22, 24, 21, 23)


def film(path: Path, frames: np.ndarray, seed: int, n_sound: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames, audio=noise(n_sound or len(frames), seed), lossless=True)
    return path


def track(path: Path, n_frames: int, box: tuple[int, int, int, int] = (30, 30, 126, 126)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    marks = np.float32([[60, 60], [90, 60], [75, 80], [62, 100], [88, 100]])
    np.savez(path, boxes=np.tile(np.float32(box), (n_frames, 1)), landmarks=np.tile(marks, (n_frames, 1, 1)))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """made/, real/, said/, tracks/ of five clips; the made ones are 10 grey levels brighter in their lower half."""
    root = tmp_path_factory.mktemp("clips")
    for number, n_frames in enumerate(LENGTHS):
        frames = waves(n_frames, number)
        film(root / "real" / f"s/{number}.mp4", frames, number)
        made = frames.copy()
        made[:, 80:] += 10
        film(root / "made" / f"s/{number}.mp4", made, number)
        (root / "said" / "s").mkdir(parents=True, exist_ok=True)
        (root / "said" / f"s/{number}.txt").write_text("Text:  BIN BLUE AT F ONE NOW\n")
        track(root / "tracks" / f"s/{number}.npz", n_frames)
    return root


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sync.safetensors (sees mouths), whole.safetensors (does not say), observer/model.safetensors."""
    root = tmp_path_factory.mktemp("judges")
    torch.manual_seed(0)
    small = {"lip_widths": (4,) * 6, "audio_widths": (4,) * 6, "d_hidden": 8, "d_embedding": 16}
    own = SyncNet(SyncNetConfig(image_size=48, in_channels=1, **small)).eval()
    save(own, root / "sync.safetensors", {"view": "mouth", "mouth": asdict(MOUTH_PARAMS)})
    save(SyncNet(SyncNetConfig(image_size=48, **small)).eval(), root / "whole.safetensors")
    pieces = tokenizer()
    (root / "observer").mkdir()
    about = {"crop": CROP, "mouth": asdict(MOUTH_PARAMS)}
    save(reader(vocabulary=len(pieces)), root / "observer" / "model.safetensors", about)
    (root / "observer" / "tokenizer.model").write_bytes(pieces.model)
    return root


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> object:
    monkeypatch.setattr(sys, "argv", ["synctalk", "score", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


def arguments(clips: Path, judges: Path, out: Path) -> list[object]:
    return [
        clips / "made", "--reference", clips / "real", "--transcripts", clips / "said", "--tracks", clips / "tracks",
        "--sync", judges / "sync.safetensors", "--observer", judges / "observer" / "model.safetensors",
        "--beam", 2, "--max-tokens", 4, "-o", out,
    ]  # fmt: skip


def pair(made: Path, real: Path | None = None, *, comparable: bool = True) -> Pair:
    return Pair("c", made, real, comparable and real is not None, None)


# what is found of one pair


def test_pictures_are_compared_by_hand(tmp_path: Path) -> None:
    real = waves(20, 0)
    made = real.copy()
    made[:, 80:] += 10
    filmed = prepare_pair(pair(film(tmp_path / "a.mp4", made, 0), film(tmp_path / "b.mp4", real, 0)), NO_FACES)
    assert filmed.notes == ()
    assert filmed.video is not None
    assert filmed.video.images == compare_images(real, made, None, 96)
    assert filmed.video.images.frame_psnr == pytest.approx(20 * np.log10(255 / np.sqrt(50)))
    assert filmed.video.images.psnr is None
    assert filmed.video.pictures.shape == (20, 3, 48, 48)


@pytest.mark.parametrize(("n_made", "finding"), [(17, ClipFinding.SHORTER), (26, ClipFinding.LONGER)])
def test_unequal_lengths_are_noted_and_what_both_have_is_scored(
    tmp_path: Path, n_made: int, finding: ClipFinding
) -> None:
    made, real = film(tmp_path / "a.mp4", waves(n_made, 0), 0), film(tmp_path / "b.mp4", waves(20, 0), 0)
    filmed = prepare_pair(pair(made, real), NO_FACES)
    assert [(note.finding, note.scored) for note in filmed.notes] == [(finding, True)]
    assert filmed.video is not None
    assert filmed.video.n_frames == min(n_made, 20)
    assert filmed.video.images is not None
    assert filmed.video.images.frame_psnr == 100.0


def test_crossed_pairs_keep_their_length_and_are_not_compared(tmp_path: Path) -> None:
    made, real = film(tmp_path / "a.mp4", waves(26, 0), 0), film(tmp_path / "b.mp4", waves(20, 1), 0)
    filmed = prepare_pair(pair(made, real, comparable=False), NO_FACES)
    assert filmed.video is not None
    assert (filmed.video.n_frames, filmed.video.images, filmed.notes) == (26, None, ())


@pytest.mark.parametrize("view", ["frame", "face", "tracked", "mouth"])
@pytest.mark.parametrize("jpeg", [False, True])
def test_what_a_judge_sees_is_the_same_whether_it_is_held_or_made_as_it_is_asked_for(
    clips: Path, monkeypatch: pytest.MonkeyPatch, view: View, jpeg: bool
) -> None:
    setup = replace(
        NO_FACES, view=view, detector="tracks", tracks=clips / "tracks", jpeg=jpeg, mouth=MOUTH_PARAMS,
        judge=SyncNetConfig(image_size=48, in_channels=1 if view == "mouth" else 3),
    )  # fmt: skip
    one = Pair("s/0", clips / "made/s/0.mp4", clips / "real/s/0.mp4", True, None)
    held = prepare_pair(one, setup).video
    monkeypatch.setattr(frames_module, "HELD_BYTES", 0)
    monkeypatch.setattr(foreign, "PICTURE_BYTES", 0)
    made = pickle.loads(pickle.dumps(prepare_pair(one, setup).video))
    assert held is not None
    assert isinstance(held.pictures, np.ndarray)
    assert isinstance(made.pictures, Pictures)
    for _ in range(2):  # it can be gone through again
        np.testing.assert_array_equal(np.stack(list(made.pictures)), held.pictures)
    assert made.pictures.nbytes == held.pictures.nbytes
    assert made.images == held.images
    np.testing.assert_array_equal(made.mouths, held.mouths)


def test_memory_does_not_grow_with_the_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every further frame less than a twentieth of its bytes: its mouth, its scores and its sound."""
    monkeypatch.setattr(frames_module, "HELD_BYTES", 0)
    monkeypatch.setattr(foreign, "PICTURE_BYTES", 0)
    monkeypatch.setattr(sys.modules["synctalk.features.mfcc"], "PIECE_WINDOWS", 100)
    peaks = []
    for n_frames in (30, 80):
        large = waves(n_frames, 0).repeat(2, 1).repeat(2, 2)
        made, real = (film(tmp_path / f"{side}{n_frames}.mp4", large, 0) for side in ("made", "real"))
        tracemalloc.start()
        filmed = prepare_pair(pair(made, real), replace(NO_FACES, view="frame"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert filmed.video is not None
    assert (peaks[1] - peaks[0]) / 50 < 320 * 320 * 3 / 20


def test_the_frame_dump_is_of_whole_frames_before_they_are_resized(tmp_path: Path) -> None:
    made = film(tmp_path / "a.mp4", waves(20, 0), 0)
    filmed = prepare_pair(pair(made), replace(NO_FACES, jpeg=True))
    assert filmed.video is not None
    frames = read_video(made, jpeg=True).frames
    np.testing.assert_array_equal(filmed.video.pictures, judge_pictures(frames, SyncNetConfig(image_size=48)))
    plain = prepare_pair(pair(made), NO_FACES)
    assert plain.video is not None
    assert (plain.video.pictures != filmed.video.pictures).any()


def test_another_picture_size_is_noted(tmp_path: Path) -> None:
    made, real = film(tmp_path / "a.mp4", waves(20, 0)[:, :96, :128], 0), film(tmp_path / "b.mp4", waves(20, 0), 0)
    filmed = prepare_pair(pair(made, real), NO_FACES)
    assert [(note.finding, note.scored) for note in filmed.notes] == [(ClipFinding.OTHER_SIZE, True)]
    assert filmed.video is not None
    assert filmed.video.images is None


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        ("broken", ClipFinding.UNREADABLE),
        ("empty", ClipFinding.UNREADABLE),
        ("mute", ClipFinding.NO_AUDIO),
        ("short", ClipFinding.TOO_SHORT),
        ("little sound", ClipFinding.TOO_SHORT),
        ("broken real", ClipFinding.UNREADABLE),
    ],
)
def test_what_cannot_be_scored_says_why(tmp_path: Path, fault: str, finding: ClipFinding) -> None:
    real = film(tmp_path / "real.mp4", waves(20, 0), 0)
    made = tmp_path / "made.mp4"
    if fault == "mute":
        write_video(made, waves(20, 0), lossless=True)
    else:
        n_frames = 6 if fault == "short" else 20
        film(made, waves(n_frames, 0), 0, n_sound=6 if fault == "little sound" else n_frames)
    if fault == "broken":
        made.write_bytes(made.read_bytes()[:300])
    if fault == "empty":
        made.write_bytes(b"")
    if fault == "broken real":
        real.write_bytes(b"not a video")
    filmed = prepare_pair(pair(made, real), NO_FACES)
    assert filmed.video is None
    assert filmed.notes[-1].finding == finding
    assert not filmed.notes[-1].scored


def test_a_face_that_is_nowhere(tmp_path: Path) -> None:
    made = film(tmp_path / "a.mp4", waves(20, 0), 0)
    without = replace(NO_FACES, detector="tracks", tracks=tmp_path)
    filmed = prepare_pair(pair(made), without)
    assert [(note.finding, note.scored) for note in filmed.notes] == [(ClipFinding.NO_FACE, True)]
    assert filmed.video is not None
    needs = replace(without, view="tracked")
    filmed = prepare_pair(pair(made), needs)
    assert [(note.finding, note.scored) for note in filmed.notes] == [(ClipFinding.NO_FACE, False)]
    assert filmed.video is None


# the whole command


@pytest.fixture(scope="module")
def done(clips: Path, judges: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scores")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNCTALK_WORKERS", "1")
        assert command(patch, *arguments(clips, judges, out)) == 0
    return out


def test_every_clip_has_a_row_and_every_figure_an_interval(done: Path) -> None:
    rows = pd.read_parquet(done / "clips.parquet").set_index("id")
    assert rows["n_frames"].tolist() == list(LENGTHS)
    assert (rows["reference"] == "bin blue at f one now").all()
    assert rows["n_words"].tolist() == [6] * 5
    assert rows["n_chars"].tolist() == [21] * 5
    assert rows["frame_psnr"].to_numpy() == pytest.approx(20 * np.log10(255 / np.sqrt(50)))
    # rows 80..125 of the box 30..125 are brighter
    assert rows["psnr"].to_numpy() == pytest.approx(20 * np.log10(255 / np.sqrt(100 * 46 / 96)), abs=0.05)
    summary = json.loads((done / "summary.json").read_text())
    assert summary["clips"] == {"scored": 5, "not_scored": 0, "notes": {}}
    assert summary["figures"]["lse_c"]["n"] == 5
    assert summary["figures"]["lse_c"]["value"] == pytest.approx(rows["lse_c"].mean())
    assert summary["figures"]["wer"]["value"] == pytest.approx(100 * rows["edits"].sum() / 30)
    assert summary["setting"]["lse"]["sees"] == "mouth"
    assert summary["n_windows"] == rows["n_windows"].sum() == sum(LENGTHS) - 5 * 5
    assert {int(offset): n for offset, n in summary["offsets"].items() if n} == rows["offset"].value_counts().to_dict()


def test_the_summary_names_the_judges_by_hash(done: Path, judges: Path) -> None:
    hashes = json.loads((done / "summary.json").read_text())["setting"]["sha256"]
    assert file_sha256(judges / "sync.safetensors") in hashes.values()
    assert file_sha256(judges / "observer" / "model.safetensors") in hashes.values()


def test_tables_and_page_are_written(done: Path, clips: Path) -> None:
    assert {path.name for path in done.iterdir()} == {
        "clips.parquet", "notes.parquet", "summary.json", "table.md", "table.csv", "report.html",
    }  # fmt: skip
    table = pd.read_csv(done / "table.csv").set_index("metric")
    assert f"{table.loc['ssim', 'value']:.3f}" in (done / "table.md").read_text()
    page = (done / "report.html").read_text()
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])
    links = {clip["id"]: clip["videos"][-1]["file"] for clip in data["clips"]}
    assert links == {f"s/{n}": os.path.relpath(clips / "made" / f"s/{n}.mp4", done) for n in range(5)}
    assert "http" not in page
    worst = pd.read_parquet(done / "clips.parquet").sort_values(["lse_c"])["id"].tolist()
    assert [clip["id"] for clip in data["clips"]] == worst
    shown = data["table"]
    assert [row[shown["names"].index("clip")] for row in shown["rows"]] == worst
    assert shown["sort"] == "lse_c"


def test_eight_workers_find_the_same(
    done: Path, clips: Path, judges: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCTALK_WORKERS", "8")
    assert command(monkeypatch, *arguments(clips, judges, tmp_path)) == 0
    for name in ("clips.parquet", "notes.parquet", "summary.json", "table.md", "table.csv"):
        assert (tmp_path / name).read_bytes() == (done / name).read_bytes()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_videos_that_are_too_long_to_be_held_score_the_same(
    done: Path, clips: Path, judges: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("SYNCTALK_WORKERS", workers)
    monkeypatch.setattr(frames_module, "HELD_BYTES", 0)
    monkeypatch.setattr(foreign, "PICTURE_BYTES", 0)
    assert command(monkeypatch, *arguments(clips, judges, tmp_path)) == 0
    for name in ("clips.parquet", "notes.parquet", "summary.json"):
        assert (tmp_path / name).read_bytes() == (done / name).read_bytes()


def test_an_interrupted_run_goes_on_and_ends_the_same(
    done: Path, clips: Path, judges: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCTALK_WORKERS", "1")
    monkeypatch.setattr(folder, "PART", 2)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert command(monkeypatch, *arguments(clips, judges, whole)) == 0
    scored: list[int] = []
    score = folder.score_prepared

    def count(*words: object) -> object:
        if len(scored) == 2:
            raise KeyboardInterrupt
        found = score(*words)  # type: ignore[arg-type]
        scored.append(len(found[0]))
        return found

    monkeypatch.setattr(folder, "score_prepared", count)
    assert command(monkeypatch, *arguments(clips, judges, broken)) != 0
    assert not (broken / "summary.json").exists()
    monkeypatch.setattr(folder, "score_prepared", lambda *words: scored.append(-1) or score(*words))
    monkeypatch.setenv("SYNCTALK_WORKERS", "8")
    assert command(monkeypatch, *arguments(clips, judges, broken)) == 0
    assert scored == [2, 2, -1]
    for file in whole.iterdir():
        assert (broken / file.name).read_bytes() == file.read_bytes(), file.name
    assert {file.name for file in broken.iterdir()} == {file.name for file in whole.iterdir()}
    # parts of two clips have other neighbours for the other sound, and nothing else
    both = [pq.read_table(path / "clips.parquet").drop(["lse_c_other"]) for path in (broken, done)]
    assert both[0].equals(both[1])


def test_only_pictures(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [clips / "made", "--reference", clips / "real", "--no-lse", "-o", tmp_path]
    assert command(monkeypatch, *words) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert set(summary["figures"]) == {"frame_psnr", "frame_psnr_uint8", "frame_ssim"}


@pytest.mark.parametrize(("protocol", "view"), [("lrs", "frame"), ("face", "tracked")])
def test_protocols_of_a_published_judge(
    clips: Path, judges: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, view: str
) -> None:
    words = [clips / "made", "--tracks", clips / "tracks", "--sync", judges / "whole.safetensors"]
    options = ["--protocol", protocol, "--jpeg", "--sync-dtype", "bfloat16"]
    assert command(monkeypatch, *words, *options, "-o", tmp_path) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["setting"]["lse"]["jpeg"], summary["setting"]["lse"]["dtype"]) == (True, "bfloat16")
    assert "in bfloat16 sees" in (tmp_path / "report.html").read_text()
    assert "JPEG frame dump" in (tmp_path / "report.html").read_text()
    assert summary["setting"]["lse"]["sees"] == view
    assert summary["figures"]["lse_d"]["n"] == 5


def wanted(**change: object) -> Wanted:
    plain = Wanted(
        sync=None, protocol=None, observer=None, roi="mean_face", beam=5, max_tokens=10, detector=None,
        detector_params=None, tracks=None,
    )  # fmt: skip
    return replace(plain, **change)  # type: ignore[arg-type]


def test_what_a_judge_cannot_be_is_refused(judges: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="was trained to see mouth"):
        assemble(wanted(sync=judges / "sync.safetensors", protocol="lrs", tracks=tmp_path))
    with pytest.raises(UserError, match="nothing finds them"):
        assemble(wanted(sync=judges / "whole.safetensors", protocol="face"))
    with pytest.raises(UserError, match="is not there"):
        assemble(wanted(sync=judges / "nowhere.safetensors"))


def test_nothing_to_score_by(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = command(monkeypatch, clips / "made", "--no-lse", "-o", tmp_path)
    assert "nothing to score by" in str(message)


def test_a_folder_of_which_nothing_can_be_scored(tmp_path: Path) -> None:
    made = tmp_path / "made.mp4"
    made.write_bytes(b"")
    panel = assemble(wanted())
    matching = Matching((Pair("c", made, None, False, None),), ())
    scored = folder.score_matching(matching, NO_FACES, panel.judges, judged_by=(), wer_name="wer", out=tmp_path)
    assert scored.scores == ()
    assert scored.figures == {}
    assert [note.finding for note in scored.notes] == [ClipFinding.UNREADABLE]


def test_offsets_by_hand() -> None:
    bars = offset_bars([0, 0, -7])
    assert [bar.label for bar in bars] == [str(offset) for offset in range(-7, 6)]
    assert {bar.label: (bar.count, bar.share) for bar in bars if bar.count} == {"0": (2, 1.0), "-7": (1, 0.5)}
