from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from parity import assert_close, normal, reference

from synctalk.metrics.lse import lse


@pytest.mark.parametrize("vshift", [15, 10])
@pytest.mark.parametrize("shift", [3, -4, 0])
def test_known_shifts_are_the_peers(shared: Path, shift: int, vshift: int) -> None:
    theirs = reference(shared, "syncnet")
    name = f"known{shift}_v{vshift}"
    features = normal(shared, "syncnet.known", 90, 1024)
    noise = normal(shared, f"syncnet.known.noise{shift}", 55, 1024)
    ours = lse(features[20:75], features[20 + shift : 75 + shift] + 0.5 * noise, vshift)
    assert ours.offset == shift
    assert_close(ours.offset, theirs[f"{name}.offset"], 0)
    assert_close(ours.distance, theirs[f"{name}.lse_d"], 1e-4)
    assert_close(ours.confidence, theirs[f"{name}.lse_c"], 1e-4)
    assert_close(ours.mean_distances, theirs[f"{name}.mdist"], 1e-4)
    assert_close(ours.smooth_confidence, theirs[f"{name}.fconfm"], 1e-4)


def test_by_hand() -> None:
    """Lips at 0, 1, 2 and audio at 1, 2, 3 on one axis: the audio is a frame ahead."""
    lip = torch.tensor([[0.0], [1.0], [2.0]])
    audio = torch.tensor([[1.0], [2.0], [3.0]])
    result = lse(lip, audio, vshift=1)
    np.testing.assert_allclose(result.mean_distances, [0.0, 1.0, (2 + 2 + 2) / 3], atol=1e-5)
    assert result.offset == 1
    assert result.distance == pytest.approx(0.0, abs=1e-5)
    assert result.confidence == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(result.frame_confidence, [1.0, 1.0, 1.0], atol=1e-5)


def test_arrays_and_tensors_agree() -> None:
    rng = np.random.default_rng(0)
    lip, audio = rng.standard_normal((2, 20, 8)).astype(np.float32)
    assert lse(lip, audio).distance == lse(torch.from_numpy(lip), torch.from_numpy(audio)).distance


def test_a_clip_of_one_window_is_scored() -> None:
    result = lse(torch.ones(1, 4), torch.ones(1, 4))
    assert (result.offset, len(result.mean_distances)) == (0, 31)


@pytest.mark.parametrize("shapes", [((3, 4), (2, 4)), ((0, 4), (0, 4)), ((4,), (4,))])
def test_other_shapes_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="embeddings"):
        lse(torch.zeros(shapes[0]), torch.zeros(shapes[1]))
