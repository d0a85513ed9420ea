"""Wav2Lip's sync expert: trained on real clips, then frozen as the supervisor of its generator; never a judge.

Legend: B clips, W windows of 5 frames, N windows in all, S side of a face.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from synctalk.features import audio_input
from synctalk.losses.wav2lip_expert import cosines, sync_loss, wav2lip_expert_loss
from synctalk.models.generator import gather_frames
from synctalk.models.wav2lip_expert import Wav2LipExpert, Wav2LipExpertConfig
from synctalk.params.section import section
from synctalk.runtime.device import torch_device
from synctalk.training.data import SampleCache, batch_numbers, long_enough
from synctalk.training.loop import TrainState, run_steps
from synctalk.training.optim import Optimizer, OptimParams
from synctalk.training.step import training_step
from synctalk.training.talking_data import TalkingFaceBatch, face_tensor

WINDOW = 5
"""Frames that the expert sees at a time, as many as a mel window lasts."""


@section
class Wav2LipExpertParams:
    """Wav2Lip's expert (params.yaml: `wav2lip_expert`)."""

    checkpoint: str = ""
    """Published weights to take as they are (`lipsync_expert.pth`); "" trains the expert here."""
    model: Wav2LipExpertConfig
    optim: OptimParams
    windows: int
    """Windows drawn from each clip of a batch, each of them a stretch of its own; shorter clips are not taken."""


def expert_faces(faces: Tensor) -> Tensor:
    """RGB faces of consecutive frames [N, 5, 3, S, S] as the expert sees them: lower halves, BGR of the first frame
    first, [N, 15, S/2, S].
    """
    return faces[..., faces.shape[-1] // 2 :, :].flip(2).flatten(1, 2)


def train_wav2lip_expert(
    model: Wav2LipExpert, samples: SampleCache, params: Wav2LipExpertParams, *, seed: int, folder: Path
) -> TrainState:
    """Train the expert in place. `seed` draws batches and windows, `folder` is scratch for the checkpoint.

    Raises:
        UserError: all clips are shorter than the windows drawn from one.
    """
    device = torch_device()
    model.to(device).train()
    optimizer = Optimizer(model.parameters(), params.optim)
    state = TrainState(modules={"model": model}, optimizers={"adam": optimizer})
    shortest = params.windows * WINDOW
    usable = long_enough(samples, shortest)

    def draw(number: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Faces [W, 5, 3, S, S] and mel windows [W, 1, 80, 16] of windows of a clip that do not overlap."""
        sample = samples[number]
        n_frames = sample.row.n_frames
        gaps = np.sort(rng.integers(0, n_frames - shortest + 1, params.windows))
        starts = gaps + WINDOW * np.arange(params.windows)
        wanted = (starts[:, None] + np.arange(WINDOW)).flatten().tolist()
        faces = sample.faces[wanted] if samples.keeps(number) else sample.some_faces(wanted)
        mel = audio_input("mel", sample.mel, n_frames)[starts]
        return torch.unflatten(face_tensor(faces), 0, (-1, WINDOW)), torch.from_numpy(mel)[:, None]

    def collate(numbers: list[int], rng: np.random.Generator) -> list[tuple[Tensor, Tensor]]:
        return [draw(usable[number], rng) for number in numbers]

    def losses(drawn: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        faces = expert_faces(torch.cat([faces for faces, _ in drawn]).to(device))
        found = model(torch.cat([mel for _, mel in drawn]).to(device), faces)
        audio, face = (torch.unflatten(embedding.float(), 0, (-1, params.windows)) for embedding in found)
        nearest = cosines(audio[:, None], face[:, :, None]).detach().argmax(-1)
        right = nearest == torch.arange(params.windows, device=device)
        return {"sync": wav2lip_expert_loss(audio=audio, face=face), "accuracy": right.float().mean()}

    def train_step(step: int) -> dict[str, float]:
        return training_step(
            optimizer,
            step,
            batch_numbers(len(usable), params.optim.batch_clips, seed, step),
            seed=seed,
            collate=collate,
            counts=lambda drawn: {"sync": len(drawn), "accuracy": len(drawn)},
            losses=losses,
            weights={"sync": 1.0, "accuracy": 0.0},
        )

    run_steps(state, params.optim.steps, train_step, seed=seed, folder=folder, label="wav2lip expert")
    model.cpu().eval()
    return state


class Wav2LipSupervisor:
    """The expert in eval mode, without gradients of its own: it gives the term `sync`.

    The peer leaves it in training mode, where its batch norm follows the made faces.
    """

    gives = frozenset({"sync"})

    def __init__(self, model: Wav2LipExpert) -> None:
        self.model = model.eval().requires_grad_(False).to(torch_device())

    def sync_term(self, generated_faces: Tensor, batch: TalkingFaceBatch) -> Tensor:
        """E_sync of made faces [N, 3, S, S]: each window of L frames is cut into L // 5 stretches of 5.

        Raises:
            ValueError: windows of less than 5 frames.
        """
        device = generated_faces.device
        n_windows = len(batch.window_start)
        length = len(batch.clip) // n_windows
        if length < WINDOW:
            raise ValueError(f"the expert sees {WINDOW} frames at a time; window_frames is {length}")
        count = length // WINDOW
        faces = torch.unflatten(generated_faces, 0, (n_windows, length))[:, : count * WINDOW]
        first = torch.unflatten(batch.frame_index, 0, (n_windows, length))[:, : count * WINDOW : WINDOW].flatten()
        mel = gather_frames(batch.sound("mel"), first)[:, None].to(device)
        audio, face = self.model(mel, expert_faces(torch.unflatten(faces.flatten(0, 1), 0, (-1, WINDOW))))
        return sync_loss(audio=audio, face=face)
