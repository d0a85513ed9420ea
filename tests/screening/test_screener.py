"""What the net that screens is trained on, and that a run which was cut off goes on with it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synctalk.corpora.records import Clip, ClipTable, write_clips
from synctalk.errors import UserError
from synctalk.features import mfcc
from synctalk.media import read_audio
from synctalk.media.write import write_audio
from synctalk.params.read import load
from synctalk.parquet import write_table
from synctalk.runtime.parts import part_path
from synctalk.screening.params import ScreenerParams
from synctalk.screening.screener import Source, chosen, train_screener, training_samples
from synctalk.shards.mosaic import encode_mosaic
from synctalk.shards.read import ShardSet
from synctalk.shards.records import CROP_SCHEMA, Crop, crop_to_row
from synctalk.timebase import n_samples

START = 5
MAX_CLIPS = 4


def tiny(**changes: object) -> ScreenerParams:
    params = load("screener", ScreenerParams, Path(__file__).parents[2] / "params.yaml")
    model = replace(params.net.model, lip_widths=(4,) * 6, audio_widths=(4,) * 6, d_hidden=4, d_embedding=4)
    optim = replace(params.net.optim, steps=2, batch_clips=2, warmup_steps=1)
    net = replace(params.net, model=model, optim=optim, corpora=("small",), clip_frames=12, max_shift=3, **changes)
    return replace(params, net=net, max_clips=MAX_CLIPS)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Twelve clips of 12 frames in two parts: every third is a frame too short, the last three are not to train on."""
    rng = np.random.default_rng(0)
    clips, rows = [], []
    for number in range(12):
        name, n = f"clip{number:02d}", 11 if number % 3 == 2 else 12
        split = "pretrain" if number < 4 else "train" if number < 9 else "val" if number == 9 else "test"
        clips.append(Clip(id=name, speaker="s", split=split, video="v.mp4", audio=f"{name}.wav", transcript=""))
        write_audio(tmp_path / f"{name}.wav", rng.integers(-3000, 3000, n_samples(30)).astype(np.int16))
        mouths = rng.integers(0, 256, (n, 48, 48)).astype(np.uint8)
        boxes, transforms = np.zeros((n, 4), np.int32), np.zeros((n, 2, 3), np.float32)
        crop = Crop(name, name, START, START, n, 100, 100, boxes, transforms, b"", encode_mosaic(mouths, 95))
        rows.append(crop_to_row(crop))
    write_clips(tmp_path / "clips.parquet", clips)
    for number, part in enumerate((rows[:7], rows[7:])):
        write_table(part_path(tmp_path / "crops", number), part, CROP_SCHEMA)
    return Source(tmp_path, ClipTable(tmp_path / "clips.parquet"), tmp_path / "crops")


def test_clips_are_evenly_spread_over_those_of_training_splits_that_are_long_enough(source: Source) -> None:
    everything = [(part, name) for part, name, _ in chosen(source, 12, 99)]
    assert everything == [(0, "clip00"), (0, "clip01"), (0, "clip03"), (0, "clip04"), (0, "clip06"), (1, "clip07")]
    assert [name for _, name, _ in chosen(source, 12, 3)] == ["clip00", "clip03", "clip06"]
    assert [name for _, name, _ in chosen(source, 11, 99)] == [f"clip{number:02d}" for number in range(9)]


def test_samples_are_the_crops_with_the_sound_beside_them(source: Source) -> None:
    samples = list(training_samples(source, chosen(source, 12, 99), "mouth"))
    assert [crop.id for _, crop, _ in samples] == ["clip00", "clip01", "clip03", "clip04", "clip06", "clip07"]
    clip, crop, found = samples[2]
    pcm = read_audio(source.root / clip.audio, 0.0)[n_samples(START) :][: n_samples(12)]
    stored = np.load(io.BytesIO(found["mfcc"]))
    assert stored.shape == (13, 48)
    # the last two hear what comes after the clip, or silence
    np.testing.assert_array_equal(stored[:, :46], mfcc(pcm).astype(np.float32)[:, :46])
    assert crop.mouth
    assert not crop.faces


def test_a_view_that_the_crops_do_not_hold_is_one_line(source: Source) -> None:
    with pytest.raises(
        UserError, match=r"^screener\.net\.view: face: clip00 has none; add it to corpora\.<name>\.members$"
    ):
        list(training_samples(source, chosen(source, 12, 99), "face"))


def test_corpora_without_a_clip_to_train_on_are_one_line(source: Source, tmp_path: Path) -> None:
    params = tiny()
    params = replace(params, net=replace(params.net, clip_frames=13))
    with pytest.raises(
        UserError, match=r"no clip of small is of a training split and has 13 frames; name others, give"
    ):
        train_screener({"small": source}, params, tmp_path / "scratch")


def test_a_run_that_was_killed_while_it_packed_packs_anew_and_ends_with_the_same_bits(
    source: Source, tmp_path: Path
) -> None:
    whole, state = train_screener({"small": source}, tiny(), tmp_path / "whole")
    assert len(ShardSet([tmp_path / "whole" / "small"], ["pretrain", "train"])) == MAX_CLIPS
    assert [step for step, name, _ in state.curves if name == "offset"] == [0, 1]
    left = tmp_path / "cut" / "small"
    left.mkdir(parents=True)
    (left / "pretrain-00000.tar").write_bytes(b"half a shard")
    again, _ = train_screener({"small": source}, tiny(), tmp_path / "cut")
    for name, weights in whole.state_dict().items():
        assert torch.equal(weights, again.state_dict()[name]), name
