"""The sync judge in training: one clip's windows are told apart, and what it is shown is as it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from overfit import OPTIM, assert_resumes, curve
from tiny import samples
from torch import nn

from synctalk.evaluation.judges.syncnet import sync_embeddings
from synctalk.features.syncnet_input import judge_pictures, stored_pictures
from synctalk.models.sync_scorer import SyncScorer
from synctalk.models.syncnet import SyncNet, SyncNetConfig
from synctalk.training.fit import fit
from synctalk.training.syncnet import SyncNetParams, SyncNetTask, vary_audio, vary_pictures

MODEL = SyncNetConfig(
    image_size=32, in_channels=1, lip_widths=(4, 8, 8, 8, 8, 16), audio_widths=(4, 8, 8, 8, 8, 16), d_hidden=16,
    d_embedding=16,
)  # fmt: skip
PARAMS = SyncNetParams(
    checkpoint="", view="mouth", model=MODEL, corpora=("lrs2",), clip_frames=16, max_shift=5, augment=False, optim=OPTIM
)


def test_the_windows_of_one_clip_are_told_apart(tmp_path: Path) -> None:
    torch.manual_seed(0)
    cache, model = samples(tmp_path / "shards", 1), SyncNet(MODEL)
    # the rate decays, so that the running statistics of the norms catch up with the weights
    params = replace(PARAMS, optim=replace(OPTIM, steps=120, decay="cosine", final_lr_ratio=0.02))
    state = fit(SyncNetTask(model, cache, params, seed=0), folder=tmp_path, label="test")
    losses, accuracies = curve(state, "offset"), curve(state, "accuracy")
    # chance is the log of 6 to 11 shifts
    assert 1.8 < losses[0] < 3.5
    assert np.mean(losses[-2:]) < losses[0] / 2
    assert np.mean(accuracies[-2:]) > 0.6 > accuracies[0]
    assert not model.training
    found = sync_embeddings(SyncScorer(model), judge_pictures(cache[0].mouth, MODEL), cache[0].mfcc, 20 * 640)
    place = torch.arange(15)
    far = (place[:, None] - place).abs() > PARAMS.max_shift
    nearest = torch.cdist(found.lip, found.audio).masked_fill(far, torch.inf).argmin(-1)
    print((nearest == place).float().mean())
    assert float((nearest == place).float().mean()) > 0.6


@pytest.mark.parametrize("cut_at", [2, 5])
def test_a_run_that_is_cut_off_ends_with_the_same_bits(tmp_path: Path, cut_at: int) -> None:
    cache = samples(tmp_path / "shards", 3)
    params = replace(PARAMS, augment=True, optim=replace(OPTIM, steps=6, batch_clips=2))

    def train(folder: Path) -> nn.Module:
        torch.manual_seed(0)
        model = SyncNet(MODEL)
        fit(SyncNetTask(model, cache, params, seed=2), folder=folder, label="test")
        return model

    assert_resumes(train, tmp_path, cut_at)


def test_clips_that_are_too_short_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = samples(tmp_path / "shards", 4)  # 20, 22, 24 and 26 frames
    taken = []
    real = stored_pictures

    def note(sample: object, view: object) -> np.ndarray:
        taken.append(sample.row.n_frames)
        return real(sample, view)

    monkeypatch.setattr("synctalk.training.syncnet.stored_pictures", note)
    params = replace(PARAMS, clip_frames=24, optim=replace(OPTIM, steps=4))
    fit(SyncNetTask(SyncNet(MODEL), cache, params, seed=0), folder=tmp_path, label="test")
    assert sorted(taken) == [24, 24, 26, 26]


def test_pictures_are_grey_or_bgr_of_the_judges_size() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    colour = judge_pictures(rgb, replace(MODEL, in_channels=3))
    np.testing.assert_array_equal(colour, rgb[..., ::-1].transpose(0, 3, 1, 2))
    grey = judge_pictures(rgb, MODEL)
    np.testing.assert_allclose(grey[:, 0], rgb @ np.array([0.299, 0.587, 0.114]), atol=1)
    np.testing.assert_array_equal(judge_pictures(grey[:, 0], MODEL), grey)
    large = judge_pictures(rgb, replace(MODEL, image_size=48, in_channels=3))
    assert large.shape == (3, 3, 48, 48)
    np.testing.assert_array_equal(large[1, 2], cv2.resize(rgb[1], (48, 48))[..., 0])


def test_views_that_shards_hold(tmp_path: Path) -> None:
    sample = samples(tmp_path, 1)[0]
    assert stored_pictures(sample, "mouth").shape == (20, 32, 32)
    assert stored_pictures(sample, "face").shape == (20, 96, 96, 3)
    with pytest.raises(ValueError, match="give a checkpoint, or train on face or mouth"):
        stored_pictures(sample, "frame")


@pytest.mark.parametrize("seed", range(6))
def test_all_frames_of_a_clip_are_varied_alike(seed: int) -> None:
    y, x = np.mgrid[:32, :32]
    still = np.repeat(((4 * x + 2 * y) % 256).astype(np.uint8)[None], 6, axis=0)
    varied = vary_pictures(still, np.random.default_rng(seed))
    assert varied.dtype == np.uint8
    assert varied.shape == still.shape
    assert not np.array_equal(varied, still)
    # what differs between frames is noise: of a deviation of 6 levels at most, and nothing that stays
    difference = varied[1:].astype(float) - varied[0]
    assert difference.std() < 6 * 2**0.5 + 0.5
    assert abs(difference.mean()) < 1
    np.testing.assert_array_equal(varied, vary_pictures(still, np.random.default_rng(seed)))


def test_varied_sound_keeps_its_course() -> None:
    mfcc = np.outer(np.arange(13), np.sin(np.arange(80))).astype(np.float32) * 10
    varied = vary_audio(mfcc, np.random.default_rng(0))
    assert varied.dtype == np.float32
    assert varied.shape == mfcc.shape
    change = varied - mfcc
    # a constant for each cepstrum, and noise of a deviation of 2.5 at most
    assert (change.std(axis=1) < 3).all()
    assert change.mean(axis=1).std() > 1
