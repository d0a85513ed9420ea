"""A corpus to shards: crops and features joined clip by clip, in the order of the index, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from synctalk.atomic import publish
from synctalk.corpora.records import Clip, ClipTable
from synctalk.errors import UserError
from synctalk.params.section import section
from synctalk.parquet import iter_rows
from synctalk.runtime.fingerprints import digest
from synctalk.runtime.parts import n_parts_in, part_path
from synctalk.runtime.progress import progress_bar
from synctalk.runtime.scratch import scratch
from synctalk.shards.records import CROP_SCHEMA, FEATURE_SCHEMA, INDEX_SCHEMA, Crop, IndexRow, row_to_crop
from synctalk.shards.screened import audio_starts
from synctalk.shards.write import INDEX, ShardWriter


@section
class ShardParams:
    """Packing (params.yaml: `shards`)."""

    max_bytes: int
    """A shard is closed when it has grown beyond this; 100 MB to 1 GB suits disks and object stores."""


def joined(
    clips: ClipTable, crops: Path, screening: Path, features: Path, n_finished: Mapping[str, int]
) -> Iterator[tuple[Clip, Crop, dict[str, bytes]]]:
    """Clip, crop and features of every sample that was kept: the features say which, in the order of the crops.

    Args:
        clips: of the index.
        crops: folder of the crop stage.
        screening: folder of the screening after it, which may have moved a sample's audio.
        features: folder of the feature stage.
        n_finished: split -> samples, the first of it, that are left out; their pictures are not read.

    Raises:
        UserError: the features are not those of the screened crops.
    """
    left_out = Counter(n_finished)
    for number in range(n_parts_in(features)):
        crop_file, feature_file = part_path(crops, number), part_path(features, number)
        clip_of = {row["id"]: row["clip"] for row in iter_rows(crop_file, CROP_SCHEMA, ["id", "clip"])}
        ids = [row["id"] for row in iter_rows(feature_file, FEATURE_SCHEMA, ["id"])]
        start_of = audio_starts(screening, number)
        if not clip_of.keys() >= start_of.keys() >= set(ids):
            raise UserError(feature_file, f"does not belong to {crop_file}", "run `dvc repro features`")
        found = clips.by_id({clip_of[name] for name in ids})
        wanted = set()
        for name in ids:
            split = found[clip_of[name]].split
            if left_out[split] > 0:
                left_out[split] -= 1
            else:
                wanted.add(name)
        if wanted:
            crop_rows = (row for row in iter_rows(crop_file, CROP_SCHEMA) if row["id"] in wanted)
            feature_rows = (row for row in iter_rows(feature_file, FEATURE_SCHEMA) if row["id"] in wanted)
            for crop_row, feature_row in zip(crop_rows, feature_rows, strict=True):
                crop = row_to_crop({**crop_row, "audio_start": start_of[crop_row["id"]]})
                yield found[crop.clip], crop, {name: feature_row[name] for name in ("fbank", "mfcc", "mel")}


def pack_corpus(
    corpus: str, clips: ClipTable, crops: Path, screening: Path, features: Path, params: ShardParams, out: Path
) -> None:
    """Write the shards of a corpus and their index into `out`; after a kill it goes on with the shard that was open.

    One process does it, at the speed of a disk.
    """
    folders = (crops, screening, features)
    files = [clips.path, *(part_path(folder, n) for folder in folders for n in range(n_parts_in(folder)))]
    stamps = digest((file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    with scratch(f"shard-{corpus}", asdict(params), stamps) as folder:
        writer = ShardWriter(folder, params.max_bytes)
        samples = joined(clips, crops, screening, features, writer.n_finished)
        for sample in progress_bar(iterable=samples, desc=f"shard {corpus}", unit="clip"):
            writer.write(*sample)
        writer.close()
        for path in [*sorted(folder.glob("*.tar")), folder / INDEX]:
            publish(path, out / path.name)


def iter_index(folder: Path) -> Iterator[IndexRow]:
    """Rows of the index of a shard folder on disk, some in memory at a time.

    Raises:
        UserError: as `open_table`.
    """
    return (IndexRow(**row) for row in iter_rows(folder / INDEX, INDEX_SCHEMA))
