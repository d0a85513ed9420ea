"""Reading samples back, map-style by the index: any sample at once, so that training resumes exactly.

Streaming readers (`webdataset.WebDataset("train-00000.tar")`) see the same members. Needs numpy, OpenCV and pyarrow
only.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synctalk.corpora.records import read_table
from synctalk.errors import UserError
from synctalk.shards.mosaic import decode_frames, decode_mosaic
from synctalk.shards.records import INDEX_SCHEMA, IndexRow


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


class ShardSet:
    """Samples of one or more shard folders, by number; the order is that of the folders and their indexes.

    Args:
        folders: shard folders, each with `index.parquet`.
        splits: which splits to take.

    Raises:
        UserError: an index is missing or broken, or no sample is in these splits.
    """

    def __init__(self, folders: Sequence[Path], splits: Sequence[str]) -> None:
        self.rows: list[IndexRow] = []
        self._files: list[Path] = []
        for folder in folders:
            for row in read_table(folder / "index.parquet", INDEX_SCHEMA):
                if row["split"] in splits:
                    self.rows.append(IndexRow(**row))
                    self._files.append(folder / row["shard"])
        if not self.rows:
            raise UserError(
                ", ".join(map(str, folders)), f"no sample in the splits {', '.join(splits)}", "look at rejected.parquet"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Sample:
        """Sample `number`, its bytes checked against the index.

        Raises:
            UserError: the shard is missing, truncated or altered.
        """
        row, path = self.rows[number], self._files[number]
        try:
            with path.open("rb") as file:
                blob = os.pread(file.fileno(), row.size, row.offset)
        except FileNotFoundError as error:
            raise UserError(path, "is not there", "run `dvc repro`") from error
        if hashlib.sha256(blob).hexdigest() != row.sha256:
            raise UserError(
                path, f"sample {row.key} is not what the index says", "delete the shard folder and run `dvc repro`"
            )
        members: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(blob), mode="r:") as archive:
            for member in archive:
                file_in_tar = archive.extractfile(member)
                if file_in_tar is not None:
                    members[member.name.removeprefix(row.key + ".")] = file_in_tar.read()
        return Sample(row, members)
