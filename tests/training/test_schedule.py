"""Phases that end early, moving averages and duels: by hand, and to the bit after a run that was cut off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from overfit import OPTIM, assert_resumes, curve
from tiny import CROP, NETWORKS, reader, samples, tokenizer
from torch import nn

from synctalk.errors import UserError
from synctalk.training.adversary import PATIENCE, Duel
from synctalk.training.loop import TrainState
from synctalk.training.schedule import Average, PhaseParams, Schedule, ValidationParams
from synctalk.training.supervisor import Supervisor
from synctalk.training.talking import (
    RECONSTRUCTION_ONLY,
    GeneratorWeights,
    TrainParams,
    begin_generator,
    train_generator,
)

PHASES = {
    "frozen": PhaseParams(begin=0, terms=("reconstruction",), tuned_audio_layers=0),
    "top": PhaseParams(begin=40, terms=("reconstruction",), tuned_audio_layers=1),
    "watched": PhaseParams(begin=80, terms=("reconstruction", "lip_reading", "contrastive"), tuned_audio_layers=1),
}
WATCHED = replace(
    RECONSTRUCTION_ONLY,
    weights=GeneratorWeights(reconstruction=1.0, adversarial=0.0, lip_reading=0.1, contrastive=0.1, sync=0.0),
)


def test_a_phase_without_a_new_best_ends_and_the_last_one_ends_the_run() -> None:
    schedule = Schedule(PHASES, 100, patience=2)
    assert schedule.validated(1.0, 9) is None
    assert schedule.validated(1.1, 19) is None
    assert schedule.validated(0.9, 29) is None  # a new best
    assert schedule.validated(0.9, 34) is None
    assert schedule.validated(0.95, 36) == "frozen"
    # the run has done 37 steps; the next is step 40 of the schedule
    assert schedule.step_at(37) == 40
    assert schedule.phase(40) is PHASES["top"]
    # worse than the best of the phase before, and yet the first of its own
    assert schedule.validated(2.0, 49) is None
    assert schedule.validated(2.0, 59) is None
    assert schedule.validated(2.0, 69) == "top"
    assert schedule.step_at(67) == 80
    for value, ended in ((1.0, None), (1.0, None), (1.0, "watched")):
        assert schedule.validated(value, 85) == ended
    assert schedule.step_at(67 + 6) == 100


def test_without_patience_phases_last_as_long_as_they_say() -> None:
    schedule = Schedule(PHASES, 100, patience=0)
    assert [schedule.validated(value, 10) for value in (1.0, 2.0, 3.0, 4.0)] == [None] * 4
    assert [schedule.phase(schedule.step_at(done)) for done in (39, 40, 80)] == list(PHASES.values())


def test_an_average_by_hand() -> None:
    model = nn.BatchNorm1d(1)
    with torch.no_grad():
        model.weight.fill_(1.0)
        average = Average(model, decay=0.5)
        for step, value in ((0, 11.0), (99, 21.0)):
            model.weight.fill_(value)
            model.running_mean.fill_(value)  # type: ignore[union-attr]  # batch norm with statistics has them
            average.update(model, step)
    # decay 0.1 at step 0: 10.0; decay 0.5 at step 99: 15.5; running averages are those of the last step
    other = nn.BatchNorm1d(1)
    average.write_to(other)
    assert float(other.weight.detach()) == pytest.approx(15.5)
    assert float(other.running_mean) == 21.0  # type: ignore[arg-type]  # batch norm with statistics has them


@pytest.mark.parametrize(
    ("real", "fake", "outcome"), [(0.99, 0.01, "won"), (0.01, 0.01, "lost"), (0.99, 0.99, "lost"), (0.6, 0.4, None)]
)
def test_a_duel_is_decided_after_enough_steps_in_a_row_and_counted_once(
    real: float, fake: float, outcome: str | None
) -> None:
    duel = Duel()
    pair = torch.full((4, 1), real), torch.full((4, 1), fake)
    even = torch.full((4, 1), 0.5), torch.full((4, 1), 0.5)
    assert [duel.note(*pair) for _ in range(PATIENCE - 1)] == [None] * (PATIENCE - 1)
    duel.note(*even)
    assert [duel.note(*pair) for _ in range(PATIENCE)] == [None] * (PATIENCE - 1) + [outcome]
    assert [duel.note(*pair) for _ in range(PATIENCE)] == [None] * PATIENCE
    assert duel.times.tolist() == [int(outcome == "won"), int(outcome == "lost")]


def trained(folder: Path, params: TrainParams, data: Path) -> tuple[nn.Module, TrainState]:
    cache, pieces = samples(data, 3), tokenizer()
    torch.manual_seed(0)
    watcher = reader(vocabulary=len(pieces))
    model, discriminator = begin_generator(NETWORKS, "synctalklip", watcher, None, seed=0)
    state = train_generator(
        model, discriminator, Supervisor(watcher, cache, CROP), cache, pieces, WATCHED, params, held_out=cache,
        crop=CROP, seed=2, folder=folder, label="test",
    )  # fmt: skip
    return model, state


def params_of(steps: int, **changes: object) -> TrainParams:
    whole = TrainParams(
        optim=replace(OPTIM, steps=steps, batch_clips=2, decay="cosine"), discriminator_optim=OPTIM, window_frames=4,
        window_share=0.0, mouth_weight=1.0, smoothing=0.1, lip_reduction="mean", adversarial_form="bce",
        adversary_frames=0, ema_decay=0.0,
        phases={name: replace(phase, begin=phase.begin // 20) for name, phase in PHASES.items()},
        validation=ValidationParams(every=1, clips=2, patience=0),
    )  # fmt: skip
    return replace(whole, **changes)  # type: ignore[arg-type]  # values of its fields


def test_phases_averages_and_patience_resume_to_the_bit(tmp_path: Path) -> None:
    # a learning rate that makes every step worse, so that phases end early
    params = params_of(6, ema_decay=0.9, validation=ValidationParams(every=1, clips=2, patience=1))

    def train(folder: Path) -> nn.Module:
        return trained(folder, params, tmp_path / "shards" / folder.name)[0]

    (tmp_path / "shards").mkdir()
    assert_resumes(train, tmp_path, 3)


def test_the_terms_and_the_layers_of_each_phase(tmp_path: Path) -> None:
    """The reader's terms are there from the phase `watched` on; the audio encoder moves from `top` on."""
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
        params = params_of(1, validation=ValidationParams(every=1, clips=clips, patience=0))
        return curve(trained(tmp_path / str(clips), params, tmp_path / f"shards{clips}")[1], "validation")[0]

    assert len({first(clips) for clips in (1, 2, 3)}) == 3


def test_a_phase_without_a_weighted_term_is_one_line(tmp_path: Path) -> None:
    phases = PHASES | {"watched": replace(PHASES["watched"], terms=("adversarial", "sync"))}
    with pytest.raises(UserError, match=r"^phases.watched: no term of adversarial, sync has a weight; add a term"):
        trained(tmp_path, params_of(2, phases=phases), tmp_path / "a")


def test_too_short_clips_are_one_line_before_the_first_step(tmp_path: Path) -> None:
    """Clips of 20 to 24 frames: a window of 24 leaves no other window for its reference."""
    with pytest.raises(UserError, match=r"no clip has 25 frames; add longer clips"):
        trained(tmp_path, params_of(1, window_frames=24), tmp_path / "a")


def test_the_average_is_what_is_kept(tmp_path: Path) -> None:
    plain = trained(tmp_path, params_of(2), tmp_path / "a")[0]
    (tmp_path / "ema").mkdir()
    averaged = trained(tmp_path / "ema", params_of(2, ema_decay=0.99), tmp_path / "b")[0]
    different = [key for key, value in averaged.state_dict().items() if not torch.equal(value, plain.state_dict()[key])]
    assert any("face_decoder" in key for key in different)
    assert not any("running_mean" in key or "audio_encoder" in key for key in different)
