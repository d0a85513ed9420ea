"""Clusters: what is apart is found apart, files fit their shards, and frames keep their place in padded batches."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
import torch
from python_speech_features import delta
from safetensors.numpy import load_file
from tiny import CROP, ENCODER, samples

from synctalk.errors import UserError
from synctalk.models.av_hubert import AVHubert
from synctalk.training import clusters
from synctalk.training.clusters import (
    ClusterParams,
    Clusters,
    cluster_corpora,
    cluster_frames,
    layer_features,
    mfcc_features,
    read_labels,
    write_clusters,
)

PARAMS = ClusterParams(n_clusters=4, layer=0, fit_share=1.0, n_init=3, batch_frames=64)
CENTRES = np.array([[0, 0, 0], [40, 0, 0], [0, 40, 0], [0, 0, 40]], np.float32)


def blobs(seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Frames around four far points, in clips of unequal length, and the point of each."""
    rng = np.random.default_rng(seed)
    truth = [rng.integers(0, 4, n) for n in (30, 50, 41, 60)]
    return [(CENTRES[row] + rng.normal(size=(len(row), 3))).astype(np.float32) for row in truth], truth


def purity(labels: list[np.ndarray], truth: list[np.ndarray]) -> float:
    found, real = np.concatenate(labels), np.concatenate(truth)
    return sum(np.bincount(real[found == k]).max() for k in np.unique(found)) / len(real)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_separable_frames_are_found(share: float) -> None:
    features, truth = blobs()
    found = cluster_frames(features, replace(PARAMS, fit_share=share), seed=0)
    assert purity(found.labels, truth) == 1.0
    assert [len(row) for row in found.labels] == [30, 50, 41, 60]
    nearest = ((found.centroids[:, None] - CENTRES) ** 2).sum(-1).argmin(1)
    assert sorted(nearest) == [0, 1, 2, 3]
    np.testing.assert_allclose(found.centroids, CENTRES[nearest], atol=1.0)


def test_clusters_are_a_function_of_the_seed() -> None:
    features = [np.random.default_rng(n).normal(size=(40, 3)).astype(np.float32) for n in range(3)]
    once, again, other = (cluster_frames(features, PARAMS, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once.centroids, again.centroids)
    for a, b in zip(once.labels, again.labels, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(once.centroids, other.centroids)


def test_fewer_frames_than_clusters_give_a_cluster_a_frame() -> None:
    found = cluster_frames([np.eye(3, dtype=np.float32) * 10], PARAMS, 0)
    assert sorted(found.labels[0]) == [0, 1, 2]
    assert found.centroids.shape == (3, 3)


def test_usage_and_perplexity_by_hand() -> None:
    found = Clusters(np.zeros((4, 2), np.float32), [np.array([0, 0, 0]), np.array([0, 1, 1, 2, 2])])
    assert found.usage().tolist() == [0.5, 0.25, 0.25, 0.0]
    assert found.perplexity() == pytest.approx(exp(0.5 * log(2) + 0.5 * log(4)))


def test_mfcc_are_every_fourth_row_with_deltas(tmp_path: Path) -> None:
    cache = samples(tmp_path, 2)
    for number, rows in enumerate(mfcc_features(cache)):
        mfcc = cache[number].mfcc
        first = delta(mfcc.T, 2)
        whole = np.concatenate([mfcc.T, first, delta(first, 2)], axis=1)
        np.testing.assert_allclose(rows, whole[::4], atol=1e-5)
        assert rows.shape == (cache[number].row.n_frames, 39)


def test_layers_of_a_padded_batch_are_those_of_each_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    cache, model = samples(tmp_path, 3), AVHubert(ENCODER)
    together = layer_features(model, cache, 1, CROP)
    monkeypatch.setattr(clusters, "EXTRACT_CLIPS", 1)
    for a, b in zip(together, layer_features(model, cache, 1, CROP), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert [row.shape for row in together] == [(20, 16), (22, 16), (24, 16)]
    last = layer_features(model, cache, 2, CROP)
    assert not np.allclose(together[0], last[0])


def test_layer_0_is_mfcc_and_opens_no_model(tmp_path: Path) -> None:
    cache = samples(tmp_path, 2)
    found = cluster_corpora(cache, tmp_path / "not there", PARAMS, crop=CROP, seed=0)
    expected = cluster_frames(mfcc_features(cache), PARAMS, 0)
    np.testing.assert_array_equal(found.centroids, expected.centroids)
    with pytest.raises(UserError):
        cluster_corpora(cache, tmp_path / "not there", replace(PARAMS, layer=1), crop=CROP, seed=0)


def test_labels_survive_their_file(tmp_path: Path) -> None:
    cache = samples(tmp_path / "shards", 2)
    found = cluster_frames(mfcc_features(cache), PARAMS, 0)
    write_clusters(tmp_path / "clusters", cache, found)
    for a, b in zip(read_labels(tmp_path / "clusters", cache), found.labels, strict=True):
        np.testing.assert_array_equal(a, b)
    stored = load_file(tmp_path / "clusters" / "centroids.safetensors")["centroids"]
    np.testing.assert_array_equal(stored, found.centroids)


@pytest.mark.parametrize(("n_clips", "seed"), [(3, 0), (1, 0), (2, 9)])
def test_labels_of_other_shards_are_refused(tmp_path: Path, n_clips: int, seed: int) -> None:
    cache = samples(tmp_path / "shards", 2)
    write_clusters(tmp_path / "clusters", cache, cluster_frames(mfcc_features(cache), PARAMS, 0))
    # more clips, fewer, or the same names with other pictures
    other = samples(tmp_path / "other", n_clips, seed)
    with pytest.raises(UserError) as error:
        read_labels(tmp_path / "clusters", other)
    assert str(error.value).endswith("labels.parquet: belongs to other shards; run `dvc repro cluster`")
