"""The talking-face generator (paper fig. 2b; Wav2Lip fig. 2, TalkLip fig. 2): two towers, a skip at every size.

Legend: N frames to make, B clips, T frames of a clip, C channels, H/W pixels, D width of the audio encoder.
Key names and default sizes as in Rudrabha/Wav2Lip @5c90fa9 and Sxjdwang/TalkLip @7ed53ee.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctalk.models.av_hubert import AVHubert, AVHubertConfig
from synctalk.models.conv_blocks import Conv, ConvTranspose, mel_encoder, residuals
from synctalk.models.discriminator import DiscriminatorConfig, FaceDiscriminator
from synctalk.params.section import section

SKIP_EPSILON = 0.02
"""Pixels of the image skip are kept this far from 0 and 1, where evidence would be without end."""


AudioKind = Literal["fbank", "mel"]
"""Audio that a generator encodes, one row a frame: normalised log filterbanks [104], or mel windows [80, 16]."""


@section
class GeneratorConfig:
    """Sizes of the image part; the defaults are Wav2Lip's and TalkLip's, for faces of 96 pixels.

    A face has 3·2^k pixels where the towers have k + 2 blocks; times `fold`.
    """

    encoder_widths: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 512)
    encoder_residuals: tuple[int, ...] = (0, 2, 3, 2, 2, 1, 0)
    decoder_widths: tuple[int, ...] = (512, 512, 512, 384, 256, 128, 64)
    decoder_residuals: tuple[int, ...] = (0, 1, 2, 2, 2, 2, 2)
    output_width: int = 32
    d_audio: int = 512
    """Width of the audio embedding that the decoder starts from."""
    stem_kernel: int = 7
    """Kernel of the first convolution."""
    fold: int = 1
    """Squares of so many pixels a side are folded into channels on the way in and unfolded on the way out.

    2 spares small machines the costly layers at full size; 1 in the paper.
    """
    image_skip: bool = False
    """Add the input faces to the evidence for the output: the pose's upper half, the reference's lower half.

    What is left to learn is the mouth, which minutes of training suffice for; false in the paper.
    """

    @property
    def face_size(self) -> int:
        """Pixels of a face, 96 by default."""
        return int(3 * 2 ** (len(self.encoder_widths) - 2)) * self.fold


@section
class NetworkParams:
    """Sizes of the generators and their adversary (params.yaml: `generator`): one image part for all networks."""

    image: GeneratorConfig
    discriminator: DiscriminatorConfig
    audio_detail: int
    """SyncTalklip's: see `SyncTalklipConfig`."""
    mel_widths: tuple[int, int, int, int]
    """Wav2Lip's audio encoder."""


@section
class Wav2LipConfig:
    """Wav2Lip's generator; the defaults have 36,298,035 parameters."""

    image: GeneratorConfig = GeneratorConfig()
    mel_widths: tuple[int, int, int, int] = (32, 64, 128, 256)


def face_encoder(config: GeneratorConfig) -> nn.ModuleList:
    """6x96x96 -> 16@96, 32@48, 64@24, 128@12, 256@6, 512@3, 512@1."""
    first, *middle, last = config.encoder_widths
    blocks = [nn.Sequential(Conv(6 * config.fold**2, first, config.stem_kernel, 1, config.stem_kernel // 2))]
    width = first
    for next_width, count in zip(middle, config.encoder_residuals[1:-1], strict=True):
        blocks.append(nn.Sequential(Conv(width, next_width, 3, 2), *residuals(next_width, count)))
        width = next_width
    blocks.append(nn.Sequential(Conv(width, last, 3, 1, 0), Conv(last, last, 1, 1, 0)))
    return nn.ModuleList(blocks)


def face_decoder(config: GeneratorConfig) -> nn.ModuleList:
    """512@1, 512@3, 512@6, 384@12, 256@24, 128@48, 64@96; each input carries the encoder's image of its size."""
    first, *widths = config.decoder_widths
    blocks = [nn.Sequential(Conv(config.d_audio, first, 1, 1, 0))]
    width = first
    for level, (next_width, skip, count) in enumerate(
        zip(widths, reversed(config.encoder_widths[1:]), config.decoder_residuals[1:], strict=True)
    ):
        grow = (3, 1, 0, 0) if level == 0 else (3, 2, 1, 1)
        blocks.append(nn.Sequential(ConvTranspose(width + skip, next_width, *grow), *residuals(next_width, count)))
        width = next_width
    return nn.ModuleList(blocks)


@dataclass(frozen=True)
class AudioEncoding:
    """What a generator makes of the audio.

    Attributes:
        embedding: audio embedding of each frame to make, [N, C].
        encoding: f^a of the whole clips, [B, T, D]; None where the network encodes each frame alone.
    """

    embedding: Tensor
    encoding: Tensor | None


class FaceGenerator(nn.Module):
    """Masked and reference face to the skips, audio embedding to the face that says it.

    A network is one of these with an audio encoder of its own; `audio_kind` says what that encodes, `begin` how its
    training begins. Training, generation and dubbing use nothing else of it.
    """

    audio_kind: ClassVar[AudioKind]

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.face_size = config.face_size
        self.fold = config.fold
        self.face_encoder_blocks = face_encoder(config)
        self.face_decoder_blocks = face_decoder(config)
        last = config.decoder_widths[-1] + config.encoder_widths[0]
        self.image_skip = config.image_skip
        self.output_block = nn.Sequential(
            Conv(last, config.output_width, 3), nn.Conv2d(config.output_width, 3 * config.fold**2, 1), nn.Sigmoid()
        )
        if config.image_skip:
            nn.init.zeros_(cast(Tensor, self.output_block[1].weight))

    @classmethod
    def begin(cls, sizes: NetworkParams, supervisor: nn.Module, start: FaceGenerator | None) -> Self:
        """The network that training begins with.

        Args:
            sizes: of all networks.
            supervisor: the frozen network that will supervise.
            start: generator to take over what it can of.

        Raises:
            UserError: it cannot begin with this supervisor.
        """
        raise NotImplementedError  # a network that is not trained here

    @staticmethod
    def discriminator(sizes: NetworkParams) -> nn.Module:
        """A fresh adversary: faces [N, 3, S, S] -> probability that each is real, [N, 1]."""
        return FaceDiscriminator(sizes.discriminator)

    def take_image_part(self, start: FaceGenerator) -> None:
        """Take over everything but the audio encoder from another network of the same sizes."""
        for name in ("face_encoder_blocks", "face_decoder_blocks", "output_block"):
            self.get_submodule(name).load_state_dict(start.get_submodule(name).state_dict())

    @property
    def contrastive_head(self) -> nn.Module | None:
        """Audio side of the contrastive loss, [N, D] -> [N, D] of length 1; None in a network without f^a."""
        return None

    def channels_last(self) -> Self:
        """Lay out the image part for channels-last convolutions; torch refuses this for the audio encoder's."""
        for part in (self.face_encoder_blocks, self.face_decoder_blocks, self.output_block):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in the stubs
        return self

    def encode_audio(self, audio: Tensor, padding: Tensor | None, frame_index: Tensor) -> AudioEncoding:
        """Audio embeddings of the picked frames.

        Args:
            audio: of whole clips, [B, T, ...] as `audio_kind` says.
            padding: bool [B, T], true = padding, or None.
            frame_index: int64 [N], b·T + t of each picked frame.
        """
        raise NotImplementedError  # each network has its own

    def tune_audio_encoder(self, n_layers: int) -> None:
        """Leave a gradient in the top `n_layers` of a pre-trained audio encoder; one that begins fresh learns whole."""

    def make(self, embedding: Tensor, faces: Tensor) -> Tensor:
        """Generated faces [N, 3, H, W] from audio embeddings [N, C]; `faces` as in `generate`."""
        return self.generate(embedding[..., None, None], faces)

    def generate(self, audio_embedding: Tensor, faces: Tensor) -> Tensor:
        """Faces from one audio embedding each.

        Args:
            audio_embedding: [N, 512, 1, 1].
            faces: masked faces (lower half 0) then reference faces, [N, 6, H, W] in [0, 1].

        Returns:
            Generated faces [N, 3, H, W] in (0, 1), channels in the order of the input.
        """
        skips = []
        x = F.pixel_unshuffle(faces, self.fold)
        for encode in self.face_encoder_blocks:
            x = encode(x)
            skips.append(x)
        x = audio_embedding
        for decode, skip in zip(self.face_decoder_blocks, reversed(skips), strict=True):
            x = torch.cat([decode(x), skip], dim=1)
        if not self.image_skip:
            generated: Tensor = self.output_block(x)
            return F.pixel_shuffle(generated, self.fold)
        masked, reference = faces.chunk(2, dim=1)
        half = faces.shape[2] // 2
        shown = torch.cat([masked[:, :, :half], reference[:, :, half:]], dim=2)
        evidence = F.pixel_shuffle(self.output_block[:2](x), self.fold)
        return torch.sigmoid(evidence + torch.logit(shown, eps=SKIP_EPSILON))


class Wav2LipGenerator(FaceGenerator):
    """Wav2Lip: the audio embedding comes from a window of 16 mel columns (0.2 s)."""

    audio_kind = "mel"

    def __init__(self, config: Wav2LipConfig) -> None:
        super().__init__(config.image)
        self.config = config
        self.audio_encoder = mel_encoder((*config.mel_widths, config.image.d_audio), last_residuals=1)

    @classmethod
    def begin(cls, sizes: NetworkParams, supervisor: nn.Module, start: FaceGenerator | None) -> Self:
        """As `FaceGenerator.begin`: a fresh mel encoder, and the image part of `start` where there is one."""
        model = cls(Wav2LipConfig(image=sizes.image, mel_widths=sizes.mel_widths))
        if start is not None:
            model.take_image_part(start)
        return model

    def encode_audio(self, audio: Tensor, padding: Tensor | None, frame_index: Tensor) -> AudioEncoding:
        """As `FaceGenerator.encode_audio`: each frame has its own window of [B, T, 80, 16]."""
        return AudioEncoding(self.audio_encoder(gather_frames(audio, frame_index)[:, None]).flatten(1), None)

    def forward(self, mel: Tensor, faces: Tensor) -> Tensor:
        """One face a mel window.

        Args:
            mel: mel windows [N, 1, 80, 16], or [B, T, 1, 80, 16].
            faces: masked then reference faces [N, 6, H, W], or [B, 6, T, H, W].

        Returns:
            Generated faces [N, 3, H, W], or [B, 3, T, H, W].
        """
        if faces.dim() == 4:
            return self.generate(self.audio_encoder(mel), faces)
        flat = self(mel.flatten(0, 1), faces.transpose(1, 2).flatten(0, 1))
        return torch.unflatten(flat, 0, mel.shape[:2]).transpose(1, 2)


class AudioEncoder(nn.Module):
    """AV-HuBERT on audio alone; the outer name is the released one."""

    def __init__(self, config: AVHubertConfig) -> None:
        super().__init__()
        self.w2v_model = AVHubert(config, pretraining=False)

    def forward(self, audio: Tensor, padding_mask: Tensor | None) -> Tensor:
        """Normalised log filterbank [B, T, 104] -> [B, T, D]."""
        return self.w2v_model.extract(audio, None, padding_mask)


class SyncHead(nn.Module):
    """Audio side of the contrastive loss: L2 norm, linear layer, L2 norm (the F of paper eq. 11 as released)."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.Linearaudio = nn.Linear(d_model, d_model)

    def forward(self, audio: Tensor) -> Tensor:
        """[N, D] -> [N, D], rows of length 1."""
        return F.normalize(self.Linearaudio(F.normalize(audio, dim=-1)), dim=-1)


class TalkLipGenerator(FaceGenerator):
    """TalkLip and SyncTalklip: the audio embedding comes from AV-HuBERT over the whole clip."""

    audio_kind = "fbank"

    def __init__(self, config: GeneratorConfig, encoder: AVHubertConfig) -> None:
        super().__init__(config)
        self.config = config
        self.audio_encoder = AudioEncoder(encoder)
        self.audio_map = nn.Linear(encoder.d_model, config.d_audio)
        self.sync_net = SyncHead(encoder.d_model)

    @property
    def contrastive_head(self) -> nn.Module:
        """The head F of paper eq. 11."""
        return self.sync_net

    def encode_audio(self, audio: Tensor, padding: Tensor | None, frame_index: Tensor) -> AudioEncoding:
        """As `FaceGenerator.encode_audio`: normalised log filterbanks [B, T, 104]."""
        encoding = self.audio_encoder(audio, padding)
        return AudioEncoding(self.audio_map(gather_frames(encoding, frame_index)), encoding)

    def tune_audio_encoder(self, n_layers: int) -> None:
        """Leave a gradient in the top `n_layers` Transformer layers of AV-HuBERT and in its last norm only."""
        encoder = self.audio_encoder.w2v_model
        encoder.requires_grad_(False)
        if n_layers > 0:
            encoder.encoder.layer_norm.requires_grad_(True)
            for layer in list(encoder.encoder.layers)[-n_layers:]:
                layer.requires_grad_(True)

    def forward(
        self, audio: Tensor, padding_mask: Tensor | None, faces: Tensor, frame_index: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Make the picked frames of a batch of clips.

        Args:
            audio: normalised log filterbank of whole clips, [B, T, 104].
            padding_mask: bool [B, T], true = padding, or None.
            faces: masked then reference faces of the picked frames, [N, 6, H, W] in [0, 1].
            frame_index: int64 [N], b·T + t of each picked frame.

        Returns:
            Generated faces [N, 3, H, W] and the audio encoder's output for the same frames, [N, D].
        """
        encoded = self.encode_audio(audio, padding_mask, frame_index)
        assert encoded.encoding is not None
        return self.make(encoded.embedding, faces), gather_frames(encoded.encoding, frame_index)


def gather_frames(sequence: Tensor, frame_index: Tensor) -> Tensor:
    """Rows b·T + t of [B, T, D], as [N, D]."""
    return sequence.flatten(0, 1)[frame_index]
