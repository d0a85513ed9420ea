"""Making faces: frame by frame the same in any batch, and blind to the mouth that it replaces."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training.tiny import GENERATOR, reader

from synctalk.generation.faces import face_pixels, generate_faces
from synctalk.models.synctalklip import SyncTalklip

T = 11


@pytest.fixture(scope="module")
def model() -> SyncTalklip:
    torch.manual_seed(0)
    made = SyncTalklip(GENERATOR, reader().config.encoder).eval()
    # a fresh generator shows its input; a louder last layer lets every input be seen in the faces
    torch.nn.init.normal_(made.output_block[1].weight, std=1.0)
    torch.nn.init.normal_(made.audio_map.weight, std=1.0)
    return made


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (T, 96, 96, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def audio() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(15, 104)).astype(np.float32)


ROWS = np.arange(T) + 2


@pytest.mark.parametrize("batch_frames", [1, 4, 64])
def test_frames_do_not_depend_on_their_batch(
    model: SyncTalklip, faces: np.ndarray, audio: np.ndarray, batch_frames: int
) -> None:
    references = np.roll(faces, 3, axis=0)
    whole = generate_faces(model, faces, references, audio, ROWS, T)
    parts = generate_faces(model, faces, references, audio, ROWS, batch_frames)
    assert whole.shape == (T, 96, 96, 3)
    assert whole.dtype == np.uint8
    # rounding in the sums of another batch may tip a level
    np.testing.assert_allclose(parts.astype(int), whole, atol=1)
    assert (parts != whole).mean() < 1e-3


def test_the_lower_half_of_the_pose_is_not_looked_at_and_the_upper_half_is(
    model: SyncTalklip, faces: np.ndarray, audio: np.ndarray
) -> None:
    made = generate_faces(model, faces, faces[:1], audio, ROWS, 4)
    covered = faces.copy()
    covered[:, 48:] = 255 - covered[:, 48:]
    np.testing.assert_array_equal(generate_faces(model, covered, faces[:1], audio, ROWS, 4), made)
    turned = faces.copy()
    turned[:, :48] = 255 - turned[:, :48]
    assert (generate_faces(model, turned, faces[:1], audio, ROWS, 4) != made).any((1, 2, 3)).all()


def test_one_reference_serves_all_frames(model: SyncTalklip, faces: np.ndarray, audio: np.ndarray) -> None:
    one = generate_faces(model, faces, faces[5:6], audio, ROWS, 4)
    np.testing.assert_array_equal(generate_faces(model, faces, np.repeat(faces[5:6], T, 0), audio, ROWS, 4), one)
    assert (generate_faces(model, faces, faces[6:7], audio, ROWS, 4) != one).any()


def test_each_frame_hears_its_own_row_of_the_sound(model: SyncTalklip, faces: np.ndarray, audio: np.ndarray) -> None:
    pose = np.repeat(faces[:1], T, 0)
    rows = np.array([3, 3, 9, 3, 0, 14, 9, 9, 3, 0, 14])
    made = generate_faces(model, pose, faces[:1], audio, rows, 3)
    for frame, row in enumerate(rows):
        first = int(np.flatnonzero(rows == row)[0])
        assert (np.abs(made[frame].astype(int) - made[first]) <= 1).all()
    assert len({made[frame].tobytes() for frame in (0, 2, 4, 5)}) == 4


def test_pixels_are_rounded_and_kept_in_range() -> None:
    levels = torch.tensor([0.0, 0.49, 0.51, 100.5, 101.5, 254.6, 255.0, 300.0, -3.0]) / 255
    faces = levels[:, None, None, None].expand(9, 3, 2, 2)
    # halves go to the even level, as torch rounds
    assert face_pixels(faces)[:, 0, 0, 0].tolist() == [0, 0, 1, 100, 102, 255, 255, 255, 0]


def test_channels_stay_red_green_blue() -> None:
    faces = torch.zeros(1, 3, 2, 4)
    faces[0, 0], faces[0, 2, :, 3] = 1.0, 0.2
    pixels = face_pixels(faces)
    assert pixels.shape == (1, 2, 4, 3)
    assert pixels[0, 0, 0].tolist() == [255, 0, 0]
    assert pixels[0, 1, 3].tolist() == [255, 0, 51]
