"""Cluster labels z_t, the targets of masked cluster prediction (eq. 3): of MFCC first, then of a layer of the last
model.

Peer: av_hubert clustering @ 258fb50: MiniBatchKMeans (k-means++, n_init 20, max_iter 100, batch 10,000) on a part
    of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save
from sklearn.cluster import MiniBatchKMeans

from synctalk.checkpoints.safetensors_file import write_whole
from synctalk.checkpoints.typed import load_av_hubert
from synctalk.corpora.records import read_table, write_table
from synctalk.errors import UserError
from synctalk.features.mfcc import add_deltas
from synctalk.features.speech_batch import speech_batch
from synctalk.models.av_hubert import AVHubert
from synctalk.params.section import section
from synctalk.runtime.device import torch_device
from synctalk.runtime.jobs import progress_bar
from synctalk.shards.cache import SampleCache
from synctalk.timebase import FBANK_PER_FRAME

EXTRACT_CLIPS = 16
"""Clips encoded at a time."""
LABEL_SCHEMA = pa.schema([("key", pa.string()), ("sha256", pa.string()), ("labels", pa.list_(pa.int16()))])


@section
class ClusterParams:
    """How frames are clustered (params.yaml: `pretrain.iterations.<name>.clusters`)."""

    n_clusters: int
    layer: int
    """Layer of the source model whose output is clustered, from 1; 0 where the source is MFCC."""
    fit_share: float
    """Share of the clips on which k-means is fitted, 0..1."""
    n_init: int
    batch_frames: int


@dataclass(frozen=True)
class Clusters:
    """k-means of frames: `centroids` float32 [K, D]; `labels` int64 [T] of each sample, in the order of the samples."""

    centroids: NDArray[np.float32]
    labels: list[NDArray[np.int64]]

    def usage(self) -> NDArray[np.float64]:
        """Share of the frames in each cluster, [K]."""
        counts = np.bincount(np.concatenate(self.labels), minlength=len(self.centroids)).astype(np.float64)
        share: NDArray[np.float64] = counts / counts.sum()
        return share

    def perplexity(self) -> float:
        """exp of the entropy of `usage`: how many clusters are in use, 1..K."""
        share = self.usage()
        share = share[share > 0]
        return float(np.exp(-(share * np.log(share)).sum()))


def mfcc_features(samples: SampleCache) -> list[NDArray[np.float32]]:
    """MFCC with deltas of every sample, float32 [T, 39]: every fourth 10 ms row, as fairseq reads labels of 100 Hz."""
    return [
        add_deltas(samples[number].mfcc)[::FBANK_PER_FRAME][: samples[number].row.n_frames].astype(np.float32)
        for number in range(len(samples))
    ]


def layer_features(model: AVHubert, samples: SampleCache, layer: int, crop: int) -> list[NDArray[np.float32]]:
    """Audio-visual features of one layer of `model`, float32 [T, D] of every sample; see `AVHubert.extract`."""
    device = torch_device()
    model.to(device).eval()
    features: list[NDArray[np.float32]] = []
    starts = range(0, len(samples), EXTRACT_CLIPS)
    with torch.inference_mode():
        for start in progress_bar(iterable=starts, desc="features", unit="batch"):
            numbers = list(range(start, min(start + EXTRACT_CLIPS, len(samples))))
            batch = speech_batch(samples, numbers, crop=crop)
            rows = model.extract(batch.audio.to(device), batch.video.to(device), batch.padding.to(device), layer)
            features += [row[:n].float().cpu().numpy() for row, n in zip(rows, batch.n_frames.tolist(), strict=True)]
    model.cpu()
    return features


def cluster_corpora(samples: SampleCache, source: Path, params: ClusterParams, *, crop: int, seed: int) -> Clusters:
    """Cluster every frame of `samples`: MFCC where `params.layer` is 0, else that layer of the model in `source`.

    Args:
        samples: clips.
        source: folder of the model of the last iteration; not opened where MFCC are clustered.
        params: counts and layer.
        crop: side of the video input, pixels.
        seed: of k-means.
    """
    if params.layer == 0:
        return cluster_frames(mfcc_features(samples), params, seed)
    model = load_av_hubert(source / "model.safetensors")
    return cluster_frames(layer_features(model, samples, params.layer, crop), params, seed)


def write_clusters(folder: Path, samples: SampleCache, clusters: Clusters) -> None:
    """Write `labels.parquet` (one row a sample: shard folder's key, labels) and `centroids.safetensors`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"key": row.key, "sha256": row.sha256, "labels": labels.tolist()}
        for row, labels in zip(samples.shards.rows, clusters.labels, strict=True)
    ]
    write_table(folder / "labels.parquet", rows, LABEL_SCHEMA)
    write_whole(folder / "centroids.safetensors", save({"centroids": clusters.centroids}))


def write_usage(path: Path, clusters: Clusters) -> None:
    """Write CSV for `dvc plots`: share of the frames in each cluster, the most used first."""
    lines = [f"{rank},{share:.6f}" for rank, share in enumerate(sorted(clusters.usage(), reverse=True), 1)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["rank,share", *lines]) + "\n", encoding="utf-8")


def read_labels(folder: Path, samples: SampleCache) -> list[NDArray[np.int64]]:
    """Labels of every sample, in the order of `samples`.

    Raises:
        UserError: the labels belong to other shards.
    """
    rows = read_table(folder / "labels.parquet", LABEL_SCHEMA)
    if [row["sha256"] for row in rows] != [row.sha256 for row in samples.shards.rows]:
        raise UserError(folder / "labels.parquet", "belongs to other shards", "run `dvc repro cluster`")
    return [np.asarray(row["labels"], np.int64) for row in rows]


def read_clusters(folder: Path, samples: SampleCache) -> Clusters:
    """What `write_clusters` wrote for `samples`; errors as `read_labels`."""
    return Clusters(load_file(folder / "centroids.safetensors")["centroids"], read_labels(folder, samples))


def cluster_frames(features: Sequence[NDArray[np.float32]], params: ClusterParams, seed: int) -> Clusters:
    """Fit k-means on a share of the clips, label every frame.

    Args:
        features: [T_i, D] of each sample.
        params: counts and shares.
        seed: of the choice of clips and of k-means.
    """
    rng = np.random.default_rng(seed)
    n_fit = max(1, round(params.fit_share * len(features)))
    fit = np.concatenate([features[i] for i in sorted(rng.permutation(len(features))[:n_fit])])
    kmeans = MiniBatchKMeans(
        min(params.n_clusters, len(fit)),
        random_state=seed,
        n_init=params.n_init,
        max_iter=100,
        batch_size=params.batch_frames,
    ).fit(fit)
    labels = [kmeans.predict(rows).astype(np.int64) for rows in progress_bar(iterable=features, desc="label frames")]
    return Clusters(kmeans.cluster_centers_.astype(np.float32), labels)
