"""The networks and features that the benchmarks compare with are what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from parity import peer_keys

from benchmarks.peer_data import S3FD, librosa_mel
from synctalk.features import mel_spectrogram


def test_s3fd_has_the_keys_and_shapes_of_the_published_file(shared: Path) -> None:
    found = {key: list(value.shape) for key, value in S3FD().state_dict().items()}
    assert found == peer_keys(shared, "s3fd_619a316812")


def test_s3fd_looks_at_a_frame_on_six_scales() -> None:
    with torch.no_grad():
        found = S3FD()(torch.zeros(1, 3, 64, 96))
    assert [tuple(scores.shape[2:]) for scores, _ in found] == [(16, 24), (8, 12), (4, 6), (6, 7), (3, 4), (2, 2)]
    assert all(scores.shape[1] == 2 and offsets.shape[1] == 4 for scores, offsets in found)
    assert all(torch.isfinite(scores).all() and scores.std() > 0 for scores, _ in found)


@pytest.mark.parametrize("n_samples", [500, 48_000])
def test_the_peers_mel_spectrogram_is_ours(n_samples: int) -> None:
    pcm = (np.random.default_rng(n_samples).standard_normal(n_samples) * 3000).astype(np.int16)
    np.testing.assert_allclose(librosa_mel(pcm), mel_spectrogram(pcm), atol=1e-4)
