"""The frozen AV-SyncNet that supervises the generated clip (paper fig. 2b): lip reading and f^v from one pass.

Only the frames that were made anew, and the two on either side that the first convolution of the front end reaches,
differ from the real clip; the front end's output for all others is computed once and kept. The result is that of
the whole clip, to rounding.

Legend: B clips, T frames, W windows of L made frames, N = W L, R side of a mouth, C width of the front end, D of
    the encoder.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctalk.checkpoints.load import metadata_of
from synctalk.errors import UserError
from synctalk.faces.align import MouthParams
from synctalk.faces.warp import paste_mouth
from synctalk.features.roi_input import centre_crop, standardise
from synctalk.features.speech_batch import pad_stack
from synctalk.losses.contrastive import contrastive_loss, draw_negatives
from synctalk.losses.lip_reading import lip_reading_loss
from synctalk.models.av_syncnet import AVSyncNet
from synctalk.models.generator import gather_frames
from synctalk.models.lip_reader import PAD
from synctalk.runtime.device import torch_device
from synctalk.shards.cache import SampleCache
from synctalk.training.finetune import front_end_features
from synctalk.training.generator_batches import TalkingFaceBatch
from synctalk.training.methods import LipReadingParams, MethodParams
from synctalk.training.terms import MadeFaces

REACH = 2
"""Frames on either side that the front end's 5-frame convolution sees; the ResNet after it sees one frame."""


@dataclass(frozen=True)
class Supervision:
    """What the supervisor makes of a batch: decoder logits [B, S, V] and f^v [B, T, D] of the generated clips."""

    logits: Tensor
    video_encoding: Tensor


def require_mouth(reader: Path, crop: int, mouth: MouthParams) -> None:
    """Check that a reader was made for the mouth regions that it is to supervise.

    Args:
        reader: its file.
        crop: side of the video input of this run, pixels.
        mouth: how this run's mouth regions are cut.

    Raises:
        UserError: another region or side, or the file does not say.
    """
    metadata = metadata_of(reader)
    said = {"crop": metadata.get("crop"), **(metadata.get("mouth") or {})}
    for key, value in {"crop": crop, **asdict(mouth)}.items():
        if said.get(key) != value:
            what = f"reads mouth regions of {key} {said.get(key)}, those of this run have {key} {value}"
            raise UserError(reader, what, "train it again with `dvc repro`")


def first_uses(clip: Tensor, frame: Tensor) -> Tensor:
    """Positions of the first mention of every (clip, frame) pair: a frame that two windows reach is written once."""
    pairs = np.stack([clip.cpu().numpy(), frame.cpu().numpy()], axis=1)
    return torch.from_numpy(np.sort(np.unique(pairs, axis=0, return_index=True)[1]))


class ReaderSupervisor:
    """AV-SyncNet in eval mode, without gradients of its own: it gives `lip_reading`, and `contrastive` with a head.

    Args:
        model: is frozen in place.
        samples: the clips that will be supervised.
        crop: side of the lip reader's input, pixels.
        method: anchor and form of the contrastive loss.
        lip_reading: smoothing and reduction of that loss.
        head: audio side of the contrastive loss, of the generator; None where it has none.
    """

    audio_kind = None

    def __init__(
        self,
        model: AVSyncNet,
        samples: SampleCache,
        crop: int,
        *,
        method: MethodParams,
        lip_reading: LipReadingParams,
        head: nn.Module | None,
    ) -> None:
        self.model = model.eval().requires_grad_(False).to(torch_device())
        self.crop, self.method, self.lip_reading, self.head = crop, method, lip_reading, head
        self.gives = frozenset({"lip_reading", "contrastive"} if head is not None else {"lip_reading"})
        self.real_features = front_end_features(model, samples, crop)

    def counts(self, batch: TalkingFaceBatch) -> dict[str, float | None]:
        """Word pieces, or None where they are summed, and frames."""
        pieces = int(batch.speech.target.ne(PAD).sum())
        mean = self.lip_reading.reduction == "mean"
        return {"lip_reading": pieces if mean else None, "contrastive": len(batch.frame)}

    def terms(self, made: MadeFaces, batch: TalkingFaceBatch, rng: torch.Generator) -> dict[str, Tensor]:
        """L_lip (eq. 4) and L_cav (eq. 12) of the clips with the made frames in them."""
        seen = self.supervise(made.faces, batch)
        lip_reading = lip_reading_loss(
            logits=seen.logits,
            target=batch.speech.target.to(made.faces.device),
            padding_index=PAD,
            smoothing=self.lip_reading.smoothing,
            reduction=self.lip_reading.reduction,
        )
        if self.head is None:
            return {"lip_reading": lip_reading}
        assert made.audio.encoding is not None, "a network with a head has an encoding"
        contrastive = self.contrastive(self.head, made.audio.encoding, seen.video_encoding, batch, rng)
        return {"lip_reading": lip_reading, "contrastive": contrastive}

    def contrastive(
        self,
        head: nn.Module,
        tuned_encoding: Tensor,
        video_encoding: Tensor,
        batch: TalkingFaceBatch,
        rng: torch.Generator,
    ) -> Tensor:
        """L_cav (eq. 12) of the made frames: audio and generated lips, [B, T, D] each, in the distance space."""
        device, params = video_encoding.device, self.method.contrastive
        index = batch.frame_index.to(device)
        anchor = tuned_encoding if self.method.audio_anchor == "tuned" else self.encode_audio(batch)
        audio = head(gather_frames(self.model.comparable(anchor), index))
        video = F.normalize(gather_frames(self.model.comparable(video_encoding), index), dim=-1)
        group = batch.clip if params.negatives == "clip" else torch.zeros_like(batch.clip)
        return contrastive_loss(
            audio=audio,
            video=video,
            negatives=draw_negatives(len(index), group, rng).to(device),
            form=params.form,
            temperature=params.temperature,
            tau=params.tau,
            margin=params.margin,
        )

    def spliced_video(self, generated_faces: Tensor, batch: TalkingFaceBatch) -> Tensor:
        """Lip-reader input of the clips with the made frames in them, [B, T, crop, crop]; zeros after a clip's end."""
        device = generated_faces.device
        clip, frame = batch.clip.to(device), batch.frame.to(device)
        mouth = batch.mouth.to(device).float() / 255
        pasted = paste_mouth(
            generated_faces, mouth[clip, frame], batch.boxes.to(device), batch.mouth_transforms.to(device)
        )
        mouth = mouth.index_put((clip, frame), pasted.to(mouth.dtype))
        video = standardise(centre_crop(mouth * 255, self.crop))
        return video.masked_fill(batch.speech.padding.to(device)[..., None, None], 0.0)

    def front_end(self, video: Tensor, batch: TalkingFaceBatch) -> Tensor:
        """Front-end features [B, T, C] of `spliced_video`'s result, computed around the made frames only."""
        device = video.device
        features = pad_stack([self.real_features[number] for number in batch.speech.numbers]).to(device)
        n_made = len(batch.clip) // len(batch.window_start)
        margin = 2 * REACH
        padded = F.pad(video, (0, 0, 0, 0, margin, margin))
        # in `padded` frame t stands at t + margin, so these spans begin `margin` frames before their window
        reach = batch.window_start[:, None] + torch.arange(n_made + 2 * margin)
        chunks = padded[batch.window_clip[:, None].to(device), reach.to(device)]
        resnet = self.model.encoder.w2v_model.feature_extractor_video.resnet
        fresh = resnet(chunks[:, None], ends=False).flatten(0, 1)
        frame = (batch.window_start[:, None] + torch.arange(-REACH, n_made + REACH)).flatten()
        clip = batch.window_clip.repeat_interleave(n_made + 2 * REACH)
        real = (frame >= 0) & (frame < batch.speech.n_frames[clip])
        chosen = torch.nonzero(real).flatten()
        chosen = chosen[first_uses(clip[chosen], frame[chosen])]
        read = fresh[chosen.to(device)].to(features.dtype)  # half precision under autocast
        return features.index_put((clip[chosen].to(device), frame[chosen].to(device)), read)

    def supervise(self, generated_faces: Tensor, batch: TalkingFaceBatch) -> Supervision:
        """Read the clips with the made frames in them; the gradient reaches `generated_faces` alone."""
        device = generated_faces.device
        padding = batch.speech.padding.to(device)
        features = self.front_end(self.spliced_video(generated_faces, batch), batch)
        encoding = self.model.encode(None, features, padding)
        logits, _ = self.model.decoder(batch.speech.decoder_input.to(device), encoding, padding)
        return Supervision(logits=logits, video_encoding=encoding)

    def encode_audio(self, batch: TalkingFaceBatch) -> Tensor:
        """f^a [B, T, D] of the frozen audio-only pass: the anchor of the variant freeze."""
        device = next(self.model.parameters()).device
        with torch.no_grad():
            return self.model.encode(batch.speech.audio.to(device), None, batch.speech.padding.to(device))
