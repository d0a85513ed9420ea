"""What a user would run instead, in own words: the work of the peers' preparation and of their data sets, step by step.

Where a choice is open, the one that is faster for the peer is taken.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import signal
from scipy.io import wavfile
from torch import Tensor, nn

from synctalk.features.mel import MAX_ABS, MEL_WINDOW, MIN_DB, N_FFT, PREEMPHASIS, REFERENCE_DB, mel_filters
from synctalk.timebase import FPS, MEL_HOP, MEL_RATE

CHANNEL_MEANS = np.array([104, 117, 123])
S3FD_BATCH = 32
"""Frames of a batch in Wav2Lip's preprocess.py."""
WINDOW = 5
"""Frames of a sample of Wav2Lip."""
FACE_SIZE = 96


class _L2Norm(nn.Module):
    """Feature vectors of length 1, times a weight a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels))

    def forward(self, features: Tensor) -> Tensor:
        return features / (features.norm(dim=1, keepdim=True) + 1e-10) * self.weight[None, :, None, None]


class S3FD(nn.Module):
    """The face detector of Wav2Lip and TalkLip (Zhang et al. 2017) at its size: VGG-16 and six detection layers.

    Keys and shapes are those of s3fd-619a316812.pth; the weights are formula weights, which take as long as trained
    ones and see no faces.
    """

    BODY = (
        ("conv1_1", 3, 64), ("conv1_2", 64, 64), None,
        ("conv2_1", 64, 128), ("conv2_2", 128, 128), None,
        ("conv3_1", 128, 256), ("conv3_2", 256, 256), ("conv3_3", 256, 256), None,
        ("conv4_1", 256, 512), ("conv4_2", 512, 512), ("conv4_3", 512, 512), None,
        ("conv5_1", 512, 512), ("conv5_2", 512, 512), ("conv5_3", 512, 512), None,
        ("fc6", 512, 1024), ("fc7", 1024, 1024), ("conv6_1", 1024, 256), ("conv6_2", 256, 512),
        ("conv7_1", 512, 128), ("conv7_2", 128, 256),
    )  # fmt: skip
    """Convolutions in their order; None is a pooling."""
    POINTWISE = frozenset({"fc7", "conv6_1", "conv7_1"})
    STRIDED = frozenset({"conv6_2", "conv7_2"})
    HEADS: ClassVar = {
        "conv3_3_norm": 256,
        "conv4_3_norm": 512,
        "conv5_3_norm": 512,
        "fc7": 1024,
        "conv6_2": 512,
        "conv7_2": 256,
    }
    """Layers that faces are found in, and their channels; the first has three background scores a place."""

    def __init__(self) -> None:
        super().__init__()
        for layer in self.BODY:
            if layer is not None:
                name, inner, outer = layer
                kernel, padding = (1, 0) if name in self.POINTWISE else (3, 3 if name == "fc6" else 1)
                stride = 2 if name in self.STRIDED else 1
                self.add_module(name, nn.Conv2d(inner, outer, kernel, stride=stride, padding=padding))
        for name, channels in self.HEADS.items():
            if name.endswith("norm"):
                self.add_module(name, _L2Norm(channels))
            scores = 4 if name == "conv3_3_norm" else 2
            self.add_module(f"{name}_mbox_conf", nn.Conv2d(channels, scores, 3, padding=1))
            self.add_module(f"{name}_mbox_loc", nn.Conv2d(channels, 4, 3, padding=1))
        self.load_state_dict({key: _formula(key, value.shape) for key, value in self.state_dict().items()})

    def forward(self, pictures: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Pictures [B, 3, H, W] -> of each detection layer scores [B, 2, h, w] and offsets [B, 4, h, w]."""
        modules = dict(self.named_modules())
        found = []
        features = pictures
        for layer in self.BODY:
            if layer is None:
                features = F.max_pool2d(features, 2)
                continue
            name = layer[0]
            features = F.relu(modules[name](features))
            head = name if name in self.HEADS else f"{name}_norm"
            if head in self.HEADS:
                seen = modules[head](features) if head != name else features
                scores = modules[f"{head}_mbox_conf"](seen)
                if scores.shape[1] == 4:
                    scores = torch.cat([scores[:, :3].amax(1, keepdim=True), scores[:, 3:]], dim=1)
                found.append((scores, modules[f"{head}_mbox_loc"](seen)))
        return found


def _formula(key: str, shape: torch.Size) -> Tensor:
    """Weights as a function of their name and shape, of a size at which signals neither die nor grow."""
    values = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(tuple(shape))
    fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 100
    return torch.from_numpy((values / np.sqrt(fan_in)).astype(np.float32))


@torch.no_grad()
def detect_by_s3fd(net: S3FD, frames: NDArray[np.uint8]) -> int:
    """Wav2Lip's detection on a batch of full frames, BGR uint8 [N, H, W, 3], as far as its scores: places above the
    threshold. Its loop over these places and the suppression of the weaker ones are left out, in its favour.
    """
    pictures = frames[..., ::-1] - CHANNEL_MEANS
    found = net(torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy()).float())
    return sum(int((F.softmax(scores, dim=1)[:, 1] > 0.05).sum()) for scores, _ in found)


def decode(video: Path) -> NDArray[np.uint8]:
    """All frames by OpenCV, BGR uint8 [T, H, W, 3]."""
    capture = cv2.VideoCapture(str(video))
    frames = []
    while True:
        found, frame = capture.read()
        if not found:
            return np.stack(frames)
        frames.append(frame)


def insightface_detector(weights: Path, det_size: int) -> Any:
    """insightface's own SCRFD, as its README sets it up; one thread. `detect` takes a BGR frame."""
    from insightface.model_zoo import get_model
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    net = get_model(str(weights.absolute()), providers=["CPUExecutionProvider"], sess_options=options)
    net.prepare(ctx_id=-1, input_size=(det_size, det_size), det_thresh=0.5)
    return net


def write_face_files(folder: Path, frames: NDArray[np.uint8], boxes: NDArray[np.int32]) -> None:
    """Wav2Lip's stored form: the box of every frame, at its own size, as a JPEG file."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (frame, (x1, y1, x2, y2)) in enumerate(zip(frames, boxes, strict=True)):
        cv2.imwrite(str(folder / f"{number}.jpg"), frame[y1:y2, x1:x2])


def warp_mouths(
    frames: NDArray[np.uint8], landmarks: NDArray[np.float32], mean_face: NDArray[np.float32]
) -> list[NDArray[np.uint8]]:
    """AV-HuBERT's mouth regions: each frame warped to a canvas of 256 x 256 by scikit-image, 96 x 96 cut from it."""
    from skimage import transform

    mouths = []
    for frame, points in zip(frames, landmarks, strict=True):
        similarity = transform.SimilarityTransform.from_estimate(points, mean_face)
        warped = transform.warp(frame, inverse_map=similarity.inverse, output_shape=(256, 256))
        canvas = (warped * 255).astype(np.uint8)
        x, y = similarity(points[3:]).mean(0)
        left, top = np.clip([round(x) - 48, round(y) - 48], 0, 160)
        mouths.append(canvas[top : top + 96, left : left + 96])
    return mouths


def read_wav(path: Path) -> NDArray[np.int16]:
    """Samples of a WAV file."""
    return np.asarray(wavfile.read(path)[1], np.int16)


def librosa_mel(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    """Wav2Lip's mel spectrogram by the arithmetic of librosa 0.7, in NumPy: int16 [n] -> [80, columns]."""
    samples = signal.lfilter([1, -PREEMPHASIS], [1], pcm.astype(np.float32) / np.float32(2**15))
    frames = sliding_window_view(np.pad(samples, N_FFT // 2, mode="reflect"), N_FFT)[::MEL_HOP]
    spectrum = np.fft.rfft(signal.get_window("hann", N_FFT).astype(np.float32) * frames).astype(np.complex64)
    decibels = 20 * np.log10(np.maximum(1e-5, mel_filters().astype(np.float32) @ np.abs(spectrum).T)) - REFERENCE_DB
    scaled = 2 * MAX_ABS * (decibels - MIN_DB) / -MIN_DB - MAX_ABS
    return np.clip(scaled, -MAX_ABS, MAX_ABS).astype(np.float32)


def mel_window(mel: NDArray[np.float32], frame: int) -> NDArray[np.float32]:
    """16 columns that begin with a frame, [80, 16]."""
    start = int(MEL_RATE * frame / FPS)
    return mel[:, start : start + MEL_WINDOW]


def read_wav2lip(folder: Path, target: range, reference: range) -> tuple[Tensor, ...]:
    """A sample of Wav2Lip's data set: ten JPEG files and the sound file, its mel spectrogram made anew.

    The sound lies at 16 kHz already, so that nothing is resampled.

    Args:
        folder: of the clip: <number>.jpg and audio.wav.
        target: the 5 frames to make.
        reference: 5 others.

    Returns:
        Masked and reference faces [6, 5, S, S], a mel window for each frame [5, 1, 80, 16], the window of the first
        frame [1, 80, 16], and the real faces [3, 5, S, S]; BGR 0..1.
    """
    names = set(folder.glob("*.jpg"))

    def pictures(frames: range) -> NDArray[np.float64]:
        files = [folder / f"{number}.jpg" for number in frames]
        found = [cv2.imread(str(file)) for file in files if file in names]
        sized = [cv2.resize(picture, (FACE_SIZE, FACE_SIZE)) for picture in found]
        # numpy divides in double precision, as the peer does
        return np.transpose(np.asarray(sized) / 255.0, (3, 0, 1, 2))

    mel = librosa_mel(read_wav(folder / "audio.wav"))
    real, others = pictures(target), pictures(reference)
    masked = real.copy()
    masked[:, :, FACE_SIZE // 2 :] = 0
    windows = np.stack([mel_window(mel, frame) for frame in target])[:, None]
    arrays = (np.concatenate([masked, others]), windows, windows[0], real)
    return tuple(torch.from_numpy(array).float() for array in arrays)
