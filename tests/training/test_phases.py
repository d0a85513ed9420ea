"""Phases, validation and moving averages: by hand, and to the bit after a run that was cut off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from overfit import OPTIM, assert_resumes, curve, train_generator
from tiny import CROP, NETWORKS, reader, samples, tokenizer
from torch import nn

from synctalk.errors import UserError
from synctalk.training.generator import begin_generator
from synctalk.training.loop import TrainState
from synctalk.training.methods import (
    RECONSTRUCTION_ONLY,
    GeneratorWeights,
    LipReadingParams,
    PhaseParams,
    TrainParams,
    ValidationParams,
)

PHASES = {
    "frozen": PhaseParams(begin=0, terms=("reconstruction",), tuned_audio_layers=0),
    "top": PhaseParams(begin=40, terms=("reconstruction",), tuned_audio_layers=1),
    "supervised": PhaseParams(begin=80, terms=("reconstruction", "lip_reading", "contrastive"), tuned_audio_layers=1),
}
SUPERVISED = replace(
    RECONSTRUCTION_ONLY,
    weights=GeneratorWeights(reconstruction=1.0, adversarial=0.0, lip_reading=0.1, contrastive=0.1, sync=0.0),
)


def trained(folder: Path, params: TrainParams, data: Path) -> tuple[nn.Module, TrainState]:
    cache, pieces = samples(data, 3), tokenizer()
    torch.manual_seed(0)
    watcher = reader(vocabulary=len(pieces))
    model, discriminator = begin_generator(NETWORKS, "synctalklip", watcher, None, seed=0)
    state = train_generator(
        model, discriminator, watcher, cache, pieces, SUPERVISED, params, held_out=cache,
        crop=CROP, seed=2, folder=folder
    )  # fmt: skip
    return model, state


def params_of(steps: int, **changes: object) -> TrainParams:
    whole = TrainParams(
        optim=replace(OPTIM, steps=steps, batch_clips=2, decay="cosine"), window_frames=4, window_share=0.0,
        mouth_weight=1.0, lip_reading=LipReadingParams(reduction="mean"),
        phases={name: replace(phase, begin=phase.begin // 20) for name, phase in PHASES.items()},
        validation=ValidationParams(every=1, clips=2),
    )  # fmt: skip
    return replace(whole, **changes)  # type: ignore[arg-type]  # values of its fields


def test_phases_and_averages_resume_to_the_bit(tmp_path: Path) -> None:
    params = params_of(6, ema_decay=0.9)

    def train(folder: Path) -> nn.Module:
        return trained(folder, params, tmp_path / "shards" / folder.name)[0]

    (tmp_path / "shards").mkdir()
    assert_resumes(train, tmp_path, 3)


def test_the_terms_and_the_layers_of_each_phase(tmp_path: Path) -> None:
    """The reader's terms are there from the phase `supervised` on; the audio encoder moves from `top` on."""
    untouched = trained(tmp_path, params_of(2), tmp_path / "a")[0]
    (tmp_path / "later").mkdir()
    model, state = trained(tmp_path / "later", params_of(5), tmp_path / "b")
    key = "audio_encoder.w2v_model.encoder.layers.1.fc1.weight"
    assert not torch.equal(model.state_dict()[key], untouched.state_dict()[key])
    steps = {step for step, name, _ in state.curves if name == "lip_reading"}
    assert steps == {4}
    assert len(curve(state, "validation")) == 5


def test_as_many_clips_validate_as_params_say(tmp_path: Path) -> None:
    def first(clips: int) -> float:
        (tmp_path / str(clips)).mkdir()
        params = params_of(1, validation=ValidationParams(every=1, clips=clips))
        return curve(trained(tmp_path / str(clips), params, tmp_path / f"shards{clips}")[1], "validation")[0]

    assert len({first(clips) for clips in (1, 2, 3)}) == 3


def test_a_phase_without_a_weighted_term_is_one_line(tmp_path: Path) -> None:
    phases = PHASES | {"supervised": replace(PHASES["supervised"], terms=("adversarial", "sync"))}
    with pytest.raises(UserError, match=r"^phases.supervised: no term of adversarial, sync has a weight; add a term"):
        trained(tmp_path, params_of(2, phases=phases), tmp_path / "a")


def test_too_short_clips_are_one_line_before_the_first_step(tmp_path: Path) -> None:
    """Clips of 20 to 24 frames: a window of 24 leaves no other window for its reference."""
    with pytest.raises(UserError, match=r"no clip has 25 frames; add longer clips"):
        trained(tmp_path, params_of(1, window_frames=24), tmp_path / "a")


def test_the_average_is_what_is_kept(tmp_path: Path) -> None:
    """Of two steps by hand: the first is taken as it is, the second drawn in by its share."""
    weights = []
    for steps, decay in ((1, 0.0), (2, 0.0), (2, 0.75)):
        folder = tmp_path / f"{steps}-{decay}"
        folder.mkdir()
        params = params_of(2, ema_decay=decay)
        # the schedule is that of two steps in each run
        params = replace(params, optim=replace(params.optim, steps=steps, decay="none"))
        weights.append(trained(folder, params, folder / "shards")[0].state_dict())
    first, second, kept = weights
    key = "face_decoder_blocks.0.0.conv_block.0.weight"
    assert not torch.equal(first[key], second[key])
    torch.testing.assert_close(kept[key], 0.75 * first[key] + 0.25 * second[key])
    running = [key for key in kept if "running_mean" in key]
    assert running
    assert all(torch.equal(kept[key], second[key]) for key in running)
    assert all(torch.equal(kept[key], second[key]) for key in kept if key.startswith("audio_encoder."))
