"""Stage: scores of all clips, readings, the study -> the ledger of the paper's orderings, as JSON and as a page."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.stage import run
from synctalk.atomic import write_json
from synctalk.params.read import entry_names, load
from synctalk.tables.claims import check_claims, load_scores, to_json, to_page
from synctalk.tables.external import ExternalParams
from synctalk.tables.setting import load_setting


def main(scores: Path, readings: Path, study: Path, ledger: Path, page: Path) -> None:
    """Check the claims on SCORES/<method>/<corpus>.parquet, READINGS/<reader>.parquet and STUDY; write LEDGER, PAGE."""
    setting = load_setting()
    methods = ("ground_truth", *entry_names("methods"), *load("external", ExternalParams).videos)
    checked = check_claims(load_scores(scores, readings, methods), json.loads(study.read_text(encoding="utf-8")))
    write_json(ledger, to_json(checked, setting.scale))
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(to_page(checked, f"Of {setting.words}."), encoding="utf-8")


if __name__ == "__main__":
    run(main)
