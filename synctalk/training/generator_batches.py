"""Batches for the generator: windows of consecutive frames of whole clips, each a pure function of (seed, step).

Legend: B clips, T frames of the longest clip, W windows, L frames of a window, N = W L frames to make, S side of a
    face, R side of a mouth.
Peer: TalkLip @ 7ed53ee takes max(int(0.08 T), 1) random starts a clip, keeps those at least 5 apart, 5 frames from
each; references are consecutive frames from another random start.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synctalk.faces.tensors import face_tensor
from synctalk.features import audio_input
from synctalk.features.speech_batch import SpeechBatch, collate_speech, pad_stack
from synctalk.features.tokens import Tokenizer
from synctalk.models.generator import AudioKind
from synctalk.shards.cache import SampleCache


@dataclass(frozen=True)
class TalkingFaceBatch:
    """What one step of the generator is made of.

    Attributes:
        speech: the whole clips; its video is the real one.
        mouth: real mouth regions, uint8 [B, T, R, R].
        mel: mel windows of the whole clips, [B, T, 80, 16]; None where nothing reads them.
        clip: clip of each frame to make, int64 [N].
        frame: its frame in that clip, int64 [N].
        target_faces: [N, 3, S, S], RGB 0..1.
        reference_faces: the same person at other times, [N, 3, S, S].
        boxes: face boxes of the frames to make, [N, 4].
        mouth_transforms: frame pixels to mouth pixels of the frames to make, [N, 2, 3].
        window_start: first frame of each window, int64 [W]; window_clip: its clip, int64 [W].
    """

    speech: SpeechBatch
    mouth: Tensor
    mel: Tensor | None
    clip: Tensor
    frame: Tensor
    target_faces: Tensor
    reference_faces: Tensor
    boxes: Tensor
    mouth_transforms: Tensor
    window_start: Tensor
    window_clip: Tensor

    @property
    def frame_index(self) -> Tensor:
        """Rows of a [B T, ...] table that belong to the frames to make, int64 [N]."""
        return self.clip * self.speech.padding.shape[1] + self.frame

    def audio(self, kind: AudioKind) -> Tensor:
        """Audio of the whole clips as a network encodes it, [B, T, ...].

        Raises:
            ValueError: mel windows of a batch that was made without.
        """
        if kind == "fbank":
            return self.speech.audio
        if self.mel is None:
            raise ValueError("this batch was made without mel windows")
        return self.mel


def draw_windows(n_frames: int, length: int, share: float, rng: np.random.Generator) -> list[int]:
    """First frames of the windows of one clip, ascending and at least `length` apart.

    Args:
        n_frames: of the clip; at least `length`.
        length: frames of a window.
        share: windows for each frame of the clip (0.08 in the peers); at least one window is drawn.
        rng: draws them.
    """
    wanted = max(1, int(share * n_frames))
    kept: list[int] = []
    for start in sorted(rng.integers(0, n_frames - length + 1, size=wanted).tolist()):
        if not kept or start - kept[-1] >= length:
            kept.append(start)
    return kept


def draw_reference(n_frames: int, length: int, start: int, rng: np.random.Generator) -> int:
    """First frame of a window of the same clip that is not the window at `start`, as TalkLip draws it.

    Args:
        n_frames: of the clip; more than `length`.
        length: frames of a window.
        start: first frame of the window that is not to be drawn.
        rng: draws them.
    """
    other = int(rng.integers(0, n_frames - length))
    return other + (other >= start)


def talking_face_batch(
    samples: SampleCache,
    numbers: list[int],
    *,
    crop: int,
    window: int,
    share: float,
    tokenizer: Tokenizer,
    rng: np.random.Generator,
    with_mel: bool = False,
) -> TalkingFaceBatch:
    """Draw windows and references from the clips `numbers` and collate. Clips must be longer than `window`.

    Raises:
        UserError: `with_mel`, and a sample has no mel spectrogram.
    """
    chosen = samples.read(numbers)
    clips, starts, targets, references, boxes, transforms = [], [], [], [], [], []
    for index, sample in enumerate(chosen):
        for start in draw_windows(sample.row.n_frames, window, share, rng):
            other = draw_reference(sample.row.n_frames, window, start, rng)
            span = slice(start, start + window)
            wanted = [*range(start, start + window), *range(other, other + window)]
            faces = sample.faces[wanted] if samples.keeps(numbers[index]) else sample.some_faces(wanted)
            clips.append(index)
            starts.append(start)
            targets.append(faces[:window])
            references.append(faces[window:])
            boxes.append(sample.boxes[span])
            transforms.append(sample.mouth_transforms[span])
    window_clip, window_start = torch.tensor(clips), torch.tensor(starts)
    mel = [torch.from_numpy(audio_input("mel", sample.mel, sample.row.n_frames)) for sample in chosen if with_mel]
    return TalkingFaceBatch(
        speech=collate_speech(chosen, numbers, crop=crop, tokenizer=tokenizer, with_video=False),
        mouth=pad_stack([torch.from_numpy(sample.mouth) for sample in chosen]),
        mel=pad_stack(mel) if mel else None,
        clip=window_clip.repeat_interleave(window),
        frame=(window_start[:, None] + torch.arange(window)).flatten(),
        target_faces=face_tensor(np.concatenate(targets)),
        reference_faces=face_tensor(np.concatenate(references)),
        boxes=torch.from_numpy(np.concatenate(boxes)).float(),
        mouth_transforms=torch.from_numpy(np.concatenate(transforms)),
        window_start=window_start,
        window_clip=window_clip,
    )
