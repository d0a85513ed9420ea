"""Table 2's figures by construction: encodings whose distances are known, and words whose edits are counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor
from training.tiny import CROP, SENTENCES, reader, samples, tokenizer

from synctalk.evaluation.judges import readers
from synctalk.evaluation.judges.readers import (
    ReaderScore,
    alignment_figures,
    reader_figures,
    score_reader,
    write_readings,
)
from synctalk.models.beam_search import BeamConfig


class PlantedReader(torch.nn.Module):
    """Encodes frame t as a level: t from the sound, `seen(t)` from the lips."""

    def __init__(self, seen: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.seen = seen

    def encode(self, audio: Tensor | None, video: Tensor | None) -> Tensor:
        n_frames = video.shape[2] if audio is None and video is not None else audio.shape[1]
        level = torch.arange(n_frames, dtype=torch.float32)
        return (level if video is None else self.seen(level))[None, :, None].expand(1, n_frames, 6)

    def comparable(self, encoding: Tensor) -> Tensor:
        return encoding


def test_a_constant_distance_by_hand(tmp_path: Path) -> None:
    figures = alignment_figures(PlantedReader(lambda level: level + 0.25), samples(tmp_path, 2), CROP)
    assert figures["paired_l1"] == pytest.approx([0.25, 0.25])
    assert figures["retrieval"] == [1.0, 1.0]
    # over ordered pairs, |i - j + 1/4| averages to the mean of |i - j|, which is (n + 1) / 3
    assert figures["unpaired_l1"] == pytest.approx([21 / 3, 23 / 3], rel=1e-5)


def test_sound_that_leads_the_lips_by_a_frame_finds_its_own_at_both_ends_only(tmp_path: Path) -> None:
    figures = alignment_figures(PlantedReader(lambda level: (level - 1).clamp(min=0)), samples(tmp_path, 1), CROP)
    # of frames 0 to 19 the first is held by the lips, and the last has nothing nearer
    assert figures["retrieval"] == pytest.approx([2 / 20])
    assert figures["paired_l1"] == pytest.approx([19 / 20])


def test_the_distance_is_taken_after_the_convolution(tmp_path: Path) -> None:
    torch.manual_seed(0)
    cache, model = samples(tmp_path, 1), reader("conv")
    plain = alignment_figures(model, cache, CROP)["unpaired_l1"]
    model.comparable = torch.zeros_like
    assert alignment_figures(model, cache, CROP)["unpaired_l1"] == [0.0]
    assert plain[0] > 0


def test_wer_is_edits_over_words_in_percent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = samples(tmp_path, 2)
    said = [row.transcript for row in cache.shards.rows]
    assert said == list(SENTENCES[:2])
    monkeypatch.setattr(readers, "read_lips", lambda *_: ["bin blue at f", "lay red by q two soon soon"])
    beam = BeamConfig(beam=1, max_len_b=4, max_len_a=0.0)
    pieces = tokenizer()
    readings = score_reader(reader(vocabulary=len(pieces)), pieces, cache, crop=CROP, beam=beam)
    assert [(one.edits, one.n_words) for one in readings] == [(2, 6), (2, 6)]
    figures = reader_figures(readings)
    # two words lost, then one wrong and one too many
    assert figures["wer"]["value"] == pytest.approx(100 * 4 / 12)
    assert figures["wer"]["n"] == 2
    per_clip = alignment_figures(reader(vocabulary=len(pieces)), cache, CROP)
    assert set(figures) == {"wer", *per_clip}
    assert figures["retrieval"]["low"] <= figures["retrieval"]["value"] <= figures["retrieval"]["high"]
    assert np.isfinite(figures["paired_l1"]["value"])


def test_readings_are_kept_clip_by_clip_and_a_reader_without_sound_has_no_alignment(tmp_path: Path) -> None:
    readings = [
        ReaderScore("a", 1, 2, None, None, None, "bin blue", "bin"),
        ReaderScore("b", 0, 1, *[None] * 3, "at", "at"),
    ]
    write_readings(tmp_path / "readings.parquet", readings)
    assert pq.read_table(tmp_path / "readings.parquet").to_pylist() == [vars(one) for one in readings]
    assert set(reader_figures(readings)) == {"wer"}
