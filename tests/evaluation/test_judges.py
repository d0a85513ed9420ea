"""The judges' views: planted shifts are found, and a clip is read the same whatever stands beside it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from footage import MOUTH, waves
from torch import Tensor
from training.tiny import CROP, SENTENCES, reader, tokenizer

from synctalk.evaluation.judges import lip_reader
from synctalk.evaluation.judges.lip_reader import read_batches, read_lips
from synctalk.evaluation.judges.syncnet import SyncEmbeddings, judge_sync, sync_embeddings
from synctalk.features.roi_input import roi_input
from synctalk.models.beam_search import BeamConfig, beam_search, kept_bytes
from synctalk.models.lip_reader import EOS, LipReaderConfig
from synctalk.models.sync_scorer import SyncScorer
from synctalk.models.syncnet import SyncNet, SyncNetConfig, audio_windows

SMALL = SyncNetConfig(
    image_size=48, in_channels=1, lip_widths=(4,) * 6, audio_widths=(4,) * 6, d_hidden=8, d_embedding=16
)
BEAM = BeamConfig(beam=2, length_penalty=1.0, max_len_a=0.0, max_len_b=6, max_tokens=6)


def test_embeddings_are_the_networks_of_each_window_by_itself() -> None:
    torch.manual_seed(0)
    model = SyncNet(SMALL).eval()
    pictures = waves(12, 0)[:, :48, :48, 0][:, None].copy()
    mfcc = np.random.default_rng(0).normal(size=(13, 47)).astype(np.float32)
    found = sync_embeddings(SyncScorer(model), pictures, mfcc, 12 * 640)
    windows = torch.stack([torch.from_numpy(pictures[i : i + 5, 0])[None].float() for i in range(7)])
    with torch.no_grad():
        torch.testing.assert_close(found.lip, model.embed_lips(windows), atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(
            found.audio, model.embed_audio(audio_windows(torch.from_numpy(mfcc), 0, 7)), atol=1e-4, rtol=1e-3
        )


def test_a_clip_without_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="3200 samples hold no window"):
        sync_embeddings(
            SyncScorer(SyncNet(SMALL)), np.zeros((5, 1, 48, 48), np.uint8), np.zeros((13, 20), np.float32), 3200
        )


@pytest.mark.parametrize("shift", [-3, 0, 4])
def test_planted_shifts_are_found_in_the_windows_that_both_have(shift: int) -> None:
    track = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    lips = SyncEmbeddings(lip=track[10:40], audio=torch.zeros(30, 8))
    sound = SyncEmbeddings(lip=torch.zeros(45, 8), audio=track[10 + shift : 55 + shift])
    # the sound of window i is that of lip window i + shift
    assert judge_sync(lips, sound).offset == shift
    assert judge_sync(lips, sound).frame_confidence.shape == (30,)


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_clips_are_read_in_the_order_given_and_padding_is_not_read(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    torch.manual_seed(1)
    pieces, lengths = tokenizer(), (9, 20, 7, 12)
    model = reader(vocabulary=len(pieces))
    seen: dict[int, Tensor] = {}

    def search(_model: object, encoding: Tensor, padding: Tensor, _beam: object) -> list[list[SimpleNamespace]]:
        """Reads the sentence that belongs to the clip's length."""
        found = []
        for row, hidden in zip(encoding, padding, strict=True):
            real = row[~hidden]
            seen[len(real)] = real
            tokens = torch.tensor(pieces.encode(SENTENCES[lengths.index(len(real))]))
            found.append([SimpleNamespace(tokens=tokens)])
        return found

    monkeypatch.setattr(lip_reader, "beam_search", search)
    monkeypatch.setattr(lip_reader, "READ_BATCH", batch)
    mouths = [waves(n, seed)[:, :MOUTH, :MOUTH, 0].copy() for seed, n in enumerate(lengths)]
    assert read_lips(model, pieces, mouths, CROP, BEAM) == list(SENTENCES)
    for mouth in mouths:
        video = torch.from_numpy(roi_input(mouth, CROP))[None, None]
        with torch.no_grad():
            torch.testing.assert_close(seen[len(mouth)], model.encode(None, video)[0], atol=1e-4, rtol=1e-3)


def test_batches_of_the_large_net_keep_two_gigabytes_at_most() -> None:
    """9 layers, 1,024 channels, beam 50: 3.7 MB a token, so 401 tokens are 1.48 GB and 101 are 0.37 GB."""
    released = BeamConfig()
    assert kept_bytes(LipReaderConfig(), released, 400) == 2 * 4 * 9 * 1024 * 50 * 401
    lengths = [400] * 3 + [100] * 12 + [20] * 40
    batches = read_batches(lengths, LipReaderConfig(), released)
    assert sorted(number for batch in batches for number in batch) == list(range(55))
    assert [len(batch) for batch in batches] == [16, 16, 8, 5, 5, 2, 1, 1, 1]
    for batch in batches:
        longest = max(lengths[number] for number in batch)
        assert len(batch) == 1 or len(batch) * kept_bytes(LipReaderConfig(), released, longest) <= lip_reader.READ_BYTES


def test_kept_bytes_are_those_of_the_search() -> None:
    torch.manual_seed(0)
    model = reader(vocabulary=12)
    beam = BeamConfig(beam=3, max_len_a=0.0, max_len_b=5)
    kept = []
    step = model.decoder.step

    def watched(*given: Any) -> Any:
        logits, past = step(*given)
        kept.append(sum(keys.nbytes + values.nbytes for keys, values in past))
        return logits, past

    model.decoder.step = watched
    beam_search(model, torch.randn(1, 9, model.config.encoder.d_model), None, beam)
    assert max(kept) == kept_bytes(model.config, beam, 9)


def test_the_best_hypothesis_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = tokenizer()
    best, second = (pieces.encode(text) for text in ("bin blue", "lay red"))

    def search(_model: object, _encoding: object, padding: Tensor, _beam: object) -> list[list[SimpleNamespace]]:
        ranked = [SimpleNamespace(tokens=torch.tensor(tokens)) for tokens in (best, second)]
        return [ranked for _ in padding]

    monkeypatch.setattr(lip_reader, "beam_search", search)
    mouth = waves(8, 0)[:, :MOUTH, :MOUTH, 0].copy()
    assert best[-1] == EOS
    assert read_lips(reader(vocabulary=len(pieces)), pieces, [mouth], CROP, BEAM) == ["bin blue"]
