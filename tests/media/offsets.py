"""Print, for every group of kinds of footage, how far picture and audio are apart at worst after decoding.

PYTHONPATH=. python tests/media/offsets.py
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from planted import Kind, make, measure
from test_kinds import GROUPS


def worst_ms(kinds: dict[str, Kind]) -> tuple[float, float]:
    """The largest offset of a click from its flash, and of a picture from its planted time, in milliseconds."""
    clicks, pictures = [], []
    with TemporaryDirectory() as folder:
        for kind in kinds.values():
            path = Path(folder) / f"clip{kind.suffix}"
            found = measure(path, make(path, kind))
            clicks.append(abs(found.click_s) * 1000)
            pictures.append(found.picture_s * 1000)
    return max(clicks), max(pictures)


def main() -> None:
    """Write the table to standard output."""
    print("| kinds | n | click from flash, ms | picture from its time, ms |")
    print("|---|---:|---:|---:|")
    for name, kinds in GROUPS.items():
        click_ms, picture_ms = worst_ms(kinds)
        print(f"| {name}: {', '.join(kinds)} | {len(kinds)} | {click_ms:.2f} | {picture_ms:.2f} |")


if __name__ == "__main__":
    main()
