"""Pre-training: labels of one clip are learnt, a run that is cut off ends the same, iterations build on each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from overfit import OPTIM, assert_resumes, curve
from tiny import CROP, ENCODER, samples
from torch import nn

from synctalk.checkpoints import save
from synctalk.features.speech_batch import NoiseParams
from synctalk.training.clusters import ClusterParams, cluster_corpora, read_labels, write_clusters
from synctalk.training.fit import fit
from synctalk.training.pretrain import LABEL_OFFSET, PretrainParams, PretrainTask, begin_iteration

PARAMS = PretrainParams(
    batch_frames=0, recompute=False,
    source="", start="scratch", optim=OPTIM, masking="input", feature_grad_mult=1.0, audio_mask_prob=0.2,
    audio_mask_length=3, video_mask_prob=0.1, video_mask_length=2, modality_dropout=0.0, audio_dropout=0.5, alpha=1.0,
    noise=NoiseParams(prob=0.0, low_db=0.0, high_db=0.0, voices=1),
    feature_penalty=0.0,
    clusters=ClusterParams(n_clusters=4, layer=0, fit_share=1.0, n_init=1, batch_frames=64),
)  # fmt: skip


def some_labels(n_clips: int) -> list[np.ndarray]:
    """Runs of five frames of each of four clusters, in turn."""
    return [np.arange(20 + 2 * number) // 5 % 4 for number in range(n_clips)]


@pytest.mark.parametrize("masking", ["input", "feature"])
def test_one_clip_is_learnt(tmp_path: Path, masking: str) -> None:
    params = replace(PARAMS, masking=masking)
    labels = some_labels(1)
    model = begin_iteration(ENCODER, params, labels, tmp_path, seed=0)
    cache = samples(tmp_path / "shards", 1)
    state = fit(PretrainTask(model, cache, labels, params, crop=CROP, seed=0), folder=tmp_path, label="test")
    losses, accuracies = curve(state, "masked_prediction"), curve(state, "accuracy")
    assert len(losses) == 7
    assert np.mean(losses[-2:]) < losses[0] / 4
    assert np.mean(accuracies[-2:]) > 0.85 > accuracies[0]
    assert not model.training


def test_targets_are_the_labels_behind_the_special_symbols(tmp_path: Path) -> None:
    labels = some_labels(1)
    model = begin_iteration(ENCODER, PARAMS, labels, tmp_path, seed=0)
    assert model.config.n_labels == 4 + LABEL_OFFSET
    cache = samples(tmp_path / "shards", 1)
    fit(PretrainTask(model, cache, labels, PARAMS, crop=CROP, seed=0), folder=tmp_path, label="test")
    padding = torch.zeros(1, 20, dtype=torch.bool)
    audio, video = torch.from_numpy(cache[0].fbank)[None], torch.zeros(1, 1, 20, CROP, CROP)
    # the special symbols are never right, so they are never predicted
    assert int(model(audio, video, padding).logits.argmax(-1).min()) >= LABEL_OFFSET


@pytest.mark.parametrize("cut_at", [1, 4])
def test_a_run_that_is_cut_off_ends_with_the_same_bits(tmp_path: Path, cut_at: int) -> None:
    # dropout of modalities and layers: all chance must come from seed and step
    config = replace(ENCODER, dropout=0.1, layerdrop=0.3)
    params = replace(PARAMS, modality_dropout=0.5, optim=replace(OPTIM, steps=5, batch_clips=2))
    labels, cache = some_labels(3), samples(tmp_path / "shards", 3)

    def train(folder: Path) -> nn.Module:
        model = begin_iteration(config, params, labels, tmp_path, seed=0)
        fit(PretrainTask(model, cache, labels, params, crop=CROP, seed=3), folder=folder, label="test")
        return model

    assert_resumes(train, tmp_path, cut_at)


def test_an_iteration_begins_fresh_or_with_the_encoder_of_the_last(tmp_path: Path) -> None:
    last = begin_iteration(ENCODER, PARAMS, some_labels(1), tmp_path, seed=7)
    save(last, tmp_path / "model.safetensors", {})
    more = [np.arange(20) % 9]
    fresh = begin_iteration(ENCODER, PARAMS, more, tmp_path, seed=1)
    again = begin_iteration(ENCODER, PARAMS, more, tmp_path / "not there", seed=1)
    onward = begin_iteration(ENCODER, replace(PARAMS, start="source"), more, tmp_path, seed=1)
    assert onward.config.n_labels == 9 + LABEL_OFFSET
    for key, value in last.backbone_state().items():
        assert torch.equal(onward.state_dict()[key], value)
    # the head is new: its clusters are others
    assert torch.equal(onward.label_embs_concat, fresh.label_embs_concat)
    assert torch.equal(again.encoder.layers[0].fc1.weight, fresh.encoder.layers[0].fc1.weight)
    assert not torch.equal(fresh.encoder.layers[0].fc1.weight, last.encoder.layers[0].fc1.weight)


def test_five_iterations_each_cluster_what_the_last_has_learnt(tmp_path: Path) -> None:
    """The chain of the paper with its changes: counts, layers, and masks on the inputs at the end."""
    cache, source = samples(tmp_path / "shards", 3), tmp_path / "no model yet"
    counts, layers = (4, 4, 6, 8, 10), (0, 1, 2, 2, 2)
    for number, (n_clusters, layer) in enumerate(zip(counts, layers, strict=True), start=1):
        last = number == 5
        params = replace(
            PARAMS,
            clusters=replace(PARAMS.clusters, n_clusters=n_clusters, layer=layer),
            masking="input" if last else "feature",
            modality_dropout=0.5 if last else 0.0,
            optim=replace(OPTIM, steps=2, batch_clips=2),
        )
        folder = tmp_path / f"it{number}"
        write_clusters(folder, cache, cluster_corpora(cache, source, params.clusters, crop=CROP, seed=0))
        labels = read_labels(folder, cache)
        model = begin_iteration(ENCODER, params, labels, source, seed=0)
        assert (model.config.n_labels, model.config.masking) == (n_clusters + LABEL_OFFSET, params.masking)
        state = fit(PretrainTask(model, cache, labels, params, crop=CROP, seed=0), folder=folder, label=f"it{number}")
        assert np.isfinite(curve(state, "masked_prediction")).all()
        save(model, folder / "model.safetensors", {})
        source = folder
