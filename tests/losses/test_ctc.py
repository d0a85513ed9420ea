"""CTC against all of its paths, written out."""

from __future__ import annotations

import torch
from torch import Tensor

from synctalk.losses.ctc import ctc_loss

BLANK = 1


def loss(logits: Tensor, n_frames: int, pieces: list[int]) -> Tensor:
    return ctc_loss(
        log_probs=logits.log_softmax(-1),
        n_frames=torch.tensor([n_frames]),
        pieces=torch.tensor([[*pieces, BLANK]]),
        n_pieces=torch.tensor([len(pieces)]),
        blank=BLANK,
    )


def test_ctc_is_the_log_probability_of_all_paths_by_hand() -> None:
    logits = torch.randn(1, 2, 6, generator=torch.Generator().manual_seed(0))
    p = logits[0].softmax(-1)
    # one piece over two frames: twice, before a blank, or after one
    paths = p[0, 5] * p[1, 5] + p[0, 5] * p[1, BLANK] + p[0, BLANK] * p[1, 5]
    torch.testing.assert_close(loss(logits, 2, [5]), -paths.log())
    # two pieces over two frames leave one path; the loss is divided by the pieces
    torch.testing.assert_close(loss(logits, 2, [5, 4]), -(p[0, 5] * p[1, 4]).log() / 2)
    # padding frames are not heard
    longer = torch.cat([logits, torch.full((1, 3, 6), 9.0)], dim=1)
    torch.testing.assert_close(loss(longer, 2, [5]), -paths.log())


def test_a_clip_that_is_too_short_for_its_pieces_does_not_count() -> None:
    assert loss(torch.zeros(1, 2, 6), 2, [5, 4, 3]) == 0
