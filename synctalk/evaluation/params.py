"""How methods are scored: the section of params.yaml."""

from __future__ import annotations

from synctalk.models.beam_search import BeamConfig
from synctalk.section import section


@section
class EvaluateParams:
    """Evaluation (params.yaml: `evaluate`)."""

    beam: BeamConfig
    observers: dict[str, str]
    """Corpus (role) to the observer that reads it: a key of `observers`."""
    wer_names: dict[str, str]
    """Corpus (role) to the paper's name of that word error rate: wer1 on LRS2, wer2 on LRS3."""
