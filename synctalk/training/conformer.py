"""The third observer: a Conformer with CTC and attention (judge of WER3). It never supervises.

Trained here, its video front end is that of another observer and stays as it is, as auto_avsr begins with a front end
trained elsewhere; or it is a published one, taken as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from synctalk.checkpoints.typed import load_conformer
from synctalk.errors import UserError
from synctalk.features.tokens import Units
from synctalk.losses.ctc import ctc_loss
from synctalk.losses.lip_reading import lip_reading_loss
from synctalk.models.conformer import BLANK, Conformer, ConformerConfig
from synctalk.models.lip_reader import LipReader
from synctalk.params.section import section
from synctalk.runtime.device import torch_device
from synctalk.training.data import SampleCache, batch_numbers, pad_stack
from synctalk.training.finetune import frozen_features
from synctalk.training.loop import TrainState, run_steps
from synctalk.training.optim import Optimizer, OptimParams
from synctalk.training.step import training_step


@section
class ConformerRecipe:
    """How the Conformer is trained here."""

    corpora: tuple[str, ...]
    seed: int
    """Added to the seed of the run, so that judge and supervisor share no randomness."""
    net: ConformerConfig
    """Without its front end and vocabulary, which are those of the other observer and of the pieces."""
    ctc_weight: float
    """Share of CTC in the loss, 0..1: 0.3 in TalkLip's observer, 0.1 in auto_avsr."""
    smoothing: float = 0.1
    """Label smoothing of the decoder's share."""
    optim: OptimParams


@section
class ConformerParams:
    """The Conformer (params.yaml: `conformer`): a published one, or one that is trained here."""

    checkpoint: str
    """File of auto_avsr or of the older VSR models; "" trains one here."""
    pieces: str
    """SentencePiece model of the checkpoint."""
    units: str
    """Its units file: a piece and its number a line."""
    front_end: str
    """Observer whose video front end it looks through; used in training only."""
    recipe: ConformerRecipe | None = None


@dataclass(frozen=True)
class TrainedConformer:
    """The reader in eval mode, its pieces, and the learning curves of its training."""

    model: Conformer
    units: Units
    curves: list[tuple[int, str, float]]


def published_conformer(params: ConformerParams) -> TrainedConformer:
    """The Conformer of a published file and of the two files of its pieces.

    Raises:
        UserError: a file is missing or damaged, or the pieces are not those of the weights.
    """
    model, units = load_conformer(Path(params.checkpoint)), Units.load(Path(params.pieces), Path(params.units))
    if units.vocabulary != model.config.vocabulary:
        raise UserError(
            params.units,
            f"numbers {units.vocabulary - 2} pieces, {params.checkpoint} has {model.config.vocabulary - 2}",
            "bring the units file of these weights",
        )
    return TrainedConformer(model, units, [])


@dataclass(frozen=True)
class ReadingBatch:
    """Clips as the frozen front end sees them, and their pieces.

    Attributes:
        video: [B, T, C], zeros in padding.
        n_frames: int64 [B].
        decoder_input: int64 [B, S+1], and target: int64 [B, S+1]; see `token_rows`.
        n_pieces: int64 [B], without the end.
    """

    video: Tensor
    n_frames: Tensor
    decoder_input: Tensor
    target: Tensor
    n_pieces: Tensor

    def counts(self) -> dict[str, float]:
        """What each term is a mean over: pieces, and clips."""
        return {"decoder": int(self.target.ne(BLANK).sum()), "ctc": len(self.n_frames)}


def token_rows(tokens: Sequence[Sequence[int]], eos: int) -> tuple[Tensor, Tensor]:
    """Decoder inputs and targets int64 [B, S+1]: the end in front, and behind; padded with the end, and the blank."""
    longest = max(map(len, tokens)) + 1
    given = torch.full((len(tokens), longest), eos)
    target = torch.full((len(tokens), longest), BLANK)
    for row, pieces in enumerate(tokens):
        given[row, 1 : len(pieces) + 1] = torch.tensor(pieces)
        target[row, : len(pieces) + 1] = torch.tensor([*pieces, eos])
    return given, target


def train_conformer(
    samples: SampleCache,
    units: Units,
    other: LipReader,
    recipe: ConformerRecipe,
    *,
    crop: int,
    seed: int,
    folder: Path,
) -> TrainedConformer:
    """Train a Conformer on `samples`.

    Args:
        samples: clips with transcripts.
        units: its pieces.
        other: the observer whose front end it looks through.
        recipe: sizes and optimisation.
        crop: side of the video input, pixels.
        seed: of the run.
        folder: scratch folder of the run.
    """
    seed += recipe.seed
    torch.manual_seed(seed)
    device = torch_device()
    front_end = other.encoder.w2v_model.feature_extractor_video.resnet
    config = replace(recipe.net, front_end=other.config.encoder.front_end, vocabulary=units.vocabulary)
    model = Conformer(config).to(device)
    model.frontend.load_state_dict(front_end.state_dict())
    model.frontend.requires_grad_(False).eval()
    kept = frozen_features(model.frontend, samples, crop)
    tokens = [units.encode(row.transcript) for row in samples.shards.rows]
    optimizer = Optimizer(model.parameters(), recipe.optim)
    state = TrainState(modules={"model": model}, optimizers={"adam": optimizer})
    weights = {"decoder": 1 - recipe.ctc_weight, "ctc": recipe.ctc_weight}

    def collate(numbers: list[int], _: np.random.Generator) -> ReadingBatch:
        pieces = [tokens[number] for number in numbers]
        given, target = token_rows(pieces, config.eos)
        return ReadingBatch(
            video=pad_stack([kept[number] for number in numbers]),
            n_frames=torch.tensor([len(kept[number]) for number in numbers]),
            decoder_input=given,
            target=target,
            n_pieces=torch.tensor([len(row) for row in pieces]),
        )

    def losses(batch: ReadingBatch) -> dict[str, Tensor]:
        n_frames, target = batch.n_frames.to(device), batch.target.to(device)
        padding = torch.arange(batch.video.shape[1], device=device)[None] >= n_frames[:, None]
        reading = model(batch.video.to(device), padding, batch.decoder_input.to(device))
        return {
            "decoder": lip_reading_loss(
                logits=reading.logits,
                target=target,
                padding_index=BLANK,
                smoothing=recipe.smoothing,
                reduction="mean",
            ),
            "ctc": ctc_loss(
                log_probs=reading.ctc_log_probs,
                n_frames=n_frames,
                pieces=target[:, :-1],
                n_pieces=batch.n_pieces.to(device),
                blank=BLANK,
            ),
        }

    def train_step(step: int) -> dict[str, float]:
        model.train()
        model.frontend.eval()
        numbers = batch_numbers(len(samples), recipe.optim.batch_clips, seed, step)
        return training_step(
            optimizer,
            step,
            numbers,
            seed=seed,
            collate=collate,
            counts=ReadingBatch.counts,
            losses=losses,
            weights=weights,
        )

    run_steps(state, recipe.optim.steps, train_step, seed=seed, folder=folder, label="conformer")
    return TrainedConformer(model.cpu().eval(), units, state.curves)
