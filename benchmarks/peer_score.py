"""LSE as the published scripts compute it, for benchmarks: the same steps on the same tensors, in words of our own.

joonson/syncnet_python @6efbb1c (`evaluate`), as Wav2Lip @5c90fa9 runs it on LRS: every frame to a JPEG file, the audio
to a WAV file, the files read with OpenCV and SciPy and resized, all frames as one array in double precision,
five-frame windows stacked twenty at a time, 3-D convolutions, and distances window by window. Starting `ffmpeg`, two
processes a clip, is left out.
"""

from __future__ import annotations

import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from synctalk.models.syncnet import SyncNet, SyncNetConfig

BATCH, WINDOW, VSHIFT, SIDE, FPS = 20, 5, 15, 224, 25


def formula_syncnet() -> SyncNet:
    """The published architecture with weights that are a function of their names, where no weights are at hand."""
    model = SyncNet(SyncNetConfig())
    model.load_state_dict({key: _formula(key, value) for key, value in model.state_dict().items()})
    return model.eval()


def _formula(key: str, value: Tensor) -> Tensor:
    random = np.random.RandomState(zlib.crc32(key.encode()))
    shape = tuple(value.shape)
    if key.endswith("num_batches_tracked"):
        return torch.zeros_like(value)
    if key.endswith("running_var"):
        return torch.from_numpy((0.5 + 0.1 * random.random_sample(shape)).astype(np.float32))
    drawn = random.standard_normal(shape)
    if key.endswith("running_mean"):
        scaled = 0.1 * drawn
    elif key.endswith("bias"):
        scaled = 0.05 * drawn
    elif len(shape) < 2:
        scaled = 0.7 + 0.1 * drawn
    else:
        scaled = drawn / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(scaled.astype(np.float32))


def dump(video: Path, folder: Path) -> None:
    """Every frame as a JPEG file, as `ffmpeg -threads 1 -f image2` writes them."""
    import av

    with av.open(str(video)) as source, av.open(str(folder / "%06d.jpg"), "w", format="image2") as target:
        stored = source.streams.video[0]
        stream = target.add_stream("mjpeg", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = stored.width, stored.height, "yuvj420p"
        context = stream.codec_context
        context.bit_rate, context.bit_rate_tolerance, context.thread_count = 200_000, 4_000_000, 1
        for number, frame in enumerate(source.decode(stored)):
            picture = frame.reformat(format="yuvj420p")
            picture.pts, picture.time_base, picture.pict_type = number, Fraction(1, FPS), 0
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))


def read_dump(folder: Path) -> list[NDArray[np.uint8]]:
    """The files of a dump, 224 x 224, BGR."""
    import cv2

    return [cv2.resize(cv2.imread(str(path)), (SIDE, SIDE)) for path in sorted(folder.glob("*.jpg"))]


def stack_frames(pictures: list[NDArray[np.uint8]]) -> Tensor:
    """All frames as one tensor [1, 3, T, H, W], by way of double precision."""
    stacked = np.stack(pictures, axis=3)[None].transpose(0, 3, 4, 1, 2)
    return torch.from_numpy(stacked.astype(np.float64)).float()


def read_mfcc(wav: Path) -> tuple[Tensor, int]:
    """Cepstra [1, 1, 13, T100] of a WAV file, and its samples."""
    import python_speech_features
    from scipy.io import wavfile

    rate, samples = wavfile.read(wav)
    cepstra = np.stack([np.array(row) for row in zip(*python_speech_features.mfcc(samples, rate), strict=True)])
    return torch.from_numpy(cepstra[None, None].astype(np.float64)).float(), len(samples)


@torch.no_grad()
def embed(net: SyncNet, frames: Tensor, cepstra: Tensor, n_samples: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Embeddings of all windows, twenty at a time."""
    lips, audio = [], []
    n = min(frames.shape[2], n_samples // 640) - WINDOW
    for first in range(0, n, BATCH):
        numbers = range(first, min(n, first + BATCH))
        seen = torch.cat([frames[:, :, number : number + WINDOW] for number in numbers], 0)
        lips.append(net.embed_lips(seen.to(device)).cpu())
        heard = torch.cat([cepstra[:, :, :, 4 * number : 4 * number + 20] for number in numbers], 0)
        audio.append(net.embed_audio(heard.to(device)).cpu())
    return torch.cat(lips), torch.cat(audio)


def distances(lips: Tensor, audio: Tensor) -> tuple[int, float, float]:
    """Offset, LSE-D and LSE-C, window by window."""
    padded = F.pad(audio, (0, 0, VSHIFT, VSHIFT))
    span = 2 * VSHIFT + 1
    rows = [
        F.pairwise_distance(lips[[number]].repeat(span, 1), padded[number : number + span])
        for number in range(len(lips))
    ]
    means = torch.stack(rows, 1).mean(1)
    least, best = means.min(0)
    return VSHIFT - int(best), float(least), float(means.median() - least)
