"""What becomes of broken inputs: each in a process that may hang or die; and of footage, by the real stages."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import yaml
from fuzz.broken import N_FRAMES, Broken
from root import ROOT

from pipeline import crop, index
from synctalk.corpora.records import ClipTable
from synctalk.errors import ClipError, Reason, UserError
from synctalk.rejected import Rejected, read_rejected
from synctalk.runtime.parts import REJECTED
from synctalk.runtime.workers import Lost, WorkerPool

LIMIT_S = 10.0
READ = "read"
"""An input whose damage shows in nothing that is read."""
CORPUS = "lrs2"
NO_ANSWER = {Reason.CRASHED, Reason.TIMED_OUT}


@dataclass(frozen=True)
class Verdict:
    """What became of one input: `READ`, `UserError`, a reason; or, as a defect, what else was raised."""

    outcome: str
    defect: str = ""


def judged(use: Callable[[Path], object], path: Path) -> Verdict:
    """Use one input."""
    before = digests([path])
    try:
        use(path)
        verdict = Verdict(READ)
    except UserError as error:
        lines = len(str(error).splitlines())
        verdict = Verdict("UserError", "" if lines == 1 else f"{lines} lines: {error}")
    except ClipError as error:
        verdict = Verdict(Reason(error.reason).value)
    except Exception as error:  # noqa: BLE001  # whatever else it is, is a defect
        verdict = Verdict("defect", f"{type(error).__name__}: {error}"[:300])
    return verdict if digests([path]) == before else Verdict("defect", "the input was changed")


def digests(paths: Iterable[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def try_all(use: Callable[[Path], object], inputs: list[Broken], folder: Path) -> Counter[tuple[str, str]]:
    """(kind, outcome) -> how many; `use` in a process of its own, for `LIMIT_S` at most.

    Raises:
        AssertionError: an input made it hang, crash, or raise what nobody can act on.
    """
    paths = [one.write(folder) for one in inputs]
    with WorkerPool(2) as pool:
        results = list(pool.map(partial(judged, use), paths, limit_s=LIMIT_S, tries=1))
    counts: Counter[tuple[str, str]] = Counter()
    defects = []
    for one, result in zip(inputs, results, strict=True):
        verdict = Verdict("defect", result.detail) if isinstance(result, Lost) else result
        if verdict.defect:
            defects.append(f"{one.kind} {one.number}: {verdict.defect}")
        counts[one.kind, verdict.outcome] += 1
    assert not defects, "\n".join(defects)
    return counts


def write_corpus(root: Path, inputs: list[Broken]) -> dict[str, Broken]:
    """A corpus of LRS2's layout whose videos are the inputs, by their ids."""
    by_id = {}
    face = np.array([[28, 30], [52, 30], [40, 42], [32, 54], [48, 54]])
    for one in inputs:
        name = f"{one.number // 50:06d}/{one.number % 50:05d}"
        video, track = root / f"main/{name}.mp4", root / f"face_tracks/main/{name}.npz"
        for path in (video, track):
            path.parent.mkdir(parents=True, exist_ok=True)
        video.write_bytes(one.data)
        video.with_suffix(".txt").write_text("Text:  BIN BLUE AT F TWO NOW\n", encoding="utf-8")
        n = 4 * N_FRAMES
        np.savez(track, boxes=np.tile(np.array([10, 10, 70, 70]), (n, 1)), landmarks=np.tile(face, (n, 1, 1)))
        by_id[f"main/{name}"] = one
    (root / "train.txt").write_text("".join(f"{key.removeprefix('main/')}\n" for key in by_id), encoding="utf-8")
    return by_id


def stages_on(folder: Path, inputs: list[Broken]) -> Counter[tuple[str, str]]:
    """(kind, outcome) -> how many, by the stages index and crop in the working directory `folder`.

    Raises:
        AssertionError: a clip is lost, is in two places, or hung or killed its process; a file was changed.
    """
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    params["corpora"][CORPUS] |= {"root": "raw", "depends_on": "raw", "layout": "lrs2", "detector": "tracks"}
    params["index"]["min_keep_rate"] = params["crop"]["min_keep_rate"] = 0.0
    (folder / "params.yaml").write_text(yaml.dump(params, Dumper=yaml.CSafeDumper), encoding="utf-8")
    root, listed, crops = folder / "raw", folder / "index", folder / "crops"
    by_id = write_corpus(root, inputs)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    before = digests(files)
    index.main(CORPUS, root, listed)
    crop.main(CORPUS, root, listed, crops)
    assert digests(files) == before
    indexed = set(ClipTable(listed / "clips.parquet").ids())
    dropped: list[Rejected] = [*read_rejected(listed / REJECTED), *read_rejected(crops / REJECTED)]
    reason_of = {row.id: row.reason for row in dropped}
    assert len(reason_of) == len(dropped)
    assert indexed | {row.id for row in read_rejected(listed / REJECTED)} == set(by_id)
    silent = {row.id: row.detail for row in dropped if row.reason in NO_ANSWER}
    assert not silent, {by_id[key].kind: detail for key, detail in silent.items()}
    return Counter((one.kind, reason_of[key].value if key in reason_of else READ) for key, one in by_id.items())
