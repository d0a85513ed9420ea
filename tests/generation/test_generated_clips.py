"""Whole clips: the sound of a generated video is that of its sample, also where screening moved it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation.footage import START, noise, real_videos
from training.tiny import GENERATOR, reader

from synctalk.generation.corpus import GenerateParams, generate_clip
from synctalk.media import probe, read_audio
from synctalk.models.synctalklip import SyncTalklip

PARAMS = GenerateParams(batch_frames=64, crf=18, preset="ultrafast")


@pytest.mark.parametrize("audio_start", [START, START - 3, START + 1])
def test_a_generated_clip_has_the_sound_of_its_sample(tmp_path: Path, audio_start: int) -> None:
    torch.manual_seed(0)
    model = SyncTalklip(GENERATOR, reader().config.encoder).eval()
    (take,) = real_videos(tmp_path, 1)
    sample = replace(take.sample, row=replace(take.sample.row, audio_start=audio_start))
    out = tmp_path / "made" / "clip.mp4"
    generate_clip(model, take.root, take.clip, sample, PARAMS, out)
    info = probe(out)
    assert info.video is not None
    assert info.video.n_frames == sample.row.n_frames
    said = np.pad(noise(START + 21, 0), (640, 0))[(audio_start + 1) * 640 :][: 20 * 640]
    heard = read_audio(out)[: len(said)]
    # AAC twice keeps enough of white noise; a shift of a few samples would leave none of it
    assert np.corrcoef(heard, said[: len(heard)])[0, 1] > 0.3
