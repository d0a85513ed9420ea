from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from parity import assert_close, reference

from synctalk.models.masking import draw_span_masks, replacement_frames, runs, span_mask


@pytest.mark.parametrize(("prob", "length"), [(0.3, 5), (0.65, 10), (0.8, 10)])
@pytest.mark.parametrize("width", [50, 100, 200, 400])
def test_masks_of_a_seed_are_the_peers(shared: Path, prob: float, length: int, width: int) -> None:
    theirs = reference(shared, "avhubert_mask")[f"p{prob}_l{length}_T{width}"]
    rng = np.random.RandomState(7)
    rows = np.concatenate(
        [span_mask(np.full(4, width), width, prob=prob, length=length, rng=rng, padded=False) for _ in range(300)]
    )
    share = rows.mean(1)
    lengths = [[end - start for start, end in runs(row)] for row in rows]
    flat = np.concatenate(lengths)
    n_runs = np.mean([len(row) for row in lengths])
    ours = [share.mean(), share.std(), share.min(), share.max(), n_runs, flat.mean(), flat.min(), flat.max()]
    assert_close(ours, theirs, 1e-9)


@pytest.mark.parametrize(("prob", "length"), [(0.3, 5), (0.8, 10)])
def test_padded_masks_of_a_seed_are_the_peers(shared: Path, prob: float, length: int) -> None:
    theirs = reference(shared, "avhubert_mask")[f"padded_p{prob}_l{length}"]
    rng = np.random.RandomState(7)
    masks = np.stack([span_mask(np.array([100, 60]), 100, prob=prob, length=length, rng=rng) for _ in range(500)])
    n_masked = masks.sum(2)
    assert_close([n_masked.mean(), n_masked.std(), masks[:, 1, 60:].sum()], theirs, 1e-9)
    assert masks[:, 1, 60:].sum() == 0


@pytest.mark.parametrize("seed", range(20))
def test_what_a_batch_shows_follows_the_draws_of_the_peer(seed: int) -> None:
    """The peer draws the video's spans, then what each run of them shows, row by row, then the audio's spans."""
    n_frames = np.array([40, 23, 9])
    masks = draw_span_masks(n_frames, 40, audio=(0.8, 10), video=(0.3, 5), rng=np.random.RandomState(seed))
    rng = np.random.RandomState(seed)
    video = span_mask(n_frames, 40, prob=0.3, length=5, rng=rng)
    shown = np.tile(np.arange(40), (3, 1))
    for row in range(3):
        start = 0
        while start < 40:
            end = start
            while end < 40 and video[row, end]:
                end += 1
            length = end - start
            if length:
                allowed = [frame for frame in range(40) if not start - length <= frame < end]
                first = int(rng.choice(allowed, size=1)[0])
                shown[row, start:end] = [min(first + place, 39) for place in range(length)]
            start = end + 1
    assert (masks.video.numpy() == video).all()
    assert (masks.shown_frames.numpy() == shown).all()
    assert (masks.audio.numpy() == span_mask(n_frames, 40, prob=0.8, length=10, rng=rng)).all()


def test_runs_by_hand() -> None:
    assert runs(np.array([1, 1, 0, 0, 1, 0, 1], dtype=bool)) == [(0, 2), (4, 5), (6, 7)]
    assert runs(np.zeros(4, dtype=bool)) == []


def test_masked_frames_show_a_run_from_elsewhere() -> None:
    mask = np.zeros((2, 30), dtype=bool)
    mask[0, 10:14] = True
    mask[1, 28:] = True
    shown = replacement_frames(mask, np.random.default_rng(0))
    assert (shown[~mask] == np.broadcast_to(np.arange(30), (2, 30))[~mask]).all()
    assert (np.diff(shown[0, 10:14]).clip(0) <= 1).all()
    assert not set(shown[0, 10:14]) & set(range(10, 14))
    assert shown.max() <= 29


@pytest.mark.parametrize("n_frames", [1, 2, 3, 11])
def test_clips_shorter_than_the_spans(n_frames: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        mask = span_mask(np.array([n_frames, 40]), 40, prob=0.8, length=10, rng=rng)
        assert not mask[0, n_frames:].any()
        assert mask[0].sum() == mask[1].sum()


def test_probability_zero_masks_nothing() -> None:
    masks = draw_span_masks(np.array([20, 12]), 20, audio=(0.0, 10), video=(0.0, 5), rng=np.random.default_rng(0))
    assert not masks.union.any()
    assert (masks.shown_frames.numpy() == np.arange(20)).all()
