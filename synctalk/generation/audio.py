"""Audio of any length as the generator takes it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synctalk.features import audio_input_of_pcm
from synctalk.generation.faces import encode_audio
from synctalk.models.generator import FaceGenerator
from synctalk.timebase import SAMPLES_PER_FRAME

WHOLE_ROWS = 500
"""Rows of audio (20 s) that are encoded at once, as whole clips are in training: AV-HuBERT's longest. Attention over
more would take memory by the square."""
STEP_ROWS, AROUND_ROWS = 250, 125
"""Longer audio is encoded in steps of 10 s, each with 5 s before and after it."""


def encode_long_audio(model: FaceGenerator, pcm: NDArray[np.int16]) -> Tensor:
    """The audio embedding of every frame at 25 a second that begins within `pcm` (16 kHz), [T, C].

    Audio of up to `WHOLE_ROWS` is encoded at once; longer audio piece by piece, each with what is around it.
    """
    n_rows = max(1, -(-len(pcm) // SAMPLES_PER_FRAME))
    step = n_rows if n_rows <= WHOLE_ROWS else STEP_ROWS
    parts = []
    for start in range(0, n_rows, step):
        first, stop = max(0, start - AROUND_ROWS), min(n_rows, start + step)
        piece = pcm[first * SAMPLES_PER_FRAME : (stop + AROUND_ROWS) * SAMPLES_PER_FRAME]
        features = audio_input_of_pcm(model.audio_kind, piece)
        parts.append(encode_audio(model, features, np.minimum(np.arange(start, stop) - first, len(features) - 1)).cpu())
    return torch.cat(parts)
