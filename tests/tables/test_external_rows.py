"""Rows of other people's methods: what was found of them, and what is said of the clips without figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from synctalk.errors import UserError
from synctalk.tables.external import count_unscored, load_external
from synctalk.tables.setting import Setting
from synctalk.tables.table import caption, method_table, show

NOTES = """corpus,id,finding,scored,detail
lrs2,main/1,missing,false,"no video, of this name"
lrs2,main/2,no_audio,false,it has none
lrs2,main/3,missing,false,no video
lrs2,main/4,longer,true,"9 frames, 8 in the real video"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which PC-AVS was run, FaceFormer once was, and ATVGnet never."""
    monkeypatch.chdir(tmp_path)
    external = {"methods": ["atvgnet", "faceformer", "pc_avs"], "videos": {"pc_avs": "/videos/pc_avs"}}
    Path("params.yaml").write_text(yaml.dump({"external": external}, Dumper=yaml.CSafeDumper), encoding="utf-8")
    for name, value in (("pc_avs", 6.5), ("faceformer", 1.0)):
        folder = Path("results/methods") / name
        folder.mkdir(parents=True)
        interval = {"value": value, "low": value - 1, "high": value + 1, "n": 37}
        (folder / "intervals.json").write_text(json.dumps({"lrs2": {"lse_c": interval}}), encoding="utf-8")
        (folder / "notes.csv").write_text(NOTES, encoding="utf-8")
    return Path("results/methods")


def test_a_method_with_videos_has_its_figures_and_others_those_of_the_paper(project: Path) -> None:
    external = load_external(project)
    cells = method_table(1, external.intervals, external.rows)
    shown = {one.method: show(one) for one in cells if (one.corpus, one.metric) == ("lrs2", "lse_c")}
    assert shown["pc_avs"] == "6.50 [5.50, 7.50] (6.73, −0.23)"
    # what an earlier run left of FaceFormer does not count
    assert (shown["faceformer"], shown["atvgnet"]) == ("not run (6.42)", "not run (5.05)")
    assert dict(external.videos) == {"pc_avs": Path("/videos/pc_avs")}


def test_clips_without_figures_are_counted_in_the_captions_of_tables_1_and_4(project: Path) -> None:
    external = load_external(project)
    said = "Not scored of pc_avs on lrs2: 2 missing, 1 no audio (results/methods/pc_avs/notes.csv)."
    assert external.unscored == said
    setting = Setting(scale="demo", synthetic=True, common_start=True)
    captions = {number: caption(number, setting, external.unscored) for number in (1, 2, 3, 4)}
    assert [number for number, text in captions.items() if text.endswith(said)] == [1, 4]


def test_nothing_is_said_where_all_is_scored() -> None:
    assert count_unscored([{"corpus": "lrs2", "finding": "longer", "scored": "true"}]) == {}


def test_a_misspelt_key_is_named(project: Path) -> None:
    Path("params.yaml").write_text("external: {methods: [], folders: {}}", encoding="utf-8")
    with pytest.raises(UserError, match=r"external\.(videos is missing|folders is an unknown key)"):
        load_external(project)
