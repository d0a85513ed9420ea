"""SyncTalklip (paper fig. 2b): the dual-tower generator whose audio encoder begins as AV-SyncNet's.

Legend: B clips, T frames of a clip, N frames to make, D width of the audio encoder, C width of the audio embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from synctalk.models.av_hubert import AVHubertConfig
from synctalk.models.discriminator import DiscriminatorConfig
from synctalk.models.generator import AudioEncoding, GeneratorConfig, TalkLipGenerator, gather_frames
from synctalk.params.section import section


@section
class SyncTalklipConfig:
    """Sizes of the generator and its adversary (params.yaml: `generator`)."""

    image: GeneratorConfig
    discriminator: DiscriminatorConfig
    audio_detail: int
    """Width of a convolution straight from the filterbank to the audio embedding, beside the encoder; 0 = none (paper).

    Small encoders trained on little data hand on too little of the sound for the lips to move.
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

    AV-SyncNet has drawn sound and lips together already, so that the head has nothing to undo.
    """

    def __init__(self, config: SyncTalklipConfig, encoder: AVHubertConfig) -> None:
        super().__init__(config.image, encoder)
        self.sizes = config
        nn.init.eye_(self.sync_net.Linearaudio.weight)
        nn.init.zeros_(self.sync_net.Linearaudio.bias)
        if config.audio_detail:
            self.audio_detail = AudioDetail(encoder.d_audio, config.audio_detail, config.image.d_audio)

    def begin_as(self, encoder_state: Mapping[str, Tensor]) -> None:
        """Take over AV-SyncNet's encoder: a state dict of `AVHubert` without its pre-training head."""
        self.audio_encoder.w2v_model.load_state_dict(encoder_state)

    def encode_audio(self, sound: Tensor, padding: Tensor | None, frame_index: Tensor) -> AudioEncoding:
        """As `TalkLipGenerator.encode_audio`, with the detail of the sound added."""
        heard = super().encode_audio(sound, padding, frame_index)
        if not hasattr(self, "audio_detail"):
            return heard
        return replace(heard, embedding=heard.embedding + gather_frames(self.audio_detail(sound), frame_index))


def mask_lower_half(faces: Tensor) -> Tensor:
    """Faces [..., H, W] with rows H/2 and below set to 0: the pose reference (rows 48-95 of 96)."""
    masked = faces.clone()
    masked[..., faces.shape[-2] // 2 :, :] = 0
    return masked


def generator_input(pose_faces: Tensor, reference_faces: Tensor) -> Tensor:
    """Masked pose then reference, [N, 3, H, W] each -> [N, 6, H, W]."""
    return torch.cat([mask_lower_half(pose_faces), reference_faces], dim=1)
