"""The text files of LRS2, LRS3 and VoxCeleb2, by hand, with what real ones have been seen to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from synctalk.corpora.records import Word
from synctalk.corpora.transcript import (
    FrameBox,
    Transcript,
    clean_text,
    format_align,
    format_boxes,
    format_transcript,
    parse_align,
    parse_transcript,
    read_align,
    read_transcript,
)
from synctalk.errors import ClipError, Reason

FULL = (
    "Text:  WHEN YOU'RE COOKING\nConf:  4\nRef:  0Fi83BHQsMA\n\n"
    "FRAME\tX\tY\tW\tH\n000000\t0.100\t0.200\t0.300\t0.400\n000001\t0.110\t0.200\t0.300\t0.400\n\n"
    "WORD START END ASDSCORE\nWHEN 0.08 0.49 9.9\nYOU'RE 0.49 0.60 9.9\nCOOKING 0.60 1.02 9.9\n"
)
PARSED = Transcript(
    text="when you're cooking",
    words=(Word("when", 0.08, 0.49), Word("you're", 0.49, 0.6), Word("cooking", 0.6, 1.02)),
    boxes=(FrameBox(0, 0.1, 0.2, 0.3, 0.4), FrameBox(1, 0.11, 0.2, 0.3, 0.4)),
    head={"Conf": "4", "Ref": "0Fi83BHQsMA"},
)


def test_a_whole_file_by_hand() -> None:
    assert parse_transcript(FULL) == PARSED


def test_what_is_written_is_read_back_and_looks_like_the_corpus() -> None:
    assert format_transcript(PARSED) == FULL
    assert parse_transcript(format_transcript(PARSED)) == PARSED


@pytest.mark.parametrize(
    "transcript",
    [
        Transcript(text="one"),
        Transcript(text="one two", head={"Conf": "3"}),
        Transcript(text="one two", words=(Word("one", 0.0, 0.25), Word("two", 0.25, 1.0))),
        Transcript(text="one", boxes=(FrameBox(7, 0.0, 0.5, 0.25, 1.0),)),
    ],
)
def test_parts_that_are_missing_stay_missing(transcript: Transcript) -> None:
    assert parse_transcript(format_transcript(transcript)) == transcript


@pytest.mark.parametrize(
    "content",
    [
        FULL.replace("\n", "\r\n"),
        FULL.replace("\t", " "),
        FULL.replace("\t", " \t"),
        "\ufeff" + FULL,
        FULL.replace("\n\n", "\n\n\n"),
        FULL.replace("Text:  ", "Text:").replace("Conf:  ", "Conf: "),
        FULL.rstrip("\n"),
        FULL.replace("WHEN", "{WHEN}").replace("0.08 0.49 9.9", "0.08 0.49"),
    ],
    ids=["crlf", "spaces", "tabs and spaces", "byte order mark", "blank lines", "narrow", "no last newline", "braces"],
)
def test_other_spellings_of_the_same_file(content: str) -> None:
    assert parse_transcript(content) == PARSED


def test_a_file_of_the_main_part_has_a_head_only() -> None:
    assert parse_transcript("Text:  OH NO\nConf:  5\n") == Transcript(text="oh no", head={"Conf": "5"})


def test_blocks_come_in_any_order() -> None:
    head, boxes, words = FULL.split("\n\n")
    assert parse_transcript(f"{head}\n\n{words}\n\n{boxes}\n") == PARSED


def test_text_is_lower_case_without_braces_and_with_single_spaces() -> None:
    assert clean_text("  {NS} THE {LAUGH}  End\t") == "ns the laugh end"
    assert parse_transcript("Text:  A: B\n").text == "a: b"
    assert parse_transcript("Text:  A\n\nWORD START END ASDSCORE\n{} 0.1 0.2 9.9\nA 0.2 0.3 9.9\n").words == (
        Word("a", 0.2, 0.3),
    )


def test_metadata_of_voxceleb2_has_boxes_and_no_text() -> None:
    head = "Identity  : \tid00017\nReference : \t01dfn2spqyE\nOffset    : \t1\nFV Conf   : \t15.892\t(1)\n"
    parsed = parse_transcript(f"{head}\n{format_boxes([FrameBox(0, 0.245, 0.1, 0.4, 0.4)])}")
    assert parsed.text == ""
    assert parsed.boxes == (FrameBox(0, 0.245, 0.1, 0.4, 0.4),)
    assert parsed.head["Identity"] == "id00017"
    assert parsed.head["FV Conf"] == "15.892\t(1)"


@pytest.mark.parametrize(
    ("row", "block"),
    [
        ("WHEN 0.08", "WORD"),
        ("WHEN", "WORD"),
        ("WHEN 0.08 later 9.9", "WORD"),
        ("WHEN nan 0.5 9.9", "WORD"),
        ("WHEN 0.1 inf 9.9", "WORD"),
        ("WHEN 0.5 0.4 9.9", "WORD"),
        ("WHEN -0.1 0.4 9.9", "WORD"),
        ("0 0.1 0.2 0.3", "FRAME"),
        ("x 0.1 0.2 0.3 0.4", "FRAME"),
    ],
)
def test_a_broken_row_is_no_transcript_and_is_shown(tmp_path: Path, row: str, block: str) -> None:
    header = {"WORD": "WORD START END ASDSCORE", "FRAME": "FRAME X Y W H"}[block]
    path = tmp_path / "00001.txt"
    path.write_text(f"Text:  WHEN\n\n{header}\n{row}\n")
    with pytest.raises(ClipError) as error:
        read_transcript(path)
    assert error.value.reason == Reason.NO_TRANSCRIPT
    assert error.value.detail == f"00001.txt: line 4 is no row of {block}: {row!r}"


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "00001.txt has no text"),
        (b"Text:\nConf:  3\n", "00001.txt has no text"),
        (b"Text:  {}\n", "00001.txt has no text"),
        (b"Conf:  3\n\nWORD START END ASDSCORE\nWHEN 0.1 0.2 9.9\n", "00001.txt has no text"),
        (b"Text:  \xff\xfe\n", "00001.txt cannot be read as UTF-8 text"),
        (None, "00001.txt is not there"),
    ],
)
def test_a_file_that_says_nothing_has_a_reason(tmp_path: Path, content: bytes | None, detail: str) -> None:
    path = tmp_path / "00001.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ClipError) as error:
        read_transcript(path)
    assert error.value.reason == Reason.NO_TRANSCRIPT
    assert error.value.detail.startswith(detail)


def test_a_bare_sentence_is_a_transcript_where_that_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "clip.txt"
    path.write_text("Place blue\r\nat f two: now\r\n")
    assert read_transcript(path, plain=True) == Transcript(text="place blue at f two: now")
    with pytest.raises(ClipError, match=r"clip\.txt has no text"):
        read_transcript(path)
    path.write_text(FULL)
    assert read_transcript(path, plain=True) == PARSED


# --- GRID ----------------------------------------------------------------------------------------------------------
ALIGN = "0 12250 sil\n12250 19250 set\n19250 27250 white\n27250 28000 sp\n28000 30500 p\n30500 74500 sil\n"
ALIGNED = Transcript(
    text="set white p", words=(Word("set", 0.49, 0.77), Word("white", 0.77, 1.09), Word("p", 1.12, 1.22))
)


def test_word_times_of_grid_count_25000_to_the_second_and_silences_are_no_words() -> None:
    assert parse_align(ALIGN) == ALIGNED
    assert parse_align("\ufeff" + ALIGN.replace("\n", "\r\n").upper() + "\r\n\r\n") == ALIGNED
    assert format_align(ALIGNED.words, 2.98) == ALIGN
    assert parse_align(format_align(ALIGNED.words, 1.22)) == ALIGNED


def test_a_real_file_of_grid_agrees_with_its_transcript(shared: Path) -> None:
    real = read_align(shared / "clips/grid/id2_vcd_swwp2s.align")
    assert real.text == "set white with p two soon"
    assert (real.words[0], real.words[-1]) == (Word("set", 0.49, 0.77), Word("soon", 1.73, 2.21))


@pytest.mark.parametrize(
    "row", ["0 set", "0 100 set now", "a 100 set", "100 0 set", "-5 1 set", "0 inf set", "0 nan x"]
)
def test_a_broken_row_of_grid_is_shown(tmp_path: Path, row: str) -> None:
    path = tmp_path / "bbaf2n.align"
    path.write_text(f"0 10 sil\n{row}\n")
    with pytest.raises(ClipError) as error:
        read_align(path)
    assert error.value.reason == Reason.NO_TRANSCRIPT
    assert error.value.detail == f"bbaf2n.align: line 2 is not `start end word`: {row!r}"


@pytest.mark.parametrize("content", ["", "0 100 sil\n100 200 sp\n", "0 100 {}\n"])
def test_a_file_of_silences_has_no_text(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.align").write_text(content)
    with pytest.raises(ClipError, match=r"a\.align has no text"):
        read_align(tmp_path / "a.align")
    with pytest.raises(ClipError, match=r"b\.align is not there"):
        read_align(tmp_path / "b.align")
