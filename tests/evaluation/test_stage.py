"""The stage that judges: real, generated and given videos by one command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from footage import made_videos, real_videos, setup_of, small_judges
from test_external import Shards

from pipeline import evaluate
from synctalk.errors import UserError
from synctalk.evaluation.bench import Bench
from synctalk.evaluation.videos.corpus import ClipVideo
from synctalk.generation.corpus import generated_path
from synctalk.shards.clips import CorpusClips


class Samples(Shards):
    def __len__(self) -> int:
        return len(self.samples)


@pytest.fixture
def truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[ClipVideo]:
    """Two clips of one corpus, which the stage finds; a bench of small judges scores two corpora."""
    videos, judges = real_videos(tmp_path / "real", 2), small_judges()
    names = {"lrs2": "wer1", "lrs3": "wer2"}
    params = SimpleNamespace(observers=names, wer_names=names)
    bench = Bench(params, setup_of(judges), 0, judges.sync, judges.conformer, tmp_path)  # type: ignore[arg-type]
    test = CorpusClips(tmp_path / "real", [one.clip for one in videos], Samples(videos))  # type: ignore[arg-type]
    monkeypatch.setenv("SYNCTALK_WORKERS", "1")
    monkeypatch.setattr(Bench, "judges", lambda self, corpus: judges)
    monkeypatch.setattr(evaluate, "load_bench", lambda folder: bench)
    monkeypatch.setattr(evaluate, "load_test_clips", lambda *words: test)
    return videos


def stage(folder: Path, **videos: Path) -> tuple[dict[str, pd.DataFrame], Path]:
    """Scores by corpus, and the folder of results."""
    evaluate.main("m", folder, folder, folder, folder / "scores", folder / "results", **videos)
    return {path.stem: pd.read_parquet(path) for path in (folder / "scores").glob("*.parquet")}, folder / "results"


def test_real_generated_and_given_videos_have_their_figures(truth: list[ClipVideo], tmp_path: Path) -> None:
    real, results = stage(tmp_path / "a")
    assert sorted(real) == sorted(json.loads((results / "intervals.json").read_text())) == ["lrs2", "lrs3"]
    assert not (results / "notes.csv").exists()

    def brighter(frames: np.ndarray) -> np.ndarray:
        return frames + np.uint8(10)

    for corpus in ("lrs2", "lrs3"):
        for one in made_videos(truth, tmp_path / "made", brighter):
            path = generated_path(tmp_path / "ours" / corpus, one.sample.row.id)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(one.generated, path)
    ours, _ = stage(tmp_path / "b", generated=tmp_path / "ours")
    assert (ours["lrs3"]["frame_psnr"] < 40).all()

    # one clip of one corpus is given, and is the truth
    path = tmp_path / "theirs" / "lrs3" / f"{truth[1].sample.row.id}.mp4"
    path.parent.mkdir(parents=True)
    shutil.copy(truth[1].root / truth[1].clip.video, path)
    theirs, results = stage(tmp_path / "c", given=tmp_path / "theirs")
    assert list(theirs) == ["lrs3"]
    assert theirs["lrs3"]["frame_psnr"].tolist() == [100.0]
    assert theirs["lrs3"]["lse_d"][0] == real["lrs3"]["lse_d"][1]
    notes = pd.read_csv(results / "notes.csv")
    assert notes[["corpus", "id", "finding"]].values.tolist() == [["lrs3", truth[0].sample.row.id, "missing"]]
    assert len((results / "offsets_lrs2.csv").read_text().splitlines()) == 1


def test_a_folder_without_a_corpus_is_one_line(truth: list[ClipVideo], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no videos of m; make lrs2/ or lrs3/ in it"):
        stage(tmp_path / "a", given=tmp_path / "empty")
