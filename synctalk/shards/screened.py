"""What screening decided of the crops of a part."""

from __future__ import annotations

from pathlib import Path

from synctalk.parquet import iter_rows, write_table
from synctalk.rejected import write_rejected
from synctalk.runtime.parts import REJECTED, n_parts_in, part_path
from synctalk.shards.records import CROP_SCHEMA, SCREENING_SCHEMA


def audio_starts(screening: Path, number: int) -> dict[str, int]:
    """Samples of a part that are kept -> the frame of the audio's time line that belongs to their first frame.

    Raises:
        UserError: the part is missing or broken.
    """
    rows = iter_rows(part_path(screening, number), SCREENING_SCHEMA, ["id", "kept", "audio_start"])
    return {row["id"]: row["audio_start"] for row in rows if row["kept"]}


def write_unscreened(crops: Path, out: Path) -> None:
    """What screening leaves where nothing is screened: every crop is kept, its audio where it was.

    Raises:
        UserError: a part is missing or broken.
    """
    unmeasured = {"n_windows": 0, "offset": None, "distance": None, "confidence": None, "kept": True}
    for number in range(n_parts_in(crops)):
        rows = iter_rows(part_path(crops, number), CROP_SCHEMA, ["id", "audio_start"])
        write_table(part_path(out, number), ({**row, **unmeasured} for row in rows), SCREENING_SCHEMA)
    write_rejected(out / REJECTED, [])
