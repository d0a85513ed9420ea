"""What a row of params.yaml leaves out is the paper's or the peers'."""

from __future__ import annotations

from synctalk.training.methods import (
    RECONSTRUCTION_ONLY,
    ContrastiveParams,
    GeneratorWeights,
    LipReadingParams,
    MethodParams,
)


def test_the_contrastive_loss_is_the_released_one() -> None:
    params = ContrastiveParams()
    assert (params.form, params.negatives) == ("released", "batch")
    assert params.temperature == 0.07  # TalkLip's, of infonce
    assert (params.tau, params.margin) == (1.0, 1.0)  # printed without factors


def test_the_lip_reading_loss_is_summed_and_smoothed_as_in_talklip() -> None:
    params = LipReadingParams()
    assert (params.smoothing, params.reduction) == (0.1, "sum")


def test_a_term_that_is_not_named_has_no_weight() -> None:
    assert set(vars(GeneratorWeights()).values()) == {0.0}
    assert vars(RECONSTRUCTION_ONLY.weights) == vars(GeneratorWeights(reconstruction=1.0))
    assert MethodParams(network="a", supervisor="b", weights=GeneratorWeights()).audio_anchor == "tuned"
