"""The net that screens, trained on the very crops and audio that it is to screen.

It knows no clip in advance to be in sync, and need not: most are, and a net of this size learns what most have in
common before it learns the exceptions by heart.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from synctalk.corpora.records import Clip, ClipTable, iter_rows
from synctalk.errors import UserError
from synctalk.faces.extract import audio_origin_s
from synctalk.features.extract import extract_features
from synctalk.features.syncnet_input import View
from synctalk.media import read_audio
from synctalk.models.syncnet import SyncNet
from synctalk.runtime.jobs import progress_bar
from synctalk.runtime.parts import n_parts_in, part_path
from synctalk.screening.params import NO_VIEW, STORED, ScreenerParams
from synctalk.shards.cache import TRAIN_SPLITS, SampleCache
from synctalk.shards.read import ShardSet
from synctalk.shards.records import CROP_SCHEMA, Crop, npy, row_to_crop
from synctalk.shards.write import INDEX, write_shards
from synctalk.training.fit import fit
from synctalk.training.loop import TrainState
from synctalk.training.syncnet import SyncNetTask

SHARD_BYTES = 256_000_000
_Candidate = tuple[int, str, Clip]
"""Part, id and clip of a crop that may be trained on."""


@dataclass(frozen=True)
class Source:
    """A corpus on its way from crops to shards: its folder, its index, and the folder of its crops."""

    root: Path
    clips: ClipTable
    crops: Path


def _candidates(source: Source, clip_frames: int) -> Iterator[_Candidate]:
    """Crops of the training splits that are long enough, in their order."""
    for number in range(n_parts_in(source.crops)):
        rows = list(iter_rows(part_path(source.crops, number), CROP_SCHEMA, ["id", "clip", "n_frames"]))
        found = source.clips.by_id({row["clip"] for row in rows})
        for row in rows:
            if found[row["clip"]].split in TRAIN_SPLITS and row["n_frames"] >= clip_frames:
                yield number, row["id"], found[row["clip"]]


def chosen(source: Source, clip_frames: int, max_clips: int) -> list[_Candidate]:
    """At most `max_clips` crops to train on, evenly spread over those of the training splits."""
    n_all = sum(1 for _ in _candidates(source, clip_frames))
    count = min(max_clips, n_all)
    taken = {number * n_all // count for number in range(count)}
    return [row for index, row in enumerate(_candidates(source, clip_frames)) if index in taken]


def training_samples(
    source: Source, rows: list[_Candidate], view: View
) -> Iterator[tuple[Clip, Crop, dict[str, bytes]]]:
    """Crops with the MFCC of the audio beside them, in their order, as shards take them, with no pictures but `view`.

    Raises:
        UserError: the crops do not hold that view.
    """
    for number in sorted({number for number, _, _ in rows}):
        clip_of = {sample: clip for part, sample, clip in rows if part == number}
        for row in iter_rows(part_path(source.crops, number), CROP_SCHEMA):
            if row["id"] in clip_of:
                clip = clip_of[row["id"]]
                unseen = {column: b"" for name, column in STORED.items() if name != view}
                crop = row_to_crop({**row, **unseen})
                if not (crop.faces or crop.mouth):
                    raise UserError("screener.net.view", f"{view}: {crop.id} has none", NO_VIEW)
                pcm = read_audio(source.root / clip.audio, audio_origin_s(clip))
                found = extract_features(pcm, crop.audio_start, crop.n_frames, ("mfcc",))
                yield clip, crop, {"mfcc": npy(found["mfcc"])}


def train_screener(sources: Mapping[str, Source], params: ScreenerParams, folder: Path) -> tuple[SyncNet, TrainState]:
    """Train the net that screens.

    Args:
        sources: corpora by name, those of `params.net.corpora`.
        params: recipe and seed.
        folder: scratch for samples and checkpoint; a run that was cut off goes on there.

    Raises:
        UserError: no crop of a training split is long enough, or the crops do not hold the view.
    """
    net = params.net
    if not any(True for name in net.corpora for _ in _candidates(sources[name], net.clip_frames)):
        raise UserError(
            "screener.net.corpora",
            f"no clip of {' or '.join(net.corpora)} is of a training split and has {net.clip_frames} frames",
            "name others, give a checkpoint, or set screen.policy to off",
        )
    packed: list[Path | str] = []
    for name in net.corpora:
        shards = folder / name
        if not (shards / INDEX).exists():
            shutil.rmtree(shards, ignore_errors=True)  # a run was killed while it packed
            rows = chosen(sources[name], net.clip_frames, params.max_clips)
            packing = training_samples(sources[name], rows, net.view)
            bar = progress_bar(iterable=packing, total=len(rows), desc=f"audio of {name}", unit="clip")
            write_shards(shards, bar, max_bytes=SHARD_BYTES)
        packed.append(shards)
    torch.manual_seed(params.seed)
    model = SyncNet(net.model)
    samples = SampleCache(ShardSet(packed, TRAIN_SPLITS))
    state = fit(SyncNetTask(model, samples, net, seed=params.seed), folder=folder, label="screener")
    return model, state
