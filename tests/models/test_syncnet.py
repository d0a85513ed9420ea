from __future__ import annotations

from pathlib import Path

import pytest
import torch
from parity import assert_same_network, filled, normal, reference, uniform

from synctalk.models.syncnet import SyncNet, SyncNetConfig, audio_windows, n_windows

SMALL = SyncNetConfig(
    image_size=48,
    in_channels=1,
    lip_widths=(4, 4, 4, 4, 4, 8),
    audio_widths=(4, 4, 4, 4, 4, 8),
    d_hidden=8,
    d_embedding=16,
)


@pytest.fixture(scope="module")
def syncnet(shared: Path) -> SyncNet:
    return filled(SyncNet(SyncNetConfig()), shared, "syncnet_v2")


def test_embeddings_are_the_peers(shared: Path, syncnet: SyncNet) -> None:
    theirs = reference(shared, "syncnet")
    lips = uniform(shared, "syncnet.lip", 3, 3, 5, 224, 224) * 255
    with torch.no_grad():
        assert_same_network(syncnet.lip_features(lips), theirs["lip_feat"])
        assert_same_network(syncnet.embed_lips(lips), theirs["lip_out"])
        assert_same_network(syncnet.embed_audio(normal(shared, "syncnet.aud", 3, 1, 13, 20) * 10), theirs["aud_out"])


def test_parameters_of_the_released_size() -> None:
    with torch.device("meta"):
        model = SyncNet(SyncNetConfig())
    assert sum(p.numel() for p in model.parameters()) == 13_631_616


@pytest.mark.parametrize("size", [32, 48, 80, 96, 112, 224])
def test_any_image_size(size: int) -> None:
    config = SyncNetConfig(
        image_size=size, in_channels=1, lip_widths=(2,) * 6, audio_widths=(2,) * 6, d_hidden=4, d_embedding=8
    )
    lips, audio = SyncNet(config).eval()(torch.rand(2, 1, 5, size, size), torch.rand(2, 1, 13, 20))
    assert lips.shape == audio.shape == (2, 8)


def test_an_image_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot see images of 8 pixels"):
        SyncNet(SyncNetConfig(image_size=8))


def test_a_track_gives_the_embeddings_of_its_windows() -> None:
    torch.manual_seed(0)
    model = SyncNet(SMALL).eval()
    frames = torch.rand(9, 1, 48, 48)
    windows = torch.stack([frames[i : i + 5].transpose(0, 1) for i in range(5)])
    torch.testing.assert_close(model.embed_lip_track(frames.transpose(0, 1)[None])[0], model.embed_lips(windows))


def test_an_audio_window_starts_with_its_frame() -> None:
    mfcc = torch.arange(40.0).expand(13, 40)
    windows = audio_windows(mfcc, 2, 5)
    assert windows.shape == (3, 1, 13, 20)
    assert windows[0, 0, 0].tolist() == list(range(8, 28))
    assert windows[2, 0, 12].tolist() == list(range(16, 36))


@pytest.mark.parametrize(
    ("n_frames", "n_samples", "expected"), [(60, 38400, 55), (95, 57249, 84), (5, 64000, 0), (3, 99999, 0)]
)
def test_number_of_windows(n_frames: int, n_samples: int, expected: int) -> None:
    assert n_windows(n_frames, n_samples) == expected
