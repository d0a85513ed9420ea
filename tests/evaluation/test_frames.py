"""VideoFrames of a video, whether they are held or decoded anew, in any order."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from footage import waves

from synctalk.errors import Reason
from synctalk.evaluation.videos.frames import UndecodedError, VideoFrames
from synctalk.faces.extract import find_tracks
from synctalk.faces.track import ANY_FOOTAGE, Detection
from synctalk.media import write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    write_video(path, waves(30, 0), lossless=True)
    return path


@pytest.mark.parametrize("held_bytes", [0, None])
def test_frames_by_number_and_in_order(video: Path, held_bytes: int | None) -> None:
    frames, wanted = VideoFrames(video, "real", held_bytes=held_bytes), waves(30, 0)
    assert (len(frames), frames.shape) == (30, (160, 160, 3))
    for _ in range(2):
        for number, frame in enumerate(frames):
            np.testing.assert_allclose(frame.astype(int), wanted[number], atol=4)
    in_order = list(frames)
    for number in (0, 3, 4, 20, 20, 29, 2, 29, 0):
        np.testing.assert_array_equal(frames[number], in_order[number])
    again = pickle.loads(pickle.dumps(frames))
    np.testing.assert_array_equal(np.stack(list(again)), np.stack(in_order))
    np.testing.assert_array_equal(again[7], in_order[7])


def test_what_is_held_is_as_much_as_is_allowed(video: Path) -> None:
    n_bytes = 30 * 160 * 160 * 3
    exactly, less = (VideoFrames(video, "real", held_bytes=limit) for limit in (n_bytes, n_bytes - 1))
    assert exactly[5] is not exactly[6]
    assert exactly[5].base is not None  # a view of what is held
    assert less[5].base is not exactly[5].base
    video_is_gone = video.with_name("moved.mp4")
    video.rename(video_is_gone)
    try:
        assert len(list(exactly)) == 30
        with pytest.raises(UndecodedError):
            list(less)
    finally:
        video_is_gone.rename(video)


def test_a_broken_video_says_which_of_the_two_it_is(tmp_path: Path) -> None:
    broken = tmp_path / "b.mp4"
    broken.write_bytes(b"")
    with pytest.raises(UndecodedError, match=r"generated: ") as error:
        VideoFrames(broken, "generated")
    assert error.value.reason is Reason.EMPTY_FILE
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)


def test_faces_are_tracked_the_same_in_a_file_and_in_an_array(video: Path) -> None:
    """A detector that finds a face where a frame's first pixel says; it is asked for frames out of order, too."""

    class Detector:
        min_score = 0.5

        def __call__(self, frames: list[np.ndarray]) -> list[list[Detection]]:
            found = []
            for frame in frames:
                x = float(frame[0, 0, 0]) / 4
                box = np.float32([x, 40, x + 60, 100])
                found.append([Detection(box, np.zeros((5, 2), np.float32) + box[:2] + 20, 0.9)])
            return found

    streamed = VideoFrames(video, "real", held_bytes=0)
    array = np.stack(list(streamed))
    (one,), (other,) = (find_tracks(frames, ANY_FOOTAGE, Detector()) for frames in (streamed, array))
    assert one.start == other.start
    np.testing.assert_array_equal(one.boxes, other.boxes)
    np.testing.assert_array_equal(one.landmarks, other.landmarks)
    assert np.ptp(one.boxes[:, 0]) > 5
