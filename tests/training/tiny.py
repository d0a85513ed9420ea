"""Networks and samples small enough for unit tests, without any corpus."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synctalk.corpora.records import Clip
from synctalk.features.tokens import Tokenizer, TokenizerParams, train_tokenizer
from synctalk.models.av_hubert import AVHubertConfig
from synctalk.models.av_syncnet import AlignmentConfig, AVSyncNet
from synctalk.models.discriminator import DiscriminatorConfig
from synctalk.models.generator import GeneratorConfig, NetworkParams
from synctalk.models.lip_reader import LipReaderConfig
from synctalk.models.resnet import FrontEndConfig
from synctalk.models.synctalklip import SyncTalklipConfig
from synctalk.shards.cache import SampleCache
from synctalk.shards.mosaic import encode_mosaic
from synctalk.shards.read import ShardSet
from synctalk.shards.records import Crop, npy
from synctalk.shards.write import write_shards

CROP = 24
MOUTH = 32

ENCODER = AVHubertConfig(
    d_model=16,
    n_layers=2,
    d_ffn=24,
    n_heads=2,
    pos_conv_kernel=4,
    pos_conv_groups=2,
    d_label=8,
    n_labels=12,
    dropout=0.0,
    attention_dropout=0.0,
    fusion_dropout=0.0,
    layerdrop=0.0,
    feature_grad_mult=1.0,
    front_end=FrontEndConfig(stem_width=4, widths=(4, 8), blocks=(1, 1)),
)
GENERATOR = SyncTalklipConfig(
    audio_detail=8,
    image=GeneratorConfig(
        encoder_widths=(8, 8, 8, 8),
        encoder_residuals=(0, 0, 0, 0),
        decoder_widths=(8, 8, 8, 8),
        decoder_residuals=(0, 0, 0, 0),
        output_width=8,
        d_audio=8,
        stem_kernel=3,
        fold=8,
        image_skip=True,
    ),
    discriminator=DiscriminatorConfig(widths=(4, 4, 4, 4, 4, 4, 4)),
)
SENTENCES = (
    "bin blue at f one now",
    "lay red by p two soon",
    "set white in o nine please",
    "place green with r six again",
)
NETWORKS = NetworkParams(
    image=GENERATOR.image,
    discriminator=GENERATOR.discriminator,
    audio_detail=GENERATOR.audio_detail,
    mel_widths=(2, 3, 4, 4),
)


def tokenizer() -> Tokenizer:
    return Tokenizer(train_tokenizer(SENTENCES * 5, TokenizerParams(vocabulary=40, corpora=("lrs2",))))


def reader(kind: str = "local", vocabulary: int = 40) -> AVSyncNet:
    config = LipReaderConfig(
        encoder=ENCODER, vocabulary=vocabulary, n_layers=1, d_ffn=24, n_heads=2, dropout=0.0, activation_dropout=0.0,
        ctc_head=True,
    )  # fmt: skip
    return AVSyncNet(config, AlignmentConfig(kind=kind, kernel=3)).eval()


def samples(folder: Path, n_clips: int = 4, seed: int = 0) -> SampleCache:
    """Clips of 20 to 26 frames of random, slowly changing pictures with faces, boxes and transforms."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n_clips):
        n = 20 + 2 * number
        steps = np.linspace(0, 1, n)[:, None, None, None]
        ends = rng.integers(0, 256, (2, 1, 96, 96, 3))
        faces = (ends[0] * (1 - steps) + ends[1] * steps).astype(np.uint8)
        clip_id = f"main/{number}/00001"
        clip = Clip(
            id=clip_id, speaker=str(number), split="train", video="", audio="", transcript=SENTENCES[number % 4]
        )
        boxes = np.tile(np.array([30, 40, 126, 136], np.int32), (n, 1)) + rng.integers(0, 4, (n, 1)).astype(np.int32)
        matrix = np.tile(np.array([[0.5, 0, -20], [0, 0.5, -30]], np.float32), (n, 1, 1))
        crop = Crop(
            id=clip_id, clip=clip_id, start=0, audio_start=0, n_frames=n, frame_height=160, frame_width=160,
            boxes=boxes, mouth_transforms=matrix, faces=encode_mosaic(faces, 95),
            mouth=encode_mosaic(faces[:, :MOUTH, :MOUTH, 0], 95),
        )  # fmt: skip
        fbank = rng.normal(size=(n, 104)).astype(np.float32)
        mfcc = rng.normal(size=(13, 4 * n)).astype(np.float32)
        mel = np.random.default_rng([seed, number]).uniform(-4, 4, (80, n * 16 // 5)).astype(np.float32)
        rows.append((clip, crop, {"fbank": npy(fbank), "mfcc": npy(mfcc), "mel": npy(mel)}))
    write_shards(folder, rows, max_bytes=10**9)
    return SampleCache(ShardSet([folder], ["train"]))
