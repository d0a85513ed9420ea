"""How fast faces are made and pasted back, decoding and encoding of the video left out.

    python benchmarks/generate.py --size small
    python benchmarks/generate.py --size paper --frames 750     # on a GPU

Random frames and audio of one clip, the faces in batches of 64: crop, generator, paste. Wall time, median of the
repeats after a warm-up; real time is 25 frames a second. With `--size small` the networks are the demo's.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from train_step import DISCRIMINATORS, FACE, FRAME, IMAGES, READERS

from synctalk.faces.crop import crop_faces, paste_back
from synctalk.generation.faces import generate_faces
from synctalk.models.synctalklip import SyncTalklip, SyncTalklipConfig
from synctalk.runtime.device import set_threads, torch_device
from synctalk.timebase import FPS, STACKED_FBANK


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of `work`, which ends on the CPU, after one unmeasured call."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=sorted(READERS), default="small")
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    set_threads()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    config = SyncTalklipConfig(image=IMAGES[asked.size], discriminator=DISCRIMINATORS[asked.size], audio_detail=0)
    model = SyncTalklip(config, READERS[asked.size].encoder).eval()
    frames = rng.integers(0, 256, (asked.frames, FRAME, FRAME, 3)).astype(np.uint8)
    corner = rng.integers(25, 45, (asked.frames, 2))
    boxes = np.concatenate([corner, corner + rng.integers(70, 110, (asked.frames, 2))], axis=1).astype(np.int32)
    audio, rows = rng.normal(size=(asked.frames, STACKED_FBANK)).astype(np.float32), np.arange(asked.frames)
    faces = crop_faces(frames, boxes, FACE)

    def make() -> np.ndarray:
        return generate_faces(model, faces, faces[:1], audio, rows, asked.batch)

    made = make()
    steps = {
        "crop": lambda: crop_faces(frames, boxes, FACE),
        "make": make,
        "paste": lambda: [paste_back(frame, face, box) for frame, face, box in zip(frames, made, boxes, strict=True)],
    }
    took = {name: seconds(work, asked.repeats) for name, work in steps.items()}
    name = torch.cuda.get_device_name() if torch_device().type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{asked.size}: {asked.frames} frames of {FRAME} pixels, {name}")
    print(", ".join(f"{step} {asked.frames / spent:.0f} frames/s" for step, spent in took.items()))
    rate = asked.frames / sum(took.values())
    print(f"together {rate:.0f} frames/s, {rate / FPS:.1f} times real time")


if __name__ == "__main__":
    main()
