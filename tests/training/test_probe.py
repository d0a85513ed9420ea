"""The probe of pre-training: which layers, which frames, and what lands in the tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tiny import CROP, ENCODER, samples

from synctalk.checkpoints import save
from synctalk.corpora.phones import PhoneRow
from synctalk.models.av_hubert import AVHubert
from synctalk.training.clusters import Clusters
from synctalk.training.probe import (
    ProbeParams,
    probe_features,
    probe_figures,
    probe_units,
    top_layers,
    true_phones,
    write_probe,
)

PARAMS = ProbeParams(n_clusters=6, n_init=2, batch_frames=64)


def iteration(layer: int) -> SimpleNamespace:
    return SimpleNamespace(clusters=SimpleNamespace(layer=layer))


@pytest.mark.parametrize(("layers", "probed"), [([0, 9, 12], [9, 12, 12]), ([0, 3], [3, 3]), ([0], [4])])
def test_the_layer_that_the_next_iteration_clusters_is_probed(layers: list[int], probed: list[int]) -> None:
    chain = {f"it{n}": iteration(layer) for n, layer in enumerate(layers)}
    assert top_layers(chain, n_layers=4) == dict(zip(chain, probed, strict=True))


def test_phones_follow_the_sound_also_in_segments() -> None:
    """The sound of a sample begins at `audio_start` of the file; a segment's id ends in its frames."""
    phones = {"main/1": [PhoneRow("main/1", "a", 0.0, 0.08), PhoneRow("main/1", "b", 0.08, 9.0)]}
    whole = {"clip": "main/1", "audio_start": 0, "start": 0, "n_frames": 3}
    moved = {"clip": "main/1", "audio_start": 1, "start": 0, "n_frames": 3}
    segment = {"clip": "main/1/000001-000004", "audio_start": 1, "start": 1, "n_frames": 3}
    clips = [SimpleNamespace(about=about) for about in (whole, moved, segment)]
    assert true_phones(clips, phones) == [list("aab"), list("abb"), list("abb")]  # type: ignore[arg-type]


def test_all_features_get_one_number_of_units(tmp_path: Path) -> None:
    clips = samples(tmp_path / "shards")
    (tmp_path / "it1").mkdir()
    save(AVHubert(replace(ENCODER, n_labels=10)), tmp_path / "it1" / "model.safetensors", {})
    phones = [
        ["a", "b"] * (clips[n].row.n_frames // 2) + ["a"] * (clips[n].row.n_frames % 2) for n in range(len(clips))
    ]
    probed = probe_features(clips, phones, {"it1": tmp_path / "it1"}, {"it1": 1}, PARAMS, crop=CROP, seed=0)
    assert [(row.units, row.n_units) for row in probed] == [("MFCC", 6), ("it1, layer 1", 6)]
    assert all(0.5 <= row.quality.phone_purity <= 1 for row in probed)


def test_tables_say_what_was_measured(tmp_path: Path) -> None:
    clusters = Clusters(np.zeros((2, 1), np.float32), [np.array([0, 0]), np.array([1, 1])])
    row = probe_units("labels of it1", clusters, [["a", "a"], ["a", "b"]])
    write_probe(tmp_path / "units.csv", [row])
    read = pd.read_csv(tmp_path / "units.csv").to_dict("records")
    assert read == [
        {"units": "labels of it1", "n_units": 2, "used": 2.0, "phone_purity": 0.75, "cluster_purity": 0.75}
        | {"pnmi": pytest.approx(probe_figures([row])["labels of it1"]["pnmi"], abs=1e-4)}
    ]
    write_probe(tmp_path / "none.csv", [])
    assert pd.read_csv(tmp_path / "none.csv").empty
