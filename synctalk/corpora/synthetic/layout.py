"""Files of the synthetic corpora, laid out as the official ones are (see the readers for the trees)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path, PurePosixPath

import numpy as np

from synctalk.atomic import appearing, write_text
from synctalk.corpora.folder import SPLIT_FILE
from synctalk.corpora.listing import FACE_TRACKS
from synctalk.corpora.phones import PhoneRow
from synctalk.corpora.synthetic.perform import Performance, frames_of
from synctalk.corpora.synthetic.plan import PlannedRecording
from synctalk.corpora.synthetic.recipe import SyntheticCorpus
from synctalk.corpora.synthetic.render import DrawnTrack
from synctalk.corpora.synthetic.stage import Stage
from synctalk.corpora.transcript import FrameBox, Transcript, format_align, format_boxes, format_transcript
from synctalk.corpora.voxceleb2 import ENGLISH
from synctalk.media import write_audio, write_mpeg, write_video
from synctalk.timebase import FPS


def phone_rows(clip_id: str, performance: Performance) -> list[PhoneRow]:
    """The clip's rows of phonemes.parquet, in order."""
    return [PhoneRow(clip_id, p.name, p.start_s, p.end_s) for p in performance.phones]


def _relative_boxes(track: DrawnTrack, size: int) -> tuple[FrameBox, ...]:
    return tuple(
        FrameBox(number, float(x1), float(y1), float(x2 - x1), float(y2 - y1))
        for number, (x1, y1, x2, y2) in enumerate(track.boxes / size)
    )


def _write_track(path: Path, track: DrawnTrack) -> None:
    """numpy's npz has fixed dates inside: equal arrays give equal bytes."""
    with appearing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, boxes=track.boxes, landmarks=track.landmarks)


def _text_files(recipe: SyntheticCorpus, clip_id: str, performance: Performance, track: DrawnTrack) -> dict[str, str]:
    """Text files of a clip: path inside the corpus -> content."""
    if recipe.layout == "folder":
        return {f"{clip_id}.txt": f"{performance.text}\n"}
    if recipe.layout == "grid":
        speaker, name = clip_id.split("/")[0], PurePosixPath(clip_id).name
        return {f"{speaker}/align/{name}.align": format_align(performance.words, performance.motion.n_frames / FPS)}
    boxes = _relative_boxes(track, recipe.size)
    source = PurePosixPath(clip_id).parent.name
    if recipe.layout == "voxceleb2":
        folder, _, speaker, *rest = clip_id.split("/")
        facts = {"Identity": speaker, "Reference": source, "Offset": "0", "FV Conf": "15.0\t(1)", "ASD Conf": "9.9"}
        head = "".join(f"{key:<10}: \t{value}\n" for key, value in facts.items())
        return {f"{folder}/txt/{speaker}/{'/'.join(rest)}.txt": f"{head}\n{format_boxes(boxes)}"}
    head_lines = {"Conf": "5"} | ({"Ref": source} if recipe.layout == "lrs3" else {})
    transcript = Transcript(
        text=performance.text,
        words=performance.words,
        boxes=boxes if recipe.layout == "lrs3" else (),
        head=head_lines,
    )
    return {f"{clip_id}.txt": format_transcript(transcript)}


def write_clip(
    root: Path, recipe: SyntheticCorpus, clip_id: str, stage: Stage, performance: Performance, track: DrawnTrack
) -> None:
    """Write all files of one clip: video, audio, texts, face track."""
    frames, separate = frames_of(stage, performance), recipe.layout == "voxceleb2"
    if recipe.layout == "grid":
        write_mpeg(root / f"{clip_id}.mpg", frames, performance.pcm)
    else:
        audio = None if separate else performance.pcm
        write_video(root / f"{clip_id}.mp4", frames, audio=audio, crf=recipe.crf, preset=recipe.preset)
    if separate:
        write_audio(root / f"{clip_id.replace('/mp4/', '/aac/', 1)}.m4a", performance.pcm)
    for relative, content in _text_files(recipe, clip_id, performance, track).items():
        write_text(root / relative, content)
    _write_track(root / FACE_TRACKS / f"{clip_id}.npz", track)


def write_lists(root: Path, recipe: SyntheticCorpus, recordings: Sequence[PlannedRecording]) -> None:
    """LRS2's split lists, VoxCeleb2's English list, the table of a folder; LRS3's splits are its folders, GRID's its
    speakers.
    """
    clip_ids = {
        split: sorted(r.clip_id(n) for r in recordings if r.split == split for n in range(r.n_utterances))
        for split in ("pretrain", "train", "val", "test")
    }
    if recipe.layout == "lrs2":
        for split, ids in clip_ids.items():
            # the real test list marks its lines by NF or MV; what that means was never said
            mark = " NF" if split == "test" else ""
            write_text(root / f"{split}.txt", "".join(f"{i.split('/', 1)[1]}{mark}\n" for i in ids))
    elif recipe.layout == "voxceleb2":
        write_text(root / ENGLISH, "".join(f"{i}\n" for i in sorted(chain(*clip_ids.values()))))
    elif recipe.layout == "folder":
        rows = "".join(f"{i}.mp4,{split}\n" for split, ids in clip_ids.items() for i in ids)
        write_text(root / SPLIT_FILE, f"path,split\n{rows}")
