"""What an iteration of pre-training has learnt: its features, clustered, beside the phones of synthetic corpora.

Iterations have different numbers of clusters, and purity grows with that number. So each iteration's features are
clustered once more into one number of units; the labels that it was trained on are compared as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import pandas as pd

from synctalk.checkpoints.typed import load_av_hubert
from synctalk.corpora.phones import PhoneRow, frame_phones
from synctalk.metrics.units import UnitQuality, unit_quality
from synctalk.params.section import section
from synctalk.shards.cache import SampleCache
from synctalk.training.clusters import ClusterParams, Clusters, cluster_frames, layer_features, mfcc_features
from synctalk.training.pretrain import PretrainParams

PROBE_COLUMNS = ["units", "n_units", "used", *UnitQuality.__dataclass_fields__]


@section
class ProbeParams:
    """One clustering for all features (params.yaml: `probe`)."""

    n_clusters: int
    n_init: int
    """Beginnings of k-means, of which the best is kept."""
    batch_frames: int
    """Frames of a batch of k-means."""


@dataclass(frozen=True)
class ProbedUnits:
    """Units of some origin beside the phones.

    Attributes:
        units: what they are made of.
        n_units: how many there are.
        used: perplexity of their use, 1..n_units.
        quality: agreement with the phones.
    """

    units: str
    n_units: int
    used: float
    quality: UnitQuality


def true_phones(samples: SampleCache, phones: Mapping[str, Sequence[PhoneRow]]) -> list[list[str]]:
    """The phone of each frame of every sample, [T] each.

    Args:
        samples: clips.
        phones: of every video file, by its id.
    """
    found = []
    for number in range(len(samples)):
        about = samples[number].about
        file = about["clip"] if about["clip"] in phones else about["clip"].rpartition("/")[0]
        found.append(frame_phones(phones[file], about["audio_start"], about["n_frames"]))
    return found


def probe_units(units: str, clusters: Clusters, phones: Sequence[Sequence[str]]) -> ProbedUnits:
    """Compare the labels of `clusters` with the phones of the same frames."""
    quality = unit_quality([*chain(*clusters.labels)], [*chain(*phones)])
    return ProbedUnits(units, len(clusters.centroids), clusters.perplexity(), quality)


def top_layers(iterations: Mapping[str, PretrainParams], n_layers: int) -> dict[str, int]:
    """The layer of each iteration's model that counts: that which the next iteration clusters; the last's is the one
    that it clustered itself, or the topmost of `n_layers` where that was MFCC.
    """
    layers = [params.clusters.layer for params in iterations.values()]
    return dict(zip(iterations, [*layers[1:], layers[-1] or n_layers], strict=True))


def probe_features(
    samples: SampleCache,
    phones: Sequence[Sequence[str]],
    models: Mapping[str, Path],
    layers: Mapping[str, int],
    params: ProbeParams,
    *,
    crop: int,
    seed: int,
) -> list[ProbedUnits]:
    """MFCC and a layer of each iteration's model, clustered into the same number of units.

    Args:
        samples: clips.
        phones: of each frame of each clip.
        models: folder of each iteration's model.
        layers: its layer, see `top_layers`.
        params: of the clustering.
        crop: side of the video input, pixels.
        seed: of k-means.
    """
    clustering = ClusterParams(
        n_clusters=params.n_clusters,
        layer=0,
        fit_share=1.0,
        n_init=params.n_init,
        batch_frames=params.batch_frames,
    )
    probed = [probe_units("MFCC", cluster_frames(mfcc_features(samples), clustering, seed), phones)]
    for name, folder in models.items():
        features = layer_features(load_av_hubert(folder / "model.safetensors"), samples, layers[name], crop)
        clusters = cluster_frames(features, clustering, seed)
        probed.append(probe_units(f"{name}, layer {layers[name]}", clusters, phones))
    return probed


def write_probe(path: Path, probed: Sequence[ProbedUnits]) -> None:
    """Write CSV, a row for each origin of units: what `dvc plots` draws; the heading alone where nothing was probed."""
    rows = [{"units": row.units, "n_units": row.n_units, "used": row.used, **asdict(row.quality)} for row in probed]
    frame = pd.DataFrame(rows, columns=PROBE_COLUMNS)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, float_format="%.4f", lineterminator="\n")


def probe_figures(probed: Sequence[ProbedUnits]) -> dict[str, dict[str, float]]:
    """The same as DVC metrics: origin of the units -> figures."""
    return {row.units: {name: round(value, 4) for name, value in asdict(row.quality).items()} for row in probed}
