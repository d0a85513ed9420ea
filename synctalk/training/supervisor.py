"""The frozen AV-SyncNet that watches the generated clip (paper fig. 2b): lip reading and f^v from one pass.

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
from torch import Tensor

from synctalk.checkpoints.load import metadata_of
from synctalk.errors import UserError
from synctalk.faces.align import MouthParams
from synctalk.faces.warp import paste_mouth
from synctalk.features.roi_input import centre_crop, standardise
from synctalk.features.speech_batch import pad_stack
from synctalk.models.av_syncnet import AVSyncNet
from synctalk.runtime.device import torch_device
from synctalk.shards.cache import SampleCache
from synctalk.training.finetune import front_end_features
from synctalk.training.talking_data import TalkingFaceBatch

REACH = 2
"""Frames on either side that the front end's 5-frame convolution sees; the ResNet after it sees one frame."""


@dataclass(frozen=True)
class Supervision:
    """What the supervisor makes of a batch: decoder logits [B, S, V] and f^v [B, T, D] of the generated clips."""

    logits: Tensor
    video_encoding: Tensor


def require_mouth(reader: Path, crop: int, mouth: MouthParams) -> None:
    """Check that a reader was made for the mouth regions that it is to watch.

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


class Supervisor:
    """AV-SyncNet in eval mode, without gradients of its own: it gives the terms `lip_reading` and `contrastive`.

    Args:
        model: is frozen in place.
        samples: the clips that will be watched.
        crop: side of the lip reader's input, pixels.
    """

    gives = frozenset({"lip_reading", "contrastive"})

    def __init__(self, model: AVSyncNet, samples: SampleCache, crop: int) -> None:
        self.model = model.eval().requires_grad_(False).to(torch_device())
        self.crop = crop
        self.real_features = front_end_features(model, samples, crop)

    def spliced_video(self, generated_faces: Tensor, batch: TalkingFaceBatch) -> Tensor:
        """Lip-reader input of the clips with the made frames in them, [B, T, crop, crop]; zeros after a clip's end."""
        device = generated_faces.device
        clip, frame = batch.clip.to(device), batch.frame.to(device)
        mouth = batch.mouth.to(device).float() / 255
        pasted = paste_mouth(
            generated_faces, mouth[clip, frame], batch.boxes.to(device), batch.mouth_transforms.to(device)
        )
        mouth = mouth.index_put((clip, frame), pasted)
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
        return features.index_put((clip[chosen].to(device), frame[chosen].to(device)), fresh[chosen.to(device)])

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
