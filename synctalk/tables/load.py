"""All tables of the paper from the files that stages leave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synctalk.params.read import entry_names
from synctalk.tables.external import load_external
from synctalk.tables.setting import load_setting
from synctalk.tables.table import (
    TABLE_CORPORA,
    Cell,
    Intervals,
    caption,
    method_table,
    reader_table,
    study_caption,
    study_table,
)


def load_tables(results: Path, readers: Path, study: Path) -> dict[int, tuple[Sequence[Cell], str]]:
    """Tables 1 to 5 by number, each with its caption.

    Args:
        results: RESULTS/<method>/intervals.json of ground truth, the methods of params.yaml and external ones.
        readers: READERS/<reader>.json.
        study: summary of a perceptual study; before one has been collected it holds no methods.

    Raises:
        UserError: params.yaml is missing or wrong.
    """
    setting, external = load_setting(), load_external(results)
    methods: dict[str, Intervals] = {
        name: _read(results / name / "intervals.json") for name in ("ground_truth", *entry_names("methods"))
    }
    methods |= external.intervals
    figures, rated = {path.stem: _read(path) for path in sorted(readers.glob("*.json"))}, _read(study)
    tables: dict[int, tuple[Sequence[Cell], str]] = {
        number: (method_table(number, methods, external.rows), caption(number, setting, external.unscored))
        for number in TABLE_CORPORA
    }
    tables[2] = (reader_table(figures), caption(2, setting))
    tables[5] = (study_table(rated), study_caption(rated))
    return dict(sorted(tables.items()))


def _read(path: Path) -> Any:  # noqa: ANN401  # what the stages wrote
    return json.loads(path.read_text(encoding="utf-8"))
