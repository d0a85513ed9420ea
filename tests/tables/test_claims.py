"""The ledger of the paper's orderings, on planted scores whose differences are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synctalk.evaluation.bootstrap import Interval, PerClip, paired_difference
from synctalk.tables.claims import (
    MIN_CLIPS,
    Claim,
    Verdict,
    check_claims,
    judge,
    load_scores,
    our_difference,
    paper_difference,
    per_clip,
    rated_difference,
    read_claims,
    tally,
    to_json,
    to_page,
)

NO_STUDY: Mapping[str, dict[str, object]] = {"methods": {}}
IDS = [f"clip{number}" for number in range(40)]


def scores(ids: list[str] = IDS, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"id": ids, **columns})


def claim(metric: str, better: str = "synctalklip", worse: str = "talklip", kind: str = "better") -> Claim:
    return Claim("c0", "table 1", "lrs2", metric, better, worse, kind, "")  # type: ignore[arg-type]


def difference(metric: str, first: pd.DataFrame, second: pd.DataFrame) -> Interval | None:
    tables = {("base", "lrs2"): first, ("talklip", "lrs2"): second}
    return our_difference(claim(metric), lambda name, corpus: tables.get((name, corpus)), NO_STUDY)


def test_the_file_has_sixty_claims_each_of_a_metric_that_is_known() -> None:
    claims = read_claims()
    assert len({one.id for one in claims}) == 60
    assert {one.kind for one in claims} == {"better", "on_par"}
    assert {row.verdict for row in check_claims(lambda name, corpus: None, NO_STUDY)} == {Verdict.NOT_RUN}


def test_a_constant_lead_has_an_interval_of_no_width() -> None:
    noise = np.random.default_rng(0).normal(size=40)
    found = difference("lse_c", scores(lse_c=noise + 0.5), scores(lse_c=noise))
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    assert found.n == 40


def test_clips_are_paired_by_their_names_and_not_by_their_places() -> None:
    noise = np.random.default_rng(0).normal(size=40)
    turned = scores(IDS[::-1], lse_d=(noise + 0.5)[::-1])
    found = difference("lse_d", turned, scores(lse_d=noise))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((-0.5, -0.5))  # a larger distance is worse


def test_only_clips_of_both_count() -> None:
    found = difference("ssim", scores(IDS[:10], ssim=[0.5] * 10), scores(IDS[5:15], ssim=[0.25] * 10))
    assert found is not None
    assert (found.value, found.n) == (0.25, 5)
    assert difference("ssim", scores(IDS[:2], ssim=[0.5] * 2), scores(IDS[2:4], ssim=[0.5] * 2)) is None


def test_word_error_rates_are_of_the_corpus_and_wer3_is_a_mean_of_clips() -> None:
    ids = IDS[:2]
    ours = scores(ids, edits=[1, 0], wer3_edits=[1, 0], n_words=[1, 9])
    theirs = scores(ids, edits=[1, 9], wer3_edits=[1, 9], n_words=[1, 9])
    free, forced = difference("wer1", ours, theirs), difference("wer3", ours, theirs)
    assert free is not None
    assert forced is not None
    assert free.value == pytest.approx(100 - 10)
    assert forced.value == pytest.approx(100 - 50)


def test_clips_without_words_or_without_a_figure_are_left_out() -> None:
    found = per_clip(scores(IDS[:3], edits=[1, 1, None], n_words=[2, 0, 2]), "wer1")
    assert found is not None
    assert list(found.ids) == ["clip0"]
    assert per_clip(scores(IDS[:1], ssim=[None]), "ssim") is None
    assert per_clip(scores(IDS[:1]), "wer3") is None


def test_the_interval_covers_what_resampling_by_hand_covers() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.3, 1, 40), rng.normal(0, 1, 40)
    found = paired_difference(PerClip(IDS, first, np.ones(40)), PerClip(IDS, second, np.ones(40)))
    assert found is not None
    means = [(first - second)[rng.integers(0, 40, 40)].mean() for _ in range(4000)]
    assert (found.low, found.high) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.05)


@pytest.mark.parametrize(
    ("low", "high", "better", "on_par"),
    [
        (0.1, 0.3, Verdict.HOLDS, Verdict.CONTRADICTED),
        (-0.1, 0.3, Verdict.NOT_SHOWN, Verdict.HOLDS),
        (-0.3, -0.1, Verdict.CONTRADICTED, Verdict.CONTRADICTED),
    ],
)
def test_verdicts(low: float, high: float, better: Verdict, on_par: Verdict) -> None:
    ours = Interval((low + high) / 2, low, high, 40)
    assert judge(ours, "better") is better
    assert judge(ours, "on_par") is on_par
    few = Interval((low + high) / 2, low, high, MIN_CLIPS - 1)
    assert judge(few, "better") is judge(few, "on_par") is Verdict.TOO_FEW
    assert judge(Interval(few.value, low, high, MIN_CLIPS), "better") is better
    assert judge(None, "better") is judge(None, "on_par") is Verdict.NOT_RUN


def test_six_clips_are_the_fewest_over_which_a_sign_test_can_reach_95_percent() -> None:
    """All clips point one way: the two-sided probability of that by chance."""
    assert 2 * 0.5**MIN_CLIPS < 0.05 < 2 * 0.5 ** (MIN_CLIPS - 1)


def test_over_few_clips_nothing_is_said_even_on_a_par() -> None:
    """Five clips whose differences are all alike, whose bootstrap interval has no width, and five that say nothing."""
    for lead, kind in ((1.0, "better"), (0.0, "on_par")):
        first, second = (scores(IDS[:5], lse_c=np.arange(5.0) + by) for by in (lead, 0.0))
        tables = {("base", "lrs2"): first, ("talklip", "lrs2"): second}
        (row,) = check_claims(lambda n, c, of=tables: of.get((n, c)), NO_STUDY, [claim("lse_c", kind=kind)])
        assert row.ours is not None
        assert (row.ours.n, row.verdict) == (5, Verdict.TOO_FEW)


def test_the_paper_stands_beside_as_printed() -> None:
    claims = {one.id: one for one in read_claims()}
    # table 1: LSE-C 9.29 against TalkLip's 8.53; table 5: authenticity 4.41 against 4.35
    assert paper_difference(claims["c02"]) == pytest.approx(9.29 - 8.53)
    assert paper_difference(claims["c56"]) == pytest.approx(4.41 - 4.35)
    # table 4, lrs3: WER3 of TalkLip 30.4, of synctalklip 42.5
    assert paper_difference(claims["c54"]) == pytest.approx(42.5 - 30.4)
    assert paper_difference(claims["c28"]) is None


def test_only_orderings_that_its_own_tables_show_are_called_better() -> None:
    wrong = [row.id for row in read_claims() if row.kind == "better" and (paper_difference(row) or 0) < 0]
    assert wrong == []


def test_the_study_counts_by_its_intervals() -> None:
    means = {"base": (4.0, 3.7, 4.4), "talklip": (3.0, 2.6, 3.3)}
    study = {"methods": {name: {"sync_mean": dict(zip(("value", "low", "high"), m, strict=True)) | {"n": 20}}
                         for name, m in means.items()}}  # fmt: skip
    found = our_difference(claim("sync"), lambda name, corpus: None, study)
    assert found == rated_difference(Interval(4.0, 3.7, 4.4, 20), Interval(3.0, 2.6, 3.3, 20))
    assert (found.low, found.high) == pytest.approx((1 - np.hypot(0.3, 0.3), 1 + np.hypot(0.4, 0.4)))
    assert our_difference(claim("sync", worse="wav2lip"), lambda name, corpus: None, study) is None


def test_files_of_methods_and_readers_become_a_ledger_and_a_page(tmp_path: Path) -> None:
    for folder in ("scores/base", "scores/talklip", "readings"):
        (tmp_path / folder).mkdir(parents=True)
    for name, lead in (("base", 1.0), ("talklip", 0.0)):
        scores(lse_c=np.arange(40.0) + lead).to_parquet(tmp_path / f"scores/{name}/lrs2.parquet")
    for name, edits in (("av_syncnet", 1), ("conformer", 2)):
        scores(edits=[edits] * 40, n_words=[4] * 40).to_parquet(tmp_path / f"readings/{name}.parquet")
    checked = check_claims(load_scores(tmp_path / "scores", tmp_path / "readings", ["base", "talklip"]), NO_STUDY)
    assert {row.claim.id for row in checked if row.verdict is Verdict.HOLDS} == {"c02", "c27"}
    assert tally(checked) == {"holds": 2, "not shown": 0, "contradicted": 0, "too few clips": 0, "not run": 58}
    ledger = to_json(checked, "demo")
    assert [row["id"] for row in ledger["claims"]] == [f"c{number:02}" for number in range(1, 61)]
    assert ledger["claims"][26]["ours"]["value"] == 25.0
    page = to_page(checked, "Of scale `demo`.")
    assert "60 claims: 2 holds, 0 not shown, 0 contradicted, 0 too few clips, 58 not run." in page
    assert "| c02 | table 1, §4.4 | lrs2 | lse_c | synctalklip | talklip | +1 (+1 to +1) | 40 | +0.76 | holds |" in page
    assert "8.81 in table 3 and 9.29 in tables 1 and 4" in page


def test_what_another_run_left_of_a_method_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "pc_avs").mkdir()
    scores(lse_c=np.arange(40.0)).to_parquet(tmp_path / "pc_avs/lrs2.parquet")
    assert load_scores(tmp_path, tmp_path, ["pc_avs"])("pc_avs", "lrs2") is not None
    assert load_scores(tmp_path, tmp_path, ["base"])("pc_avs", "lrs2") is None
