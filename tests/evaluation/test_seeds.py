"""Figures of a clip over runs are their means, and nothing that is no mean is made up."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from pipeline import over_seeds
from synctalk.errors import UserError
from synctalk.evaluation.scores import ClipScore, write_scores
from synctalk.evaluation.seeds import mean_over_seeds

BLANK = ClipScore(**dict.fromkeys(ClipScore.__dataclass_fields__) | {"id": "a", "n_frames": 50})


def table(path: Path, *scores: ClipScore) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_scores(path, scores)
    return path


def test_figures_are_means_over_runs(tmp_path: Path) -> None:
    first = replace(BLANK, lse_c=4.0, edits=3, n_words=6, offset=1, hypothesis="one", reference="won")
    second = replace(BLANK, lse_c=7.0, edits=4, n_words=6, offset=-1, hypothesis="two", reference="won")
    (merged,) = mean_over_seeds([table(tmp_path / "1", first), table(tmp_path / "2", second)])
    assert (merged.id, merged.n_frames) == ("a", 50)
    assert (merged.lse_c, merged.edits, merged.n_words) == (5.5, 3.5, 6)
    assert merged.offset is merged.hypothesis is merged.reference is None


def test_what_a_clip_lacks_in_one_run_it_lacks_in_all(tmp_path: Path) -> None:
    runs = [table(tmp_path / "1", replace(BLANK, lse_c=4.0)), table(tmp_path / "2", replace(BLANK, ssim=0.9))]
    (merged,) = mean_over_seeds(runs)
    assert merged.lse_c is merged.ssim is None


def test_runs_of_other_clips_and_missing_runs_are_refused(tmp_path: Path) -> None:
    first = table(tmp_path / "1", BLANK)
    with pytest.raises(UserError, match="is of other clips than"):
        mean_over_seeds([first, table(tmp_path / "2", replace(BLANK, id="b"))])
    with pytest.raises(UserError, match="is of other clips than"):
        mean_over_seeds([first, table(tmp_path / "3", replace(BLANK, n_frames=51))])
    with pytest.raises(UserError, match="is not there"):
        mean_over_seeds([first, tmp_path / "none"])


def test_tables_claims_and_spread_are_of_all_runs(tmp_path: Path) -> None:
    """Of two runs in which base is 1 and 3 above talklip, it is 2 above it, on all of eight clips."""
    clips = [replace(BLANK, id=f"clip{number}", lse_c=5.0, edits=number, n_words=8) for number in range(8)]
    gains = {"base": (1.0, 3.0)}
    for run in (0, 1):
        for method in ("ground_truth", *over_seeds.entry_names("methods")):
            gain = gains.get(method, (0.0, 0.0))[run]
            for corpus in ("lrs2", "lrs3"):
                scores = [replace(clip, lse_c=5.0 + gain) for clip in clips]
                table(tmp_path / str(run) / method / f"{corpus}.parquet", *scores)
    over_seeds.main([tmp_path / "0", tmp_path / "1"], tmp_path / "out")
    table1 = pd.read_csv(tmp_path / "out/tables/table1.csv").set_index(["corpus", "method", "metric"])
    found = table1.loc[("lrs2", "synctalklip", "lse_c")]
    assert (found["ours"], found["n"]) == (7.0, 8)
    assert "means over generators of 2 seeds" in (tmp_path / "out/tables/table1.md").read_text()
    claims = pd.DataFrame(pd.read_json(tmp_path / "out/claims.json", typ="series")["claims"])
    claim = claims[(claims["id"] == "c02")].iloc[0]
    assert claim["verdict"] == "holds"
    assert claim["ours"]["value"] == pytest.approx(2.0)
    spread = pd.read_csv(tmp_path / "out/seeds.csv")
    row = spread[(spread["method"] == "base") & (spread["corpus"] == "lrs2") & (spread["metric"] == "lse_c")].iloc[0]
    assert (row["run1"], row["run2"]) == (6.0, 8.0)


def test_one_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a single run"):
        over_seeds.main([tmp_path], tmp_path / "out")


def test_every_figure_is_averaged_or_named_as_none(tmp_path: Path) -> None:
    """A figure that is added to the scores must be one or the other."""
    full = dict.fromkeys(asdict(BLANK), 1) | {"id": "a", "reference": "x", "hypothesis": "x"}
    full |= {"wer3_hypothesis": "x", "wer3_free_hypothesis": "x"}
    (merged,) = mean_over_seeds([table(tmp_path / "1", ClipScore(**full)), table(tmp_path / "2", ClipScore(**full))])
    none = {name for name, value in asdict(merged).items() if value is None}
    assert none == {"offset", "reference", "hypothesis", "wer3_hypothesis", "wer3_free_hypothesis"}
