"""The Conformer, the third observer: teacher-forced and free readings for WER3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synctalk.evaluation.videos.prepared import PreparedVideo
from synctalk.features.roi_input import roi_input
from synctalk.features.tokens import Units
from synctalk.metrics.wer import word_edits
from synctalk.models.conformer import Conformer
from synctalk.models.conformer_search import JointBeamConfig, joint_beam_search
from synctalk.runtime.device import torch_device
from synctalk.runtime.jobs import progress_bar


@dataclass(frozen=True)
class ConformerJudge:
    """The third observer with its pieces and input crop, and how it searches."""

    model: Conformer
    units: Units
    crop: int
    beam: JointBeamConfig


@dataclass(frozen=True)
class ConformerTexts:
    """What the Conformer makes of one clip.

    Attributes:
        forced: the likeliest pieces, each given the true ones of the transcript before it, as many as that has. None
            without a transcript.
        free: what it reads without one.
    """

    forced: str | None
    free: str


@torch.no_grad()
def read_by_conformer(
    model: Conformer,
    units: Units,
    mouths: Sequence[NDArray[np.uint8]],
    transcripts: Sequence[str | None],
    crop: int,
    beam: JointBeamConfig,
) -> list[ConformerTexts]:
    """Readings of grey mouth regions uint8 [T, R, R], on the video alone; in the order given.

    Teacher forcing is the released evaluation's (TalkLip's "observer 2", peers: WER2 of TalkLip = WER3 of the paper):
    it knows the words, and says how likely the lips make them. One clip at a time, for the Conformer's convolutions see
    the padding of a batch.
    """
    device = torch_device()
    model.to(device).eval()
    readings = []
    pairs = zip(mouths, transcripts, strict=True)
    for mouth, transcript in progress_bar(iterable=pairs, desc="read by the conformer", unit="clip", total=len(mouths)):
        video = torch.from_numpy(roi_input(mouth, crop))[None, None].to(device)
        encoding = model.encode(video)
        free = joint_beam_search(model, encoding[0], beam)[0].tokens.tolist()
        forced = None
        if transcript is not None:
            tokens = units.encode(transcript)
            given = torch.tensor([[model.config.eos, *tokens]], device=device)
            likeliest = model.decoder(given, encoding, None)[0, : len(tokens)].argmax(-1)
            forced = units.decode(likeliest.tolist())
        readings.append(ConformerTexts(forced, units.decode(free)))
    return readings


def conformer_figures(videos: Sequence[PreparedVideo], judge: ConformerJudge | None) -> list[dict[str, Any]]:
    """What the Conformer reads in each video that has mouths, and its edits where the transcript is known."""
    figures: list[dict[str, Any]] = [{} for _ in videos]
    if judge is None:
        return figures
    seen = [(number, clip.mouths, clip.transcript) for number, clip in enumerate(videos) if clip.mouths is not None]
    readings = read_by_conformer(
        judge.model, judge.units, [mouths for _, mouths, _ in seen], [text for *_, text in seen], judge.crop, judge.beam
    )
    for (number, _, reference), reading in zip(seen, readings, strict=True):
        figures[number] = {"wer3_hypothesis": reading.forced, "wer3_free_hypothesis": reading.free}
        if reference is not None and reading.forced is not None:
            free = word_edits(reference, reading.free)
            figures[number] |= {
                "n_words": free.n_reference,
                "wer3_edits": word_edits(reference, reading.forced).edits,
                "wer3_free_edits": free.edits,
            }
    return figures
