"""Audio and faces in, talking faces out: the step that the pipeline and the command line share.

Legend: T frames, S side of a face.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synctalk.faces.tensors import face_tensor
from synctalk.models.generator import FaceGenerator
from synctalk.models.synctalklip import generator_input
from synctalk.runtime.device import torch_device


def face_pixels(faces: Tensor) -> NDArray[np.uint8]:
    """Faces [N, 3, S, S] in 0..1 -> RGB uint8 [N, S, S, 3], rounded (the peers truncate)."""
    return (faces.permute(0, 2, 3, 1) * 255).round().clamp(0, 255).byte().cpu().numpy()


def generate_faces(
    model: FaceGenerator,
    pose_faces: NDArray[np.uint8],
    reference_faces: NDArray[np.uint8],
    audio: NDArray[np.float32],
    rows: NDArray[np.int64],
    batch_frames: int,
) -> NDArray[np.uint8]:
    """Faces that say the audio.

    Args:
        model: in eval mode.
        pose_faces: the frames to re-voice, RGB uint8 [T, S, S, 3]; their lower halves are not looked at.
        reference_faces: the same person, RGB uint8 [T, S, S, 3], or [1, S, S, 3] for all frames.
        audio: the whole audio as the network takes it, [Ta, ...]: `features.audio_input_of_pcm` or `audio_input`.
        rows: row of `audio` that belongs to each frame, [T].
        batch_frames: frames made at a time.

    Returns:
        RGB uint8 [T, S, S, 3].
    """
    return make_faces(model, pose_faces, reference_faces, encode_audio(model, audio, rows), batch_frames)


@torch.no_grad()  # no inference mode: weights that are moved in it can never be trained again
def encode_audio(model: FaceGenerator, audio: NDArray[np.float32], rows: NDArray[np.int64]) -> Tensor:
    """Audio embeddings of frames, [T, C]; `audio` and `rows` as for `generate_faces`."""
    device = torch_device()
    model.to(device)
    return model.encode_audio(
        torch.from_numpy(audio)[None].to(device), None, torch.from_numpy(rows).to(device)
    ).embedding


@torch.no_grad()
def make_faces(
    model: FaceGenerator,
    pose_faces: NDArray[np.uint8],
    reference_faces: NDArray[np.uint8],
    embedding: Tensor,
    batch_frames: int,
) -> NDArray[np.uint8]:
    """As `generate_faces`, from audio embeddings of the frames, [T, C]."""
    device = torch_device()
    model.channels_last().to(device)
    made = []
    for start in range(0, len(pose_faces), batch_frames):
        span = slice(start, start + batch_frames)
        pose = face_tensor(pose_faces[span]).to(device)
        reference = face_tensor(reference_faces if len(reference_faces) == 1 else reference_faces[span]).to(device)
        faces = generator_input(pose, reference.expand_as(pose)).contiguous(memory_format=torch.channels_last)
        made.append(face_pixels(model.make(embedding[span].to(device), faces)))
    return np.concatenate(made)
