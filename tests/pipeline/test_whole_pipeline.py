"""A whole `dvc repro` at the tiny scale, in a clone of the working tree, as a user would run it."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from checkout import Checkout, tiny_checkout
from root import ROOT

pytestmark = pytest.mark.e2e

BY_THIS_FILE = "other tests here run it and look at what it does"
NOT_HERE = {
    "make demo": "an hour; all that it calls is run here",
    "make test": "runs these tests",
    "dvc exp run -S variant=conv": BY_THIS_FILE,
    "dvc exp run -S +external.videos.pc_avs=external/pc_avs": BY_THIS_FILE,
    "synctalk dub": "needs real footage and a detector's weights: tests/generation/test_dub.py",
    "synctalk score": "needs a detector's weights: tests/evaluation/test_score_folder.py",
    "synctalk study": "needs 100 videos and raters: tests/study",
    "mkdir runs && python -m pipeline.scale gpu": "needs a GPU",
    "dvc exp run -S generator_seed=2": "trains every method again; a test here looks at which stages would run",
    "python -m pipeline.train base models/finetune/av_syncnet s3://": "needs a bucket: tests/shards",
}
"""Beginnings of documented commands that are not run as they stand, and why."""


def documented_commands() -> list[str]:
    """Indented lines of README and of the pages in docs/ that are commands; comments cut, continued lines joined."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages).replace("\\\n", " ")
    lines = re.findall(r"^    ((?:make|dvc|synctalk|python|mkdir|cp|pip|git) .*)$", text, re.MULTILINE)
    return [re.sub(r"\s+#.*", "", line) for line in lines]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = tiny_checkout(tmp_path_factory.mktemp("clone") / "synctalk")
    made.run("dvc", "repro")
    made.commit("results")
    return made


def test_every_stage_left_its_figures(checkout: Checkout) -> None:
    metrics = checkout.json("metrics.json")
    assert set(metrics) == {"lrs2", "lrs3"}
    named = {"lse_c", "lse_d", "offset", "psnr", "psnr_uint8", "ssim", "mouth_psnr", "lse_c_other"}
    assert named | {"wer1"} <= set(metrics["lrs2"])
    assert named | {"wer2"} <= set(metrics["lrs3"])
    assert metrics == checkout.json("results/methods/base/metrics.json")
    for table in (1, 2, 3, 4):
        assert "scale `tiny`" in (checkout.root / f"results/tables/table{table}.md").read_text()
    page = (checkout.root / "report/index.html").read_text()
    # the truth and five methods of one clip a corpus
    embedded = json.loads(page.split('<script type="application/json" id="data">')[1].split("</script>")[0])
    assert [[video["method"] for video in clip["videos"]] for clip in embedded["clips"]] == [
        ["ground_truth", "base", "conv", "freeze", "talklip", "wav2lip_gan"]
    ] * 2
    ledger = checkout.json("results/claims.json")
    assert len(ledger["claims"]) == 60
    # tiny has base, conv, freeze, TalkLip, Wav2Lip GAN, and all readers; not the ablations, Wav2Lip alone or a study
    ran = {claim["id"] for claim in ledger["claims"] if claim["verdict"] != "not run"}
    assert {"c02", "c11", "c27", "c28", "c43", "c54"} <= ran
    assert not {"c01", "c29", "c55"} & ran
    assert {path.name for path in (checkout.root / "results/pictures").iterdir()} == {"lrs2.jpg", "lrs3.jpg"}


def test_plots_of_every_corpus_are_drawn(checkout: Checkout) -> None:
    shown = json.loads(checkout.run("dvc", "plots", "show", "--json"))
    assert "errors" not in shown
    drawn = {
        name: plots[0]["content"]["data"]["values"]
        for name, plots in shown["data"].items()
        if name.startswith("results/corpora/")
    }
    kinds = ("funnel", "offsets", "face_sizes")
    assert drawn.keys() == {f"results/corpora/{c}/{kind}.csv" for c in ("lrs2", "lrs3", "voxceleb2") for kind in kinds}
    assert [row["step"] for row in drawn["results/corpora/lrs2/funnel.csv"]][::5] == ["listed", "packed"]
    checkout.run("dvc", "plots", "show", "-o", "plots")
    page = (checkout.root / "plots/index.html").read_text()
    assert "lrs2, offsets before screening" in page
    assert "<DVC_METRIC" not in page  # our templates are filled in
    shutil.rmtree(checkout.root / "plots")


def test_generated_videos_are_the_test_clips(checkout: Checkout) -> None:
    root = checkout.root / "data/generated/base/lrs2"
    made = sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.mp4"))
    listed = (checkout.root / "data/synthetic/lrs2/test.txt").read_text().split()
    assert made == sorted(f"main/{name}" for name in listed if "/" in name)


def test_a_second_run_does_nothing(checkout: Checkout) -> None:
    assert "Data and pipelines are up to date." in checkout.run("dvc", "repro")
    assert checkout.run("git", "status", "--porcelain") == ""


def test_another_variant_reuses_everything_and_can_be_compared(checkout: Checkout) -> None:
    printed = checkout.run("dvc", "exp", "run", "-S", "variant=conv")
    ran = [line for line in printed.splitlines() if line.startswith("Running stage")]
    assert ran == ["Running stage 'code':", "Running stage 'metrics':", "Running stage 'report':"]
    assert checkout.json("metrics.json") == checkout.json("results/methods/conv/metrics.json")
    differences = json.loads(checkout.run("dvc", "metrics", "diff", "--json"))
    assert list(differences) == ["metrics.json"]
    changed = differences["metrics.json"]
    changed_params = json.loads(checkout.run("dvc", "params", "diff", "--json"))
    assert changed_params == {"params.yaml": {"variant": {"old": "base", "new": "conv"}}}
    assert {name.split(".")[0] for name in changed} == {"lrs2", "lrs3"}
    assert any(name.endswith("psnr") for name in changed)
    checkout.run("dvc", "exp", "run", "-S", "variant=base")
    # DVC writes params.yaml in the form that it has
    assert "params.yaml" not in checkout.run("git", "status", "--porcelain")
    assert checkout.json("metrics.json") == checkout.json("results/methods/base/metrics.json")


def test_a_typo_names_the_choices_before_anything_runs(checkout: Checkout) -> None:
    for key, value, choices in (
        ("variant", "cnv", "variant 'cnv' is no method; take one of base, conv, freeze, talklip, wav2lip_gan"),
        ("start.optim.adam", "slow", "start.optim.adam 'slow' is no entry of adam; take one of reader, generator, "),
    ):
        printed = checkout.fails("dvc", "exp", "run", "-S", f"{key}={value}")
        assert choices in printed
        assert [line for line in printed.splitlines() if line.startswith("Running stage")] == ["Running stage 'code':"]
        # DVC leaves the experiment's params.yaml for whoever mends it, and nothing else
        assert checkout.run("git", "status", "--porcelain") == " M params.yaml\n"
        checkout.run("git", "checkout", "params.yaml")


def test_a_recipe_of_the_look_alikes_is_an_experiment_too(checkout: Checkout) -> None:
    key = "data/synthetic/params.yaml:lrs3.zoom=[0.8,1.0]"
    printed = checkout.run("dvc", "exp", "run", "-S", key, "data/synthetic/dvc.yaml:synthesize@lrs3")
    ran = [line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")]
    assert ran == ["code", "data/synthetic/dvc.yaml:synthesize@lrs3"]
    checkout.run("git", "checkout", ".")
    checkout.run("dvc", "checkout")


def test_documented_commands_run(checkout: Checkout) -> None:
    """Each as it stands, but for those of `NOT_HERE`; none of whose lines is stale."""
    commands = documented_commands()
    assert [begin for begin in NOT_HERE if not any(line.startswith(begin) for line in commands)] == []
    for seed in ("1", "2"):  # what over_seeds is shown to read
        shutil.copytree(checkout.root / "data/scores", checkout.root / "runs" / seed)
    ran = [line for line in commands if not line.startswith(tuple(NOT_HERE))]
    for line in ran:
        checkout.run("bash", "-c", line)
    assert {"dvc repro", "dvc metrics diff", "synctalk doctor"} <= set(ran)
    assert "| synctalklip |" in (checkout.root / "results/gpu/tables/table1.md").read_text()
    shutil.rmtree(checkout.root / "runs")
    shutil.rmtree(checkout.root / "results/gpu")
    assert checkout.run("git", "status", "--porcelain") == ""


def test_another_seed_of_the_generators_leaves_readers_and_judges_alone(checkout: Checkout) -> None:
    params = checkout.root / "params.yaml"
    before = params.read_text()
    params.write_text(before.replace("generator_seed: 1 ", "generator_seed: 2 "))
    printed = checkout.run("dvc", "repro", "--dry")
    params.write_text(before)
    ran = {line.split("'")[1].partition("@")[0] for line in printed.splitlines() if line.startswith("Running stage")}
    assert {"start", "train"} <= ran <= {
        "code", "start", "train", "generate", "evaluate", "metrics", "claims", "tables", "report"
    }  # fmt: skip


def test_an_external_method_gets_its_row_when_it_has_videos(checkout: Checkout) -> None:
    """The real videos as somebody's method: they score as the real videos, and one that is missing is listed."""
    for table in (1, 4):
        assert "| pc_avs |  | not run" in (checkout.root / f"results/tables/table{table}.md").read_text()
    real, videos = checkout.root / "data/synthetic/lrs2/main", checkout.root / "external/pc_avs/lrs2/main"
    test = [
        f"{name}.mp4" for name in (checkout.root / "data/synthetic/lrs2/test.txt").read_text().split() if "/" in name
    ]
    for name in test:
        (videos / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(real / name, videos / name)
    printed = checkout.run("dvc", "exp", "run", "-S", "+external.videos.pc_avs=external/pc_avs")
    ran = [line for line in printed.splitlines() if line.startswith("Running stage")]
    assert ran == [f"Running stage '{name}':" for name in ("code", "external@pc_avs", "claims", "tables", "report")]
    theirs, truth = (checkout.json(f"results/methods/{name}/intervals.json") for name in ("pc_avs", "ground_truth"))
    assert set(theirs) == {"lrs2"}
    assert truth["lrs2"].items() <= theirs["lrs2"].items()
    assert theirs["lrs2"]["psnr"] == {"value": 100.0, "low": 100.0, "high": 100.0, "n": len(test)}
    (videos / test[0]).unlink()
    printed = checkout.run("dvc", "repro")
    assert "Running stage 'external@pc_avs'" in printed
    assert f"| pc_avs | {len(test) - 1} |" in (checkout.root / "results/tables/table1.md").read_text()
    assert "Not scored of pc_avs on lrs2: 1 missing" in (checkout.root / "results/tables/table4.md").read_text()
    notes = (checkout.root / "results/methods/pc_avs/notes.csv").read_text().splitlines()
    assert notes[1:] == [f"lrs2,main/{test[0].removesuffix('.mp4')},missing,false,no generated video of this name"]
    assert "up to date" in checkout.run("dvc", "repro")


def test_one_worker_makes_the_same_bytes(checkout: Checkout, tmp_path: Path) -> None:
    """Shards made again by a single process are those that several made."""
    before = (checkout.root / "data/shards/lrs2/index.parquet").read_bytes()
    environment = {"SYNCTALK_WORKERS": "1"}
    os.environ |= environment
    try:
        checkout.run("dvc", "repro", "--force", "--single-item", "crop@lrs2", "features@lrs2", "shard@lrs2")
    finally:
        del os.environ["SYNCTALK_WORKERS"]
    assert (checkout.root / "data/shards/lrs2/index.parquet").read_bytes() == before
    assert "up to date" in checkout.run("dvc", "repro")
