"""A corpus to shards: crops and features joined clip by clip, in the order of the index, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from synctalk.corpora.records import Clip, Rejected
from synctalk.errors import Reason, UserError
from synctalk.jobs import progress_bar
from synctalk.section import section
from synctalk.shards.records import Crop, IndexRow, row_to_crop
from synctalk.shards.write import write_shards
from synctalk.timebase import FPS

READ_ROWS = 16
"""Rows read at a time."""


@section
class ShardParams:
    """Packing (params.yaml: `shards`)."""

    max_bytes: int
    """A shard is closed when it has grown beyond this; 100 MB to 1 GB suits disks and object stores."""


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for batch in pq.ParquetFile(path).iter_batches(READ_ROWS):
        yield from batch.to_pylist()


def joined(clips: list[Clip], crops: Path, features: Path) -> Iterator[tuple[Clip, Crop, dict[str, bytes]]]:
    """Clip, crops and features of every sample that was kept: the features say which, in the order of the crops.

    Raises:
        UserError: the features are not those of the crops.
    """
    by_id = {clip.id: clip for clip in clips}
    for file in sorted(crops.glob("part-*.parquet")):
        crop_rows = _rows(file)
        for feature_row in _rows(features / file.name):
            crop_row = next((row for row in crop_rows if row["id"] == feature_row["id"]), None)
            if crop_row is None:
                raise UserError(features / file.name, f"does not belong to {file}", "run `dvc repro features`")
            crop = row_to_crop(crop_row)
            yield by_id[crop.clip], crop, {name: feature_row[name] for name in ("fbank", "mfcc", "mel")}


def pack_corpus(
    corpus: str, clips: list[Clip], crops: Path, features: Path, params: ShardParams, out: Path
) -> list[IndexRow]:
    """Write the shards of a corpus and their index into `out`."""
    samples = progress_bar(iterable=joined(clips, crops, features), desc=f"shard {corpus}", unit="clip")
    return write_shards(out, samples, max_bytes=params.max_bytes)


def funnel(kept: list[IndexRow], rejected: list[Rejected]) -> dict[str, Any]:
    """Counts of what was kept and dropped and why, and the keep-rate: the metrics of a corpus.

    Clips that the corpus' own lists leave out were never asked for, and do not count in the keep-rate.
    """
    n_clips = len(kept) + len(rejected)
    n_wanted = n_clips - sum(row.reason == Reason.NOT_LISTED for row in rejected)
    return {
        "clips": n_clips,
        "kept": len(kept),
        "keep_rate": len(kept) / n_wanted if n_wanted else 0.0,
        "kept_by_split": dict(sorted(Counter(row.split for row in kept).items())),
        "hours": sum(row.n_frames for row in kept) / FPS / 3600,
        "rejected": dict(sorted(Counter(str(row.reason) for row in rejected).items())),
    }
