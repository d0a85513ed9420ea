"""What params.yaml says of a key is what the key's record says; keys without a comment are plain.

To renew the comments after a docstring has changed: `python tests/params/test_comments.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from record_docs import Knob, commented, first_sentence, knobs, unsaid

from synctalk.corpora.synthetic.recipe import SyntheticCorpus
from synctalk.params.read import PARAMS, RECIPES
from synctalk.schema import Params

ROOT = Path(__file__).parents[2]
LONGEST = 400

PLAIN_FIELDS = {
    "AVHubertConfig": ["d_ffn", "d_label", "d_model", "n_heads", "n_layers", "pos_conv_groups", "pos_conv_kernel"],
    "AdamEntry": ["beta1"],
    "AdamParams": ["lr", "warmup_steps"],
    "AlignmentConfig": ["kernel"],
    "BeamConfig": ["beam", "max_len_a"],
    "ClusterParams": ["batch_frames"],
    "ConformerConfig": ["conv_kernel", "d_ffn", "d_model", "n_decoder_layers", "n_heads", "n_layers"],
    "ConformerRecipe": ["corpora"],
    "DetectorParams": ["min_score"],
    "DiscriminatorConfig": ["widths"],
    "ExternalParams": ["methods"],
    "FinetuneParams": ["corpora"],
    "FinetuneWeights": ["alignment"],
    "FrontEndConfig": ["blocks", "stem_width", "widths"],
    "GenerateParams": ["batch_frames", "crf", "preset"],
    "GeneratorConfig": ["decoder_residuals", "decoder_widths", "encoder_residuals", "encoder_widths", "output_width"],
    "GeneratorWeights": ["adversarial", "contrastive", "lip_reading", "reconstruction"],
    "JointBeamConfig": ["beam"],
    "LipReaderConfig": ["activation_dropout", "d_ffn", "n_heads", "n_layers"],
    "ObserverRecipe": ["corpora"],
    "OptimParams": ["batch_clips", "lr", "steps", "warmup_steps"],
    "Params": ["scale"],
    "PretrainParams": ["audio_mask_length", "video_mask_length"],
    "ProbeParams": ["batch_frames", "n_clusters"],
    "ReportParams": ["clips_per_corpus"],
    "SyncNetConfig": ["audio_widths", "d_embedding", "d_hidden", "image_size", "in_channels", "lip_widths"],
    "SyncNetParams": ["corpora"],
    "ValidationParams": ["clips"],
    "Wav2LipExpertConfig": ["d_embedding", "face_widths", "mel_widths"],
    "PerSplit": ["pretrain", "test", "train", "val"],
    "SyntheticCorpus": ["layout", "light_elevation", "pitch", "roll", "words_per_minute"],
}
"""Record -> keys whose name says it all, or that stand beside one that is explained."""

PLAIN = {f"{record}.{field}" for record, fields in PLAIN_FIELDS.items() for field in fields}


@dataclass(frozen=True)
class Recipes:
    """data/synthetic/params.yaml, under a key that it does not have."""

    recipes: dict[str, SyntheticCorpus]


def knobs_of(path: Path) -> list[Knob]:
    values = yaml.load((ROOT / path).read_text(encoding="utf-8"), yaml.CSafeLoader)
    if path == PARAMS:
        return list(knobs(values, Params))
    return [replace(knob, key=knob.key.partition(".")[2]) for knob in knobs({"recipes": values}, Recipes)]


FILES = (PARAMS, RECIPES)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_comments_are_the_records_own_words(path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert commented(text, knobs_of(path)) == text


def test_what_has_no_comment_is_plain() -> None:
    said = {path: unsaid((ROOT / path).read_text(encoding="utf-8"), knobs_of(path)) for path in FILES}
    assert set().union(*said.values()) == PLAIN


def test_the_file_is_one_that_somebody_reads() -> None:
    lines = (ROOT / PARAMS).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST
    assert [line for line in lines if len(line) > 120 or line.endswith(" ")] == []
    assert [line for line in lines if "&" in line or "*" in line.partition("#")[0]] == []  # no YAML anchors


def test_a_stale_comment_is_found_and_mended() -> None:
    text = (ROOT / PARAMS).read_text(encoding="utf-8")
    for old, new in (
        ("# Side of the stored face, pixels", "# Side of it, pixels"),
        ("weights: Path of", "weights: File"),
    ):
        assert text.count(old) == 1
        assert commented(text.replace(old, new), knobs_of(PARAMS)) == text
    silent = text.replace("  # Of readers, judges and Wav2Lip's expert", "")
    assert unsaid(silent, knobs_of(PARAMS)) - PLAIN == {"Params.seed"}


@pytest.mark.parametrize(
    ("doc", "sentence"),
    [
        ("One thing. Another.", "One thing"),
        ("Weight in eq. 7;\n    1 in the paper.", "Weight in eq. 7; 1 in the paper"),
        ("Languages, e.g. en-us.", "Languages, e.g. en-us"),
        ("Prajwal et al. 2020.", "Prajwal et al. 2020"),
    ],
)
def test_a_sentence_ends_where_the_next_begins(doc: str, sentence: str) -> None:
    assert first_sentence(doc) == sentence


if __name__ == "__main__":
    for file in FILES:
        (ROOT / file).write_text(commented((ROOT / file).read_text(encoding="utf-8"), knobs_of(file)), encoding="utf-8")
