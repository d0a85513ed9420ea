"""SyncNet as it scores, against the network window by window and against the peer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from parity import assert_same_network, filled, formula, reference
from torch import Tensor

from synctalk.metrics.lse import lse
from synctalk.models import sync_scorer
from synctalk.models.sync_scorer import SyncScorer
from synctalk.models.syncnet import SyncNet, SyncNetConfig, audio_windows, n_windows

SMALL = SyncNetConfig(
    image_size=48, in_channels=1, lip_widths=(4, 4, 4, 4, 4, 8), audio_widths=(4, 4, 4, 4, 4, 8), d_hidden=8,
    d_embedding=16,
)  # fmt: skip
SAME_DISTANCES = 5e-7
"""Largest difference of mean distances from those of the plain network, as a share of them."""


@pytest.fixture(scope="module")
def syncnet(shared: Path) -> SyncNet:
    return filled(SyncNet(SyncNetConfig()), shared, "syncnet_v2")


def small(seed: int = 0) -> SyncNet:
    """With norms that do something."""
    torch.manual_seed(seed)
    model = SyncNet(SMALL)
    model.train()(20 * torch.randn(8, 1, 5, 48, 48), torch.randn(8, 1, 13, 20))
    return model.eval()


def window_by_window(model: SyncNet, frames: Tensor, mfcc: Tensor, n_samples: int) -> tuple[Tensor, Tensor]:
    """As the released scorer runs the network: 3-D convolutions over every window's own five frames."""
    n = n_windows(len(frames), n_samples)
    lips = torch.stack([frames[i : i + 5].transpose(0, 1) for i in range(n)]).float()
    with torch.no_grad():
        return model.embed_lips(lips), model.embed_audio(audio_windows(mfcc.float(), 0, n))


@pytest.mark.parametrize("clip", ["mix", "speech"])
def test_windows_of_a_clip_are_the_peers(shared: Path, syncnet: SyncNet, clip: str) -> None:
    """The first 20 windows; each is embedded by itself."""
    theirs = reference(shared, "syncnet")
    mfcc = torch.from_numpy(theirs[f"{clip}.mfcc"])
    frames = torch.from_numpy(formula(shared).video(25, 224, 224)).permute(0, 3, 1, 2)
    lips, audio = SyncScorer(syncnet).embed(frames, mfcc, 25 * 640)
    assert_same_network(lips[:, ::16], theirs[f"{clip}.im_feat"][:20])
    assert_same_network(audio[:, ::16], theirs[f"{clip}.cc_feat"][:20])


def test_distances_are_those_of_the_plain_network(shared: Path, syncnet: SyncNet) -> None:
    theirs = reference(shared, "syncnet")
    frames = torch.from_numpy(formula(shared).video(24, 224, 224)).permute(0, 3, 1, 2)
    mfcc = torch.from_numpy(theirs["mix.mfcc"])
    plain = lse(*window_by_window(syncnet, frames, mfcc, 24 * 640))
    folded = lse(*SyncScorer(syncnet).embed(frames, mfcc, 24 * 640))
    assert folded.offset == plain.offset
    torch.testing.assert_close(folded.mean_distances, plain.mean_distances, rtol=SAME_DISTANCES, atol=0)


@pytest.mark.parametrize("n_frames", [6, 7, 20, 21, 22, 40])
def test_every_window_is_embedded_wherever_a_chunk_ends(monkeypatch: pytest.MonkeyPatch, n_frames: int) -> None:
    monkeypatch.setattr(sync_scorer, "CPU_CHUNK", 5)
    model = small()
    frames = torch.randint(0, 256, (n_frames, 1, 48, 48), dtype=torch.uint8)
    mfcc = torch.randn(13, 4 * n_frames)
    expected = window_by_window(model, frames, mfcc, n_frames * 640)
    found = SyncScorer(model).embed(frames, mfcc, n_frames * 640)
    assert len(found[0]) == len(found[1]) == n_frames - 5
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_shorter_sound_ends_a_clip() -> None:
    model = small()
    frames, mfcc = torch.rand(14, 1, 48, 48), torch.rand(13, 40)
    found = SyncScorer(model).embed(frames, mfcc, 10 * 640 + 639)
    assert len(found[0]) == n_windows(14, 10 * 640 + 639) == 5
    torch.testing.assert_close(found, window_by_window(model, frames, mfcc, 10 * 640), rtol=1e-4, atol=1e-4)


def test_pictures_are_asked_for_as_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than a chunk and the frames that its windows reach over are held at a time."""
    monkeypatch.setattr(sync_scorer, "CPU_CHUNK", 4)
    alive, most = 0, 0

    class Counted(Tensor):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def pictures() -> Iterator[Tensor]:
        nonlocal alive, most
        for _ in range(50):
            alive += 1
            most = max(most, alive)
            yield torch.rand(1, 48, 48).as_subclass(Counted)

    scorer = SyncScorer(small())
    monkeypatch.setattr(scorer, "embed_lips", lambda frames: torch.zeros(len(frames) - 4, 16))
    monkeypatch.setattr(sync_scorer.torch, "stack", lambda frames: torch.zeros(len(frames), 1, 48, 48))
    assert len(scorer.embed(pictures(), torch.rand(13, 200), 50 * 640)[0]) == 45
    assert most <= 4 + 5 + 1


def test_bfloat16_is_near(shared: Path, syncnet: SyncNet) -> None:
    theirs = reference(shared, "syncnet")
    frames = torch.from_numpy(formula(shared).video(10, 224, 224)).permute(0, 3, 1, 2)
    mfcc = torch.from_numpy(theirs["mix.mfcc"])
    whole, half = (SyncScorer(syncnet, dtype).embed(frames, mfcc, 10 * 640) for dtype in ("float32", "bfloat16"))
    torch.testing.assert_close(half[1], whole[1], rtol=0, atol=0)
    assert half[0].dtype == torch.float32
    relative = (half[0] - whole[0]).norm() / whole[0].norm()
    assert 1e-5 < relative < 2e-2
    torch.testing.assert_close(lse(*half).mean_distances, lse(*whole).mean_distances, rtol=2e-3, atol=0)


def test_the_network_stays_as_it_was() -> None:
    model = small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    scorer = SyncScorer(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    ours, theirs = ({parameter.data_ptr() for parameter in network.parameters()} for network in (scorer, model))
    assert not ours & theirs


def test_a_clip_without_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="no window"):
        SyncScorer(small()).embed(torch.rand(5, 1, 48, 48), torch.rand(13, 20), 3200)
