"""What a method is: its losses, their weights and phases, and how its network is trained (params.yaml: `methods`,
`start`, `train`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from synctalk.errors import UserError
from synctalk.params.section import section
from synctalk.training.optim import AdamParams, OptimParams

Term = Literal["reconstruction", "adversarial", "lip_reading", "contrastive", "sync"]


@section
class GeneratorWeights:
    """lambda of each term (eq. 13)."""

    reconstruction: float
    adversarial: float = 0.0
    lip_reading: float = 0.0
    contrastive: float = 0.0
    sync: float = 0.0
    """Wav2Lip's: of its expert (Prajwal et al. 2020, eq. 2)."""


@section
class ContrastiveParams:
    """The contrastive loss (eqs. 11-12)."""

    form: Literal["released", "printed", "infonce"] = "released"
    negatives: Literal["clip", "batch"] = "batch"
    """Where unpaired frames come from."""
    temperature: float = 0.07
    """Of `infonce`, which divides by it; TalkLip's."""
    tau: float = 1.0
    """Of `printed`: factor of the distance in eq. 11."""
    margin: float = 1.0
    """Of `printed`: its hinge."""


@section
class MethodParams:
    """One trained method (params.yaml: `methods.<name>`)."""

    network: str
    """A key of `training.networks.NETWORKS`, and of `train`, which says how it is trained."""
    supervisor: str
    """Model folder of the frozen network that supervises: a reader gives lip reading and the contrastive loss (and
    SyncTalklip's audio encoder begins as its encoder), Wav2Lip's expert gives `sync`.
    """
    audio_anchor: Literal["tuned", "frozen"] = "tuned"
    """Audio side of the contrastive loss: the generator's own encoder (base), or the supervisor's (variant freeze)."""
    contrastive: ContrastiveParams = ContrastiveParams()
    weights: GeneratorWeights


RECONSTRUCTION_ONLY = MethodParams(network="synctalklip", supervisor="", weights=GeneratorWeights(reconstruction=1.0))
"""The common start: eq. 7 alone."""


@section
class PhaseParams:
    """A phase of training (params.yaml: `train.<network>.phases.<name>`); it lasts until the next one begins."""

    begin: int
    """First step, 0-based."""
    terms: tuple[Term, ...]
    """Losses that are on, each with its weight of the method; the others are off."""
    tuned_audio_layers: int
    """Top layers of a pre-trained audio encoder that are trained; the rest of it stays frozen. Peers: 3."""


@section
class ValidationParams:
    """Reconstruction of clips held out (params.yaml: `train.<network>.validation`)."""

    every: int
    """Steps between validations; 0 = none."""
    clips: int


@section
class AdversaryParams:
    """The adversary of eqs. 8-10 (params.yaml: `train.<network>.adversary`)."""

    optim: AdamParams
    form: Literal["bce", "printed"] = "bce"
    """`bce` as released, or eqs. 8 and 9 to the letter."""
    frames: int = 0
    """Made frames of a step that the discriminator sees, drawn anew each step; 0 = all, as in the peers."""


@section
class LipReadingParams:
    """The lip-reading loss of the supervisor (eq. 4)."""

    smoothing: float = 0.1
    """Label smoothing."""
    reduction: Literal["sum", "mean"] = "sum"
    """Over tokens: the peers sum, with a weight of 1e-5."""


@section
class TrainParams:
    """How generators are trained (params.yaml: `start` and `train.<network>`)."""

    optim: OptimParams
    window_frames: int
    """Consecutive frames that are made at a time: 5 in the peers."""
    window_share: float
    """Windows for each frame of a clip: 0.08 in the peers; at least one is drawn."""
    mouth_weight: float
    """Weight of the mouth region in eq. 7; 1 in the paper."""
    phases: dict[str, PhaseParams]
    """In their order; the first begins at step 0."""
    validation: ValidationParams
    adversary: AdversaryParams | None = None
    """Needed where `adversarial` has a weight."""
    lip_reading: LipReadingParams = LipReadingParams()
    ema_decay: float = 0.0
    """Decay of the moving average of the weights, which is what is kept in the end; 0 = the weights themselves, as in
    the peers.
    """


def phase_at(phases: Mapping[str, PhaseParams], step: int) -> PhaseParams:
    """The phase that `step` belongs to.

    Raises:
        UserError: none begins at step 0, or they do not begin one after the other.
    """
    begins = [phase.begin for phase in phases.values()]
    if not begins or begins[0] != 0 or sorted(set(begins)) != begins:
        raise UserError("phases", f"begin at {begins}", "let the first begin at 0, and each after the one before")
    return [phase for phase in phases.values() if phase.begin <= step][-1]
