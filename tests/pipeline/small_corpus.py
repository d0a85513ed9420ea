"""A corpus of many small clips out of a few, and the stages from index to shards on it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from corpora.small_recipes import small

from pipeline import crop, features, index, screen, shard
from synctalk.checkpoints import save
from synctalk.corpora.synthetic.synthesize import synthesize
from synctalk.models.syncnet import SyncNet, SyncNetConfig

PROJECT = Path(__file__).parents[2]
CORPUS = "lrs2"
SCREENER = SyncNetConfig(
    image_size=32, in_channels=1, lip_widths=(4,) * 6, audio_widths=(4,) * 6, d_hidden=4, d_embedding=4
)


READ = ("adam", "corpora", "index", "crop", "screener", "screen", "shards")
"""Sections that these stages read: parsing the whole file would be most of their work on a corpus so small."""


def make_corpus(root: Path, n_clips: int) -> None:
    """An LRS2 look-alike at `root`: seven clips, each linked under many ids, every fourth in the split val."""
    template = root.with_name("template")
    synthesize(small("lrs2"), template, workers=1)
    videos = sorted(template.glob("main/*/*.mp4")) + sorted(template.glob("pretrain/*/*.mp4"))
    listed: dict[str, list[str]] = {"train": [], "val": []}
    for number in range(n_clips):
        video = videos[number % len(videos)]
        name = f"{number // 50:05d}/{number % 50:05d}"
        track = template / "face_tracks" / video.relative_to(template).with_suffix(".npz")
        for source, target in (
            (video, root / f"main/{name}.mp4"),
            (video.with_suffix(".txt"), root / f"main/{name}.txt"),
            (track, root / f"face_tracks/main/{name}.npz"),
        ):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(source)
        listed["val" if number % 4 == 3 else "train"].append(f"{name}\n")
    for split, lines in listed.items():
        (root / f"{split}.txt").write_text("".join(lines))
    shutil.rmtree(template)


def write_params(folder: Path, clips_per_part: int = 2, max_bytes: int = 200_000) -> None:
    """The project's params.yaml as far as these stages read it, with small parts and shards, and a net that screens but
    was never trained, so that it measures only.
    """
    whole = yaml.load((PROJECT / "params.yaml").read_text(), yaml.CSafeLoader)
    params = {section: whole[section] for section in READ}
    params["crop"]["clips_per_part"] = clips_per_part
    params["shards"]["max_bytes"] = max_bytes
    params["screen"]["policy"] = "measure"
    (folder / "params.yaml").write_text(yaml.dump(params, Dumper=yaml.CSafeDumper))
    torch.manual_seed(0)
    (folder / "screener").mkdir()
    save(SyncNet(SCREENER), folder / "screener" / "model.safetensors", {})


def stages(root: Path, out: Path) -> dict[str, Callable[[], None]]:
    """Name -> what DVC would run beside params.yaml, into folders of that name in `out`."""
    listed, crops, screened, sounds = out / "index", out / "crop", out / "screen", out / "features"
    return {
        "index": lambda: index.main(CORPUS, root, listed),
        "crop": lambda: crop.main(CORPUS, root, listed, crops),
        "screen": lambda: screen.main(CORPUS, root, listed, crops, Path("screener"), screened),
        "features": lambda: features.main(CORPUS, root, listed, crops, screened, sounds),
        "shard": lambda: shard.main(
            CORPUS, listed, crops, screened, sounds, out / "shard", out / "shard" / "metrics.json", out / "shard/plots"
        ),
    }


def digests(out: Path) -> dict[str, str]:
    """Path of every file below `out` -> hash of its bytes."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
