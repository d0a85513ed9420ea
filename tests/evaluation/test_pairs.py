"""Which video belongs to which, and that nothing without a partner is dropped in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from synctalk.errors import UserError
from synctalk.evaluation.videos import pairs
from synctalk.evaluation.videos.findings import ClipFinding, Note, write_notes
from synctalk.evaluation.videos.pairs import match_crossed, match_folders, videos_below


def files(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("Text:  PLACE RED\n" if name.endswith(".txt") else "")
    root.mkdir(exist_ok=True)
    return root


def found(notes: tuple[Note, ...]) -> set[tuple[str, ClipFinding, bool]]:
    return {(note.id, note.finding, note.scored) for note in notes}


def test_videos_are_matched_by_path_whatever_their_suffix(tmp_path: Path) -> None:
    made = files(tmp_path / "made", "x/1.mp4", "y/1.avi", "x/note.doc", "x/._1.mp4")
    real = files(tmp_path / "real", "x/1.mpg", "y/1.mp4")
    said = files(tmp_path / "said", "x/1.txt", "y/1.txt")
    matching = match_folders(made, real, said)
    assert [(pair.id, pair.generated.name, pair.reference) for pair in matching.pairs] == [
        ("x/1", "1.mp4", real / "x/1.mpg"),
        ("y/1", "1.avi", real / "y/1.mp4"),
    ]
    assert all(pair.comparable and pair.transcript == "place red" for pair in matching.pairs)
    assert matching.notes == ()


def test_what_has_no_partner_is_noted(tmp_path: Path) -> None:
    made = files(tmp_path / "made", "1.mp4", "2.mp4", "9.mp4")
    real = files(tmp_path / "real", "1.mp4", "2.mp4", "3.mp4")
    said = files(tmp_path / "said", "1.txt")
    matching = match_folders(made, real, said)
    assert [pair.id for pair in matching.pairs] == ["1", "2"]
    assert found(matching.notes) == {
        ("3", ClipFinding.MISSING, False),
        ("9", ClipFinding.EXTRA, False),
        ("2", ClipFinding.NO_TRANSCRIPT, True),
    }


def test_without_real_videos_every_generated_one_is_scored(tmp_path: Path) -> None:
    matching = match_folders(files(tmp_path / "made", "1.mp4", "2.mp4"), None, None)
    assert [(pair.id, pair.reference, pair.comparable, pair.transcript) for pair in matching.pairs] == [
        ("1", None, False, None),
        ("2", None, False, None),
    ]
    assert matching.notes == ()


def test_a_list_says_which_and_in_what_order(tmp_path: Path) -> None:
    made = files(tmp_path / "made", "a/1.mp4", "a/2.mp4", "a/3.mp4")
    real = files(tmp_path / "real", "a/1.mp4", "a/3.mp4")
    (tmp_path / "list.txt").write_text("a/3 NF\n\na/1 MV\na/3\na/7\na/2\n")
    matching = match_folders(made, real, None, tmp_path / "list.txt")
    assert [pair.id for pair in matching.pairs] == ["a/3", "a/1", "a/2"]
    assert found(matching.notes) == {("a/7", ClipFinding.MISSING, False), ("a/2", ClipFinding.NO_REFERENCE, True)}


def test_lines_of_wav2lip_name_sound_and_picture(tmp_path: Path) -> None:
    made = files(tmp_path / "made", "0.mp4", "2.mp4", "3.mp4")
    real = files(tmp_path / "real", "x/1.mp4", "x/2.mp4")
    said = files(tmp_path / "said", "x/2.txt", "x/1.txt")
    (tmp_path / "test.txt").write_text("x/2 x/1\nx/1 x/2\nx/1 x/9\n")
    matching = match_crossed(made, tmp_path / "test.txt", real, said)
    assert [(pair.id, pair.reference, pair.comparable, pair.transcript) for pair in matching.pairs] == [
        ("0", real / "x/1.mp4", False, "place red"),
        ("2", None, False, "place red"),
    ]
    assert found(matching.notes) == {
        ("1", ClipFinding.MISSING, False),
        ("2", ClipFinding.NO_REFERENCE, True),
        ("3", ClipFinding.EXTRA, False),
    }


N_LRS2_PAIRS = 14_239
"""Lines of Wav2Lip's list for the test set of LRS2, 1,243 clips."""


def test_a_list_as_long_as_that_of_lrs2_is_read_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line k is `audio video`, its video k.mp4; 1,243 clips give both. Folders are gone through once, and a sentence is
    read once a line: nothing grows with the square of the list.
    """
    clips = [f"{6_000_000_000 + number // 5}/{number % 5 + 1:05}" for number in range(1_243)]
    rng = np.random.default_rng(0)
    lines = [tuple(clips[n] for n in rng.integers(0, len(clips), 2)) for _ in range(N_LRS2_PAIRS)]
    (tmp_path / "lrs2.txt").write_text("".join(f"{sound} {picture}\n" for sound, picture in lines))
    left_out, beyond = {17, 9_999, N_LRS2_PAIRS - 1}, N_LRS2_PAIRS
    files(tmp_path / "made", *(f"{k}.mp4" for k in range(N_LRS2_PAIRS + 1) if k not in left_out))
    real = files(tmp_path / "real", *(f"{clip}.mp4" for clip in clips[1:]))
    for number, clip in enumerate(clips):
        path = tmp_path / "said" / f"{clip}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Text:  CLIP {number}\n")
    calls: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def run(*words: object, **options: object) -> object:
            calls[name] += 1
            return function(*words, **options)

        return run

    monkeypatch.setattr(pairs, "iter_files", counted("folders", pairs.iter_files))
    monkeypatch.setattr(pairs, "read_transcript", counted("sentences", pairs.read_transcript))
    matching = match_crossed(tmp_path / "made", tmp_path / "lrs2.txt", real, tmp_path / "said")
    assert calls == {"folders": 2, "sentences": N_LRS2_PAIRS - len(left_out)}
    assert [int(pair.id) for pair in matching.pairs] == [k for k in range(N_LRS2_PAIRS) if k not in left_out]
    number_of = {clip: number for number, clip in enumerate(clips)}
    for pair in matching.pairs:
        sound, picture = lines[int(pair.id)]
        assert pair.generated.name == f"{pair.id}.mp4"
        assert pair.transcript == f"clip {number_of[sound]}"
        assert pair.reference == (None if picture == clips[0] else real / f"{picture}.mp4")
        assert not pair.comparable
    no_reference = {str(k) for k, (_, picture) in enumerate(lines) if picture == clips[0] and k not in left_out}
    assert found(matching.notes) == {
        *((str(k), ClipFinding.MISSING, False) for k in left_out),
        *((name, ClipFinding.NO_REFERENCE, True) for name in no_reference),
        (str(beyond), ClipFinding.EXTRA, False),
    }


@pytest.mark.parametrize("line", ["x/1", "x/1 x/2 x/3", "../x/1 x/2", "/x/1 x/2"])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    made = files(tmp_path / "made", "0.mp4")
    (tmp_path / "test.txt").write_text(f"x/1 x/2\n{line}\n")
    with pytest.raises(UserError, match=r"test\.txt:2"):
        match_crossed(made, tmp_path / "test.txt", None, None)


def test_a_list_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    made = files(tmp_path / "made", "0.mp4")
    (tmp_path / "list.txt").write_text("0\n../0\n")
    with pytest.raises(UserError, match=r"list\.txt:2"):
        match_folders(made, None, None, tmp_path / "list.txt")


def test_folders_without_videos_and_double_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no folder"):
        videos_below(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no video"):
        videos_below(files(tmp_path / "texts", "1.txt"))
    with pytest.raises(UserError, match="the same name"):
        videos_below(files(tmp_path / "double", "1.mp4", "1.mkv"))


def test_notes_are_written_sorted(tmp_path: Path) -> None:
    notes = [Note("b", ClipFinding.EXTRA, False, "x"), Note("a", ClipFinding.SHORTER, True, "y")]
    write_notes(tmp_path / "notes.parquet", notes)
    rows = pq.read_table(tmp_path / "notes.parquet").to_pylist()
    assert [(row["id"], row["finding"], row["scored"]) for row in rows] == [
        ("a", "shorter", True),
        ("b", "extra", False),
    ]
