"""Who gives loss terms of generated faces: the adversary, supervisors, a network of its own kind.

Legend: N frames to make, S side of a face.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from synctalk.models.generator import AudioEncoding, AudioKind
from synctalk.training.generator_batches import TalkingFaceBatch


@dataclass(frozen=True)
class MadeFaces:
    """What a generator makes of a batch, on its device.

    Attributes:
        faces: generated, float32 [N, 3, S, S] in 0..1, with a gradient.
        target: the real ones, [N, 3, S, S].
        audio: what it made of the audio; a network with landmarks or other intermediates returns a record with more.
    """

    faces: Tensor
    target: Tensor
    audio: AudioEncoding


class TermSource(Protocol):
    """Gives terms of generated faces.

    Attributes:
        gives: names of its terms, which are keys of `GeneratorWeights`.
        audio_kind: audio that a batch must hold for it; None where it reads none.
    """

    @property
    def gives(self) -> frozenset[str]: ...

    @property
    def audio_kind(self) -> AudioKind | None: ...

    def counts(self, batch: TalkingFaceBatch) -> Mapping[str, float | None]:
        """What each term of a batch is a mean over; None where it is a sum."""

    def terms(self, made: MadeFaces, batch: TalkingFaceBatch, rng: torch.Generator) -> Mapping[str, Tensor]:
        """The terms, scalars; `rng` draws what is drawn."""
