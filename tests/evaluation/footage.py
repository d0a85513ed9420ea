"""Videos to score: short lossless videos of coloured waves with noise for sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from training.tiny import CROP, reader, samples, tokenizer

from synctalk.corpora.records import Clip
from synctalk.evaluation.judges.conformer import ConformerJudge
from synctalk.evaluation.judges.lip_reader import LipJudge
from synctalk.evaluation.judges.panel import Judges
from synctalk.evaluation.judges.syncnet import SyncJudge
from synctalk.evaluation.score import score_clips
from synctalk.evaluation.scores import ClipScore
from synctalk.evaluation.videos.corpus import ClipSetup, ClipVideo, decode_clip, prepare_clip
from synctalk.features.tokens import Units
from synctalk.media.write import write_video
from synctalk.models.beam_search import BeamConfig
from synctalk.models.conformer import Conformer, ConformerConfig
from synctalk.models.conformer_search import JointBeamConfig
from synctalk.models.resnet import FrontEndConfig
from synctalk.models.sync_scorer import SyncScorer
from synctalk.models.syncnet import SyncNet, SyncNetConfig
from synctalk.timebase import n_samples

FACE, MOUTH = 96, 32
START = 2
"""Frames of each video before the stretch that its sample covers."""


def waves(n_frames: int, seed: int) -> np.ndarray:
    """Frames [T, 160, 160, 3] with levels 40..200 that drift from frame to frame, differently for each seed."""
    t, y, x, c = np.ogrid[:n_frames, :160, :160, :3]
    return np.rint(120 + 80 * np.sin((1 + seed) * 0.3 * t + x / (9 + seed) + y / 14 + c)).astype(np.uint8)


def noise(n_frames: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-8000, 8000, n_samples(n_frames)).astype(np.int16)


def real_videos(folder: Path, n_clips: int = 3) -> list[ClipVideo]:
    """Ground truth of clips of 20, 22, ... frames, whose videos have `START` frames more in front and one behind."""
    cache = samples(folder / "shards", n_clips)
    videos = []
    for number in range(n_clips):
        sample = cache.shards[number]
        row = replace(sample.row, start=START, audio_start=START)
        name = f"{number}.mp4"
        n_stored = START + row.n_frames + 1
        write_video(folder / name, waves(n_stored, number), audio=noise(n_stored, number), lossless=True)
        clip = Clip(row.id, row.speaker, "test", name, name, row.transcript)
        videos.append(ClipVideo(folder, clip, replace(sample, row=row), None))
    return videos


def made_videos(
    videos: list[ClipVideo], folder: Path, change: Callable[[np.ndarray], np.ndarray] = lambda frames: frames
) -> list[ClipVideo]:
    """Generated videos: the real frames, changed."""
    folder.mkdir(exist_ok=True)
    made = []
    for number, video in enumerate(videos):
        frames, pcm = decode_clip(video)
        path = folder / f"{number}.mp4"
        write_video(path, change(frames), audio=pcm, lossless=True)
        made.append(replace(video, generated=path))
    return made


def small_judges() -> Judges:
    """Random ones, which see the mouth."""
    torch.manual_seed(0)
    pieces = tokenizer()
    sync = SyncNetConfig(
        image_size=48, in_channels=1, lip_widths=(4,) * 6, audio_widths=(4,) * 6, d_hidden=8, d_embedding=16
    )
    beam = BeamConfig(beam=2, length_penalty=1.0, max_len_a=0.0, max_len_b=4, max_tokens=4)
    lips = LipJudge(reader(vocabulary=len(pieces)), pieces, CROP, beam)
    units = Units.of_tokenizer(pieces.model)
    net = ConformerConfig(
        d_model=16, n_heads=2, d_ffn=16, n_layers=1, conv_kernel=3, n_decoder_layers=1, vocabulary=units.vocabulary,
        front_end=FrontEndConfig(stem_width=4, widths=(4, 8), blocks=(1, 1)),
    )  # fmt: skip
    third = ConformerJudge(Conformer(net), units, CROP, JointBeamConfig(beam=2, ctc_weight=0.1))
    return Judges(SyncJudge(SyncScorer(SyncNet(sync)), "mouth"), lips, third)


def setup_of(judges: Judges) -> ClipSetup:
    assert judges.sync is not None
    return ClipSetup(FACE, MOUTH, judges.sync.view, judges.sync.model.config, judges.sync.jpeg)


def score(videos: list[ClipVideo], judges: Judges) -> list[ClipScore]:
    scores, notes = score_clips(videos, partial(prepare_clip, setup=setup_of(judges)), judges, label="test")
    assert notes == []
    return scores
