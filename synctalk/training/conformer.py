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
from synctalk.features.speech_batch import pad_stack
from synctalk.features.tokens import Units
from synctalk.losses.ctc import ctc_loss
from synctalk.losses.lip_reading import lip_reading_loss
from synctalk.models.conformer import BLANK, Conformer, ConformerConfig
from synctalk.models.lip_reader import LipReader
from synctalk.params.section import section
from synctalk.runtime.device import torch_device
from synctalk.shards.cache import SampleCache
from synctalk.training.batches import batches_of
from synctalk.training.finetune import frozen_features
from synctalk.training.fit import Task, fit
from synctalk.training.optim import OptimParams


@section
class ConformerRecipe:
    """How the Conformer is trained here."""

    corpora: tuple[str, ...]
    seed: int
    """Added to the seed of the run, so that judge and supervisor share no random numbers."""
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

    checkpoint: str = ""
    """File of auto_avsr or of the older VSR models; "" trains one here."""
    pieces: str = ""
    """SentencePiece model of the checkpoint."""
    units: str = ""
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
class ConformerBatch:
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


def token_rows(tokens: Sequence[Sequence[int]], eos: int) -> tuple[Tensor, Tensor]:
    """Decoder inputs and targets int64 [B, S+1]: the end in front, and behind; padded with the end, and the blank."""
    longest = max(map(len, tokens)) + 1
    given = torch.full((len(tokens), longest), eos)
    target = torch.full((len(tokens), longest), BLANK)
    for row, pieces in enumerate(tokens):
        given[row, 1 : len(pieces) + 1] = torch.tensor(pieces)
        target[row, : len(pieces) + 1] = torch.tensor([*pieces, eos])
    return given, target


class ConformerTask(Task[ConformerBatch]):
    """The Conformer on clips with transcripts, through the other observer's frozen front end.

    Args:
        samples: clips with transcripts.
        units: its pieces.
        other: the observer whose front end it looks through.
        recipe: sizes and optimisation.
        crop: side of the video input, pixels.
        seed: of the run, to which the recipe's is added.
    """

    model: Conformer

    def __init__(
        self, samples: SampleCache, units: Units, other: LipReader, recipe: ConformerRecipe, *, crop: int, seed: int
    ) -> None:
        self.recipe, self.optim, self.seed, self.device = recipe, recipe.optim, seed + recipe.seed, torch_device()
        torch.manual_seed(self.seed)
        front_end = other.encoder.w2v_model.feature_extractor_video.resnet
        config = replace(recipe.net, front_end=other.config.encoder.front_end, vocabulary=units.vocabulary)
        self.model = Conformer(config).to(self.device)
        self.model.frontend.load_state_dict(front_end.state_dict())
        self.model.frontend.requires_grad_(False).eval()
        self.features = frozen_features(self.model.frontend, samples, crop)
        self.tokens = [units.encode(row.transcript) for row in samples.shards.rows]
        self.clips_of = batches_of(range(len(samples)), recipe.optim.batch_clips, self.seed)
        self.weights = {"decoder": 1 - recipe.ctc_weight, "ctc": recipe.ctc_weight}

    def collate(self, numbers: list[int], _: np.random.Generator) -> ConformerBatch:
        pieces = [self.tokens[number] for number in numbers]
        given, target = token_rows(pieces, self.model.config.eos)
        return ConformerBatch(
            video=pad_stack([self.features[number] for number in numbers]),
            n_frames=torch.tensor([len(self.features[number]) for number in numbers]),
            decoder_input=given,
            target=target,
            n_pieces=torch.tensor([len(row) for row in pieces]),
        )

    def counts(self, batch: ConformerBatch) -> dict[str, float]:
        """Pieces, and clips."""
        return {"decoder": int(batch.target.ne(BLANK).sum()), "ctc": len(batch.n_frames)}

    def begin_step(self, step: int) -> None:
        self.model.frontend.eval()

    def losses(self, batch: ConformerBatch) -> dict[str, Tensor]:
        n_frames, target = batch.n_frames.to(self.device), batch.target.to(self.device)
        padding = torch.arange(batch.video.shape[1], device=self.device)[None] >= n_frames[:, None]
        reading = self.model(batch.video.to(self.device), padding, batch.decoder_input.to(self.device))
        return {
            "decoder": lip_reading_loss(
                logits=reading.logits,
                target=target,
                padding_index=BLANK,
                smoothing=self.recipe.smoothing,
                reduction="mean",
            ),
            "ctc": ctc_loss(
                log_probs=reading.ctc_log_probs,
                n_frames=n_frames,
                pieces=target[:, :-1],
                n_pieces=batch.n_pieces.to(self.device),
                blank=BLANK,
            ),
        }


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
    """Train a Conformer; arguments as of `ConformerTask`, and the scratch folder of the run."""
    task = ConformerTask(samples, units, other, recipe, crop=crop, seed=seed)
    state = fit(task, folder=folder, label="conformer")
    return TrainedConformer(task.model, units, state.curves)
