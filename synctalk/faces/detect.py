"""Face detectors behind one small protocol.

`yunet` (OpenCV; MIT weights) and `insightface` (SCRFD; the weights' licence is for non-commercial research) look at
pixels; `tracks` are published beside the corpus and need no weights. Weights are the user's: nothing is downloaded
here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from synctalk.errors import ClipError, Reason, UserError
from synctalk.faces.track import Detection, FaceTrack
from synctalk.section import section

OBTAIN = {
    "yunet": "face_detection_yunet_2023mar.onnx of OpenCV's model zoo (opencv_zoo, MIT)",
    "insightface": "an SCRFD file of insightface, e.g. det_10g.onnx of buffalo_l (non-commercial research only)",
}
"""Where to get the weights of each detector, shown when they are missing."""
BLANK = np.zeros((64, 64, 3), np.uint8)
"""A frame without a face: weights of another network are found out before any clip is decoded."""


@section
class DetectorParams:
    """Which detector, and how it looks (params.yaml: `crop.detectors.<name>`)."""

    weights: str
    """Path of the ONNX file; "" until the user brings one."""
    det_size: int
    """Longest side, in pixels, of the picture that the net sees."""
    min_score: float
    """Detections below this score are dropped, 0..1."""


class Detector(Protocol):
    """Finds faces in one RGB uint8 [H, W, 3] frame."""

    def __call__(self, frame: NDArray[np.uint8]) -> list[Detection]: ...


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


class YuNet:
    """OpenCV's YuNet: 5 landmarks, fast on a CPU."""

    def __init__(self, weights: Path, det_size: int, min_score: float) -> None:
        self.det_size = det_size
        # OpenCV warns of choices that this makes no use of, and says a second time what is wrong with a model
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            self.net = cv2.FaceDetectorYN.create(str(weights), "", (det_size, det_size), min_score, 0.3)
            self(BLANK)  # other networks load and fail at the first frame only
        except cv2.error as error:
            raise UserError(weights, "is no YuNet model", f"bring {OBTAIN['yunet']}") from error
        finally:
            cv2.utils.logging.setLogLevel(level)

    def __call__(self, frame: NDArray[np.uint8]) -> list[Detection]:
        """Faces of an RGB frame, in its own pixels."""
        height, width = frame.shape[:2]
        scale = min(1.0, self.det_size / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        self.net.setInputSize(size)
        found: Any = self.net.detect(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA) if scale < 1 else bgr)[1]
        if found is None:
            return []
        back = np.array([width / size[0], height / size[1]], np.float32)
        detections = []
        for row in found.astype(np.float32):
            low, extent = row[:2] * back, row[2:4] * back
            # YuNet's order is eye, eye, nose, corner, corner, each pair from the image's left to its right
            landmarks = row[4:14].reshape(5, 2) * back
            detections.append(Detection(np.concatenate([low, low + extent]), landmarks, float(row[14])))
        return detections


class InsightFace:
    """SCRFD through insightface's model zoo, `det_size` pinned."""

    def __init__(self, weights: Path, det_size: int, min_score: float) -> None:
        from insightface.model_zoo import get_model
        from onnxruntime import SessionOptions
        from onnxruntime.capi import onnxruntime_pybind11_state as onnx

        # as many as OpenCV has: every core, or one in the worker processes of a stage, which would hinder each other
        options = SessionOptions()
        options.intra_op_num_threads = cv2.getNumThreads()
        broken = (onnx.Fail, onnx.InvalidArgument, onnx.InvalidGraph, onnx.InvalidProtobuf, onnx.RuntimeException)
        try:
            self.net: Any = get_model(str(weights), providers=["CPUExecutionProvider"], sess_options=options)
            self.net.prepare(ctx_id=-1, input_size=(det_size, det_size), det_thresh=min_score)
            self(BLANK)
        except (*broken, AttributeError, IndexError, RuntimeError, ValueError, TypeError) as error:
            raise UserError(weights, "is no SCRFD model", f"bring {OBTAIN['insightface']}") from error

    def __call__(self, frame: NDArray[np.uint8]) -> list[Detection]:
        """Faces of an RGB frame, in its own pixels."""
        boxes, points = self.net.detect(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        return [
            Detection(row[:4].astype(np.float32), marks.astype(np.float32), float(row[4]))
            for row, marks in zip(boxes, points if points is not None else [], strict=True)
        ]


def make_detector(kind: str, params: DetectorParams) -> Detector:
    """The detector of that name, its weights checked.

    Raises:
        UserError: unknown name; missing or wrong weights.
    """
    makers: dict[str, type[YuNet] | type[InsightFace]] = {"yunet": YuNet, "insightface": InsightFace}
    if kind not in makers:
        raise UserError("detector", f"{kind!r} is unknown", f"take one of {', '.join(['tracks', *makers])}")
    return makers[kind](check_weights(kind, params), params.det_size, params.min_score)


def read_published_track(path: Path, source_index: NDArray[np.int64]) -> FaceTrack:
    """The face track published beside a clip (.npz: `boxes` [T, 4], `landmarks` [T, 5, 2], pixels), at 25 fps.

    Args:
        path: the .npz file.
        source_index: stored frame of each 25 fps frame, as `synctalk.media.resample_index` gives it.

    Raises:
        ClipError: `NO_FACE` where the file is missing, broken, or shorter than the clip.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            boxes, landmarks = arrays["boxes"].astype(np.float32), arrays["landmarks"].astype(np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise ClipError(Reason.NO_FACE, f"published track {path.name}: {error}") from error
    if boxes.ndim != 2 or boxes.shape[1] != 4 or landmarks.shape != (len(boxes), 5, 2):
        raise ClipError(
            Reason.NO_FACE, f"published track {path.name}: boxes {boxes.shape}, landmarks {landmarks.shape}"
        )
    if len(boxes) <= int(source_index.max()):
        raise ClipError(
            Reason.FACE_LOST, f"published track {path.name}: {len(boxes)} boxes for {source_index.max() + 1} frames"
        )
    return FaceTrack(0, boxes[source_index], landmarks[source_index])
