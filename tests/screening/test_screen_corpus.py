"""A corpus through the screening and on to shards, by a net whose verdict is known: clips whose sound was moved by so
many frames are found with that offset, kept, moved back or dropped as params say.

Mouths flicker and sound swells by one code of random levels, a level a frame; the net compares level with level.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from synctalk.corpora.records import Clip, ClipTable, read_rejected, read_table, write_clips, write_table
from synctalk.errors import Reason, UserError
from synctalk.evaluation.judges import SyncEmbeddings
from synctalk.features.corpus import extract_corpus
from synctalk.features.pcm import pcm_from
from synctalk.media.write import write_audio
from synctalk.models.syncnet import n_windows
from synctalk.runtime.parts import part_path
from synctalk.screening import corpus as screening_corpus
from synctalk.screening.corpus import screen_corpus
from synctalk.screening.params import ScreenParams
from synctalk.shards.corpus import ShardParams, pack_corpus
from synctalk.shards.mosaic import encode_mosaic
from synctalk.shards.read import ShardSet
from synctalk.shards.records import CROP_SCHEMA, SCREENING_SCHEMA, Crop, crop_to_row
from synctalk.timebase import n_samples

REPAIR = ScreenParams(
    policy="repair", splits=("pretrain", "train"), max_offset_frames=2, max_repair_frames=6, min_confidence=1.5,
    min_windows=16, too_short="keep", min_keep_rate=0.5,
)  # fmt: skip
START, T = 7, 50
"""First frame of every track in its file, and its frames."""
MOVED = {"early-02": 2, "early-03": 3, "early-05": 5, "early-10": 10, "late-03": -3, "late-05": -5, "true": 0}
"""Clip -> frames by which its sound comes early."""
MEMBERS = ("mouth", "fbank", "mfcc", "mel")


def stub(model: object, pictures: np.ndarray, mfcc: np.ndarray, samples: int) -> SyncEmbeddings:
    """Five frames' brightness for the lips, five frames' log energy for the sound."""

    def windows(levels: np.ndarray) -> torch.Tensor:
        normal = torch.from_numpy((levels - levels.mean()) / levels.std()).float()
        return normal.unfold(0, 5, 1)[:n]

    n = n_windows(len(pictures), samples)
    energy = mfcc[0][: len(mfcc[0]) // 4 * 4].reshape(-1, 4).mean(1)
    return SyncEmbeddings(windows(pictures.mean((1, 2, 3))), windows(energy))


def levels(seed: int, n_frames: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1, n_frames)


def sound_of(code: np.ndarray) -> np.ndarray:
    loudness = np.repeat(30 * 10 ** (2 * code), n_samples(1))
    return (loudness * np.random.default_rng(0).standard_normal(len(loudness))).clip(-32768, 32767).astype(np.int16)


def crop_of(name: str, code: np.ndarray) -> Crop:
    mouths = np.repeat((40 + 170 * code).astype(np.uint8), 48 * 48).reshape(-1, 48, 48)
    n = len(code)
    boxes, transforms = np.tile(np.int32([0, 0, 40, 40]), (n, 1)), np.zeros((n, 2, 3), np.float32)
    return Crop(name, name, START, START, n, 100, 100, boxes, transforms, b"", encode_mosaic(mouths, 95))


@dataclass(frozen=True)
class Made:
    """A folder with sound, index and crops in two parts."""

    root: Path
    clips: ClipTable
    crops: Path


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A clip for each entry of `MOVED`; `other` with another clip's sound, `short`, and two of the test split."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(screening_corpus, "sync_embeddings", stub)
    config = SimpleNamespace(image_size=48, in_channels=1)
    monkeypatch.setattr(screening_corpus, "_net", lambda path: SimpleNamespace(config=config))
    (tmp_path / "net").write_bytes(b"stands for the weights")
    rows: dict[str, tuple[str, Crop]] = {}

    def plant(name: str, moved: int, split: str = "train", n_frames: int = T, heard: int = 1) -> None:
        # 20 more frames of sound than there are pictures: what is moved in from there is the clip's own
        pcm = sound_of(np.concatenate([levels(9, START), levels(heard, n_frames), levels(8, 20)]))
        write_audio(tmp_path / f"{name}.wav", pcm_from(pcm, moved))
        rows[name] = split, crop_of(name, levels(1, n_frames))

    for name, moved in MOVED.items():
        plant(name, moved)
    plant("other", 0, heard=2)
    plant("short", 0, n_frames=20)
    plant("test-early-10", 10, "test")
    plant("test-other", 0, "test", heard=2)
    listed = [
        Clip(id=name, speaker="s", split=split, video="v.mp4", audio=f"{name}.wav", transcript="")
        for name, (split, _) in rows.items()
    ]
    write_clips(tmp_path / "clips.parquet", listed)
    crops = [crop_to_row(rows[name][1]) for name in sorted(rows)]
    for number, part in enumerate((crops[:6], crops[6:])):
        write_table(part_path(tmp_path / "crops", number), part, CROP_SCHEMA)
    return Made(tmp_path, ClipTable(tmp_path / "clips.parquet"), tmp_path / "crops")


def screened(made: Made, params: ScreenParams, out: str = "screening") -> tuple[dict[str, dict], dict[str, str]]:
    """Rows by id, and of what was dropped the detail by id."""
    folder = made.root / out
    screen_corpus("test", made.root, made.clips, made.crops, made.root / "net", "mouth", params, folder)
    rows = [row for number in (0, 1) for row in read_table(part_path(folder, number), SCREENING_SCHEMA)]
    rejected = read_rejected(folder / "rejected.parquet")
    assert {row.stage for row in rejected} <= {"screen"}
    assert {row.reason for row in rejected} <= {Reason.OUT_OF_SYNC, Reason.TOO_SHORT}
    assert {row["id"] for row in rows if not row["kept"]} == {row.id for row in rejected}
    return {row["id"]: row for row in rows}, {row.id: row.detail for row in rejected}


def test_every_planted_offset_is_measured_and_what_cannot_be_repaired_is_dropped(made: Made) -> None:
    rows, rejected = screened(made, REPAIR)
    assert {name: rows[name]["offset"] for name in MOVED} == MOVED
    assert min(rows[name]["confidence"] for name in MOVED) > 1.5 > rows["other"]["confidence"]
    assert rejected.keys() == {"early-10", "other"}
    assert rejected["early-10"].startswith("audio 10 frames early (confidence ")
    assert rejected["other"].startswith("confidence 0.")
    starts = {name: rows[name]["audio_start"] - START for name in MOVED}
    assert starts == {
        "early-02": 0, "early-03": -3, "early-05": -5, "early-10": 0, "late-03": 3, "late-05": 5, "true": 0,
    }  # fmt: skip


def test_splits_for_evaluation_are_measured_and_left_alone(made: Made) -> None:
    rows, rejected = screened(made, REPAIR)
    assert (rows["test-early-10"]["offset"], rows["test-early-10"]["audio_start"]) == (10, START)
    assert rows["test-other"]["confidence"] < 1.5
    assert all(rows[name]["kept"] and name not in rejected for name in ("test-early-10", "test-other"))
    everywhere = replace(REPAIR, splits=("train", "test"))
    assert {"test-early-10", "test-other"} <= screened(made, everywhere, "everywhere")[1].keys()


def test_short_clips_are_not_measured_and_kept_or_dropped_as_params_say(made: Made) -> None:
    rows, rejected = screened(made, REPAIR)
    short = rows["short"]
    assert (short["n_windows"], short["offset"], short["confidence"], short["kept"]) == (15, None, None, True)
    assert "short" not in rejected
    _, rejected = screened(made, replace(REPAIR, too_short="reject"), "strict")
    assert rejected["short"] == "15 windows of lips and audio, at least 16 are needed"


def test_rejecting_moves_nothing(made: Made) -> None:
    rows, rejected = screened(made, replace(REPAIR, policy="reject", min_keep_rate=0.4))
    assert rejected.keys() == {"early-03", "early-05", "early-10", "late-03", "late-05", "other"}
    assert {row["audio_start"] for row in rows.values()} == {START}


def test_measuring_drops_and_moves_nothing(made: Made) -> None:
    rows, rejected = screened(made, replace(REPAIR, policy="measure"))
    assert rejected == {}
    assert {name: rows[name]["offset"] for name in MOVED} == MOVED
    assert {row["audio_start"] for row in rows.values()} == {START}


def test_without_screening_nothing_is_measured_and_no_net_is_needed(made: Made) -> None:
    (made.root / "net").unlink()
    rows, rejected = screened(made, replace(REPAIR, policy="off"))
    assert rejected == {}
    assert {(row["offset"], row["kept"], row["audio_start"]) for row in rows.values()} == {(None, True, START)}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_any_number_of_workers_writes_the_same_bytes(made: Made, monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    screened(made, REPAIR, "first")
    monkeypatch.setenv("SYNCTALK_WORKERS", workers)
    screened(made, REPAIR, "again")
    first, again = (
        {path.name: path.read_bytes() for path in (made.root / out).iterdir()} for out in ("first", "again")
    )
    assert len(first) == 3
    assert first == again


def test_repaired_sound_arrives_in_the_shards_as_if_it_had_never_been_moved(made: Made) -> None:
    screened(made, REPAIR)
    screening, features, shards = (made.root / name for name in ("screening", "features", "shards"))
    extract_corpus("test", made.root, made.clips, made.crops, screening, MEMBERS, features)
    pack_corpus("test", made.clips, made.crops, screening, features, ShardParams(max_bytes=10_000_000), shards)
    packed = ShardSet([shards], ["train"])
    samples = {sample.row.id: sample for sample in (packed[number] for number in range(len(packed)))}
    assert samples.keys() == MOVED.keys() - {"early-10"} | {"short"}
    true = samples["true"]
    for name in ("early-03", "early-05", "late-03", "late-05"):
        row = samples[name].row
        assert (row.start, row.audio_start) == (START, START - MOVED[name])
        for kind in ("fbank", "mfcc", "mel"):
            np.testing.assert_array_equal(getattr(samples[name], kind), getattr(true, kind), err_msg=f"{name} {kind}")
    assert not np.array_equal(samples["early-02"].mfcc, true.mfcc)  # within the limits, so left where it was


def test_too_few_clips_in_sync_stop_the_stage_with_the_commonest_reason(made: Made) -> None:
    strict = replace(REPAIR, policy="reject", max_offset_frames=0, max_repair_frames=0, min_keep_rate=0.7)
    with pytest.raises(UserError) as error:
        screened(made, strict)
    assert str(error.value) == (
        "corpus test: only 36% of 11 samples were kept, at least 70% are needed; 7 were dropped for out_of_sync; "
        f"look at {made.root}/screening/rejected.parquet, or lower screen.min_keep_rate"
    )
    assert len(read_rejected(made.root / "screening/rejected.parquet")) == 7
    assert not part_path(made.root / "screening", 0).exists()


def test_a_view_that_the_crops_do_not_hold_is_one_line(made: Made) -> None:
    with pytest.raises(UserError, match=r"screener.net.view: face: early-02 has none; add it to corpora"):
        screen_corpus(
            "test", made.root, made.clips, made.crops, made.root / "net", "face", REPAIR, made.root / "screening"
        )
