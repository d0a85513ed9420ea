"""params.yaml is read strictly: what is wrong is one line that names the dotted key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from synctalk.errors import UserError
from synctalk.params.read import load, load_entry, read_yaml, validate
from synctalk.params.section import section
from synctalk.schema import Params, check, require_inputs

COMMITTED = Path(__file__).parents[2] / "params.yaml"


@section
class Inner:
    rate: float
    name: str


@section
class Outer:
    inner: Inner
    widths: tuple[int, ...]
    form: Literal["a", "b"]
    many: dict[str, Inner]


GOOD: dict[str, Any] = {
    "inner": {"rate": 0.5, "name": "n"},
    "widths": [1, 2],
    "form": "a",
    "many": {"x": {"rate": 1.0, "name": "m"}},
}


def changed(data: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy of nested `data` with one value set, or taken away where it is None."""
    key, _, rest = path.partition(".")
    copy = dict(data)
    if rest:
        copy[key] = changed(copy[key], rest, value)
    elif value is None:
        del copy[key]
    else:
        copy[key] = value
    return copy


def write(path: Path, data: object) -> Path:
    path.write_text(yaml.dump(data, sort_keys=False, Dumper=yaml.CSafeDumper), encoding="utf-8")
    return path


def test_a_section_becomes_frozen_records(tmp_path: Path) -> None:
    outer = load("part", Outer, write(tmp_path / "params.yaml", {"part": GOOD}))
    assert outer == Outer(
        inner=Inner(rate=0.5, name="n"), widths=(1, 2), form="a", many={"x": Inner(rate=1.0, name="m")}
    )
    with pytest.raises(AttributeError):
        outer.form = "b"  # type: ignore[misc]  # what the test is about


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("inner.rat", 1.0, "part.inner.rat is an unknown key"),
        ("many.x.nam", "m", "part.many.x.nam is an unknown key"),
        ("inner.rate", None, "part.inner.rate is missing"),
        ("many.x.name", None, "part.many.x.name is missing"),
        ("inner.rate", "fast", "part.inner.rate input should be a valid number, not 'fast'"),
        ("inner.rate", "0.5", "part.inner.rate input should be a valid number, not '0.5'"),
        ("inner.name", 3, "part.inner.name input should be a valid string, not 3"),
        ("widths", [1, 2.5], "part.widths.1 input should be a valid integer"),
        ("widths", True, "part.widths input should be a valid array, not True"),
        ("form", "c", "part.form input should be 'a' or 'b', not 'c'"),
    ],
)
def test_a_wrong_key_is_one_line_with_its_dotted_name(tmp_path: Path, path: str, value: object, line: str) -> None:
    file = write(tmp_path / "params.yaml", {"part": changed(GOOD, path, value)})
    with pytest.raises(UserError) as error:
        load("part", Outer, file)
    assert str(error.value).startswith(f"params.yaml: {line}")
    assert "\n" not in str(error.value)


def test_further_errors_are_counted() -> None:
    with pytest.raises(UserError, match=r"part\.inner\.name is missing \(and 1 more\); mend the key"):
        validate(changed(changed(GOOD, "inner.name", None), "form", None), Outer, "part")


@pytest.mark.parametrize(("kind", "value"), [(int, True), (int, 1.5), (int, "1"), (float, "1"), (str, 1), (bool, 1)])
def test_single_values_are_not_converted(tmp_path: Path, kind: type, value: object) -> None:
    with pytest.raises(UserError, match=r"params\.yaml: seed input should be"):
        load("seed", kind, write(tmp_path / "params.yaml", {"seed": value}))


def test_a_whole_number_is_a_number_and_a_date_is_not(tmp_path: Path) -> None:
    assert load("lr", float, write(tmp_path / "params.yaml", {"lr": 1})) == 1.0
    (tmp_path / "params.yaml").write_text("seed: 2024-01-01\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"seed input should be a valid integer"):
        load("seed", int, tmp_path / "params.yaml")


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "params.yaml", {"part": GOOD})
    with pytest.raises(UserError, match="parts is missing"):
        load("parts", Outer, file)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a: [1", "is no YAML"), ("", "holds no keys"), ("- 1", "holds no keys"), (None, "is not there")],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str | None, reason: str) -> None:
    file = tmp_path / "params.yaml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        read_yaml(file)
    assert str(error.value).startswith(f"{file}: {reason}")
    assert "\n" not in str(error.value)


def test_one_entry_is_read_without_a_look_at_the_others(tmp_path: Path) -> None:
    file = write(tmp_path / "params.yaml", {"corpora": {"good": GOOD["inner"], "bad": {"rate": "x"}}})
    assert load_entry("corpora", "good", Inner, file) == Inner(rate=0.5, name="n")
    with pytest.raises(UserError, match=r"corpora\.bad\.(name is missing|rate)"):
        load_entry("corpora", "bad", Inner, file)
    with pytest.raises(UserError, match=r"corpora\.lrs9 is missing; take one of good, bad"):
        load_entry("corpora", "lrs9", Inner, file)
    with pytest.raises(UserError, match=r"methods\.base is missing"):
        load_entry("methods", "base", Inner, file)
    with pytest.raises(UserError, match=r"corpora\.lrs2 is missing; mend the key"):
        load_entry("corpora", "lrs2", Inner, write(tmp_path / "flat.yaml", {"corpora": "lrs2"}))


def test_the_committed_file_is_right() -> None:
    params = check(COMMITTED)
    assert isinstance(params, Params)
    assert params.variant in params.methods


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda p: changed(p, "variant", "bass"), r"variant 'bass' is no method; take one of base, "),
        (
            lambda p: changed(p, "methods.base.supervisor", "teacher"),
            r"methods\.base\.supervisor 'teacher' is none that the pipeline makes; take one of models/finetune/",
        ),
        (
            lambda p: changed(p, "evaluate.observers.lrs2", "nobody"),
            r"evaluate\.observers\.lrs2 'nobody' is no observer",
        ),
        (
            lambda p: changed(p, "corpora.lrs2.root", "/data/mvlrs_v1"),
            r"corpora\.lrs2\.depends_on is 'data/synthetic/lrs2', the root is '/data/mvlrs_v1'; set both to the same",
        ),
        (
            lambda p: changed(p, "corpora.lrs2.depends_on", "corpora/lrs2.jsonl"),
            r"corpora\.lrs2\.depends_on is 'corpora/lrs2\.jsonl', the root is 'data/synthetic/lrs2'; ",
        ),
        (
            lambda p: changed(p, "corpora.lrs3.layout", "lrs4"),
            r"corpora\.lrs3\.layout 'lrs4' is unknown; take one of lrs2, lrs3, voxceleb2, ",
        ),
        (lambda p: changed(p, "mouth_crop", 999), r"mouth_crop 999 is larger than crop\.mouth\.size"),
        (lambda p: changed(p, "crop.face_size", 80), r"the generator makes faces of \d+ pixels, crop\.face_size is 80"),
        (
            lambda p: changed(p, "screen.max_repair_frames", 16),
            r"screen\.max_repair_frames 16 is not between max_offset_frames 2 and 15, the farthest shift",
        ),
        (
            lambda p: changed(p, "screen.max_offset_frames", 7),
            r"screen\.max_repair_frames 6 is not between max_offset_frames 7 and 15",
        ),
        (lambda p: changed(p, "screen.min_windows", 6), r"screen\.min_windows 6 is not above max_repair_frames; raise"),
        (lambda p: changed(p, "screener.seed", p["seed"]), r"screener\.seed is that of the judge; take another"),
        (
            lambda p: changed(
                changed(p, "screener.net.checkpoint", "syncnet_v2.model"), "syncnet.checkpoint", "syncnet_v2.model"
            ),
            r"screener\.net\.checkpoint is the judge's; take another net: a judge chooses no data",
        ),
        (
            lambda p: changed(changed(p, "corpora.grid", p["corpora"]["lrs2"]), "screener.net.corpora", ["grid"]),
            r"screener\.net\.corpora: 'grid' is no corpus for it; take of lrs2, lrs3, voxceleb2$",
        ),
        (lambda p: changed(p, "tokenizer.corpora", ["lrs9"]), r"tokenizer\.corpora: 'lrs9' is no corpus for it"),
        (lambda p: changed(p, "pretrain.corpora", ["lrs9"]), r"pretrain\.corpora: 'lrs9' is no corpus for it"),
        (lambda p: changed(p, "syncnet.corpora", ["lrs2", "lrs9"]), r"syncnet\.corpora: 'lrs9' is no corpus for it"),
        (
            lambda p: changed(p, "finetune.av_syncnet.corpora", ["lrs9"]),
            r"finetune\.av_syncnet\.corpora: 'lrs9' is no corpus for it; take of lrs2, lrs3, voxceleb2$",
        ),
        (
            lambda p: changed(p, "observers.observer1.recipe.corpora", ["lrs9"]),
            r"observers\.observer1\.recipe\.corpora: 'lrs9' is no corpus for it",
        ),
        (
            lambda p: changed(p, "conformer.recipe.corpora", ["a"]),
            r"conformer\.recipe\.corpora: 'a' is no corpus for it",
        ),
        (
            lambda p: changed(p, "start.optim.adam", "slow"),
            r"start\.optim\.adam 'slow' is no entry of adam; take one of ",
        ),
        (
            lambda p: changed(p, "train.wav2lip.adversary", None),
            r"train\.wav2lip\.adversary is missing; give it, or let methods\.wav2lip_gan\.weights\.adversarial be 0",
        ),
        (
            lambda p: changed(p, "train.wav2lip.adversary.optim", {"adam": "discriminator", "lr": 0.1}),
            r"train\.wav2lip\.adversary\.optim\.warmup_steps is missing; give it",
        ),
        (lambda p: changed(p, "adam.reader.beta3", 0.5), r": adam\.reader\.beta3 is an unknown key; mend"),
        (lambda p: changed(p, "methods.conv.recipe", "a"), r"methods\.conv\.recipe is an unknown key"),
        (
            lambda p: changed(p, "screener.net.view", "frame"),
            r"screener\.net\.view 'frame' needs a checkpoint; or train on face or mouth",
        ),
        (
            lambda p: changed(p, "external.methods", ["a", "a"]),
            r"external\.methods: 'a' is there already; call",
        ),
        (lambda p: changed(p, "external.methods", ["base"]), r"external\.methods: 'base' is there already"),
        (lambda p: changed(p, "external.methods", ["../a"]), r"external\.methods: '\.\./a' is no name; take letters"),
        (
            lambda p: changed(p, "external.videos", {"mine": "a"}),
            r"external\.videos\.mine is none of external\.methods; add it there",
        ),
        (lambda p: changed(p, "external.videos", {"pc_avs": None}), r"external\.videos\.pc_avs .*string"),
        (lambda p: changed(p, "screen.policy", "mend"), r"screen\.policy"),
        (lambda p: changed(p, "crop.face_sise", 96), r": crop\.face_sise is an unknown key"),
        (lambda p: changed(p, "shards", None), r": shards is missing"),
    ],
)
def test_what_one_section_says_of_another_is_checked(
    tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], line: str
) -> None:
    file = write(tmp_path / "params.yaml", change(read_yaml(COMMITTED)))
    with pytest.raises(UserError, match=line) as error:
        check(file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("corpora.lrs2.root", "/no/mvlrs_v1", r"^/no/mvlrs_v1: is not there \(corpora\.lrs2\.root in params\.yaml\); "),
        ("corpora.lrs3.detector", "yunet", r"^params\.yaml: crop\.detectors\.yunet\.weights is empty; "),
        ("syncnet.checkpoint", "syncnet_v2.model", r"^syncnet_v2\.model: is not there \(syncnet\.checkpoint "),
        ("screener.net.checkpoint", "net.model", r"^net\.model: is not there \(screener\.net\.checkpoint "),
        ("external.videos", {"pc_avs": "no/pc_avs"}, r"^no/pc_avs: is not there \(external\.videos\.pc_avs in params"),
        ("observers.observer1.checkpoint", "lrs2.pt", r"^lrs2\.pt: is not there \(observers\.observer1\.checkpoint "),
    ],
)
def test_what_the_user_brings_is_asked_for_before_work_begins(
    tmp_path: Path, path: str, value: object, line: str
) -> None:
    require_inputs(check(COMMITTED))  # synthetic corpora are made by the pipeline
    data = changed(read_yaml(COMMITTED), path, value)
    if path == "corpora.lrs2.root":
        data = changed(data, "corpora.lrs2.depends_on", value)
    wrong = check(write(tmp_path / "params.yaml", data))
    with pytest.raises(UserError, match=line):
        require_inputs(wrong)


def test_inputs_that_are_there_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "weights.onnx").touch()
    data = changed(read_yaml(COMMITTED), "corpora.lrs2.root", str(tmp_path))
    data = changed(data, "corpora.lrs2.depends_on", str(tmp_path))
    data = changed(data, "corpora.lrs2.detector", "yunet")
    data = changed(data, "crop.detectors.yunet.weights", str(tmp_path / "weights.onnx"))
    require_inputs(check(write(tmp_path / "params.yaml", data)))
