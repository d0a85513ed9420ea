"""What the pages name is there: links, files, functions, keys of params.yaml, and the graph as dvc.yaml has it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml
from root import ROOT

PAGES = ("README.md", "CONTRIBUTING.md", *(f"docs/{name}.md" for name in ("architecture", "extending", "protocol")))


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files(name: str) -> None:
    linked = re.findall(r"\]\((?!https?://)([^)#]+)", page(name))
    assert [link for link in linked if not ((ROOT / name).parent / link).exists()] == []


def anchors(text: str) -> set[str]:
    """What GitHub makes of headings: lower case, spaces as hyphens, no other marks."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", [*PAGES, "LOG.md"])
def test_links_lead_to_headings(name: str) -> None:
    for link, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", page(name)):
        target = ((ROOT / name).parent / link).resolve() if link else ROOT / name
        assert anchor in anchors(target.read_text(encoding="utf-8")), (link, anchor)


def test_the_log_lists_all_its_parts() -> None:
    parts = re.findall(r"^## (.*)$", page("LOG.md"), re.MULTILINE)
    assert re.findall(r"\[([^]]+)\]\(#", page("LOG.md")) == parts


@pytest.mark.parametrize("name", PAGES)
def test_code_that_is_named_is_there(name: str) -> None:
    """`losses/alignment.py`, `pipeline/train.py`, `models/av_syncnet.py: NeighbourConv`."""
    named = re.findall(r"`((?:[\w-]+/)*[\w-]+\.py)(?:: (\w+))?`", page(name))
    for path, symbol in named:
        found = [place for place in (ROOT / path, ROOT / "synctalk" / path) if place.is_file()]
        assert found, path
        assert re.search(rf"\b{symbol}\b", found[0].read_text(encoding="utf-8")), (path, symbol)


def test_keys_that_experiments_set_are_in_params() -> None:
    """`dvc exp run -S key=value`; `+key` adds an entry to a section that is there."""
    params = yaml.load(page("params.yaml"), yaml.CSafeLoader)
    keys = {key for name in PAGES for key in re.findall(r"-S ['\"]?(\+?[\w.]+)=", page(name))}
    assert len(keys) >= 3
    for key in keys:
        section = params
        *parents, last = key.removeprefix("+").split(".")
        for parent in parents:
            section = section[parent]
        assert last in section or key.startswith("+"), key


@pytest.mark.e2e
def test_the_graph_is_that_of_dvc() -> None:
    drawn = subprocess.run(
        [sys.executable, "-m", "dvc", "dag", "--collapse-foreach-matrix", "--mermaid"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    shown = re.search(r"```mermaid\n(.*?)```", page("docs/architecture.md"), re.DOTALL)
    assert shown
    (code,) = re.findall(r'(node\d+)\["code"\]', drawn)
    lines = [line.strip() for line in drawn.strip().splitlines() if not re.search(rf"\b{code}\b", line)]
    assert [line.strip() for line in shown[1].splitlines()] == lines
