"""Families of broken inputs, each with the whole files that they are made of and what uses them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import safetensors.torch
import sentencepiece
import torch
from checkpoints.small_networks import small
from fuzz import broken, uses
from fuzz.broken import Broken
from root import ROOT
from shards.test_round_trip import sample
from torch import nn

from synctalk.checkpoints import save
from synctalk.corpora.records import write_clips
from synctalk.errors import Reason
from synctalk.parquet import write_table
from synctalk.rejected import Rejected, write_rejected
from synctalk.shards.records import CROP_SCHEMA, crop_to_row
from synctalk.shards.write import write_shards
from synctalk.training.loop import TrainState


@dataclass(frozen=True)
class Family:
    """Broken inputs and what is done with each."""

    use: Callable[[Path], object]
    inputs: list[Broken]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def tables(folder: Path) -> dict[str, bytes]:
    write_clips(folder / "clips.parquet", [sample(number)[0] for number in range(30)])
    rejected = [Rejected(f"a{number}", "crop", Reason.NO_FACE, "no face") for number in range(30)]
    write_rejected(folder / "rejected.parquet", rejected)
    write_table(folder / "part.parquet", [crop_to_row(sample(number)[1]) for number in range(3)], CROP_SCHEMA, 2)
    return contents(folder)


def weights(folder: Path) -> dict[str, bytes]:
    """SyncNet in a file of ours, of torch in both of its forms, and as plain safetensors."""
    network = small("syncnet")
    save(network, folder / "ours.safetensors", {"a": 1})
    torch.save(network.state_dict(), folder / "zip.pt")
    torch.save(network.state_dict(), folder / "legacy.pt", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(network.state_dict(), folder / "plain.safetensors")
    return contents(folder)


def pieces() -> bytes:
    """A SentencePiece model."""
    model = io.BytesIO()
    lines = ["bin blue at f two now", "set red by a one again"] * 20
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=40, hard_vocab_limit=False, minloglevel=2
    )
    return model.getvalue()


def families(folder: Path, n: int) -> dict[str, Family]:
    """All but footage, which goes through the stages: `n` of each damage to each file, and what is built by hand.

    Args:
        folder: for the whole files.
        n: 1 takes some of what is built by hand, 2 and more all of it.
    """
    places = {name: folder / name for name in ("tables", "shards", "weights")}
    for name in ("tables", "weights"):
        places[name].mkdir(parents=True)
    write_shards(places["shards"], [sample(number) for number in range(4)], max_bytes=30_000)
    state, track, model = folder / "state.pt", folder / "track.npz", folder / "tokenizer.model"
    TrainState({"m": nn.Linear(3, 3)}, {}, 1, [(0, "a", 1.0)]).save(state)
    np.savez(track, boxes=np.zeros((uses.TRACK_FRAMES, 4)), landmarks=np.zeros((uses.TRACK_FRAMES, 5, 2)))
    model.write_bytes(pieces())
    lines = {
        "manifest.jsonl": b'["a/b.mp4", 123, 456]\n["a/c.mp4", 123, 456]\n',
        "filelist.txt": b"a/b c/d\ne/f g/h\n",
        "units.txt": b"<unk> 1\n_a 2\n_b 3\n",
    }

    def few(name: str, data: bytes, seed: int) -> list[Broken]:
        return broken.files(name.split(".")[0], {name: data}, n, seed)

    return {
        "audio": Family(uses.audio, broken.audio_files(n)),
        "text": Family(uses.text, broken.texts(n)),
        "lists": Family(uses.listing, broken.lists(n)),
        "params": Family(uses.params, broken.params_files(n, (ROOT / "params.yaml").read_bytes())),
        "tables": Family(uses.table, broken.files("table", tables(places["tables"]), n, 5)),
        "shards": Family(
            partial(uses.shards, whole=places["shards"]), broken.files("shard", contents(places["shards"]), n, 6)
        ),
        "weights": Family(uses.checkpoint, broken.files("weights", weights(places["weights"]), n, 7)),
        "state": Family(uses.state, few("state.pt", state.read_bytes(), 8)),
        "track": Family(uses.track, few("track.npz", track.read_bytes(), 9)),
        "manifest": Family(uses.manifest, few("manifest.jsonl", lines["manifest.jsonl"], 10)),
        "pairs": Family(uses.pairs, few("filelist.txt", lines["filelist.txt"], 11)),
        "units": Family(partial(uses.units, model=model), few("units.txt", lines["units.txt"], 12)),
        "tokenizer": Family(uses.tokenizer, few("tokenizer.model", model.read_bytes(), 13)),
    }
