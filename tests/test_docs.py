"""Documents say what is true: numbers come from files, what is named is there, sentences are short."""

from __future__ import annotations

import ast
import re
import shlex
import unittest.mock
from pathlib import Path

import pytest
import typer
import yaml
from root import ROOT

from pipeline.pages import BLOCK, BLOCKS, PAGES, blocks, graph
from synctalk.cli.app import app

DOCS = tuple(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md")))
WRITTEN = ("README.md", "CONTRIBUTING.md", "LOG.md", "results/README.md", "benchmarks/README.md", *DOCS)
ALL = (*WRITTEN, "benchmarks/RESULTS.md", "CHANGELOG.md")
MAX_WORDS = {"README.md": 1500, "LOG.md": 2500}
MAX_SENTENCE = 25
A_FIGURE = re.compile(r"\d+\.\d+|\d+ ?(?:%|dB|ms|s|min|h|[kMG]i?B|frames/s)(?![\w/])")
"""A number that looks measured: with decimals or a unit."""
NO_FIGURE = re.compile(
    r"Python [\d., or]+|torch [\d.]+|PyAV [\d.]+|DVC [\d.]+|decord2 [\d.]+|0\.1\.0|doi [\d./]+|95 % |127\.0\.0\.1|"
    r"16 kHz|first 40 ms"
)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose(name: str) -> str:
    """A page without code, generated blocks, figures in backticks and targets of links."""
    text = re.sub(r"```.*?```|^    \S.*?$", "", BLOCK.sub("", page(name)), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`]*` = [\d.]+|`[^`]*`", "`code`", re.sub(r"\]\([^)]*\)", "]", text))


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    ("name", "block"), [(name, block) for name in PAGES for block in blocks(page(name)) if block != "graph"]
)
def test_what_a_command_writes_is_up_to_date(name: str, block: str) -> None:
    """`python -m pipeline.pages` mends it."""
    assert blocks(page(name))[block] == BLOCKS[block]()


@pytest.mark.e2e
def test_the_graph_is_that_of_dvc() -> None:
    assert blocks(page("docs/architecture.md"))["graph"] == graph()


@pytest.mark.parametrize("name", WRITTEN)
def test_no_measured_number_stands_in_the_text(name: str) -> None:
    text = re.sub(NO_FIGURE, "", prose(name))
    assert A_FIGURE.findall(text) == []


def test_every_measurement_has_machine_commit_and_command() -> None:
    rows = re.findall(r"^\| (.*) \|$", page("benchmarks/RESULTS.md"), re.MULTILINE)
    head, lines = "what | figure | machine | commit | command", [row for row in rows if not row.startswith("what |")]
    assert rows.count(head) >= 5
    for line in lines:
        what, figure, machine, commit, command = line.split(" | ")
        assert what
        assert re.search(r"\d", figure), line
        assert re.match(r"H200|\d cores?\b", machine), line
        assert re.fullmatch(r"[0-9a-f]{7,40}", commit), line
        assert re.fullmatch(r"`[^`]+`", command), line
        for script in re.findall(r"\S+\.py", command):
            assert (ROOT / script).is_file(), line


@pytest.mark.parametrize("name", WRITTEN)
def test_words_are_those_of_the_field(name: str) -> None:
    assert re.findall(r"\b(?:hears?|heard|watch(?:es|ed)?|duels?|roles?|crew)\b", prose(name)) == []


@pytest.mark.parametrize("name", MAX_WORDS)
def test_pages_are_short(name: str) -> None:
    assert len(page(name).split()) <= MAX_WORDS[name]


@pytest.mark.parametrize("name", WRITTEN)
def test_sentences_are_short(name: str) -> None:
    lines = "\n".join(line for line in prose(name).splitlines() if not line.startswith("|"))
    parts = re.split(r"\n\s*\n|^\s*(?:[-*]|\d+\.) |^#+ .*$", lines, flags=re.MULTILINE)
    sentences = [sentence for part in parts for sentence in re.split(r"(?<=[.!?:;])\s+", part)]
    assert [sentence for sentence in sentences if len(sentence.split()) > MAX_SENTENCE] == []


@pytest.mark.parametrize("name", ALL)
def test_links_lead_to_files_and_headings(name: str) -> None:
    for link, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#?([^)]*)\)", page(name)):
        target = (ROOT / name).parent / link if link else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), (link, anchor)


def anchors(text: str) -> set[str]:
    """What GitHub makes of headings: lower case, spaces as hyphens, no other marks."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def found(path: str) -> Path:
    """A file that is named from the root, from the package or from the folder of benchmarks."""
    return next(folder / path for folder in (ROOT, ROOT / "synctalk", ROOT / "benchmarks") if (folder / path).exists())


@pytest.mark.parametrize("name", ALL)
def test_code_that_is_named_is_there(name: str) -> None:
    """`losses/alignment.py`, `models/av_syncnet.py: NeighbourConv`, `metrics/shift.py: VSHIFT` = 15, `results/gpu/`."""
    for path, symbol, value in re.findall(r"`((?:[\w-]+/)*[\w-]+\.py)(?:: (\w+))?`(?: = ([\d.]+))?", page(name)):
        code = found(path).read_text(encoding="utf-8")
        assert re.search(rf"\b{symbol}\b", code), (path, symbol)
        if value:
            assigned = re.search(rf"^{symbol}(?:: \w+)? = (.*)$", code, re.MULTILINE)
            assert assigned, (path, symbol)
            assert ast.literal_eval(assigned[1]) == float(value)
    for path in re.findall(r"`((?:synctalk|pipeline|results|tests|docs|benchmarks)/[\w/.-]*)`", page(name)):
        assert found(path)


def test_keys_that_are_named_are_in_params() -> None:
    """`dvc exp run -S key=value`; `+key` adds an entry to a section that is there."""
    params = yaml.load(page("params.yaml"), yaml.CSafeLoader)
    keys = {key for name in ("README.md", *DOCS) for key in re.findall(r"-S ['\"]?(\+?[a-z][\w.]+)=", page(name))}
    assert len(keys) >= 3
    for key in keys:
        section = params
        *parents, last = key.removeprefix("+").split(".")
        for parent in parents:
            section = section[parent]
        assert last in section or key.startswith("+"), key


def documented(first: str) -> list[str]:
    """Lines of indented shell that begin with `first`, continued lines joined, comments cut."""
    text = "\n".join(map(page, ("README.md", "CONTRIBUTING.md", *DOCS))).replace("\\\n", " ")
    lines = re.findall(rf"^    ({first} .*)$", text, re.MULTILINE)
    assert lines
    return sorted({re.sub(r"\s+#.*", "", line) for line in lines})


@pytest.mark.parametrize("line", documented("synctalk"))
def test_options_and_arguments_are_those_of_the_program(line: str) -> None:
    command, (_, *words) = typer.main.get_command(app), shlex.split(line)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    context = command.make_context(line, words)
    assert context.command is command
    assert context.args == []


@pytest.mark.parametrize("line", [*documented("python -m"), "python -m pipeline.pages"])
def test_modules_are_there(line: str) -> None:
    assert found(shlex.split(line)[2].replace(".", "/") + ".py")


def test_the_lines_of_python_run_as_printed() -> None:
    """Against functions of the same signatures that train, detect and encode nothing."""
    (code,) = re.findall(r"```python\n(.*?)```", page("README.md"), re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 6
    with (
        unittest.mock.patch("synctalk.checkpoints.typed.load_generator", autospec=True) as load,
        unittest.mock.patch("synctalk.faces.detect.make_detector", autospec=True) as make,
        unittest.mock.patch("synctalk.generation.dub.dub", autospec=True) as dub,
    ):
        exec(code, {})
    assert dub.call_args.args[:2] == (load.return_value, make.return_value)
    assert all(isinstance(path, Path) for path in (*load.call_args.args, *dub.call_args.args[2:]))


def test_every_benchmark_is_described() -> None:
    named = re.findall(r"^\| `(\w+\.py)`", page("benchmarks/README.md"), re.MULTILINE)
    programs = {path.name for path in (ROOT / "benchmarks").glob("*.py")}
    assert set(named) == {name for name in programs if name != "meter.py" and not name.startswith("peer_")}
