"""Face detectors behind one small protocol.

`yunet` (OpenCV; MIT weights) and `insightface` (SCRFD; the weights' licence is for non-commercial research) look at
pixels; `tracks` are published beside the corpus and need no weights. Weights are the user's: nothing is downloaded
here.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from synctalk.errors import ClipError, Reason, UserError
from synctalk.faces.track import LANDMARKS, Detection, FaceTrack
from synctalk.params.section import section

OBTAIN = {
    "yunet": "face_detection_yunet_2023mar.onnx of OpenCV's model zoo (opencv_zoo, MIT)",
    "insightface": "an SCRFD file of insightface, e.g. det_10g.onnx of buffalo_l (non-commercial research only)",
}
"""Where to get the weights of each detector, shown when they are missing."""
BLANK = np.zeros((64, 64, 3), np.uint8)
"""A frame without a face: weights of another network are found out before any clip is decoded."""
BATCH_FRAMES = 16
"""Frames that a network sees at a time where its file lets it."""
MAX_COORDINATE = 1e6
"""Pixels: published tracks may reach beyond the picture, and no farther than this."""
STRIDE = 32
"""The networks see pictures whose sides are multiples of this."""


@section
class DetectorParams:
    """Which detector, and how it looks (params.yaml: `crop.detectors.<name>`)."""

    weights: str
    """Path of the ONNX file; "" until the user brings one."""
    det_size: int
    """Longest side, in pixels, of the picture that the net sees; smaller frames are not enlarged."""
    min_score: float
    """Detections below this score are dropped, 0..1."""


class Detector(Protocol):
    """Finds faces in RGB uint8 [H, W, 3] frames of one size: a list of detections for each, best first.

    What is found in a frame does not depend on the frames beside it.
    """

    min_score: float
    """Lowest score of a detection."""

    def __call__(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Detection]]: ...


def onnx_provider(wanted: str | None = None) -> str:
    """Execution provider of onnxruntime: SYNCTALK_PROVIDER (`cpu`, `cuda`, `tensorrt`, ...), or the CPU.

    Args:
        wanted: instead of the environment's.

    Raises:
        UserError: this installation of onnxruntime does not have it.
    """
    import onnxruntime

    name = wanted or os.environ.get("SYNCTALK_PROVIDER", "cpu")
    offered: list[str] = onnxruntime.get_available_providers()
    available = {full.removesuffix("ExecutionProvider").lower(): full for full in offered}
    key = name.strip().lower().removesuffix("executionprovider")
    if key not in available:
        raise UserError(
            "SYNCTALK_PROVIDER",
            f"is {name!r}, which onnxruntime does not offer here",
            f"take {' or '.join(sorted(available))}, or install onnxruntime-gpu in place of onnxruntime",
        )
    return available[key]


def check_weights(kind: str, params: DetectorParams) -> Path:
    """Path of the detector's weight file.

    Raises:
        UserError: no path is given or no file is there; the line says where to get it.
    """
    if not params.weights:
        raise UserError(f"crop.detectors.{kind}.weights", "is empty", f"set it to the path of {OBTAIN[kind]}")
    path = Path(params.weights)
    if not path.is_file():
        raise UserError(path, f"the weights of {kind} are not there", f"bring {OBTAIN[kind]}")
    return path


def fit_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """Height and width of a frame shrunk so that its longest side is `longest`; smaller ones stay as they are."""
    scale = min(1.0, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


class YuNet:
    """OpenCV's YuNet: 5 landmarks, fast on a CPU, one frame at a time."""

    def __init__(self, weights: Path, params: DetectorParams) -> None:
        self.det_size, self.min_score = params.det_size, params.min_score
        self.input_size = (self.det_size, self.det_size)
        # OpenCV warns of choices that this makes no use of, and says a second time what is wrong with a model
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            self.net = cv2.FaceDetectorYN.create(str(weights), "", self.input_size, self.min_score, 0.3)
            self([BLANK])  # other networks load and fail at the first frame only
        except cv2.error as error:
            raise UserError(weights, "is no YuNet model", f"bring {OBTAIN['yunet']}") from error
        finally:
            cv2.utils.logging.setLogLevel(level)

    def __call__(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Detection]]:
        """Faces of RGB frames, in their own pixels."""
        return [self._detect(frame) for frame in frames]

    def _detect(self, frame: NDArray[np.uint8]) -> list[Detection]:
        height, width = frame.shape[:2]
        rows, columns = fit_size(height, width, self.det_size)
        if (columns, rows) != self.input_size:
            self.input_size = (columns, rows)
            self.net.setInputSize(self.input_size)
        small = (
            frame
            if (rows, columns) == (height, width)
            else cv2.resize(frame, self.input_size, interpolation=cv2.INTER_AREA)
        )
        found: Any = self.net.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1]
        if found is None:
            return []
        back = np.array([width / columns, height / rows], np.float32)
        detections = []
        for row in found.astype(np.float32):
            low, extent = row[:2] * back, row[2:4] * back
            # YuNet's order is eye, eye, nose, corner, corner, each pair from the image's left to its right
            landmarks = row[4:14].reshape(5, 2) * back
            detections.append(Detection(np.concatenate([low, low + extent]), landmarks, float(row[14])))
        return detections


class InsightFace:
    """SCRFD (Guo et al., 2021) from a file of insightface: 5 landmarks.

    insightface's own `detect` takes one frame a call, enlarges it to `det_size`, fills it up to a square. Here frames
    keep their shape, filled up to multiples of 32 pixels, and go through the network together where the file's batch
    axis is free; the published files fix it to 1, so that their frames go one by one.
    """

    def __init__(self, weights: Path, params: DetectorParams, provider: str | None = None) -> None:
        from insightface.model_zoo import get_model
        from onnxruntime import SessionOptions
        from onnxruntime.capi import onnxruntime_pybind11_state as onnx

        self.det_size, self.min_score = params.det_size, params.min_score
        wanted = onnx_provider(provider)
        # as many as OpenCV has: every core, or one in the worker processes of a stage, which would hinder each other
        options = SessionOptions()
        options.intra_op_num_threads = cv2.getNumThreads()
        options.log_severity_level = 3  # it warns at every frame that outputs are not those of the size of its export
        broken = (onnx.Fail, onnx.InvalidArgument, onnx.InvalidGraph, onnx.InvalidProtobuf, onnx.RuntimeException)
        try:
            self.net: Any = get_model(str(weights), providers=[wanted], sess_options=options)
            self.session: Any = self.net.session
            if (used := self.session.get_providers()[0]) != wanted:
                # onnxruntime falls back with a warning where a library of the provider does not load
                raise UserError("SYNCTALK_PROVIDER", f"{wanted} does not start here, {used} would be used", "mend it")
            inputs, outputs = self.session.get_inputs()[0], self.session.get_outputs()
            # 3 strides with 2 anchors a cell, or 5 with 1; scores, boxes and landmarks of each
            self.strides, self.n_anchors = {9: ((8, 16, 32), 2), 15: ((8, 16, 32, 64, 128), 1)}[len(outputs)]
            self.input_name: str = inputs.name
            self.fixed_size = tuple(side for side in inputs.shape[2:] if isinstance(side, int))
            self.batch = BATCH_FRAMES if not isinstance(inputs.shape[0], int) and len(outputs[0].shape) == 3 else 1
            self([BLANK])
        except (*broken, AttributeError, IndexError, KeyError, RuntimeError, ValueError, TypeError) as error:
            raise UserError(weights, "is no SCRFD model with landmarks", f"bring {OBTAIN['insightface']}") from error

    def __call__(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Detection]]:
        """Faces of RGB frames of one size, in their own pixels."""
        found: list[list[Detection]] = []
        for first in range(0, len(frames), self.batch):
            found += self._detect(frames[first : first + self.batch])
        return found

    def _detect(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Detection]]:
        height, width = frames[0].shape[:2]
        rows, columns = fit_size(height, width, min((self.det_size, *self.fixed_size)))
        canvas = self.fixed_size or (-(-rows // STRIDE) * STRIDE, -(-columns // STRIDE) * STRIDE)
        pictures = np.zeros((len(frames), *canvas, 3), np.uint8)
        for picture, frame in zip(pictures, frames, strict=True):
            small = frame if (rows, columns) == (height, width) else cv2.resize(frame, (columns, rows))
            picture[:rows, :columns] = small
        blob = cv2.dnn.blobFromImages(list(pictures), 1 / 128, mean=(127.5, 127.5, 127.5))
        outputs = self.session.run(None, {self.input_name: blob})
        # files with a batch axis have outputs [N, cells, values], the others [cells, values]
        outputs = [output.reshape(len(frames), -1, output.shape[-1]) for output in outputs]
        back = np.array([width / columns, height / rows], np.float32)
        return [self._decode([output[i] for output in outputs], canvas, back) for i in range(len(frames))]

    def _decode(
        self, outputs: list[NDArray[np.float32]], canvas: tuple[int, ...], back: NDArray[np.float32]
    ) -> list[Detection]:
        """Detections of one frame: at each anchor a score, distances to the box's sides and shifts to the landmarks."""
        scores, boxes, points = [], [], []
        n = len(self.strides)
        for level, stride in enumerate(self.strides):
            score = outputs[level][:, 0]
            hits = np.flatnonzero(score >= self.min_score)
            cell = hits // self.n_anchors
            across = canvas[1] // stride
            anchor = np.stack([cell % across, cell // across], axis=1).astype(np.float32) * stride
            sides = outputs[n + level][hits] * stride
            scores.append(score[hits])
            boxes.append(np.concatenate([anchor - sides[:, :2], anchor + sides[:, 2:]], axis=1))
            points.append(anchor[:, None] + outputs[2 * n + level][hits].reshape(-1, 5, 2) * stride)
        score, box, point = np.concatenate(scores), np.concatenate(boxes), np.concatenate(points)
        order = np.argsort(-score, kind="stable")
        kept = order[self.net.nms(np.concatenate([box, score[:, None]], axis=1)[order])]
        return [Detection(box[i] * np.tile(back, 2), point[i] * back, float(score[i])) for i in kept]


def make_detector(kind: str, params: DetectorParams, provider: str | None = None) -> Detector:
    """The detector of that name, its weights checked.

    Args:
        kind: `yunet` or `insightface`.
        params: its section.
        provider: of onnxruntime, as `onnx_provider` takes it; YuNet runs in OpenCV, on the CPU.

    Raises:
        UserError: unknown name; missing or wrong weights; a provider that is not there.
    """
    if kind == "yunet":
        return YuNet(check_weights(kind, params), params)
    if kind == "insightface":
        return InsightFace(check_weights(kind, params), params, provider)
    raise UserError("detector", f"{kind!r} is unknown", "take one of tracks, yunet, insightface")


def read_published_track(path: Path, source_index: NDArray[np.int64]) -> FaceTrack:
    """The face track published beside a clip (.npz: `boxes` [T, 4], `landmarks` [T, N, 2], pixels), at 25 fps.

    N is 5, 68 or 106 (`synctalk.faces.track.LANDMARKS`).

    Args:
        path: the .npz file.
        source_index: stored frame of each 25 fps frame, as `synctalk.media.resample_index` gives it.

    Raises:
        ClipError: `NO_FACE` where the file is missing, broken, or shorter than the clip.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            boxes, landmarks = arrays["boxes"].astype(np.float32), arrays["landmarks"].astype(np.float32)
    except (EOFError, OSError, KeyError, SyntaxError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        # what a damaged zip and the header of an array make of numpy
        raise ClipError(Reason.NO_FACE, f"published track {path.name}: {' '.join(str(error).split())}") from error
    if boxes.ndim != 2 or boxes.shape[1] != 4 or landmarks.shape not in {(len(boxes), n, 2) for n in LANDMARKS}:
        raise ClipError(
            Reason.NO_FACE, f"published track {path.name}: boxes {boxes.shape}, landmarks {landmarks.shape}"
        )
    if not (np.abs(boxes) < MAX_COORDINATE).all() or not (np.abs(landmarks) < MAX_COORDINATE).all():
        raise ClipError(Reason.NO_FACE, f"published track {path.name}: a place that is in no picture")
    if len(boxes) <= int(source_index.max()):
        raise ClipError(
            Reason.FACE_LOST, f"published track {path.name}: {len(boxes)} boxes for {source_index.max() + 1} frames"
        )
    return FaceTrack(0, boxes[source_index], landmarks[source_index])
