"""Wav2Lip's lip-sync expert (Prajwal et al. 2020, §3.1): five lower half faces and 0.2 s of mel in one space.

Legend: N windows, D embedding. Key names as in Rudrabha/Wav2Lip @5c90fa9 (`lipsync_expert.pth`).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from synctalk.models.conv_blocks import Conv, mel_encoder, residuals
from synctalk.params.section import section


@section
class Wav2LipExpertConfig:
    """Widths of both towers; the defaults have 16,435,072 parameters."""

    face_widths: tuple[int, int, int, int, int] = (32, 64, 128, 256, 512)
    mel_widths: tuple[int, int, int, int] = (32, 64, 128, 256)
    d_embedding: int = 512


class Wav2LipExpert(nn.Module):
    """Two towers whose embeddings end in a ReLU and have length 1, so their cosine lies in [0, 1]."""

    def __init__(self, config: Wav2LipExpertConfig) -> None:
        super().__init__()
        self.config = config
        w0, w1, w2, w3, w4 = config.face_widths
        d = config.d_embedding
        self.face_encoder = nn.Sequential(
            Conv(15, w0, 7, 1, 3),
            Conv(w0, w1, 5, (1, 2), 1),
            *residuals(w1, 2),
            Conv(w1, w2, 3, 2),
            *residuals(w2, 3),
            Conv(w2, w3, 3, 2),
            *residuals(w3, 2),
            Conv(w3, w4, 3, 2),
            *residuals(w4, 2),
            Conv(w4, d, 3, 2),
            Conv(d, d, 3, 1, 0),
            Conv(d, d, 1, 1, 0),
        )
        self.audio_encoder = mel_encoder((*config.mel_widths, d), last_residuals=2)

    def forward(self, mel: Tensor, faces: Tensor) -> tuple[Tensor, Tensor]:
        """Audio and face embeddings, each [N, D] of length 1.

        Args:
            mel: [N, 1, 80, 16].
            faces: lower halves of five frames, [N, 15, 48, 96] in [0, 1], BGR of the first frame first.
        """
        audio = F.normalize(self.audio_encoder(mel).flatten(1), dim=-1)
        face = F.normalize(self.face_encoder(faces).flatten(1), dim=-1)
        return audio, face
