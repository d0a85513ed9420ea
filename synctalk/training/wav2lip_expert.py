"""Wav2Lip's sync expert: trained on real clips, then frozen as the supervisor of its generator; never a judge.

Legend: B clips, W windows of 5 frames, N windows in all, S side of a face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synctalk.faces.tensors import face_tensor
from synctalk.features import audio_input
from synctalk.losses.wav2lip_expert import cosines, sync_loss, wav2lip_expert_loss
from synctalk.models.generator import AudioKind, gather_frames
from synctalk.models.wav2lip_expert import Wav2LipExpert, Wav2LipExpertConfig
from synctalk.params.section import section
from synctalk.runtime.device import torch_device
from synctalk.shards.cache import SampleCache, long_enough
from synctalk.training.batches import batches_of
from synctalk.training.fit import Task
from synctalk.training.generator_batches import TalkingFaceBatch
from synctalk.training.optim import OptimParams
from synctalk.training.terms import MadeFaces

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


@dataclass(frozen=True)
class ExpertBatch:
    """Windows of clips that do not overlap.

    Attributes:
        faces: [B, W, 5, 3, S, S], RGB 0..1.
        mel: of the same windows, [B, W, 80, 16].
    """

    faces: Tensor
    mel: Tensor


class Wav2LipExpertTask(Task[ExpertBatch]):
    """The expert on windows of real clips.

    Raises:
        UserError: all clips are shorter than the windows drawn from one.
    """

    def __init__(self, model: Wav2LipExpert, samples: SampleCache, params: Wav2LipExpertParams, *, seed: int) -> None:
        self.model, self.samples, self.optim, self.seed = model, samples, params.optim, seed
        self.device, self.n_windows = torch_device(), params.windows
        self.shortest = params.windows * WINDOW
        self.clips_of = batches_of(long_enough(samples, self.shortest), params.optim.batch_clips, seed)
        self.weights = {"sync": 1.0, "accuracy": 0.0}

    def draw(self, number: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Faces [W, 5, 3, S, S] and mel windows [W, 80, 16] of windows of a clip that do not overlap."""
        sample = self.samples[number]
        n_frames = sample.row.n_frames
        gaps = np.sort(rng.integers(0, n_frames - self.shortest + 1, self.n_windows))
        starts = gaps + WINDOW * np.arange(self.n_windows)
        wanted = (starts[:, None] + np.arange(WINDOW)).flatten().tolist()
        faces = sample.faces[wanted] if self.samples.keeps(number) else sample.some_faces(wanted)
        mel = audio_input("mel", sample.mel, n_frames)[starts]
        return torch.unflatten(face_tensor(faces), 0, (-1, WINDOW)), torch.from_numpy(mel)

    def collate(self, numbers: list[int], rng: np.random.Generator) -> ExpertBatch:
        faces, mel = zip(*(self.draw(number, rng) for number in numbers), strict=True)
        return ExpertBatch(torch.stack(faces), torch.stack(mel))

    def counts(self, batch: ExpertBatch) -> dict[str, float]:
        return {"sync": len(batch.mel), "accuracy": len(batch.mel)}

    def losses(self, batch: ExpertBatch) -> dict[str, Tensor]:
        mel = batch.mel.flatten(0, 1)[:, None].to(self.device)
        found = self.model(mel, expert_faces(batch.faces.flatten(0, 1).to(self.device)))
        audio, face = (torch.unflatten(embedding.float(), 0, (-1, self.n_windows)) for embedding in found)
        nearest = cosines(audio[:, None], face[:, :, None]).detach().argmax(-1)
        right = nearest == torch.arange(self.n_windows, device=self.device)
        return {"sync": wav2lip_expert_loss(audio=audio, face=face), "accuracy": right.float().mean()}


class Wav2LipSupervisor:
    """The expert in eval mode, without gradients of its own: it gives the term `sync`.

    The peer leaves it in training mode, where its batch norm follows the made faces.
    """

    gives = frozenset({"sync"})
    audio_kind: AudioKind = "mel"

    def __init__(self, model: Wav2LipExpert) -> None:
        self.model = model.eval().requires_grad_(False).to(torch_device())

    def counts(self, batch: TalkingFaceBatch) -> dict[str, float | None]:
        """Windows."""
        return {"sync": len(batch.window_start)}

    def terms(self, made: MadeFaces, batch: TalkingFaceBatch, rng: torch.Generator) -> dict[str, Tensor]:
        """E_sync of made faces: each window of L frames is cut into L // 5 stretches of 5.

        Raises:
            ValueError: windows of less than 5 frames.
        """
        device = made.faces.device
        n_windows = len(batch.window_start)
        length = len(batch.clip) // n_windows
        if length < WINDOW:
            raise ValueError(f"the expert sees {WINDOW} frames at a time; window_frames is {length}")
        count = length // WINDOW
        faces = torch.unflatten(made.faces, 0, (n_windows, length))[:, : count * WINDOW]
        first = torch.unflatten(batch.frame_index, 0, (n_windows, length))[:, : count * WINDOW : WINDOW].flatten()
        mel = gather_frames(batch.audio("mel"), first)[:, None].to(device)
        audio, face = self.model(mel, expert_faces(torch.unflatten(faces.flatten(0, 1), 0, (-1, WINDOW))))
        return {"sync": sync_loss(audio=audio, face=face)}
