"""LPIPS and FID: figures of the peers for weights by formula, and by hand; only from weights that a user brings."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import formula
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from footage import noise, waves

from synctalk.cli.app import main
from synctalk.errors import UserError
from synctalk.evaluation.judges import perceptual, quality
from synctalk.evaluation.judges.perceptual import Moments, frechet_distance, perceive
from synctalk.evaluation.judges.quality import CONVOLUTIONS, D_FEATURES, Inception, Lpips
from synctalk.evaluation.videos.pairs import Pair
from synctalk.media import write_video

LAYERS = ((3, 64, 11), (64, 192, 5), (192, 384, 3), (384, 256, 3), (256, 256, 3))
"""Channels in and out, and kernel, of AlexNet's convolutions."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """alexnet.pth with a classifier, as torchvision's; heads.pth; inception.pth with its last layer."""
    root = tmp_path_factory.mktemp("weights")
    shapes: dict[str, tuple[int, ...]] = {"classifier.1.weight": (2, 2)}
    for index, (width_in, width, kernel) in zip(CONVOLUTIONS, LAYERS, strict=True):
        shapes |= {f"features.{index}.weight": (width, width_in, kernel, kernel), f"features.{index}.bias": (width,)}
    torch.save(formula.filled(shapes), root / "alexnet.pth")
    heads = {f"lin{n}.model.1.weight": (1, width, 1, 1) for n, (_, width, _) in enumerate(LAYERS)}
    torch.save(formula.filled(heads), root / "heads.pth")
    net = quality.package("torchvision").models.inception_v3(num_classes=1008, aux_logits=False, init_weights=False)
    torch.save(formula.filled({k: tuple(v.shape) for k, v in net.state_dict().items()}), root / "inception.pth")
    return root


@pytest.fixture(scope="module")
def lpips(weights: Path) -> Lpips:
    return Lpips(weights / "alexnet.pth", weights / "heads.pth")


@pytest.fixture(scope="module")
def inception(weights: Path) -> Inception:
    return Inception(weights / "inception.pth")


@pytest.mark.parametrize(
    ("height", "width", "theirs"),
    [
        (64, 64, [0.45292115, 0.43477002]),
        (96, 96, [0.72594780, 0.70986670]),
        (70, 121, [0.97215343, 0.96728861]),
    ],
)
def test_lpips_is_that_of_the_package(lpips: Lpips, height: int, width: int, theirs: list[float]) -> None:
    """lpips 0.1.4 with the same weights; torchvision 0.28."""
    a, b = (formula.pictures(2, height, width, seed) for seed in (1, 2))
    assert lpips(a, b).tolist() == pytest.approx(theirs, abs=1e-6)
    assert lpips(b, a).tolist() == pytest.approx(theirs, abs=1e-6)
    assert lpips(a, a).tolist() == [0.0, 0.0]


def test_features_of_fid_are_those_of_the_package(inception: Inception) -> None:
    """pytorch-fid 0.3.0 with the same weights, the first two of 24 pictures."""
    features = inception(formula.pictures(24, 64, 80, 1)[:2])
    some = [
        [0.0, 0.1115112, 0.6204879, 0.0749580],
        [0.0, 0.1275629, 0.6007779, 0.0766445],
    ]
    assert features.shape == (2, D_FEATURES)
    np.testing.assert_allclose(features[:, ::512], some, atol=2e-6)


@pytest.mark.slow
def test_fid_is_that_of_the_package(inception: Inception) -> None:
    """pytorch-fid 0.3.0, whose root of a matrix is less exact than its features."""
    sides = [inception(formula.pictures(24, 64, 80, seed)).double().numpy() for seed in (1, 2)]
    assert (sides[0].mean(), sides[0].std()) == pytest.approx((0.7497495, 0.9454993), abs=1e-6)
    moments = [Moments(D_FEATURES) for _ in sides]
    for side, features in zip(moments, sides, strict=True):
        side.add(features[:10])
        side.add(features[10:])
    assert frechet_distance(*moments) == pytest.approx(1.14596, abs=1e-3)


def moments_of(features: np.ndarray) -> Moments:
    found = Moments(features.shape[1])
    for rows in np.array_split(features, 3):
        found.add(rows)
    return found


def test_frechet_distance_by_hand() -> None:
    """Of normal distributions in one dimension it is (m - m')^2 + (s - s')^2, and dimensions that are independent add;
    of equal ones it is 0, and a rotation changes nothing.
    """
    a, b = np.array([[-1.0], [1.0]]), np.array([[2.0], [8.0]])  # mean 0, deviation 2^(1/2); mean 5, deviation 18^(1/2)
    assert frechet_distance(moments_of(a), moments_of(b)) == pytest.approx(25 + (18**0.5 - 2**0.5) ** 2)
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 40, 5)) * [1, 2, 3, 4, 0]
    y += 1
    apart = frechet_distance(moments_of(x), moments_of(y))
    assert frechet_distance(moments_of(x), moments_of(x)) == pytest.approx(0, abs=1e-6)
    turn = np.linalg.qr(random.normal(size=(5, 5)))[0]
    assert frechet_distance(moments_of(x @ turn), moments_of(y @ turn)) == pytest.approx(apart)
    assert frechet_distance(moments_of(y), moments_of(x)) == pytest.approx(apart)
    np.testing.assert_allclose(moments_of(x).covariance, np.cov(x, rowvar=False), atol=1e-12)
    few = x[:3]  # fewer rows than dimensions
    assert frechet_distance(moments_of(few), moments_of(few)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda state: state.pop("features.3.bias"), r"entry 'features\.3\.bias' is missing"),
        (lambda state: state.update({"odd": torch.zeros(1)}), r"entry 'odd' is not of this network"),
        (lambda state: state.update({"features.0.bias": torch.zeros(3)}), r"has shape \[3\], not \[64\]"),
    ],
)
def test_other_weights_are_refused(
    weights: Path, tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], object], line: str
) -> None:
    state = torch.load(weights / "alexnet.pth")
    change(state)
    torch.save(state, tmp_path / "alexnet.pth")
    with pytest.raises(UserError, match=line):
        Lpips(tmp_path / "alexnet.pth", weights / "heads.pth")
    with pytest.raises(UserError, match=r"heads\.pth: is not Inception's file: Missing key"):
        Inception(weights / "heads.pth")
    with pytest.raises(UserError, match="nowhere"):
        Inception(tmp_path / "nowhere.pth")


@pytest.mark.parametrize("missing", ["torchvision", "lpips"])
def test_without_the_extra_one_line_says_how_to_get_it(
    weights: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    quality.package.cache_clear()
    with pytest.raises(UserError, match=rf"need {missing}; pip install 'synctalk\[quality\]'"):
        Lpips(weights / "alexnet.pth", weights / "heads.pth")


def test_nothing_is_fetched(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a network was asked for")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    Lpips(weights / "alexnet.pth", weights / "heads.pth")
    Inception(weights / "inception.pth")


class FewFeatures(torch.nn.Module):
    """Stands for Inception where not its features are looked at: the pictures' mean colours."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.float().mean((2, 3))


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """made/ and real/ of two clips and one of another size; made ones are brighter below, the first by more."""
    for number, (more, width) in enumerate(((40, 160), (5, 160), (0, 128))):
        frames = waves(20, number)
        made = frames.copy()[:, :, :width]
        made[:, 80:] += more
        for side, pictures in (("real", frames), ("made", made)):
            path = tmp_path / side / f"{number}.mp4"
            path.parent.mkdir(exist_ok=True)
            write_video(path, pictures, audio=noise(20, number), lossless=True)
    return tmp_path


def test_score_takes_them_as_options_and_leaves_out_what_cannot_be_compared(
    clips: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCTALK_WORKERS", "1")
    monkeypatch.setattr(perceptual, "Inception", lambda path: FewFeatures())
    monkeypatch.setattr(perceptual, "D_FEATURES", 3)
    out = clips / "out"
    nets = [
        "--lpips",
        weights / "alexnet.pth",
        "--lpips-heads",
        weights / "heads.pth",
        "--fid",
        weights / "inception.pth",
    ]
    words = ["score", clips / "made", "--reference", clips / "real", "--no-lse", *nets, "-o", out]
    monkeypatch.setattr(sys, "argv", ["synctalk", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    rows = pq.read_table(out / "lpips.parquet").to_pylist()
    assert [(row["id"], row["n_frames"]) for row in rows] == [("0", 20), ("1", 20)]
    assert rows[0]["frame_lpips"] > 2 * rows[1]["frame_lpips"] > 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["figures"]["frame_lpips"]["n"] == 2
    assert summary["figures"]["frame_lpips"]["value"] == pytest.approx(np.mean([row["frame_lpips"] for row in rows]))
    assert summary["fid"]["n_frames"] == 40
    assert summary["fid"]["value"] > 0
    assert {name.split("/")[-1] for name in summary["setting"]["sha256"]} == {
        "alexnet.pth",
        "heads.pth",
        "inception.pth",
    }
    assert "frame_lpips," in (out / "table.csv").read_text()
    lpips, fid = summary["figures"]["frame_lpips"]["value"], summary["fid"]["value"]
    for file in ("table.md", "report.html"):
        lines = (out / file).read_text().splitlines()
        assert f"{lpips:.5f}" in next(line for line in lines if "frame LPIPS ↓" in line and "whole frame" in line)
        assert f"{fid:.4f}" in next(line for line in lines if "frame FID ↓" in line and "40 of each kind" in line)
    page = (out / "report.html").read_text()
    table = json.loads(page.split('<script type="application/json" id="data">')[1].split("</script>")[0])["table"]
    names = [table["names"].index(name) for name in ("clip", "frame_lpips")]
    shown = {row[names[0]]: row[names[1]] for row in table["rows"]}
    assert shown == {row["id"]: round(row["frame_lpips"], 4) for row in rows} | {"2": None}  # of another size


def test_equal_videos_have_neither_distance(clips: Path, lpips: Lpips, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceptual, "D_FEATURES", 3)
    inception: Any = FewFeatures()
    same = Pair("1", clips / "real/1.mp4", clips / "real/1.mp4", True, None)
    crossed = Pair("2", clips / "made/0.mp4", clips / "real/1.mp4", False, None)
    (clip,), fid = perceive([same, crossed], lpips, inception)
    assert (clip.id, clip.n_frames, clip.frame_lpips) == ("1", 20, 0.0)
    assert fid is not None
    assert (fid.value, fid.n_frames) == (pytest.approx(0, abs=1e-3), 20)
    assert perceive([crossed], lpips, inception) == ([], None)
    assert perceive([same], None, None) == ([], None)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--fid", "inception.pth"], "--fid: needs the real videos; give --reference"),
        (["--lpips", "a.pth", "--reference", "real"], "--lpips: comes in two files; give --lpips-heads"),
        (["--lpips-heads", "a.pth", "--reference", "real"], "--lpips: comes in two files; give --lpips"),
    ],
)
def test_what_is_missing_beside_an_option_is_one_line(
    clips: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], line: str
) -> None:
    monkeypatch.chdir(clips)
    monkeypatch.setattr(sys, "argv", ["synctalk", "score", "made", "--no-lse", *words, "-o", "out"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert line in str(ended.value.code)
