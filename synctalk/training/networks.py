"""The networks that methods are made of: how each begins. One more is a module of `synctalk.models` and a line here."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from synctalk.errors import UserError
from synctalk.models.av_syncnet import AVSyncNet
from synctalk.models.discriminator import DiscriminatorConfig
from synctalk.models.generator import FaceGenerator, GeneratorConfig, Wav2LipConfig, Wav2LipGenerator
from synctalk.models.synctalklip import SyncTalklip, SyncTalklipConfig
from synctalk.params.section import section

IMAGE_PART = ("face_encoder_blocks", "face_decoder_blocks", "output_block")
"""What all networks have alike: everything but the audio encoder."""


@section
class NetworkParams:
    """Sizes of the generators and their adversary (params.yaml: `generator`): one image part for all networks."""

    image: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    audio_detail: int = 0
    """SyncTalklip's: see `SyncTalklipConfig`."""
    mel_widths: tuple[int, int, int, int] = (32, 64, 128, 256)
    """Wav2Lip's audio encoder."""


def take_image_part(network: FaceGenerator, start: FaceGenerator) -> None:
    """Begin with the image part of another network of the same sizes."""
    for name in IMAGE_PART:
        network.get_submodule(name).load_state_dict(start.get_submodule(name).state_dict())


def begin_synctalklip(params: NetworkParams, supervisor: nn.Module, start: FaceGenerator | None) -> FaceGenerator:
    """SyncTalklip whose audio encoder is the supervisor's; the rest is that of `start` where there is one."""
    if not isinstance(supervisor, AVSyncNet):
        raise UserError("synctalklip", "its audio encoder begins as a reader's", "let a model of `finetune` supervise")
    config = SyncTalklipConfig(image=params.image, discriminator=params.discriminator, audio_detail=params.audio_detail)
    model = SyncTalklip(config, supervisor.config.encoder)
    if start is not None:
        model.load_state_dict(start.state_dict())
    model.begin_as(supervisor.encoder.w2v_model.state_dict())
    return model


def begin_wav2lip(params: NetworkParams, supervisor: nn.Module, start: FaceGenerator | None) -> FaceGenerator:
    """Wav2Lip with a fresh mel encoder, whoever supervises; the image part is that of `start` where there is one."""
    model = Wav2LipGenerator(Wav2LipConfig(image=params.image, mel_widths=params.mel_widths))
    if start is not None:
        take_image_part(model, start)
    return model


NETWORKS: dict[str, Callable[[NetworkParams, nn.Module, FaceGenerator | None], FaceGenerator]] = {
    "synctalklip": begin_synctalklip,
    "wav2lip": begin_wav2lip,
}
"""Names that `methods.<name>.network` may have."""
