"""A corpus to audio features: one parquet file for each file of crops, made by processes and resumed file by file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from synctalk.corpora.records import Clip, write_table
from synctalk.faces.extract import audio_origin_s
from synctalk.features.extract import extract_features
from synctalk.jobs import map_ordered, publish, scratch
from synctalk.media import read_audio
from synctalk.shards.records import FEATURE_SCHEMA, npy


@dataclass(frozen=True)
class _Part:
    """One unit of work: a file of crops, their clips, and the file of features that it becomes."""

    crops: Path
    clips: dict[str, Clip]
    path: Path
    root: Path
    members: tuple[str, ...]


def _extract_part(part: _Part) -> None:
    rows = []
    for crop in pq.read_table(part.crops, columns=["id", "clip", "audio_start", "n_frames"]).to_pylist():
        clip = part.clips[crop["clip"]]
        pcm = read_audio(part.root / clip.audio, audio_origin_s(clip))
        found = extract_features(pcm, crop["audio_start"], crop["n_frames"], part.members)
        blobs = {name: npy(found[name]) if name in found else b"" for name in ("fbank", "mfcc", "mel")}
        rows.append({"id": crop["id"], **blobs})
    write_table(part.path, rows, FEATURE_SCHEMA)


def extract_corpus(
    corpus: str, root: Path, clips: list[Clip], crops: Path, members: tuple[str, ...], out: Path
) -> None:
    """Features of every crop, into files of the same names.

    Args:
        corpus: name, for the progress bar and the scratch folder.
        root: of the corpus.
        clips: of its index.
        crops: folder of the crop stage.
        members: what the corpus keeps.
        out: folder, made where missing.
    """
    by_id = {clip.id: clip for clip in clips}
    files = sorted(crops.glob("part-*.parquet"))
    stamps = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    with scratch(f"features-{corpus}", members, stamps) as folder:
        parts = []
        for file in files:
            ids = pq.read_table(file, columns=["clip"]).column("clip").to_pylist()
            parts.append(_Part(file, {name: by_id[name] for name in ids}, folder / file.name, root, members))
        todo = [part for part in parts if not part.path.exists()]
        for _ in map_ordered(_extract_part, todo, label=f"features {corpus}"):
            pass
        for part in parts:
            publish(part.path, out / part.path.name)
