"""Generated faces to the lip reader's input, differentiable and in one batch.

Equals, frame by frame: resize the face to its box, paste it into the frame, turn grey, cut the mouth region,
standardise. Only the frame is never built: mouth pixels are looked up in the face through the two maps, and the
rest comes from the real mouth region.

Legend: N frames, S side of a face, R side of a mouth region; RGB in 0..1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

GREY_WEIGHTS = (0.299, 0.587, 0.114)
"""ITU-R BT.601 luma of R, G, B, as OpenCV's conversion."""


def invert_affine(matrix: Tensor) -> Tensor:
    """Inverse of affine maps [N, 2, 3]."""
    linear = torch.linalg.inv(matrix[:, :, :2])
    return torch.cat([linear, -linear @ matrix[:, :, 2:]], dim=2)


def mouth_lookup(boxes: Tensor, mouth_transforms: Tensor, face_size: int, mouth_size: int) -> tuple[Tensor, Tensor]:
    """Where every mouth pixel lies in the face crop.

    Args:
        boxes: face boxes in frame pixels, [N, 4].
        mouth_transforms: frame pixels to mouth pixels, [N, 2, 3].
        face_size: S.
        mouth_size: R.

    Returns:
        Sampling grid [N, R, R, 2] in the -1..1 of `grid_sample` (align_corners false), and a bool [N, R, R], true
        inside the box.
    """
    pixel = torch.arange(mouth_size, dtype=torch.float32, device=boxes.device)
    y, x = torch.meshgrid(pixel, pixel, indexing="ij")
    by_x, by_y, shift = torch.split(invert_affine(mouth_transforms), 1, dim=2)
    # x and y of the result apart, [N, 2, R * R]: interleaved, these few operations take five times as long
    frame_xy = by_x * x.flatten() + by_y * y.flatten() + shift
    low, high = boxes[:, :2, None].float(), boxes[:, 2:, None].float()
    # OpenCV's resize maps the box's edges, half a pixel outside its first and last pixel centres, onto the face's edges
    share = (frame_xy + 0.5 - low) / (high - low)
    inside = ((share >= 0) & (share <= 1)).all(1)
    shape = (len(boxes), mouth_size, mouth_size)
    return (2 * share - 1).transpose(1, 2).reshape(*shape, 2), inside.reshape(shape)


def paste_mouth(generated_faces: Tensor, real_mouth: Tensor, boxes: Tensor, mouth_transforms: Tensor) -> Tensor:
    """Mouth regions of frames into which generated faces were pasted.

    Args:
        generated_faces: [N, 3, S, S], 0..1.
        real_mouth: grey mouth regions of the real frames, [N, R, R], 0..1.
        boxes: [N, 4], frame pixels.
        mouth_transforms: [N, 2, 3].

    Returns:
        Grey mouth regions [N, R, R], 0..1, with a gradient to `generated_faces`.
    """
    weights = generated_faces.new_tensor(GREY_WEIGHTS)[None, :, None, None]
    grey = (generated_faces * weights).sum(1, keepdim=True)
    grid, inside = mouth_lookup(boxes, mouth_transforms, generated_faces.shape[-1], real_mouth.shape[-1])
    pasted = F.grid_sample(grey, grid.to(grey.dtype), mode="bilinear", padding_mode="border", align_corners=False)
    return torch.where(inside, pasted[:, 0], real_mouth)
