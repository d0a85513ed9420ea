"""Which generated video belongs to which real one and to which sentence, and what stands alone.

A clip's id is the path of its generated video below the folder, without suffix. Nothing is dropped in silence: what has
no partner becomes a `Note`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synctalk.corpora.listing import VIDEO_SUFFIXES, iter_files, read_list, require_inside
from synctalk.corpora.transcript import read_transcript
from synctalk.errors import ClipError, UserError
from synctalk.evaluation.videos.findings import ClipFinding, Note


@dataclass(frozen=True)
class Pair:
    """One clip to score.

    Attributes:
        id: path of the generated video below its folder, without suffix.
        generated: the video.
        reference: the real video of the same frames; None where there is none.
        comparable: whether the reference shows the same lips, so that pictures can be compared.
        transcript: what is said; None where nobody knows.
    """

    id: str
    generated: Path
    reference: Path | None
    comparable: bool
    transcript: str | None


@dataclass(frozen=True)
class Matching:
    """Clips to score in the order of their ids (or of the list), and what has no partner."""

    pairs: tuple[Pair, ...]
    notes: tuple[Note, ...]


def videos_below(root: Path) -> dict[str, Path]:
    """Id -> path of every video below `root`, sorted; hidden files are skipped.

    Raises:
        UserError: no such folder, no video in it, or two whose names differ in their suffix only.
    """
    if not root.is_dir():
        raise UserError(root, "is no folder", "give the folder of the videos")
    found: dict[str, Path] = {}
    for relative in iter_files(root):
        if relative.suffix.lower() not in VIDEO_SUFFIXES:
            continue
        clip_id = relative.with_suffix("").as_posix()
        if clip_id in found:
            raise UserError(root / relative, f"has the same name as {found[clip_id].name}", "rename one of them")
        found[clip_id] = root / relative
    if not found:
        raise UserError(root, f"holds no video ({', '.join(sorted(VIDEO_SUFFIXES))})", "give the folder of the videos")
    return dict(sorted(found.items()))


def match_folders(
    generated: Path, reference: Path | None, transcripts: Path | None, wanted: Path | None = None
) -> Matching:
    """Match by path below the folders.

    Args:
        generated: folder of generated videos.
        reference: folder of real videos with the same paths, any suffix; None scores without them.
        transcripts: folder of texts with the same paths (`.txt`, bare or as in LRS).
        wanted: list of ids, the first word of each line; those that are not there are missing, others are extra.

    Raises:
        UserError: a folder or the list is missing or broken.
    """
    made = videos_below(generated)
    real = videos_below(reference) if reference else {}
    ids = _listed(wanted) if wanted else list(real) if reference else list(made)
    notes = without_partner(ids, made)
    pairs = []
    for name in ids:
        if name not in made:
            continue
        if reference and name not in real:
            notes.append(
                Note(name, ClipFinding.NO_REFERENCE, True, "no real video of this name: pictures not compared")
            )
        text, note = _transcript(transcripts, name, name)
        notes += [note] if note else []
        pairs.append(Pair(name, made[name], real.get(name), name in real, text))
    return Matching(tuple(pairs), tuple(notes))


def without_partner(ids: Sequence[str], made: Mapping[str, Path]) -> list[Note]:
    """Clips that are asked for and have no video, and videos that nobody asks for."""
    notes = [
        Note(name, ClipFinding.MISSING, False, "no generated video of this name") for name in ids if name not in made
    ]
    extra = sorted(set(made) - set(ids))
    return notes + [Note(name, ClipFinding.EXTRA, False, "no such clip is asked for") for name in extra]


def _listed(path: Path) -> list[str]:
    """Ids that a list names, each once, in its order."""
    listed, rejected = read_list(path)
    if rejected:
        raise UserError(path.with_name(rejected[0].id), rejected[0].detail, "mend the list")
    return list(dict.fromkeys(line.name for line in listed))


def match_crossed(generated: Path, filelist: Path, reference: Path | None, transcripts: Path | None) -> Matching:
    """Match by a list of Wav2Lip's evaluation: line k is `audio_id video_id`, and its video is `<k>.mp4`, k from 0.

    The lips of the reference say something else, so that pictures are not compared; the sentence is that of the audio.

    Raises:
        UserError: a folder is missing, or a line has not two paths.
    """
    made = videos_below(generated)
    real = videos_below(reference) if reference else {}
    pairs: list[Pair] = []
    notes: list[Note] = []
    lines = _crossed_lines(filelist)
    for number, (audio, picture) in enumerate(lines):
        name = str(number)
        if name not in made:
            notes.append(
                Note(name, ClipFinding.MISSING, False, f"no generated video of line {number}: {audio} {picture}")
            )
            continue
        if reference and picture not in real:
            notes.append(Note(name, ClipFinding.NO_REFERENCE, True, f"{picture} is not among the real videos"))
        text, note = _transcript(transcripts, audio, name)
        notes += [note] if note else []
        pairs.append(Pair(name, made[name], real.get(picture), False, text))
    known = {str(number) for number in range(len(lines))}
    notes += [Note(name, ClipFinding.EXTRA, False, "the list has no such line") for name in sorted(set(made) - known)]
    return Matching(tuple(pairs), tuple(notes))


def _crossed_lines(path: Path) -> list[tuple[str, str]]:
    """The two ids of every line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(path, f"cannot be read as text ({error})", "give a list of `audio video` lines") from error
    ids = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) != 2:
            raise UserError(f"{path}:{number}", f"has {len(words)} words", "a line is `audio_id video_id`")
        try:
            audio, picture = map(require_inside, words)
        except ClipError as error:
            raise UserError(f"{path}:{number}", error.detail, "mend the list") from error
        ids.append((audio, picture))
    return ids


def _transcript(folder: Path | None, text_id: str, clip_id: str) -> tuple[str | None, Note | None]:
    """The sentence of a clip, and what to say where it has none."""
    if folder is None:
        return None, None
    try:
        return read_transcript(folder / f"{text_id}.txt", plain=True).text, None
    except ClipError as error:
        return None, Note(clip_id, ClipFinding.NO_TRANSCRIPT, True, error.detail)
