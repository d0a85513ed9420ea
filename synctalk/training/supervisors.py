"""Which networks can supervise, and as what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from synctalk.models.av_syncnet import AVSyncNet
from synctalk.models.generator import FaceGenerator
from synctalk.models.wav2lip_expert import Wav2LipExpert
from synctalk.shards.cache import SampleCache
from synctalk.training.methods import MethodParams, TrainParams
from synctalk.training.reader_supervisor import ReaderSupervisor
from synctalk.training.terms import TermSource
from synctalk.training.wav2lip_expert import Wav2LipSupervisor


@dataclass(frozen=True)
class Supervised:
    """What is supervised: the generator, its clips, its method, and the side of a lip reader's input, pixels."""

    model: FaceGenerator
    samples: SampleCache
    method: MethodParams
    params: TrainParams
    crop: int


@dataclass(frozen=True)
class SupervisorKind:
    """A kind of supervisor: whether it was made for certain mouth regions, and how it begins."""

    sees_mouths: bool
    begin: Callable[[Any, Supervised], TermSource]


SUPERVISORS: dict[type[nn.Module], SupervisorKind] = {
    AVSyncNet: SupervisorKind(
        sees_mouths=True,
        begin=lambda network, run: ReaderSupervisor(
            network,
            run.samples,
            run.crop,
            method=run.method,
            lip_reading=run.params.lip_reading,
            head=run.model.contrastive_head,
        ),
    ),
    Wav2LipExpert: SupervisorKind(sees_mouths=False, begin=lambda network, _: Wav2LipSupervisor(network)),
}
"""By the class of the frozen network."""
