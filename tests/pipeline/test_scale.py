"""Scales: sets of values for params.yaml that can be switched back and forth."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
import torch
import yaml
from root import ROOT

from pipeline.scale import DEFAULT, EXACTLY, apply_scale, read_scale, scale_names
from synctalk.errors import UserError
from synctalk.models.av_hubert import AVHubert
from synctalk.models.av_syncnet import AlignmentConfig, AVSyncNet
from synctalk.models.discriminator import FaceDiscriminator
from synctalk.models.lip_reader import LipReader
from synctalk.models.wav2lip_expert import Wav2LipExpert
from synctalk.params.schema import Params, check
from synctalk.training.networks import NETWORKS

COMMITTED = ROOT / "params.yaml"


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return Path(shutil.copy(COMMITTED, tmp_path / "params.yaml"))


def at_scale(name: str, params: Path) -> Params:
    apply_scale(name, params)
    return check(params)


def n_parameters(network: torch.nn.Module, without: tuple[str, ...] = ()) -> int:
    return sum(p.numel() for name, p in network.named_parameters() if not name.startswith(without))


def leaves(values: dict[str, Any], where: str = "") -> set[str]:
    """Dotted names of the keys of a scale; what stands under an exact section counts as one."""
    found: set[str] = set()
    for key, value in values.items():
        if isinstance(value, dict) and EXACTLY not in value:
            found |= leaves(value, f"{where}{key}.")
        else:
            found.add(f"{where}{key}")
    return found


def test_the_committed_file_is_the_demo(params: Path) -> None:
    apply_scale(DEFAULT, params)
    assert params.read_text() == COMMITTED.read_text()


@pytest.mark.parametrize("name", scale_names())
def test_a_scale_is_whole_and_can_be_left_again_and_a_method_of_the_users_own_stays(name: str, params: Path) -> None:
    text = params.read_text()
    section = re.search(r"^methods:\n(?: .*\n)+", text, re.MULTILINE)
    assert section
    last = section.end()
    method = yaml.dump(
        {"mine": yaml.load(text, yaml.CSafeLoader)["methods"]["base"]}, sort_keys=False, Dumper=yaml.CSafeDumper
    )
    params.write_text(text[:last] + indent(method, "  ") + text[last:])
    before = params.read_text()
    there = at_scale(name, params)
    assert (there.scale, list(there.methods)[-1]) == (name, "mine")
    again = params.read_text()
    apply_scale(name, params)
    assert params.read_text() == again
    apply_scale(DEFAULT, params)
    assert params.read_text() == before


@pytest.mark.parametrize("name", [name for name in scale_names() if name != DEFAULT])
def test_the_demo_names_every_key_that_another_scale_changes(name: str) -> None:
    named = leaves(read_scale(DEFAULT))
    strays = {key for key in leaves(read_scale(name)) if not any(key == n or key.startswith(f"{n}.") for n in named)}
    assert strays == set()


def test_paper_has_the_networks_of_the_paper(params: Path) -> None:
    paper = at_scale("paper", params)
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


def test_paper_has_five_iterations_each_on_the_one_before(params: Path) -> None:
    iterations = at_scale("paper", params).pretrain.iterations
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


def test_paper_steps_and_weights_are_the_published_ones(params: Path) -> None:
    paper = at_scale("paper", params)
    assert paper.finetune["av_syncnet"].optim.steps == 180_000
    assert paper.train["synctalklip"].optim.steps == 60_000
    assert paper.mouth_crop == 88
    assert paper.crop.face_size == paper.crop.mouth.size == 96
    weights = paper.methods["base"].weights
    assert weights.lip_reading == 1e-5
    assert weights.reconstruction == pytest.approx(1 - weights.adversarial - weights.lip_reading)


def test_paper_trains_wav2lip_and_the_readers_as_released(params: Path) -> None:
    paper = at_scale("paper", params)
    rivals = {name: paper.methods[name].weights for name in ("wav2lip", "wav2lip_gan")}
    assert {name: (w.sync, w.adversarial) for name, w in rivals.items()} == {
        "wav2lip": (0.01, 0.0),
        "wav2lip_gan": (0.03, 0.07),
    }
    assert [w.reconstruction for w in rivals.values()] == pytest.approx([0.99, 0.9])
    # none of the peers' recipes but pre-training has weight decay, or limits the gradient
    recipes = [entry.optim for entry in (*paper.finetune.values(), *paper.train.values(), paper.wav2lip_expert)]
    assert {(optim.weight_decay, optim.clip_norm) for optim in recipes} == {(0.0, 0.0)}
    assert {(entry.optim.weight_decay, entry.optim.clip_norm) for entry in paper.pretrain.iterations.values()} == {
        (0.01, 10.0)
    }


def test_an_unknown_scale_is_one_line(params: Path) -> None:
    with pytest.raises(UserError, match=r"^scale huge: is unknown; take one of demo, gpu, large, paper, tiny$"):
        apply_scale("huge", params)
    assert params.read_text() == COMMITTED.read_text()


def test_a_missing_key_is_named(params: Path) -> None:
    params.write_text(params.read_text().replace("mouth_crop: 44", "mouth_crap: 44"))
    with pytest.raises(UserError, match="mouth_crop is missing"):
        apply_scale("tiny", params)
