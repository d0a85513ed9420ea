"""Phones of frames: what is spoken in the middle of each 40 ms, from any frame of the file on."""

from __future__ import annotations

from pathlib import Path

from synctalk.corpora.phones import PhoneRow, frame_phones, read_phonemes, write_phonemes

ROWS = [
    PhoneRow("a/1", "_", 0.0, 0.1),
    PhoneRow("a/1", "'aI", 0.1, 0.2),
    PhoneRow("a/1", ",V", 0.2, 0.22),
    PhoneRow("a/1", "t#", 0.22, 0.3),
]


def test_the_middle_of_a_frame_decides() -> None:
    # middles: 20, 60, 100, 140, 180, 220, 260, 300, 340 ms
    assert frame_phones(ROWS, 0, 9) == ["_", "_", "aI", "aI", "aI", "t#", "t#", "_", "_"]


def test_a_crop_begins_later_and_one_before_the_sound_is_silent() -> None:
    assert frame_phones(ROWS, 4, 3) == ["aI", "t#", "t#"]
    assert frame_phones(ROWS, -2, 4) == ["_", "_", "_", "_"]


def test_files_are_read_back_apart_and_in_order(tmp_path: Path) -> None:
    other = [PhoneRow("a/0", "s", 0.0, 0.4)]
    write_phonemes(tmp_path, [*reversed(ROWS), *other])
    assert read_phonemes(tmp_path) == {"a/0": other, "a/1": ROWS}


def test_a_corpus_without_phones_has_none(tmp_path: Path) -> None:
    assert read_phonemes(tmp_path) == {}
