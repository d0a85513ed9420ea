"""A corpus to audio features: one parquet file for each file of crops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from synctalk.corpora.records import Clip, ClipTable
from synctalk.faces.extract import audio_origin_s
from synctalk.features.extract import extract_features
from synctalk.media import read_audio
from synctalk.parquet import iter_rows
from synctalk.rejected import Rejected
from synctalk.runtime.fingerprints import digest
from synctalk.runtime.parts import PartStage, Row, n_parts_in, part_path, run_parts
from synctalk.shards.records import CROP_SCHEMA, FEATURE_SCHEMA, npy
from synctalk.shards.screened import audio_starts

STAGE = "features"


@dataclass(frozen=True)
class _AudioSample:
    """A sample whose features are wanted: its clip, and the frames of the audio's time line."""

    id: str
    clip: Clip
    start: int
    n_frames: int


def _load(number: int, crops: Path, screening: Path, clips: ClipTable) -> list[_AudioSample]:
    start_of = audio_starts(screening, number)
    columns = ["id", "clip", "n_frames"]
    rows = [row for row in iter_rows(part_path(crops, number), CROP_SCHEMA, columns) if row["id"] in start_of]
    found = clips.by_id({row["clip"] for row in rows})
    return [_AudioSample(row["id"], found[row["clip"]], start_of[row["id"]], row["n_frames"]) for row in rows]


def _extract(sample: _AudioSample, root: Path, members: tuple[str, ...]) -> list[Row | Rejected]:
    pcm = read_audio(root / sample.clip.audio, audio_origin_s(sample.clip))
    found = extract_features(pcm, sample.start, sample.n_frames, members)
    blobs = {name: npy(found[name]) if name in found else b"" for name in ("fbank", "mfcc", "mel")}
    return [{"id": sample.id, **blobs}]


def extract_corpus(
    corpus: str,
    root: Path,
    clips: ClipTable,
    crops: Path,
    screening: Path,
    members: tuple[str, ...],
    out: Path,
) -> None:
    """Features of every sample that screening kept, into files of the same names; what could not be read goes to
    rejected.parquet.

    Args:
        corpus: name, for the progress bar and the scratch folder.
        root: of the corpus.
        clips: of its index.
        crops: folder of the crop stage.
        screening: folder of the screening: which samples are kept, and where their audio begins.
        members: what the corpus keeps.
        out: folder, made where missing.
    """
    n_parts = n_parts_in(crops)
    stats = (part_path(folder, number).stat() for number in range(n_parts) for folder in (crops, screening))
    stage = PartStage(
        STAGE,
        load=partial(_load, crops=crops, screening=screening, clips=clips),
        work=partial(_extract, root=root, members=members),
        schema=FEATURE_SCHEMA,
    )
    stamps = digest((stat.st_size, stat.st_mtime_ns) for stat in stats)
    run_parts(f"{STAGE} {corpus}", (members, stamps), stage, n_parts, out)
