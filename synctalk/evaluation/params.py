"""How methods are scored: the section of params.yaml."""

from __future__ import annotations

from synctalk.models.beam_search import BeamConfig
from synctalk.models.conformer_search import JointBeamConfig
from synctalk.models.sync_scorer import ScoringDtype
from synctalk.params.section import section


@section
class EvaluateParams:
    """Evaluation (params.yaml: `evaluate`)."""

    beam: BeamConfig
    """Of the AV-HuBERT observers."""
    joint_beam: JointBeamConfig
    """Of the Conformer's free decoding."""
    jpeg: bool
    """SyncNet sees pictures out of the published scripts' frame dump (FFmpeg's JPEG at 200 kbit/s), as published LSE
    did; without it, what is in the videos.
    """
    sync_dtype: ScoringDtype
    """Of SyncNet's lip tower: `float32`, or `bfloat16` for speed; LOG.md tells the difference."""
    observers: dict[str, str]
    """Corpus to the observer that reads it: a key of `observers`."""
    wer_names: dict[str, str]
    """Corpus to the paper's name of that word error rate: wer1 on LRS2, wer2 on LRS3."""
