"""SyncTalklip (paper fig. 2b): the dual-tower generator whose audio encoder begins as AV-SyncNet's.

Legend: B clips, T frames of a clip, N frames to make, D width of the audio encoder, C width of the audio embedding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn

from synctalk.errors import UserError
from synctalk.models.av_hubert import AVHubertConfig
from synctalk.models.av_syncnet import AVSyncNet
from synctalk.models.discriminator import DiscriminatorConfig
from synctalk.models.generator import (
    AudioEncoding,
    FaceGenerator,
    GeneratorConfig,
    NetworkParams,
    TalkLipGenerator,
    gather_frames,
)
from synctalk.params.section import section


@section
class SyncTalklipConfig:
    """Sizes of the generator and its adversary (params.yaml: `generator`)."""

    image: GeneratorConfig
    discriminator: DiscriminatorConfig
    audio_detail: int
    """Width of a convolution straight from the filterbank to the audio embedding, beside the encoder; 0 = none (paper).

    Small encoders trained on little data hand on too little of the audio for the lips to move.
    """


class AudioDetail(nn.Module):
    """Two convolutions over time from normalised filterbanks to an audio embedding a frame."""

    def __init__(self, d_in: int, width: int, d_out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(d_in, width, 5, padding=2), nn.ReLU(), nn.Conv1d(width, d_out, 3, padding=1)
        )

    def forward(self, audio: Tensor) -> Tensor:
        """[B, T, F] -> [B, T, C]."""
        return self.layers(audio.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]  # Sequential: Any


class SyncTalklip(TalkLipGenerator):
    """TalkLip's generator with AV-SyncNet's audio encoder; the contrastive head begins as the identity.

    AV-SyncNet has drawn audio and lips together already, so that the head has nothing to undo.
    """

    def __init__(self, config: SyncTalklipConfig, encoder: AVHubertConfig) -> None:
        super().__init__(config.image, encoder)
        self.sizes = config
        nn.init.eye_(self.sync_net.Linearaudio.weight)
        nn.init.zeros_(self.sync_net.Linearaudio.bias)
        if config.audio_detail:
            self.audio_detail = AudioDetail(encoder.d_audio, config.audio_detail, config.image.d_audio)

    @classmethod
    def begin(cls, sizes: NetworkParams, supervisor: nn.Module, start: FaceGenerator | None) -> Self:
        """As `FaceGenerator.begin`: the audio encoder is the supervisor's, the rest that of `start` where there is one.

        Raises:
            UserError: the supervisor is no reader.
        """
        if not isinstance(supervisor, AVSyncNet):
            reason = "its audio encoder begins as a reader's"
            raise UserError("synctalklip", reason, "let a model of `finetune` supervise")
        config = SyncTalklipConfig(
            image=sizes.image, discriminator=sizes.discriminator, audio_detail=sizes.audio_detail
        )
        model = cls(config, supervisor.config.encoder)
        if start is not None:
            model.load_state_dict(start.state_dict())
        model.audio_encoder.w2v_model.load_state_dict(supervisor.encoder.w2v_model.state_dict())
        return model

    def encode_audio(self, audio: Tensor, padding: Tensor | None, frame_index: Tensor) -> AudioEncoding:
        """As `TalkLipGenerator.encode_audio`, with the detail of the audio added."""
        encoded = super().encode_audio(audio, padding, frame_index)
        if not hasattr(self, "audio_detail"):
            return encoded
        return replace(encoded, embedding=encoded.embedding + gather_frames(self.audio_detail(audio), frame_index))


def mask_lower_half(faces: Tensor) -> Tensor:
    """Faces [..., H, W] with rows H/2 and below set to 0: the pose reference (rows 48-95 of 96)."""
    masked = faces.clone()
    masked[..., faces.shape[-2] // 2 :, :] = 0
    return masked


def generator_input(pose_faces: Tensor, reference_faces: Tensor) -> Tensor:
    """Masked pose then reference, [N, 3, H, W] each -> [N, 6, H, W]."""
    return torch.cat([mask_lower_half(pose_faces), reference_faces], dim=1)
