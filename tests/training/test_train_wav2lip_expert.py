"""Wav2Lip: its losses by hand, its expert, and its generator under the common training."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from overfit import ADAM, OPTIM, assert_resumes, curve, train_generator
from tiny import CROP, NETWORKS, reader, samples, tokenizer
from torch import nn

from synctalk.errors import UserError
from synctalk.features import audio_input
from synctalk.generation.faces import generate_faces
from synctalk.losses.wav2lip_expert import sync_loss, wav2lip_expert_loss
from synctalk.models.generator import AudioEncoding
from synctalk.models.wav2lip_expert import Wav2LipExpert, Wav2LipExpertConfig
from synctalk.training.fit import fit
from synctalk.training.generator import begin_generator
from synctalk.training.generator_batches import TalkingFaceBatch, talking_face_batch
from synctalk.training.methods import (
    RECONSTRUCTION_ONLY,
    AdversaryParams,
    GeneratorWeights,
    MethodParams,
    PhaseParams,
    TrainParams,
    ValidationParams,
    phase_at,
)
from synctalk.training.terms import MadeFaces
from synctalk.training.wav2lip_expert import (
    Wav2LipExpertParams,
    Wav2LipExpertTask,
    Wav2LipSupervisor,
    expert_faces,
)

EXPERT = Wav2LipExpertConfig(face_widths=(4, 4, 6, 6, 8), mel_widths=(4, 4, 6, 8), d_embedding=16)
LIP_SYNC = Wav2LipExpertParams(checkpoint="", model=EXPERT, optim=replace(OPTIM, steps=60, batch_clips=2), windows=3)
WAV2LIP = replace(
    RECONSTRUCTION_ONLY,
    network="wav2lip",
    weights=GeneratorWeights(reconstruction=1.0, adversarial=0.1, lip_reading=0.0, contrastive=0.0, sync=0.1),
)
PHASES = {
    "alone": PhaseParams(begin=0, terms=("reconstruction",), tuned_audio_layers=0),
    "supervised": PhaseParams(begin=2, terms=("reconstruction", "adversarial", "sync"), tuned_audio_layers=0),
}
TRAIN = TrainParams(
    optim=replace(OPTIM, steps=4, batch_clips=2), adversary=AdversaryParams(optim=replace(ADAM, lr=0.001)),
    window_frames=5, window_share=0.0, mouth_weight=2.0, validation=ValidationParams(every=0, clips=0), phases=PHASES,
)  # fmt: skip


def expert(seed: int = 0) -> Wav2LipExpert:
    torch.manual_seed(seed)
    return Wav2LipExpert(EXPERT).eval()


def faces_of(batch: TalkingFaceBatch) -> MadeFaces:
    """As if the real faces had been made."""
    faces = batch.target_faces
    return MadeFaces(faces=faces, target=faces, audio=AudioEncoding(torch.zeros(len(faces), 1), None))


def test_losses_by_hand() -> None:
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.6, 0.8])
    # cosines 0.6 and 1, kept below 1
    assert float(sync_loss(audio=torch.stack([a, b]), face=torch.stack([b, b]))) == pytest.approx(
        -math.log(0.6) / 2, abs=1e-5
    )
    # both windows right: own pairs 1, other pairs 0.6
    audio = torch.stack([a, b])[None]
    assert float(wav2lip_expert_loss(audio=audio, face=audio)) == pytest.approx(-math.log(0.4) / 2, abs=1e-5)
    # audio exchanged: own pairs 0.6, other pairs 1
    wrong = wav2lip_expert_loss(audio=audio.flip(1), face=audio)
    assert float(wrong) > (-math.log(0.6) - math.log(1e-6)) / 2


def test_the_expert_sees_lower_halves_blue_first_and_frame_by_frame() -> None:
    faces = torch.zeros(1, 5, 3, 96, 96)
    faces[0, :, :, 48:] = torch.arange(15.0).view(5, 3)[..., None, None]
    seen = expert_faces(faces)
    assert seen.shape == (1, 15, 48, 96)
    assert seen[0, :, 0, 0].tolist() == [2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9, 14, 13, 12]


def test_the_expert_learns_which_audio_belongs_to_which_lips(tmp_path: Path) -> None:
    cache = samples(tmp_path / "shards", 2)
    rng = np.random.default_rng(0)
    for number in range(2):
        n = cache[number].row.n_frames
        level = rng.uniform(0, 1, (n + 5) // 5).repeat(5)[:n]
        faces = np.zeros((n, 96, 96, 3), np.uint8)
        faces[:, 48:] = (255 * level)[:, None, None, None]
        # the audio's pitch is the lips' light
        mel = np.full((80, n * 16 // 5), -4.0, np.float32)
        for column in range(mel.shape[1]):
            frame = min(column * 5 // 16, n - 1)
            mel[int(level[frame] * 69) : int(level[frame] * 69) + 10, column] = 4.0
        cache[number].__dict__.update(faces=faces, mel=mel)
    torch.manual_seed(0)
    model = Wav2LipExpert(EXPERT)
    state = fit(Wav2LipExpertTask(model, cache, LIP_SYNC, seed=0), folder=tmp_path, label="test")
    losses = curve(state, "sync")
    assert losses[0] > 0.6
    assert min(losses[-2:]) < 0.5
    assert max(curve(state, "accuracy")[-3:]) > 0.6


@pytest.mark.parametrize("length", [5, 13])
def test_each_stretch_of_made_faces_is_compared_with_the_audio_of_its_first_frame(tmp_path: Path, length: int) -> None:
    cache, pieces = samples(tmp_path, 2), tokenizer()
    batch = talking_face_batch(
        cache, [0, 1], crop=CROP, window=length, share=0.0, tokenizer=pieces, rng=np.random.default_rng(1),
        with_mel=True,
    )  # fmt: skip
    mels: list[torch.Tensor] = []
    seen: list[torch.Tensor] = []

    class Recorder(nn.Module):
        def forward(self, mel: torch.Tensor, faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            mels.append(mel)
            seen.append(faces)
            return torch.ones(len(mel), 1), torch.ones(len(faces), 1)

    supervisor = Wav2LipSupervisor(cast(Wav2LipExpert, Recorder()))
    supervisor.terms(faces_of(batch), batch, torch.Generator())
    count = length // 5
    expected = []
    for clip, start in zip(batch.window_clip.tolist(), batch.window_start.tolist(), strict=True):
        windows = audio_input("mel", cache[clip].mel, cache[clip].row.n_frames)
        expected += [windows[start + 5 * part] for part in range(count)]
    np.testing.assert_array_equal(mels[0][:, 0], np.stack(expected))
    blue_of_first = batch.target_faces.view(2, length, 3, 96, 96)[:, : 5 * count : 5, 2, 48:].flatten(0, 1)
    torch.testing.assert_close(seen[0][:, 0], blue_of_first)


def test_a_window_of_four_frames_is_refused(tmp_path: Path) -> None:
    batch = talking_face_batch(
        samples(tmp_path, 1), [0], crop=CROP, window=4, share=0.0, tokenizer=tokenizer(),
        rng=np.random.default_rng(1), with_mel=True,
    )  # fmt: skip
    with pytest.raises(ValueError, match="window_frames is 4"):
        Wav2LipSupervisor(expert()).terms(faces_of(batch), batch, torch.Generator())


@pytest.mark.parametrize("cut_at", [1, 3, 5])
def test_a_run_that_is_cut_off_in_any_phase_ends_with_the_same_bits(tmp_path: Path, cut_at: int) -> None:
    cache, pieces = samples(tmp_path / "shards", 3), tokenizer()

    def train(folder: Path) -> nn.Module:
        model, discriminator = begin_generator(NETWORKS, "wav2lip", expert(), None, seed=0)
        train_generator(
            model, discriminator, expert(), cache, pieces, WAV2LIP, TRAIN, crop=CROP, seed=2,
            folder=folder
        )  # fmt: skip
        return nn.ModuleDict({"generator": model, "discriminator": discriminator})

    assert_resumes(train, tmp_path, cut_at)


def first_norm(folder: Path, method: MethodParams, phases: dict[str, PhaseParams]) -> float:
    folder.mkdir()
    cache = samples(folder / "shards", 2)
    model, discriminator = begin_generator(NETWORKS, "wav2lip", expert(), None, seed=0)
    params = replace(TRAIN, optim=replace(OPTIM, steps=1, batch_clips=2), phases=phases)
    state = train_generator(
        model, discriminator, expert(), cache, tokenizer(), method, params, crop=CROP, seed=2,
        folder=folder
    )  # fmt: skip
    return curve(state, "gradient_norm")[0]


def test_a_term_counts_from_the_phase_that_names_it_on(tmp_path: Path) -> None:
    louder = replace(WAV2LIP, weights=replace(WAV2LIP.weights, sync=5.0))
    silent = replace(WAV2LIP, weights=replace(WAV2LIP.weights, sync=0.0, adversarial=0.0))
    supervised = {"supervised": replace(PHASES["supervised"], begin=0)}
    alone = first_norm(tmp_path / "alone", silent, PHASES)
    assert first_norm(tmp_path / "off", louder, PHASES) == alone
    assert abs(first_norm(tmp_path / "on", louder, supervised) - alone) > 1e-3 * alone


def test_a_phase_lasts_until_the_next_one_begins() -> None:
    assert [phase_at(PHASES, step) for step in (0, 1, 2, 3, 99)] == [
        PHASES[name] for name in ("alone", "alone", *["supervised"] * 3)
    ]
    for begins in ([], [1], [0, 0], [0, 5, 2]):
        phases = {str(number): replace(PHASES["alone"], begin=step) for number, step in enumerate(begins)}
        with pytest.raises(UserError, match="let the first begin at 0"):
            phase_at(phases, 0)


def test_a_term_that_nobody_gives_is_one_line(tmp_path: Path) -> None:
    cache, pieces = samples(tmp_path / "shards", 1), tokenizer()
    watcher = reader(vocabulary=len(pieces))
    expert_only = expert()
    reads = replace(WAV2LIP, weights=replace(WAV2LIP.weights, sync=0.0, contrastive=0.1))
    for supervisor, method, term in (
        (watcher, WAV2LIP, "sync"),
        (None, WAV2LIP, "sync"),
        (expert_only, reads, "contrastive"),
        (watcher, reads, "contrastive"),  # Wav2Lip encodes frame by frame and has no encoding to compare
    ):
        model, discriminator = begin_generator(NETWORKS, "wav2lip", expert(), None, seed=0)
        with pytest.raises(UserError, match=f"has no term {term}"):
            train_generator(
                model, discriminator, supervisor, cache, pieces, method, TRAIN, crop=CROP, seed=0, folder=tmp_path
            )  # fmt: skip


def test_a_network_says_what_it_needs() -> None:
    with pytest.raises(UserError, match="take one of wav2lip, synctalklip"):
        begin_generator(NETWORKS, "gan", expert(), None, seed=0)
    with pytest.raises(UserError, match="begins as a reader's"):
        begin_generator(NETWORKS, "synctalklip", expert(), None, seed=0)


def test_each_frame_has_its_own_mel_window(tmp_path: Path) -> None:
    model, _ = begin_generator(NETWORKS, "wav2lip", expert(), None, seed=0)
    model = model.eval()
    nn.init.normal_(model.output_block[1].weight, std=1.0)
    faces = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3)).astype(np.uint8).repeat(9, 0)
    mel = np.random.default_rng(1).uniform(-4, 4, (80, 64)).astype(np.float32)
    rows = np.array([3, 0, 15, 3, 7, 0, 15, 3, 7])
    made = generate_faces(model, faces, faces[:1], audio_input("mel", mel, 20), rows, 4)
    for frame, row in enumerate(rows):
        assert np.abs(made[frame].astype(int) - made[int(np.flatnonzero(rows == row)[0])]).max() <= 1
    assert len({made[frame].tobytes() for frame in (0, 1, 2, 4)}) == 4
