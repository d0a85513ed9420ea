"""Reading samples back, map-style by the index: any sample at once, so that training resumes exactly.

`synctalk.shards.stream` reads the same samples shard by shard. Needs numpy, OpenCV and pyarrow; fsspec for URLs only.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synctalk.errors import UserError
from synctalk.parquet import parse_table
from synctalk.shards.mosaic import decode_frames, decode_mosaic
from synctalk.shards.records import INDEX_SCHEMA, IndexRow
from synctalk.shards.store import ByteRange, Location, is_url, join, read_file, read_ranges

INDEX = "index.parquet"


@dataclass(frozen=True)
class Sample:
    """One sample of a shard; members are decoded when they are asked for and kept.

    Attributes:
        row: its line of the index.
        members: tar members, name after the key -> bytes.
    """

    row: IndexRow
    members: dict[str, bytes]

    def _array(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = np.load(io.BytesIO(self._member(f"{name}.npy")), allow_pickle=False)
        return array

    def _member(self, name: str) -> bytes:
        if name not in self.members:
            raise UserError(
                f"{self.row.shard}: {self.row.key}", f"has no {name}", "add it to corpora.<name>.members and repro"
            )
        return self.members[name]

    @cached_property
    def about(self) -> dict[str, Any]:
        """The JSON member: id, clip, speaker, split, transcript, words, first_frame, and the whole numbers of `Crop`.

        Word times count from frame `first_frame` of the file's time line, pictures from frame `start`.
        """
        about: dict[str, Any] = json.loads(self.members["json"])
        return about

    @cached_property
    def faces(self) -> NDArray[np.uint8]:
        """RGB face crops, uint8 [T, S, S, 3]."""
        return decode_mosaic(self._member("faces.jpg"), self.row.n_frames)

    def some_faces(self, numbers: Sequence[int]) -> NDArray[np.uint8]:
        """RGB face crops of the frames `numbers`, uint8 [N, S, S, 3]; the others are not decoded, and nothing is
        kept.
        """
        return decode_frames(self._member("faces.jpg"), numbers)

    @cached_property
    def mouth(self) -> NDArray[np.uint8]:
        """Grey mouth regions, uint8 [T, R, R]."""
        return decode_mosaic(self._member("mouth.jpg"), self.row.n_frames)

    @cached_property
    def fbank(self) -> NDArray[np.float32]:
        """Stacked log filterbank before normalisation, float32 [T, 104]."""
        return self._array("fbank")

    @cached_property
    def mfcc(self) -> NDArray[np.float32]:
        """MFCC, float32 [13, 4 T]."""
        return self._array("mfcc")

    @cached_property
    def mel(self) -> NDArray[np.float32]:
        """Mel spectrogram, float32 [80, 80 Hz columns], -4..4."""
        return self._array("mel")

    @cached_property
    def boxes(self) -> NDArray[np.int32]:
        """Face boxes in the stored frame, int32 [T, 4]."""
        return self._track["boxes"]

    @cached_property
    def mouth_transforms(self) -> NDArray[np.float32]:
        """Frame pixels to mouth pixels, float32 [T, 2, 3]."""
        return self._track["mouth_transforms"]

    @cached_property
    def _track(self) -> dict[str, NDArray[Any]]:
        with np.load(io.BytesIO(self._member("track.npz")), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}


class IndexRows:
    """Rows of an index, made when they are asked for.

    The columns take a fraction of the memory of as many records, and forked readers share their pages.
    """

    def __init__(self, table: pa.Table) -> None:
        # one array a column, so that a row is found at once
        self._columns = {name: table.column(name).combine_chunks() for name in table.column_names}

    def __len__(self) -> int:
        return len(self._columns["id"])

    def __getitem__(self, number: int) -> IndexRow:
        return IndexRow(**{name: column[number].as_py() for name, column in self._columns.items()})

    def __iter__(self) -> Iterator[IndexRow]:
        for batch in pa.table(self._columns).to_batches(max_chunksize=1024):
            for row in batch.to_pylist():
                yield IndexRow(**row)

    def numbers(self, name: str) -> NDArray[np.int64]:
        """A column of whole numbers, such as n_frames, int64 [rows]."""
        column: NDArray[np.int64] = self._columns[name].to_numpy()
        return column


class ShardSet:
    """Samples of one or more shard folders, by number; the order is that of the folders and their indexes.

    It holds no open file, so it is pickled and forked freely.

    Args:
        folders: shard folders, each with `index.parquet`: paths, or URLs that fsspec opens.
        splits: which splits to take.

    Attributes:
        rows: the index.
        digest: hash of the indexes: what a resumed run must have begun with.
        files: shards that hold the samples.
        file: number in `files` of each sample, int32 [samples].
        offset, size: bytes of each sample in its file, int64 [samples].

    Raises:
        UserError: an index is missing or broken, or no sample is in these splits.
    """

    def __init__(self, folders: Sequence[Location], splits: Sequence[str]) -> None:
        if not folders:
            raise UserError("shards", "no folder is named", "name one: a path or a URL")
        hashes = hashlib.sha256()
        self.files: list[Location] = []
        tables, numbers = [], []
        for folder in folders:
            table, digest = _read_index(folder, splits)
            hashes.update(digest)
            shards = table["shard"].unify_dictionaries().combine_chunks()
            numbers.append(np.asarray(shards.indices, np.int32) + len(self.files))
            self.files += [_shard(folder, name) for name in shards.dictionary.to_pylist()]
            tables.append(table)
        self.digest = hashes.hexdigest()
        self.rows = IndexRows(pa.concat_tables(tables).unify_dictionaries())
        # what parsing took and no longer needs, as much again as the columns
        del tables, table
        pa.default_memory_pool().release_unused()
        if not len(self.rows):
            raise UserError(
                ", ".join(map(str, folders)), f"no sample in the splits {', '.join(splits)}", "look at rejected.parquet"
            )
        self.file = np.concatenate(numbers)
        self.offset, self.size = self.rows.numbers("offset"), self.rows.numbers("size")
        self._intact = np.zeros(len(self.rows), np.bool_)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Sample:
        """Sample `number`, its bytes checked against the index: on disk, the first time that this process reads it.

        Raises:
            UserError: the shard is missing, truncated or altered, may not be read, or the network failed too often.
        """
        return self.read([number])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[Sample]:
        """How torch's DataLoader asks for a batch."""
        return self.read(numbers)

    def read(self, numbers: Sequence[int]) -> list[Sample]:
        """Samples `numbers`, those of URLs fetched side by side; checks and errors as those of one."""
        ranges = [
            ByteRange(self.files[self.file[number]], int(self.offset[number]), int(self.size[number]))
            for number in numbers
        ]
        rows = [self.rows[number] for number in numbers]
        blobs = read_ranges(ranges)
        for number, row, wanted, blob in zip(numbers, rows, ranges, blobs, strict=True):
            # what comes over a network may be damaged anew every time
            if is_url(wanted.location) or not self._intact[number] or len(blob) < row.size:
                require_intact(row, wanted.location, blob)
                self._intact[number] = True
        return [Sample(row, _members(row.key, blob)) for row, blob in zip(rows, blobs, strict=True)]


def _read_index(folder: Location, splits: Sequence[str]) -> tuple[pa.Table, bytes]:
    """Rows of the index that are in `splits`, and the sha256 of all of it."""
    location = join(folder, INDEX)
    blob = read_file(location)
    if is_url(folder):
        # a server without ranges is known by one byte, before it sends shard after shard whole
        read_ranges([ByteRange(location, 0, 1)])
    table = parse_table(io.BytesIO(blob), str(location), INDEX_SCHEMA, ("split", "speaker", "shard"))
    wanted = pc.is_in(table["split"], value_set=pa.array(splits, pa.string()))
    return table if pc.all(wanted).as_py() else table.filter(wanted), hashlib.sha256(blob).digest()


def _shard(folder: Location, name: str) -> Location:
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise UserError(str(join(folder, INDEX)), f"names the shard {name!r} outside its folder", "run `dvc repro`")
    return join(folder, name)


def require_intact(row: IndexRow, location: Location, blob: bytes) -> None:
    """Check the bytes of a sample against its row.

    Raises:
        UserError: they are too few, or others.
    """
    mend = "upload the folder of shards again" if is_url(location) else "delete the folder and run `dvc repro`"
    if len(blob) < row.size:
        end = row.offset + row.size
        raise UserError(str(location), f"is truncated: sample {row.key} ends at byte {end:,}", mend)
    if hashlib.sha256(blob).hexdigest() != row.sha256:
        raise UserError(str(location), f"sample {row.key} is not what the index says", mend)


def _members(key: str, blob: bytes) -> dict[str, bytes]:
    """Tar members of one sample: name after the key -> bytes. The headers are plain ustar, as our keys are short."""
    members: dict[str, bytes] = {}
    at = 0
    while at < len(blob):
        name = blob[at : at + 100].rstrip(b"\0").decode()
        start, size = at + tarfile.BLOCKSIZE, int(blob[at + 124 : at + 135], 8)
        members[name.removeprefix(f"{key}.")] = blob[start : start + size]
        at = start + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return members
