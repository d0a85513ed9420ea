"""LPIPS and FID of whole frames, for which the user brings the networks' weights.

Legend: N frames, D features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from synctalk.checkpoints.importing import file_sha256
from synctalk.corpora.records import write_table
from synctalk.errors import UserError
from synctalk.evaluation.bootstrap import Interval, ratio_interval
from synctalk.evaluation.judges.quality import D_FEATURES, Inception, Lpips
from synctalk.evaluation.videos.frames import VideoFrames
from synctalk.evaluation.videos.pairs import Pair
from synctalk.runtime.device import torch_device
from synctalk.runtime.jobs import progress_bar

BATCH = 16
"""Frames at a time."""
LEAST_FRAMES = 2
"""Of each kind, without which there is no covariance."""


@dataclass(frozen=True)
class Nets:
    """The networks that were given, and the hashes of their files, by name."""

    lpips: Lpips | None
    inception: Inception | None
    hashes: dict[str, str]


def load_nets(alexnet: Path | None, heads: Path | None, inception: Path | None) -> Nets:
    """Load what is given.

    Raises:
        UserError: one of LPIPS' two files is not given; a file is missing, damaged, or holds something else; the
            extra `quality` is not installed.
    """
    if (alexnet is None) != (heads is None):
        raise UserError("--lpips", "comes in two files", f"give --lpips{'' if alexnet is None else '-heads'}")
    lpips = Lpips(alexnet, heads) if alexnet is not None and heads is not None else None
    files = [path for path in (alexnet, heads, inception) if path is not None]
    hashes = {f"{path.parent.name}/{path.name}": file_sha256(path) for path in files}
    return Nets(lpips, Inception(inception) if inception is not None else None, hashes)


@dataclass(frozen=True)
class ClipLpips:
    """Mean over the frames of a clip, and their number."""

    id: str
    n_frames: int
    frame_lpips: float


LPIPS_SCHEMA = pa.schema([("id", pa.string()), ("n_frames", pa.int64()), ("frame_lpips", pa.float64())])


@dataclass(frozen=True)
class Fid:
    """Fréchet distance of all generated from all real frames; it has no figure of a clip, and so no interval. It falls
    with the number of frames: compare it over equal ones.
    """

    value: float
    n_frames: int


class Moments:
    """Mean and covariance of features that come in batches, in memory of D x D."""

    def __init__(self, size: int) -> None:
        self.n = 0
        self.total = np.zeros(size)
        self.products = np.zeros((size, size))

    def add(self, features: NDArray[np.floating]) -> None:
        """Features [N, D]."""
        rows = features.astype(np.float64)
        self.n += len(rows)
        self.total += rows.sum(0)
        self.products += rows.T @ rows

    @property
    def mean(self) -> NDArray[np.float64]:
        """[D]."""
        return self.total / self.n

    @property
    def covariance(self) -> NDArray[np.float64]:
        """[D, D], of N - 1 degrees of freedom."""
        covariance: NDArray[np.float64] = (self.products - np.outer(self.total, self.mean)) / (self.n - 1)
        return covariance


def frechet_distance(a: Moments, b: Moments) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) (Heusel et al., NeurIPS 2017, eq. 6).

    The trace of the root is that of (C_a^(1/2) C_b C_a^(1/2))^(1/2), whose eigenvalues are real; so singular
    covariances, those of fewer frames than features, need no care.
    """
    values, vectors = np.linalg.eigh(a.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    of_product = np.linalg.eigvalsh(root.T @ b.covariance @ root)
    apart = a.mean - b.mean
    traces = np.trace(a.covariance) + np.trace(b.covariance)
    return float(apart @ apart + traces - 2 * np.sqrt(np.maximum(of_product, 0)).sum())


def perceive(
    pairs: Sequence[Pair], lpips: Lpips | None, inception: Inception | None
) -> tuple[list[ClipLpips], Fid | None]:
    """LPIPS of each pair whose frames can be compared, in their order, and FID over the frames of them all.

    Args:
        pairs: that could be scored.
        lpips: None leaves it out.
        inception: None leaves out FID, as fewer than `LEAST_FRAMES` frames do.

    Raises:
        UndecodedError: a video changed since it was scored.
    """
    device = torch_device()
    nets = [net.to(device) for net in (lpips, inception) if net is not None]
    clips, moments = [], (Moments(D_FEATURES), Moments(D_FEATURES)) if inception is not None else None
    for pair in progress_bar(iterable=pairs, desc="LPIPS, FID", unit="clip") if nets else ():
        if pair.reference is None or not pair.comparable:
            continue
        made, real = VideoFrames(pair.generated, "generated"), VideoFrames(pair.reference, "real")
        if made.shape != real.shape:
            continue
        distances: list[float] = []
        for batch in _batches(made, real, device):
            if lpips is not None:
                distances += lpips(*batch).tolist()
            if moments is not None and inception is not None:
                for side, pictures in zip(moments, batch, strict=True):
                    side.add(inception(pictures).cpu().numpy())
        if lpips is not None:
            clips.append(ClipLpips(pair.id, len(distances), float(np.mean(distances))))
    enough = moments is not None and moments[0].n >= LEAST_FRAMES
    return clips, Fid(frechet_distance(*moments), moments[0].n) if moments is not None and enough else None


def _batches(made: VideoFrames, real: VideoFrames, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Frames that both have, RGB uint8 [N, 3, H, W] each."""
    both = zip(made, real, strict=False)
    while rows := list(islice(both, BATCH)):
        generated, truth = (torch.from_numpy(np.stack(side)).permute(0, 3, 1, 2) for side in zip(*rows, strict=True))
        yield generated.to(device), truth.to(device)


def mean_lpips(clips: Sequence[ClipLpips]) -> Interval:
    """Mean of the clips' means with its 95 % interval."""
    values = np.asarray([clip.frame_lpips for clip in clips])
    return ratio_interval(values, np.ones(len(values)))


def write_lpips(path: Path, clips: Sequence[ClipLpips]) -> None:
    """Write LPIPS as parquet, one row a clip."""
    write_table(path, [asdict(clip) for clip in clips], LPIPS_SCHEMA)
