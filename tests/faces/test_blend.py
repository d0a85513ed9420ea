"""Blending whose answer is known by construction."""

from __future__ import annotations

import numpy as np

from synctalk.faces.blend import blend_back, colour_map, map_colours, mouth_weight

RNG = np.random.default_rng(0)


def smooth_faces(n: int) -> np.ndarray:
    """Faces that vary slowly over the picture, in 60..180."""
    corners = RNG.uniform(60, 180, (n, 3, 3, 3))
    ramp = np.linspace(0, 2, 96)
    near = np.maximum(0, 1 - np.abs(ramp[:, None] - np.arange(3)))
    return np.rint(np.einsum("yi,nijc,xj->nyxc", near, corners, near)).astype(np.uint8)


def test_a_known_change_of_colours_is_undone_below_where_it_was_learned_above() -> None:
    real = smooth_faces(6)
    mixed = np.array([[0.9, 0.1, 0.0], [0.1, 0.6, 0.1], [0.0, 0.2, 0.7], [12.0, 5.0, 20.0]])
    made = np.rint(real @ mixed[:3] + mixed[3]).astype(np.uint8)
    assert np.abs(made[:, 48:].astype(int) - real[:, 48:]).mean() > 5
    undone = map_colours(made, colour_map(made, real))
    assert np.abs(undone[:, 48:].astype(int) - real[:, 48:]).mean() < 1


def test_equal_colours_stay_and_one_colour_is_shifted_only() -> None:
    faces = smooth_faces(2)
    np.testing.assert_allclose(colour_map(faces, faces), np.eye(4, 3), atol=1e-6)
    flat = np.full((1, 96, 96, 3), 100, np.uint8)
    assert (map_colours(flat, colour_map(flat, flat + 30)) == 130).all()


def test_the_weight_is_nothing_above_and_at_the_edges_and_all_around_the_mouth() -> None:
    weight = mouth_weight(200, 120)
    assert weight.shape == (200, 120)
    assert (weight[:100] == 0).all()
    assert weight[:, [0, -1]].max() < 0.01
    assert weight[-1].max() < 0.01
    assert (weight[130:170, 30:90] == 1).all()
    assert np.abs(np.diff(weight, axis=0)).max() < 0.1


def test_blending_touches_the_lower_half_of_the_box_only() -> None:
    frame = RNG.integers(0, 256, (120, 160, 3), dtype=np.uint8)
    out = blend_back(frame, np.full((96, 96, 3), 200, np.uint8), np.array([30, 20, 90, 100], np.int32))
    changed = (out != frame).any(-1)
    changed[60:100, 30:90] = False
    assert not changed.any()
    assert (out[75:88, 45:75] == 200).all()
