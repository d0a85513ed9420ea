"""Scales: what differs from the demo, laid over it and taken off again; what is the user's stays."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from root import ROOT

from pipeline.scale import DEMO, LEFT, apply_scale, at, patched, put, read_scale, scale_names, written
from synctalk.errors import UserError
from synctalk.models.av_hubert import AVHubert
from synctalk.models.av_syncnet import AlignmentConfig, AVSyncNet
from synctalk.models.discriminator import FaceDiscriminator
from synctalk.models.lip_reader import LipReader
from synctalk.models.wav2lip_expert import Wav2LipExpert
from synctalk.schema import Params, check, check_recipes
from synctalk.training.networks import NETWORKS

FILES = ("params.yaml", "data/synthetic/params.yaml")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the two files that scales are written into."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def texts(project: Path) -> list[str]:
    return [(project / name).read_text() for name in FILES]


def at_scale(name: str, project: Path) -> Params:
    apply_scale(name, project)
    check_recipes(project / FILES[1])
    return check(project / FILES[0])


def values_of(project: Path) -> dict[str, Any]:
    return yaml.load(texts(project)[0], yaml.CSafeLoader)  # type: ignore[no-any-return]  # a mapping


def edit(project: Path, key: str, value: object) -> None:
    """Set a key as an editor would: the rest of the file as it is."""
    changed = written(texts(project)[0], put(values_of(project), tuple(key.split(".")), value))
    (project / FILES[0]).write_text(changed)


def n_parameters(network: torch.nn.Module, without: tuple[str, ...] = ()) -> int:
    return sum(p.numel() for name, p in network.named_parameters() if not name.startswith(without))


def test_a_patch_sets_removes_and_adds() -> None:
    values = {"a": {"b": 1, "c": 2}, "d": [1], "e": 5}
    patch = {"a": {"b": None, "x": {"y": 1, "z": None}}, "d": [2, 3], "e": {"f": 1}, "gone": None}
    assert patched(values, patch) == {"a": {"c": 2, "x": {"y": 1}}, "d": [2, 3], "e": {"f": 1}}
    assert values == {"a": {"b": 1, "c": 2}, "d": [1], "e": 5}


@pytest.mark.parametrize("name", [name for name in scale_names() if name != DEMO])
def test_a_scale_says_only_what_it_changes(name: str) -> None:
    demo, recipes = (yaml.load((ROOT / file).read_text(), yaml.CSafeLoader) for file in FILES)
    scale = read_scale(name)
    whole = patched(demo | {"synthetic": recipes}, scale)
    assert [path for path in leaves_of(scale) if at(whole, path) == at(demo | {"synthetic": recipes}, path)] == []


def leaves_of(values: dict[str, Any], where: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Paths of all values that are no mappings."""
    return [
        leaf
        for key, value in values.items()
        for leaf in (leaves_of(value, (*where, key)) if isinstance(value, dict) else [(*where, key)])
    ]


def test_every_scale_applies_from_every_other_and_the_demo_comes_back_to_the_byte(project: Path) -> None:
    begin, names = texts(project), scale_names()
    for name in [*names, "paper", "large", "gpu", "tiny", "paper", DEMO]:
        before = texts(project)
        assert at_scale(name, project).scale == name
        made = texts(project)
        apply_scale(name, project)
        assert texts(project) == made
        assert written(made[0], values_of(project)) == made[0]  # DVC would write it in the same form
        if name == DEMO:
            assert texts(project) == begin
        elif before == begin:
            assert (project / LEFT / "params.yaml").read_text() == begin[0]


@pytest.mark.parametrize("name", ["paper", "tiny"])
def test_comments_survive(name: str, project: Path) -> None:
    alone = {line.strip() for line in texts(project)[0].splitlines() if line.strip().startswith("#")}
    apply_scale(name, project)
    lines = texts(project)[0].splitlines()
    assert {line.strip() for line in lines if line.strip().startswith("#")} == alone
    values = values_of(project)
    kept = [line for line in lines if " # Quality of the stored pictures" in line]
    assert [line.split("#")[0].split() for line in kept] == [["jpeg_quality:", str(values["crop"]["jpeg_quality"])]]


MINE = {
    "corpora.lrs2.root": "/data/grid",
    "corpora.lrs2.depends_on": "/data/grid",
    "corpora.lrs2.layout": "grid",
    "corpora.lrs2.detector": "yunet",
    "crop.detectors.yunet.weights": "yunet.onnx",
    "syncnet.checkpoint": "mine.model",
    "syncnet.view": "tracked",
    "external.videos": {"pc_avs": "videos/pc_avs"},
    "variant": "talklip",
    "methods.mine": {"network": "synctalklip", "supervisor": "models/finetune/av_hubert", "weights": {"sync": 0.5}},
}
"""What somebody has set, and no scale has a say in."""


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("begin", [DEMO, "gpu"])
def test_what_is_the_users_stays_at_every_scale(begin: str, committed: bool, project: Path) -> None:
    at_scale(begin, project)
    for key, value in MINE.items():
        edit(project, key, value)
    if committed:
        for command in (
            ["init", "-q"],
            ["add", *FILES],
            ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "mine"],
        ):
            subprocess.run(["git", *command], cwd=project, check=True)
    for name in ("paper", "demo", "tiny"):
        assert apply_scale(name, project) == []
        check(project / FILES[0])
        values = values_of(project)
        assert {key: at(values, tuple(key.split("."))) for key in MINE} == MINE
        # the corpora that nobody touched follow the scale
        assert values["corpora"]["lrs3"]["root"] == ("corpora/lrs3" if name == "paper" else "data/synthetic/lrs3")


def test_what_is_overwritten_is_said(project: Path) -> None:
    apply_scale("gpu", project)
    edit(project, "start.optim.steps", 77)
    edit(project, "start.smoothing", 0.2)
    edit(project, "seed", 5)
    edit(project, "variant", "wo_contrastive")
    said = apply_scale("tiny", project)
    assert said == ['variant: "wo_contrastive" -> "base"', "seed: 5 -> 1", "start.optim.steps: 77 -> 3"]
    assert values_of(project)["start"]["smoothing"] == 0.2  # a key that no scale names


def test_without_the_demo_that_was_left_git_has_it(project: Path) -> None:
    begin = texts(project)
    for command in (
        ["init", "-q"],
        ["add", *FILES],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=project, check=True)
    apply_scale("tiny", project)
    shutil.rmtree(project / LEFT)
    apply_scale("paper", project)
    apply_scale("demo", project)
    assert texts(project) == begin
    apply_scale("tiny", project)
    shutil.rmtree(project / LEFT)
    shutil.rmtree(project / ".git")
    with pytest.raises(
        UserError, match=r"^.*demo: holds no demo, and no commit does; bring a params.yaml of scale demo"
    ):
        apply_scale("gpu", project)


def test_paper_has_the_networks_of_the_paper(project: Path) -> None:
    paper = at_scale("paper", project)
    reader = paper.av_syncnet
    with torch.device("meta"):
        encoder = AVHubert(reader.encoder)
        generator, rival = (
            NETWORKS[name].begin(paper.generator, AVSyncNet(reader, AlignmentConfig(kind="none", kernel=1)), None)
            for name in ("synctalklip", "wav2lip")
        )
        expert = Wav2LipExpert(paper.wav2lip_expert.model)
        discriminator = FaceDiscriminator(paper.generator.discriminator)
        decoder = LipReader(reader).decoder
    assert len(encoder.encoder.layers) == 24
    # front ends, mask embedding and encoder of AV-HuBERT Large, without the head that predicts labels
    assert n_parameters(encoder, ("label_embs_concat", "final_proj")) == 324_623_080
    assert n_parameters(decoder) == 152_196_096
    # TalkLip's two networks, the generator with the encoder's width of 1024
    assert n_parameters(generator, ("audio_encoder",)) == 35_059_763
    assert n_parameters(discriminator) == 14_113_793
    assert n_parameters(rival) == 36_298_035
    assert n_parameters(expert) == 16_435_072


def test_paper_has_five_iterations_each_on_the_one_before(project: Path) -> None:
    iterations = at_scale("paper", project).pretrain.iterations
    assert [entry.clusters.n_clusters for entry in iterations.values()] == [100, 100, 500, 1000, 2000]
    assert [entry.clusters.layer for entry in iterations.values()] == [0, 9, 12, 12, 12]
    assert [entry.source for entry in list(iterations.values())[1:]] == [f"models/pretrain/it{i}" for i in (1, 2, 3, 4)]
    assert [entry.masking for entry in iterations.values()] == ["feature"] * 4 + ["input"]
    assert {entry.start for entry in iterations.values()} == {"scratch"}
    # the released configurations: video is masked, and a modality dropped, in the last iteration alone
    assert {(entry.audio_mask_prob, entry.audio_mask_length) for entry in iterations.values()} == {(0.8, 10)}
    assert [entry.video_mask_prob for entry in iterations.values()] == [0.0] * 4 + [0.3]
    assert iterations["it5"].video_mask_length == 5
    assert [entry.modality_dropout for entry in iterations.values()] == [0.0] * 4 + [0.5]
    assert {entry.audio_dropout for entry in iterations.values()} == {0.5}
    assert [entry.optim.steps for entry in iterations.values()] == [400_000] * 4 + [600_000]
    assert [entry.optim.warmup_steps for entry in iterations.values()] == [32_000] * 4 + [48_000]
    assert [entry.optim.eps for entry in iterations.values()] == [1e-6] * 5
    assert {entry.alpha for entry in iterations.values()} == {1.0}


def test_paper_steps_and_weights_are_the_published_ones(project: Path) -> None:
    paper = at_scale("paper", project)
    assert paper.finetune["av_syncnet"].optim.steps == 180_000
    assert paper.train["synctalklip"].optim.steps == 60_000
    assert paper.mouth_crop == 88
    assert paper.crop.face_size == paper.crop.mouth.size == 96
    weights = paper.methods["base"].weights
    assert weights.lip_reading == 1e-5
    assert weights.reconstruction == pytest.approx(1 - weights.adversarial - weights.lip_reading)


def test_paper_trains_wav2lip_and_the_readers_as_released(project: Path) -> None:
    paper = at_scale("paper", project)
    rivals = {name: paper.methods[name].weights for name in ("wav2lip", "wav2lip_gan")}
    assert {name: (w.sync, w.adversarial) for name, w in rivals.items()} == {
        "wav2lip": (0.01, 0.0),
        "wav2lip_gan": (0.03, 0.07),
    }
    assert [w.reconstruction for w in rivals.values()] == pytest.approx([0.99, 0.9])
    # none of the peers' recipes but pre-training has weight decay, or limits the gradient
    recipes = [entry.optim for entry in (*paper.finetune.values(), *paper.train.values(), paper.wav2lip_expert)]
    recipes += [entry.adversary.optim for entry in paper.train.values() if entry.adversary]
    assert {(optim.weight_decay, optim.clip_norm) for optim in recipes} == {(0.0, 0.0)}
    assert {(entry.optim.weight_decay, entry.optim.clip_norm) for entry in paper.pretrain.iterations.values()} == {
        (0.01, 10.0)
    }


def test_an_unknown_scale_is_one_line(project: Path) -> None:
    before = texts(project)
    with pytest.raises(UserError, match=r"^scale huge: is unknown; take one of demo, gpu, large, paper, tiny$"):
        apply_scale("huge", project)
    assert texts(project) == before
