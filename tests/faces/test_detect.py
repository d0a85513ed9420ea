"""Detectors take several frames a call and find in each what they find in it alone; references are insightface's own
code and a copy of the SCRFD file with a free batch axis.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from synctalk.errors import UserError
from synctalk.faces.detect import BATCH_FRAMES, Detector, DetectorParams, InsightFace, make_detector, onnx_provider
from synctalk.faces.track import Detection, iou
from synctalk.media import read_video

WEIGHTS = {"yunet": "face_detection_yunet_2023mar.onnx", "insightface": "det_500m.onnx"}


@pytest.fixture(scope="module")
def frames(shared: Path) -> list[np.ndarray]:
    """One person, two people and nobody, in frames of one size: [288, 360, 3]."""
    one = read_video(shared / "clips/grid/bbaf2n.mpg").frames[::15]
    two = read_video(shared / "clips/derived/two_faces_left_speaks.mp4").frames[::15]
    two = np.stack([cv2.resize(frame, (360, 288)) for frame in two])
    return [*one, *two, np.zeros_like(one[0])]


def detector_of(shared: Path, kind: str, det_size: int = 320) -> Detector:
    params = DetectorParams(weights=str(shared / "models" / WEIGHTS[kind]), det_size=det_size, min_score=0.5)
    return make_detector(kind, params)


def arrays(found: list[Detection]) -> np.ndarray:
    """Detections of a frame as rows of box, landmarks and score."""
    rows = [np.concatenate([one.box, one.landmarks.ravel(), [one.score]]) for one in found]
    return np.array(rows).reshape(-1, 15)


@pytest.mark.parametrize("kind", sorted(WEIGHTS))
def test_several_frames_a_call_give_what_one_frame_a_call_gives(
    shared: Path, frames: list[np.ndarray], kind: str
) -> None:
    detector = detector_of(shared, kind)
    together = detector(frames)
    assert [len(found) for found in together] == [1] * 5 + [2] * 5 + [0]
    for frame, found in zip(frames, together, strict=True):
        np.testing.assert_array_equal(arrays(found), arrays(detector([frame])[0]))
    assert detector([]) == []


def test_a_square_frame_gives_what_insightface_gives(shared: Path, frames: list[np.ndarray]) -> None:
    from insightface.model_zoo import get_model

    reference = get_model(str(shared / "models" / WEIGHTS["insightface"]), providers=["CPUExecutionProvider"])
    reference.prepare(ctx_id=-1, input_size=(320, 320), det_thresh=0.5)
    detector = detector_of(shared, "insightface")
    for frame in frames:
        square = cv2.copyMakeBorder(frame, 0, 72, 0, 0, cv2.BORDER_CONSTANT)
        boxes, points = reference.detect(square[..., ::-1])
        wanted = np.concatenate([boxes[:, :4], points.reshape(-1, 10), boxes[:, 4:]], axis=1)
        np.testing.assert_allclose(arrays(detector([square])[0]), wanted, atol=1e-3)


def test_leaving_out_the_filling_up_to_a_square_moves_faces_little(shared: Path, frames: list[np.ndarray]) -> None:
    detector = detector_of(shared, "insightface")
    for frame in frames:
        square = cv2.copyMakeBorder(frame, 0, 72, 0, 0, cv2.BORDER_CONSTANT)
        # best first, which may be one or the other of two people
        plain, filled = (
            sorted(found, key=lambda one: one.box[0]) for found in (detector([frame])[0], detector([square])[0])
        )
        assert [iou(a.box, b.box) > 0.95 for a, b in zip(plain, filled, strict=True)] == [True] * len(plain)


@pytest.mark.parametrize("kind", sorted(WEIGHTS))
def test_boxes_are_in_pixels_of_the_frame_whatever_the_network_sees(
    shared: Path, frames: list[np.ndarray], kind: str
) -> None:
    large = [cv2.resize(frame, (1080, 864), interpolation=cv2.INTER_CUBIC) for frame in frames[:2]]
    (small,), (found,) = detector_of(shared, kind)(frames[:1]), detector_of(shared, kind)(large[:1])
    assert iou(small[0].box * 3, found[0].box) > 0.95
    np.testing.assert_allclose(small[0].landmarks * 3, found[0].landmarks, atol=9)


class Spy:
    """A session that remembers the shapes of what it is given."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.session, self.shapes = session, []

    def run(self, names: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.shapes += [blob.shape for blob in feed.values()]
        return self.session.run(names, feed)


@pytest.mark.parametrize(
    ("height", "width", "shape"),
    [
        (288, 360, (256, 320)),  # shrunk to 256 x 320
        (720, 1280, (192, 320)),  # shrunk to 180 x 320, filled up to 192
        (1280, 720, (320, 192)),
        (160, 160, (160, 160)),  # never enlarged
        (90, 100, (96, 128)),
    ],
)
def test_the_network_sees_det_size_and_no_more(shared: Path, height: int, width: int, shape: tuple[int, int]) -> None:
    detector = detector_of(shared, "insightface")
    assert isinstance(detector, InsightFace)
    detector.session = Spy(detector.session)
    detector([np.zeros((height, width, 3), np.uint8)] * 2)
    assert detector.session.shapes == [(1, 3, *shape)] * 2  # this file's batch axis is fixed


def with_batch_axis(source: Path, target: Path) -> None:
    """A copy of an SCRFD file whose batch axis is free: outputs [N, cells, values] instead of [cells, values]."""
    model = onnx.load(source)
    graph = model.graph
    graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    for node in graph.node:
        if node.op_type == "Transpose":
            node.attribute[0].ints[:] = [0, 2, 3, 1]
    for tensor in graph.initializer:
        shape = numpy_helper.to_array(tensor)
        if shape.dtype == np.int64 and shape.shape == (2,) and shape[0] == -1:
            tensor.CopyFrom(numpy_helper.from_array(np.array([0, -1, shape[1]]), tensor.name))
    for output in graph.output:
        values = output.type.tensor_type.shape.dim[1].dim_value
        del output.type.tensor_type.shape.dim[:]
        for name in ("N", "cells"):
            output.type.tensor_type.shape.dim.add().dim_param = name
        output.type.tensor_type.shape.dim.add().dim_value = values
    onnx.save(model, target)


def test_a_file_with_a_free_batch_axis_sees_frames_together_and_finds_the_same(
    shared: Path, frames: list[np.ndarray], tmp_path: Path
) -> None:
    with_batch_axis(shared / "models" / WEIGHTS["insightface"], tmp_path / "batched.onnx")
    one_by_one = detector_of(shared, "insightface")
    params = DetectorParams(weights=str(tmp_path / "batched.onnx"), det_size=320, min_score=0.5)
    batched = make_detector("insightface", params)
    assert isinstance(batched, InsightFace)
    batched.session = Spy(batched.session)
    many = [*frames, *frames]
    for found, wanted in zip(batched(many), one_by_one(many), strict=True):
        np.testing.assert_allclose(arrays(found), arrays(wanted), atol=1e-3)
    assert [shape[0] for shape in batched.session.shapes] == [BATCH_FRAMES, len(many) - BATCH_FRAMES]


def test_the_provider_is_the_cpu_unless_the_machine_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    monkeypatch.delenv("SYNCTALK_PROVIDER", raising=False)
    assert onnx_provider() == "CPUExecutionProvider"
    for name in ("cuda", "CUDA", "CUDAExecutionProvider"):
        monkeypatch.setenv("SYNCTALK_PROVIDER", name)
        assert onnx_provider() == "CUDAExecutionProvider"
    assert onnx_provider("cpu") == "CPUExecutionProvider"


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_is_not_there_is_one_line_and_no_silent_cpu(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCTALK_PROVIDER", "tensorrt")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(
        UserError, match=r"^SYNCTALK_PROVIDER: is 'tensorrt', which onnxruntime does not offer here; take"
    ):
        detector_of(shared, "insightface")
    # offered, but its libraries do not load: onnxruntime goes on with the CPU
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["TensorrtExecutionProvider"])
    monkeypatch.setattr(
        onnxruntime.InferenceSession, "get_providers", lambda self: ["CPUExecutionProvider"], raising=True
    )
    with pytest.raises(UserError, match="TensorrtExecutionProvider does not start here"):
        detector_of(shared, "insightface")


def test_unknown_detectors_are_named(shared: Path) -> None:
    params = DetectorParams(weights=str(shared / "models" / WEIGHTS["yunet"]), det_size=320, min_score=0.5)
    with pytest.raises(UserError, match="'dlib' is unknown; take one of tracks, yunet, insightface"):
        make_detector("dlib", params)
