"""dvc.yaml tells the truth: what a stage imports, reads and is told is what DVC watches."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from root import ROOT

from pipeline import training_sets
from pipeline.code import import_closure
from pipeline.scale import apply_scale, put, scale_names
from synctalk.schema import SCREENED_BY, check


def stages_of(file: str) -> dict[str, dict[str, Any]]:
    """Stage name -> its body, that of `do` where it is templated."""
    stages = yaml.load((ROOT / file).read_text(encoding="utf-8"), yaml.CSafeLoader)["stages"]
    return {name: stage.get("do", stage) for name, stage in stages.items()}


LOADERS = ("load", "load_entry", "entry_names")
STAGES = stages_of("dvc.yaml") | stages_of("data/synthetic/dvc.yaml")


BY_ANOTHER_NAME = {"ground_truth": "evaluate", "external": "evaluate"}
"""Stage -> the script that it shares with the stage of that name."""


def commands_of(stage: dict[str, Any]) -> list[list[str]]:
    """The words of each command."""
    return [shlex.split(line) for line in ([stage["cmd"]] if isinstance(stage["cmd"], str) else stage["cmd"])]


def script_of(stage: dict[str, Any]) -> Path:
    """The file of `python -m pipeline.<name>`, of the last command."""
    words = commands_of(stage)[-1]
    assert words[:2] == ["python", "-m"]
    return Path(*words[2].split(".")).with_suffix(".py")


@pytest.mark.parametrize("name", STAGES)
def test_a_script_is_called_as_its_stage(name: str) -> None:
    assert script_of(STAGES[name]) == Path(f"pipeline/{BY_ANOTHER_NAME.get(name, name)}.py")


def names_of(entries: list[Any]) -> list[str]:
    """Paths of deps or outs, whether plain or with options."""
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


@pytest.mark.parametrize("name", sorted(set(STAGES) - {"code"}))
def test_a_stage_depends_on_the_code_of_its_script_and_on_no_other(name: str) -> None:
    deps = names_of(STAGES[name]["deps"])
    assert [dep for dep in deps if dep.startswith(("data/code", "pipeline", "synctalk"))] == [
        f"data/code/{script_of(STAGES[name]).stem}.json"
    ]


def test_the_code_is_listed_anew_when_any_of_it_changes() -> None:
    assert STAGES["code"]["deps"] == ["pipeline", "synctalk"]


@dataclass(frozen=True)
class Resolved:
    """A stage as DVC runs it.

    Attributes:
        cmd: one command, or several.
        deps: paths that it depends on.
        params: file -> dotted keys that it depends on; `*` for all of it.
    """

    cmd: str
    deps: frozenset[str]
    params: dict[str, frozenset[str]]


def resolved(folder: Path) -> dict[str, Resolved]:
    """The stages of the project in `folder`, with the values of its params.yaml filled in."""
    from dvc.dependency import ParamsDependency
    from dvc.repo import Repo

    repo = Repo(str(folder))
    found = {}
    for stage in repo.index.stages:
        params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
        # the stages of data/synthetic have the root as their working directory
        files = {Path(dep.fs_path).relative_to(folder).as_posix(): frozenset(dep.params or ["*"]) for dep in params}
        others = [Path(dep.fs_path).relative_to(folder).as_posix() for dep in stage.deps if dep not in params]
        found[stage.name] = Resolved(str(stage.cmd), frozenset(others), files)
    repo.close()
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What DVC reads of the project, in a folder of its own."""
    from dvc.repo import Repo

    folder = tmp_path_factory.mktemp("graph").resolve()
    for name in ("dvc.yaml", "params.yaml", "data/synthetic/dvc.yaml", "data/synthetic/params.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    Repo.init(str(folder), no_scm=True).close()
    return folder


@pytest.fixture(scope="module")
def graph(project: Path) -> dict[str, Resolved]:
    """The stages of the project as it is."""
    return resolved(project)


def values_of(folder: Path, file: str = "params.yaml") -> dict[str, Any]:
    return yaml.load((folder / file).read_text(encoding="utf-8"), yaml.CSafeLoader)  # type: ignore[no-any-return]


def leaves(values: Any, where: str = "") -> Iterator[str]:
    """Dotted keys of all values that are no mappings, or empty ones."""
    if not isinstance(values, dict) or not values:
        yield where.rstrip(".")
    else:
        for key, value in values.items():
            yield from leaves(value, f"{where}{key}.")


def covers(params: frozenset[str], key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in params)


@pytest.mark.parametrize("scale", scale_names())
def test_every_scale_has_the_keys_that_stages_name_and_every_stage_waits_for_the_check(
    scale: str, project: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(project, tmp_path / "project"))
    apply_scale(scale, folder)
    stages, values = (
        resolved(folder),
        {f: set(leaves(values_of(folder, f))) for f in ("params.yaml", "data/synthetic/params.yaml")},
    )
    for name, stage in stages.items():
        for file, params in stage.params.items():
            missing = {p for p in params - {"*"} if not any(covers(frozenset([p]), key) for key in values[file])}
            assert missing == set(), name
        assert name == "code" or any(dep.startswith("data/code/") for dep in stage.deps)
    optimized = [
        name for name, stage in stages.items() if covers(stage.params.get("params.yaml", frozenset()), "adam.reader")
    ]
    assert {name.partition("@")[0] for name in optimized} >= {"observer", "conformer", "train", "training_sets"}


def test_every_key_is_watched_by_a_stage(project: Path, graph: dict[str, Resolved]) -> None:
    """By name, or because it is written into the command or the dependencies of one."""
    stages = {
        name: stage for name, stage in graph.items() if name != "code"
    }  # which has the whole files, to check them
    for file in ("params.yaml", "data/synthetic/params.yaml"):
        watched = frozenset[str]().union(*(stage.params.get(file, frozenset()) for stage in stages.values()))
        values = values_of(project, file)
        templated = [key for key in leaves(values) if not covers(watched, key)]
        for key in templated:
            assert file == "params.yaml", key
            text = (project / file).read_text(encoding="utf-8")
            changed = put(values, tuple(key.split(".")), "elsewhere")
            (project / file).write_text(json.dumps(changed), encoding="utf-8")
            assert {n: s for n, s in resolved(project).items() if n != "code"} != stages, key
            (project / file).write_text(text, encoding="utf-8")
        assert len(templated) < 10


ADAM = {
    "screener": "screener.net.optim", "pretrain@it1": "pretrain.iterations.it1.optim", "syncnet": "syncnet.optim",
    "finetune@av_hubert": "finetune.av_hubert.optim", "wav2lip_expert": "wav2lip_expert.optim", "start": "start.optim",
}  # fmt: skip
"""Stage -> its row, where a change of another's settings of Adam does not run it again."""


def test_a_stage_depends_on_the_settings_of_adam_that_its_row_names_and_on_no_other(project: Path) -> None:
    text, values = (project / "params.yaml").read_text(encoding="utf-8"), values_of(project)
    for stage, row in ADAM.items():
        (project / "params.yaml").write_text(
            json.dumps(put(values, (*row.split("."), "adam"), "discriminator")), encoding="utf-8"
        )
        params = resolved(project)[stage].params["params.yaml"]
        assert [name for name in params if name.startswith("adam")] == ["adam.discriminator"]
    (project / "params.yaml").write_text(text, encoding="utf-8")


NAMING = {
    "pretrain.corpora": ("pretrain", ["cluster@it1", "cluster@it2", "pretrain@it1", "pretrain@it2", "probe"]),
    "finetune.av_hubert.corpora": ("finetune/av_hubert", ["finetune@av_hubert"]),
    "finetune.av_syncnet.corpora": ("finetune/av_syncnet", ["finetune@av_syncnet"]),
    "finetune.av_syncnet_conv.corpora": ("finetune/av_syncnet_conv", ["finetune@av_syncnet_conv"]),
    "syncnet.corpora": ("syncnet", ["syncnet"]),
    "observers.observer1.recipe.corpora": ("observers/observer1", ["observer@observer1"]),
    "conformer.recipe.corpora": ("conformer", ["conformer"]),
}
"""Key that names corpora -> the training set that has them, and the stages that learn from it."""


@pytest.mark.parametrize("key", NAMING)
@pytest.mark.parametrize("corpora", [["voxceleb2"], ["lrs3", "lrs2"]])
def test_a_training_is_run_again_when_a_corpus_that_it_names_has_changed(
    key: str,
    corpora: list[str],
    project: Path,
    graph: dict[str, Resolved],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, learning = NAMING[key]
    stages = graph
    for stage in learning:
        assert f"data/training_sets/{name}.json" in stages[stage].deps
        assert not any(dep.startswith("data/shards") and dep != "data/shards/lrs2" for dep in stages[stage].deps)
    assert "data/shards" in stages["training_sets"].deps
    assert covers(stages["training_sets"].params["params.yaml"], key)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(json.dumps(put(values_of(project), tuple(key.split(".")), corpora)))
    check(tmp_path / "params.yaml")
    for corpus in ("lrs2", "lrs3", "voxceleb2"):
        (tmp_path / "shards" / corpus).mkdir(parents=True)
        (tmp_path / "shards" / corpus / "index.parquet").write_text(corpus)

    def sets() -> dict[str, str]:
        training_sets.main(Path("shards"), Path("sets"))
        return {p.relative_to("sets").with_suffix("").as_posix(): p.read_text() for p in Path("sets").rglob("*.json")}

    before = sets()
    assert list(json.loads(before[name])) == sorted(corpora)
    for corpus in ("lrs2", "lrs3", "voxceleb2"):
        (tmp_path / "shards" / corpus / "index.parquet").write_text("others")
        assert (sets()[name] != before[name]) == (corpus in corpora)
        (tmp_path / "shards" / corpus / "index.parquet").write_text(corpus)
    assert sets() == before


def test_the_tokenizer_and_the_screener_depend_on_all_that_they_can_be_told_to_learn_from(
    project: Path, graph: dict[str, Resolved]
) -> None:
    stages, corpora = graph, values_of(project)["corpora"]
    assert "data/index" in stages["tokenizer"].deps
    needed = {f"data/{kind}/{corpus}" for kind in ("crops", "index") for corpus in SCREENED_BY}
    assert stages["screener"].deps >= needed | {corpora[corpus]["depends_on"] for corpus in SCREENED_BY}
    assert set(SCREENED_BY) <= set(corpora)


@cache
def sections_loaded(file: Path) -> set[str]:
    """First arguments of `load` and its like in a file of the project."""
    nodes = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    loads = [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") in LOADERS]
    return {load.args[0].value for load in loads if isinstance(load.args[0], ast.Constant)}


@cache
def sections_read(script: Path) -> set[str]:
    """Sections of params.yaml that a script and what it imports load."""
    files = [script, *(file for file in import_closure(ROOT, script) if file.parts[0] == "synctalk")]
    return set().union(*map(sections_loaded, files))


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_watches_the_params_that_it_reads(name: str) -> None:
    watched = {str(param).split(".")[0] for param in STAGES[name].get("params", []) if isinstance(param, str)}
    # a corpus' root and layout come into the command by ${item...}, which DVC watches by itself
    templated = set(re.findall(r"\$\{(\w+)", " ".join(names_of(STAGES[name]["deps"]))))
    assert sections_read(script_of(STAGES[name])) <= watched | templated
    # `adam` is read with every section whose rows name its entries
    assert watched <= sections_read(script_of(STAGES[name])) | {"variant", "adam"}


@pytest.mark.parametrize("name", STAGES)
def test_commands_name_declared_paths_and_no_machine(name: str) -> None:
    stage = STAGES[name]
    declared = [name for kind in ("deps", "outs", "metrics", "plots") for name in names_of(stage.get(kind, []))]
    for word in commands_of(stage)[-1][3:]:
        assert not re.search(r"worker|device|thread|jobs|cuda|nproc", word)
        learns = word == "data/shards" and any("data/training_sets/" in path for path in declared)
        if "/" in word and not word.startswith("${") and not learns:
            assert any(path == word or path.startswith(f"{word}/") or word.startswith(f"{path}/") for path in declared)


def test_files_that_git_keeps_are_not_cached_by_dvc() -> None:
    for name, stage in STAGES.items():
        kept = [out for out in stage.get("outs", []) if names_of([out])[0].startswith("results/")]
        for entry in [*kept, *stage.get("metrics", []), *stage.get("plots", [])]:
            assert next(iter(entry.values()))["cache"] is False, name
