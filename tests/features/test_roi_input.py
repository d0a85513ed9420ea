from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from parity import assert_close, formula, reference

from synctalk.features.roi_input import centre_crop, grey, grey_of_planes, roi_input, standardise


def test_image_transform_is_the_peers(shared: Path) -> None:
    theirs = reference(shared, "avhubert_audio")
    frames = grey(formula(shared).video(4, 96, 96))
    assert_close(frames, theirs["image.gray"], 0)
    assert_close(roi_input(frames), theirs["image.out"], 1e-6)


def test_odd_margins_are_the_peers(shared: Path) -> None:
    theirs = reference(shared, "avhubert_audio")["image.odd_out"]
    assert_close(centre_crop(grey(formula(shared).video(1, 97, 101))), theirs, 0)


def test_grey_is_opencvs() -> None:
    cv2 = pytest.importorskip("cv2")
    frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert (grey(frame) == cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)).all()


def test_arrays_and_tensors_agree() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 50, 51), dtype=np.uint8)
    tensor = standardise(centre_crop(torch.from_numpy(frames), 40))
    np.testing.assert_allclose(tensor.numpy(), roi_input(frames, 40), atol=1e-6)


def test_grey_of_generated_faces_keeps_the_gradient() -> None:
    faces = torch.full((2, 3, 4, 4), 100.0, requires_grad=True)
    levels = grey_of_planes(faces)
    torch.testing.assert_close(levels, torch.full((2, 4, 4), 100.0))
    levels.sum().backward()
    assert faces.grad is not None
    assert faces.grad[0, :, 0, 0].tolist() == pytest.approx([0.114, 0.587, 0.299])


def test_an_image_smaller_than_the_crop_is_refused() -> None:
    with pytest.raises(ValueError, match="80x96 has no centre of 88x88"):
        centre_crop(np.zeros((1, 80, 96), dtype=np.uint8))
