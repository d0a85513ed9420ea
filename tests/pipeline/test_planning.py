"""`synctalk plan`: counts are exact, bytes are those that the stages then write, the videos are left alone."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from small_corpus import CORPUS, make_corpus, stages, write_params

from synctalk.cli import app
from synctalk.errors import UserError
from synctalk.params.read import load, load_entry
from synctalk.planning.estimate import Estimate, expand_mean, expand_ratio
from synctalk.planning.plan import SERIAL, CorpusCost, Sampling, StageCost, plan_corpus
from synctalk.planning.render import render
from synctalk.planning.settings import CorpusSettings
from synctalk.planning.trial import list_corpus
from synctalk.rejected import read_rejected
from synctalk.shards.corpus import iter_index

N_CLIPS = 14


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven clips of different lengths, twice each."""
    root = tmp_path_factory.mktemp("corpora") / CORPUS
    make_corpus(root, N_CLIPS)
    return root


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the project's params.yaml, which is the current one."""
    write_params(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNCTALK_WORKERS", "1")
    return tmp_path


def settings_of(root: Path) -> CorpusSettings:
    from synctalk.corpora.params import CorpusParams
    from synctalk.faces.extract import CropParams
    from synctalk.shards.corpus import ShardParams

    corpus = replace(load_entry("corpora", CORPUS, CorpusParams), root=str(root))
    return CorpusSettings(corpus, load("crop", CropParams), load("shards", ShardParams))


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["synctalk", "plan", *arguments])
    with pytest.raises(SystemExit) as ended:
        app.main()
    return str(ended.value.code) if ended.value.code else capsys.readouterr().out


def written(out: Path, stage: str) -> int:
    """Bytes of what a stage made of the samples that it kept."""
    if stage == "shard":
        return sum(row.size for row in iter_index(out / "shard"))
    pattern = "clips.parquet" if stage == "index" else "part-??????.parquet"
    return sum(path.stat().st_size for path in (out / stage).glob(pattern))


def test_a_mean_is_expanded_with_students_interval_and_the_share_that_was_seen() -> None:
    # by hand: variance 2, t(1) = 12.706, 10 * 12.706 * sqrt((1 - 2/10) * 2/2)
    found = expand_mean([1.0, 3.0], 10)
    assert found.value == 20
    assert found.margin == pytest.approx(113.65, abs=0.01)
    assert expand_mean([1.0, 3.0], 2) == Estimate(4, 0)


def test_what_grows_with_the_frames_is_as_sure_as_the_frames_are() -> None:
    found = expand_ratio([30, 60, 90], [10, 20, 30], 100, Estimate(2500, 50))
    assert found == Estimate(7500, pytest.approx(150))
    scattered = expand_ratio([40, 50, 90], [10, 20, 30], 100, Estimate(2500, 50))
    assert scattered.value == 7500
    assert scattered.margin > 1000


def test_lists_are_counted_and_sampled_without_opening_a_video(tmp_path: Path) -> None:
    folder = tmp_path / "main" / "speaker"
    folder.mkdir(parents=True)
    for number in range(30):
        (folder / f"{number:05d}.mp4").write_text("no video")
        (folder / f"{number:05d}.txt").write_text(f"Text:  CLIP {'ABCDEFGHIJ'[number % 10]}\n")
    names = [f"speaker/{number:05d}\n" for number in range(32)]
    (tmp_path / "train.txt").write_text("".join(names))
    lists = list_corpus("lrs2", tmp_path, 10, seed=1)
    assert (lists.n_clips, lists.n_rejected, len(lists.sample)) == (30, 2, 10)
    (tmp_path / "train.txt").write_text("".join(reversed(names)))
    assert list_corpus("lrs2", tmp_path, 10, seed=1).sample == lists.sample
    assert list_corpus("lrs2", tmp_path, 5, seed=1).sample == lists.sample[:5]
    assert list_corpus("lrs2", tmp_path, 10, seed=2).sample != lists.sample
    assert len(list_corpus("lrs2", tmp_path, 99, seed=1).sample) == 30


def test_bytes_are_those_that_the_stages_write(corpus: Path, project: Path) -> None:
    plan = plan_corpus(settings_of(corpus), Sampling(n_tried=6, n_probed=10, seed=3), workers=4, machines=2)
    everything = plan_corpus(settings_of(corpus), Sampling(n_tried=N_CLIPS, n_probed=N_CLIPS, seed=3), 1, 1)
    out = project / "out"
    for stage in stages(corpus, out).values():
        stage()
    kept = list(iter_index(out / "shard"))
    assert (plan.n_clips, plan.n_rejected, plan.n_tried, plan.n_probed) == (N_CLIPS, 0, 6, 10)
    assert (everything.n_samples, len(kept)) == (Estimate(N_CLIPS), N_CLIPS)
    hours = sum(row.n_frames for row in kept) / 25 / 3600
    assert everything.footage_hours == Estimate(pytest.approx(hours, rel=0.02))
    assert everything.stages["shard"].gigabytes == Estimate(pytest.approx(written(out, "shard") / 1e9))
    for stage in ("index", "crop", "features", "shard"):
        size = written(out, stage) / 1e9
        said, exact = plan.stages[stage].gigabytes, everything.stages[stage].gigabytes
        # what the files take besides the rows counts in parts of two clips; parts are larger outside of tests
        assert exact.value == pytest.approx(size, rel=0.15 if stage == "features" else 0.1), stage
        assert abs(said.value - exact.value) <= max(said.margin, 0.15 * size), stage
        assert said.margin < 0.5 * said.value, stage
    assert plan.scratch_gigabytes == max((cost.gigabytes for cost in plan.stages.values()), key=lambda one: one.value)


def test_hours_are_shared_by_the_workers_where_a_stage_is(corpus: Path, project: Path) -> None:
    plan = plan_corpus(settings_of(corpus), Sampling(n_tried=2, n_probed=4, seed=1), workers=4, machines=3)
    for stage, cost in plan.stages.items():
        assert cost.core_hours.value > 0, stage
        assert cost.hours.value == pytest.approx(cost.core_hours.value / (1 if stage in SERIAL else 12)), stage
    assert plan.whole.hours.value == pytest.approx(sum(cost.hours.value for cost in plan.stages.values()))


def test_clips_that_the_stages_would_drop_cost_time_and_make_nothing(
    corpus: Path, tmp_path: Path, project: Path
) -> None:
    root = tmp_path / "broken"
    shutil.copytree(corpus, root)
    for split in ("train", "val"):
        lines = (root / f"{split}.txt").read_text().splitlines(keepends=True)
        (root / f"{split}.txt").write_text("".join(line for line in lines if int(line.split("/")[1]) < 4))
    video = root / "main" / "00000" / "00001.mp4"
    video.unlink()
    video.touch()
    plan = plan_corpus(settings_of(root), Sampling(n_tried=4, n_probed=4, seed=1), 1, 1)
    assert plan.rejected == {"empty_file": 1}
    assert plan.n_samples == Estimate(3)
    out = project / "out"
    for stage in stages(root, out).values():
        stage()
    rejected = [row.reason for row in read_rejected(out / "index" / "rejected.parquet")]
    assert Counter(rejected) == {"empty_file": 1, "not_listed": plan.n_rejected}
    assert plan.stages["shard"].gigabytes.value == pytest.approx(written(out, "shard") / 1e9)
    for path in root.glob("main/*/*.mp4"):
        path.unlink()
        path.touch()
    with pytest.raises(UserError, match=r"none of the 4 clips that were tried can be read \(empty_file\)"):
        plan_corpus(settings_of(root), Sampling(n_tried=4, n_probed=4, seed=1), 1, 1)


def test_the_command_prints_a_table_or_json(
    corpus: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (CORPUS, "--root", str(corpus), "--clips", "3", "--probes", "5", "--workers", "32", "--machines", "10")
    made = json.loads(run(monkeypatch, capsys, *options, "--json"))
    assert (made["n_clips"], made["n_tried"], made["workers"], made["machines"]) == (N_CLIPS, 3, 32, 10)
    assert made["stages"]["crop"]["core_hours"]["value"] == pytest.approx(
        320 * made["stages"]["crop"]["hours"]["value"]
    )
    table = run(monkeypatch, capsys, *options)
    assert f"{CORPUS}: {N_CLIPS} clips" in table
    assert "10 x 32 workers" in table
    assert not (project / ".synctalk").exists()


def test_what_is_missing_is_said_in_one_line(
    corpus: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(project / "missing")
    other = ("--layout", "folder", "--root")
    assert (
        run(monkeypatch, capsys) == "error: plan: no corpus is named; give one of params.yaml, or --layout and --root"
    )
    assert f"{missing}: is not there" in run(monkeypatch, capsys, CORPUS, "--root", missing)
    assert "yunet.weights: is empty" in run(monkeypatch, capsys, *other, str(corpus))
    assert "weights of yunet are not there" in run(monkeypatch, capsys, *other, str(corpus), "--weights", missing)
    assert "corpora.lrs9 is missing" in run(monkeypatch, capsys, "lrs9")
    assert "'odd' is unknown" in run(monkeypatch, capsys, "--layout", "odd", "--root", missing, "--detector", "tracks")


def test_figures_are_in_units_that_a_person_reads() -> None:
    cost = StageCost(Estimate(48.0, 12.0), Estimate(0.25, 0.001), Estimate(2500.0))
    plan = CorpusCost(
        n_clips=1_092_009, n_rejected=3, n_probed=200, n_tried=12, footage_hours=Estimate(2360.0, 70.8),
        n_samples=Estimate(1_080_000.0, 1.0), rejected={"no_face": 1}, workers=32, machines=1,
        stages={"crop": cost}, whole=cost, scratch_gigabytes=Estimate(0.5),
    )  # fmt: skip
    text = render(plan, "voxceleb2")
    for piece in ("1,092,009 clips", "2,360 h ± 3%", "1,080,000 ± <1% samples", "48 h ± 25%", "15 min ± <1%", "2.5 TB"):
        assert piece in text
    assert "up to 500 MB" in text
