"""Training step and decoding of AV-HuBERT beside the same net as the peers' code computes it.

    python benchmarks/av_hubert.py train --size large --frames 8000     # on a GPU where there is one
    python benchmarks/av_hubert.py train --size small --frames 600
    python benchmarks/av_hubert.py decode --size base --beam 5 --clips 16

Both nets have the same random weights and see the same clips, whose lengths are drawn as those of pre-training clips
are spread: log-normal around 4 s. Frames are real ones; padding is not counted, nor is its arithmetic in the MFU.
Every figure is the median of the repeats, in one run, after a warm-up.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from peer_av_hubert import as_the_peer
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from synctalk.losses.masked_prediction import masked_prediction_loss
from synctalk.models.av_hubert import BASE, AVHubert, AVHubertConfig
from synctalk.models.beam_search import BeamConfig, Hypothesis, beam_search
from synctalk.models.lip_reader import LipReader, LipReaderConfig
from synctalk.models.masking import draw_span_masks
from synctalk.models.resnet import FrontEndConfig, VideoFrontEnd
from synctalk.runtime.device import set_threads, torch_device

SIZES = {
    "small": replace(
        AVHubertConfig(d_model=256, n_layers=4, d_ffn=1024, n_heads=4),
        front_end=FrontEndConfig(stem_width=16, widths=(16, 32, 64, 128), blocks=(1, 1, 1, 1)),
    ),
    "base": BASE,
    "large": AVHubertConfig(),
}
CROP = 88
PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0, "4090": 165.0}
"""Dense bfloat16 multiply-adds of the data sheets, 10^12 operations a second."""


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of `work` after one unmeasured call."""
    work()
    times = []
    for _ in range(repeats):
        synchronise()
        start = time.perf_counter()
        work()
        synchronise()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def synchronise() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def clip_lengths(n_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Frames of clips that hold about `n_frames` together: log-normal around 100, between 25 and 400."""
    lengths = np.clip(rng.lognormal(np.log(100), 0.5, size=4 * n_frames // 100 + 8), 25, 400).astype(np.int64)
    return lengths[: max(1, int(np.searchsorted(lengths.cumsum(), n_frames)))]


def bucketed_batches(n_frames: np.ndarray, max_frames: int, *, seed: int, epoch: int) -> list[list[int]]:
    """One epoch of batches of clips of like length, each of at most `max_frames` frames, its padding counted.

    Clips are sorted by length with ties in random order, filled into batches, and the batches are shuffled; all of it
    a function of (seed, epoch). A clip longer than `max_frames` is a batch of its own.

    Args:
        n_frames: of each clip, [n].
        max_frames: clips times frames of the longest.
        seed, epoch: of the draws.
    """
    rng = np.random.default_rng([seed, epoch])
    order = np.lexsort((rng.permutation(len(n_frames)), n_frames))
    batches: list[list[int]] = []
    for number in order.tolist():
        # ascending, so the newest clip is the longest of its batch
        if batches and (len(batches[-1]) + 1) * int(n_frames[number]) <= max_frames:
            batches[-1].append(number)
        else:
            batches.append([number])
    return [batches[place] for place in rng.permutation(len(batches))]


def make_batch(lengths: np.ndarray, config: AVHubertConfig) -> dict[str, Tensor]:
    """Random inputs of clips of those lengths, on the device."""
    width = int(lengths.max())
    rng = np.random.default_rng(0)
    padding = torch.arange(width)[None] >= torch.from_numpy(lengths)[:, None]
    masks = draw_span_masks(lengths, width, audio=(0.8, 10), video=(0.3, 5), rng=rng)
    device = torch_device()
    return {
        "audio": torch.randn(len(lengths), width, config.d_audio, device=device),
        "video": torch.randn(len(lengths), 1, width, CROP, CROP, device=device),
        "padding": padding.to(device),
        "masks": masks.to(device),
        "labels": torch.randint(config.n_labels, (len(lengths), width), device=device),
    }


def train_step(model: AVHubert, optimizer: torch.optim.Optimizer, batch: dict, dtype: torch.dtype | None) -> None:
    """Eq. 3 on one batch: forward, backward, clip, update."""
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(torch_device().type, dtype or torch.bfloat16, enabled=dtype is not None):
        found = model(batch["audio"], batch["video"], batch["padding"], batch["masks"])
    loss = masked_prediction_loss(
        logits=found.logits, labels=batch["labels"], masked=found.masked, padding=batch["padding"]
    )
    (loss.masked + loss.unmasked + 10 * found.feature_penalty).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    optimizer.step()


def flops_per_frame(model: AVHubert, config: AVHubertConfig) -> float:
    """Forward and backward operations a real frame, counted on one clip of 100 frames."""
    batch = make_batch(np.asarray([100]), config)
    with FlopCounterMode(display=False) as counter:
        found = model(batch["audio"], batch["video"], batch["padding"], batch["masks"])
        found.logits.sum().backward()
    return counter.get_total_flops() / 100


def time_epoch(
    model: nn.Module, batches: list[dict[str, Tensor]], dtype: torch.dtype | None, repeats: int
) -> tuple[float, str]:
    """Seconds of a training step on every batch, and the peak of the GPU's memory where there is one."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def epoch() -> None:
        for batch in batches:
            train_step(model, optimizer, batch, dtype)

    if not torch.cuda.is_available():
        return seconds(epoch, repeats), ""
    torch.cuda.reset_peak_memory_stats()
    took = seconds(epoch, repeats)
    return took, f"{torch.cuda.max_memory_allocated() / 2**30:6.1f} GiB"


def compiled_parts(model: AVHubert) -> AVHubert:
    """A copy whose Transformer layers and ResNet blocks are compiled, each kind once for all of its like."""
    copied = deepcopy(model)
    resnet = copied.feature_extractor_video.resnet
    assert isinstance(resnet, VideoFrontEnd)
    for part in (*copied.encoder.layers, *(block for stage in resnet.trunk.children() for block in stage)):
        part.compile(dynamic=True)
    return copied


def compare_training(size: str, frames: int, repeats: int, *, compiled: bool, peer: bool) -> None:
    """Print frames per second, peak memory and MFU of both nets."""
    config = replace(SIZES[size], modality_dropout=0.0, layerdrop=0.0, feature_grad_mult=1.0)
    torch.manual_seed(1)
    ours = AVHubert(config).to(torch_device()).train()
    n_batches = 4
    lengths = clip_lengths(n_batches * frames, np.random.default_rng(1))
    cost = flops_per_frame(ours, config)
    in_order = np.array_split(lengths, n_batches)
    buckets = [lengths[numbers] for numbers in bucketed_batches(lengths, frames, seed=1, epoch=0)]
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    most = next((value for key, value in PEAK_TFLOPS.items() if key in name), 0.0)
    n_weights = sum(weights.numel() for weights in ours.parameters()) / 1e6
    print(f"{size}: {n_weights:.0f} M parameters, {cost / 1e9:.2f} GFLOP a frame, {name}")
    print(f"{len(lengths)} clips of {lengths.min()}..{lengths.max()} frames, about {frames} frames a batch")
    bf16 = torch.bfloat16 if torch.cuda.is_available() else None
    rows: list[tuple[str, nn.Module, list[np.ndarray], torch.dtype | None]] = []
    if peer:
        rows.append(("peer, float32", as_the_peer(ours), in_order, None))
    if peer and bf16:
        rows.append(("peer, bfloat16", as_the_peer(ours), in_order, bf16))
    if peer or not bf16:
        rows.append(("ours, float32, buckets", ours, buckets, None))
    if bf16:
        rows.append(("ours, bfloat16, random batches", ours, in_order, bf16))
        rows.append(("ours, bfloat16, buckets", ours, buckets, bf16))
        if compiled:
            rows.append(("ours, bfloat16, buckets, compiled", compiled_parts(ours), buckets, bf16))
    base = 0.0
    for label, model, split, dtype in rows:
        took, memory = time_epoch(model, [make_batch(part, config) for part in split], dtype, repeats)
        speed = lengths.sum() / took
        base = base or speed
        mfu = f"MFU {speed * cost / most / 1e12:5.1%}" if most else ""
        print(f"{label:36s} {speed:9.0f} frames/s  {speed / base:5.2f}x  {memory}  {mfu}", flush=True)


def decode_one_by_one(reader: LipReader, clips: list[Tensor], config: BeamConfig) -> Iterator[list[Hypothesis]]:
    """The released evaluation's loop, one utterance at a time."""
    for clip in clips:
        video = clip[None, None]
        yield beam_search(reader, reader.encode(None, video), None, config)[0]


def decode_together(
    reader: LipReader, clips: list[Tensor], config: BeamConfig, max_frames: int
) -> list[list[Hypothesis]]:
    """All clips in batches of like lengths; results in the order of `clips`."""
    found: dict[int, list[Hypothesis]] = {}
    lengths = np.asarray([len(clip) for clip in clips])
    for numbers in bucketed_batches(lengths, max_frames, seed=0, epoch=0):
        width = int(lengths[numbers].max())
        video = nn.utils.rnn.pad_sequence([clips[number] for number in numbers], batch_first=True)[:, None]
        padding = torch.arange(width)[None] >= torch.from_numpy(lengths[numbers])[:, None]
        padding = padding.to(video.device)
        encoded = reader.encode(None, video, padding)
        found |= dict(zip(numbers, beam_search(reader, encoded, padding, config), strict=True))
    return [found[number] for number in range(len(clips))]


@torch.no_grad()
def compare_decoding(size: str, n_clips: int, beam: int, repeats: int, max_frames: int) -> None:
    """Print utterances per second of both, and how many best hypotheses agree."""
    torch.manual_seed(1)
    config = LipReaderConfig(encoder=SIZES[size], vocabulary=1000)
    reader = LipReader(config).to(torch_device()).eval()
    peer = as_the_peer(reader)
    lengths = np.clip(np.random.default_rng(2).lognormal(np.log(36), 0.4, n_clips), 15, 145).astype(int)
    clips = [torch.randn(int(length), CROP, CROP, device=torch_device()) for length in lengths]
    search = BeamConfig(beam=beam, max_len_a=0.3, max_len_b=2)
    print(f"{size}, beam {beam}, {n_clips} clips of {lengths.min()}..{lengths.max()} frames")
    alone = seconds(lambda: list(decode_one_by_one(peer, clips, search)), repeats)
    print(f"{'peer, one at a time, float32':36s} {n_clips / alone:8.2f} utterances/s", flush=True)
    first = [found[0].tokens.tolist() for found in decode_one_by_one(peer, clips, search)]
    for label, dtype in (("ours, batches, float32", None), ("ours, batches, bfloat16", torch.bfloat16)):
        if dtype and not torch.cuda.is_available():
            continue
        with torch.autocast(torch_device().type, dtype or torch.bfloat16, enabled=dtype is not None):
            together = seconds(lambda: decode_together(reader, clips, search, max_frames), repeats)
            best = [found[0].tokens.tolist() for found in decode_together(reader, clips, search, max_frames)]
        same = sum(a == b for a, b in zip(first, best, strict=True))
        print(f"{label:36s} {n_clips / together:8.2f} utterances/s  {alone / together:5.2f}x  {same}/{n_clips} equal")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "decode"])
    parser.add_argument("--size", choices=sorted(SIZES), default="small")
    parser.add_argument("--frames", type=int, default=600, help="frames of a training or decoding batch")
    parser.add_argument("--clips", type=int, default=16, help="utterances to decode")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="one more row: torch.compile")
    parser.add_argument("--no-peer", action="store_true", help="this code alone, in bfloat16 where there is a GPU")
    wanted = parser.parse_args()
    set_threads()
    if wanted.what == "train":
        compare_training(wanted.size, wanted.frames, wanted.repeats, compiled=wanted.compile, peer=not wanted.no_peer)
    else:
        compare_decoding(wanted.size, wanted.clips, wanted.beam, wanted.repeats, wanted.frames)


if __name__ == "__main__":
    main()
