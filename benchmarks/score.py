"""LSE scoring beside the published scripts' way, on the same clips with the same figures.

    python benchmarks/score.py [CLIPS]        core-seconds on one core, or seconds on a GPU; figures compared

CLIPS is a folder of videos at 25 frames a second. `--sync` takes SyncNet's weights; without it the published
architecture has weights made by formula, which cost the same and say nothing about lips. `--frames-from-memory N` needs
no video, OpenCV, PyAV or MFCC: N clips of 75 random frames, so that the networks, and what feeds them, can be timed on
a machine that has only torch and NumPy; the dump is then in neither way.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import peer_score as peer
import torch
from torch import Tensor

from synctalk.metrics.lse import lse
from synctalk.models.sync_scorer import SyncScorer
from synctalk.models.syncnet import SyncNet

CLIPS = Path("../shared/clips/grid")
NETWORK = "networks"
AIM_NETWORK, AIM_FLOAT32, AIM_BFLOAT16, AIM_OUTSIDE, AIM_GPU = 1.05, 1.5, 2.5, 8.0, 10.0
FRAMES = 75
Found = tuple[int, float, float]
"""Offset, LSE-D, LSE-C."""


class Clock:
    """Seconds by step: CPU time of this process, or wall time where a GPU works."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self.inside = 0.0

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            return time.perf_counter()
        return time.process_time()

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        """A step; what steps inside it take is theirs."""
        outer, self.inside = self.inside, 0.0
        begun = self.now()
        yield
        spent = self.now() - begun
        self.seconds[step] += spent - self.inside
        self.inside = outer + spent

    @contextmanager
    def networks(self, *modules: torch.nn.Module) -> Iterator[None]:
        """Account the forward passes of `modules` to `NETWORK`."""
        hooks = []
        for module in modules:
            steps: list[AbstractContextManager[object]] = []

            def begin(*_: object, steps: list[AbstractContextManager[object]] = steps) -> None:
                steps.append(self.of(NETWORK))
                steps[-1].__enter__()

            def end(*_: object, steps: list[AbstractContextManager[object]] = steps) -> None:
                steps.pop().__exit__(None, None, None)

            hooks += [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]
        yield
        for hook in hooks:
            hook.remove()


def published_way(video: Path, net: SyncNet, device: torch.device, clock: Clock) -> Found:
    """One clip, as the published scripts score it."""
    from synctalk.media import probe, read_audio, write_audio

    with (
        tempfile.TemporaryDirectory() as name,
        clock.networks(net.netcnnlip, net.netfclip, net.netcnnaud, net.netfcaud),
    ):
        folder = Path(name)
        with clock.of("frames to JPEG files"):
            peer.dump(video, folder)
        with clock.of("audio to a WAV file"):
            stream = probe(video).video
            write_audio(folder / "audio.wav", read_audio(video, stream.start_s if stream else 0.0))
        with clock.of("read files, resize"):
            pictures = peer.read_dump(folder)
        with clock.of("frames to one tensor"):
            frames = peer.stack_frames(pictures)
        with clock.of("MFCC"):
            cepstra, n_samples = peer.read_mfcc(folder / "audio.wav")
        with clock.of("windows, moves"):
            lips, audio = peer.embed(net, frames, cepstra, n_samples, device)
        with clock.of("distances"):
            return peer.distances(lips, audio)


def our_way(video: Path, scorer: SyncScorer, clock: Clock, *, jpeg: bool) -> Found:
    """One clip, as `synctalk score` does in the protocol of LRS, its frames decoded as the network asks for them."""
    from synctalk.features import mfcc
    from synctalk.features.syncnet_input import judge_pictures
    from synctalk.media import iter_frames, probe, read_audio, resample_index

    with clock.networks(scorer.lips, scorer.lip_head, scorer.audio):
        with clock.of("audio, MFCC"):
            info = probe(video)
            assert info.video is not None
            pcm = read_audio(video, info.video.start_s)
            cepstra = torch.from_numpy(mfcc(pcm).astype(np.float32))
        frames = iter_frames(video, resample_index(info.video), info.video, jpeg=jpeg)

        def pictures() -> Iterator[Tensor]:
            while True:
                with clock.of("decode" + (", JPEG in memory" if jpeg else "")):
                    frame = next(frames, None)
                if frame is None:
                    return
                with clock.of("resize"):
                    picture = judge_pictures(frame[None], scorer.config)[0]
                yield torch.from_numpy(picture)

        with clock.of("windows, moves"):
            lips, audio = scorer.embed(pictures(), cepstra, len(pcm))
        with clock.of("distances"):
            found = lse(lips, audio)
    return found.offset, found.distance, found.confidence


def from_memory(number: int) -> tuple[list[np.ndarray], Tensor]:
    """Frames BGR uint8 [224, 224, 3] and cepstra [13, 300] of a random clip."""
    random = np.random.default_rng(number)
    pictures = list(random.integers(0, 256, (FRAMES, 224, 224, 3), dtype=np.uint8))
    return pictures, torch.from_numpy(random.normal(0, 10, (13, 4 * FRAMES)).astype(np.float32))


def published_from_memory(number: int, net: SyncNet, device: torch.device, clock: Clock) -> Found:
    pictures, cepstra = from_memory(number)
    with clock.networks(net.netcnnlip, net.netfclip, net.netcnnaud, net.netfcaud):
        with clock.of("frames to one tensor"):
            frames = peer.stack_frames(pictures)
        with clock.of("windows, moves"):
            lips, audio = peer.embed(net, frames, cepstra[None, None], FRAMES * 640, device)
        with clock.of("distances"):
            return peer.distances(lips, audio)


def ours_from_memory(number: int, scorer: SyncScorer, clock: Clock) -> Found:
    pictures, cepstra = from_memory(number)
    with clock.networks(scorer.lips, scorer.lip_head, scorer.audio):
        with clock.of("windows, moves"):
            frames = (torch.from_numpy(picture).permute(2, 0, 1) for picture in pictures)
            lips, audio = scorer.embed(frames, cepstra, FRAMES * 640)
        with clock.of("distances"):
            found = lse(lips, audio)
    return found.offset, found.distance, found.confidence


def measure(run: Callable[[object, Clock], Found], clips: list, device: torch.device, repeats: int) -> tuple:
    """Median seconds by step over the repeats, a clip, after a run of the first clip that is not counted; and what was
    found of each.
    """
    run(clips[0], Clock(device))
    runs, found = [], []
    for _ in range(repeats):
        clock = Clock(device)
        found = [run(clip, clock) for clip in clips]
        runs.append(clock.seconds)
    return {step: median(one[step] for one in runs) / len(clips) for step in runs[0]}, found


def show(title: str, seconds: dict[str, float]) -> tuple[float, float]:
    """Print the steps; returns seconds a clip in all and outside the networks."""
    whole = sum(seconds.values())
    print(f"\n{title}: {1 / whole:.3f} clips a second")
    for step, spent in seconds.items():
        print(f"  {step:<28}{1e3 * spent:10.2f} ms a clip{spent / whole:7.1%}")
    return whole, whole - seconds[NETWORK]


def aim(what: str, value: float, limit: float, *, most: bool = False) -> None:
    verdict = "meets" if (value <= limit if most else value >= limit) else "MISSES"
    print(f"{what}: {value:.3g}, {verdict} the aim of {'at most ' if most else ''}{limit:g}")


def compare(found: list[Found], theirs: list[Found], what: str) -> None:
    offsets = sum(a[0] != b[0] for a, b in zip(found, theirs, strict=True))
    worst = [max(abs(a[k] - b[k]) for a, b in zip(found, theirs, strict=True)) for k in (1, 2)]
    scale = sum(b[1] for b in theirs) / len(theirs)
    print(
        f"{what}: {offsets} of {len(found)} offsets differ, LSE-D by at most {worst[0]:.2g}, LSE-C by {worst[1]:.2g} "
        f"(LSE-D is {scale:.4g})"
    )


def compare_ways(options: argparse.Namespace, net: SyncNet, device: torch.device) -> None:
    """Both ways on the same clips."""
    net = net.to(device)
    scorers = {dtype: SyncScorer(net, dtype).to(device) for dtype in ("float32", "bfloat16")}
    if options.frames_from_memory:
        clips: list = list(range(options.frames_from_memory))
        ways = {"published way": lambda clip, clock: published_from_memory(clip, net, device, clock)} | {
            f"ours, {dtype}": lambda clip, clock, scorer=scorer: ours_from_memory(clip, scorer, clock)
            for dtype, scorer in scorers.items()
        }
    else:
        clips = videos(options.clips)
        ways = {"published way": lambda clip, clock: published_way(clip, net, device, clock)} | {
            f"ours, {dtype}, with JPEG": lambda clip, clock, scorer=scorer: our_way(clip, scorer, clock, jpeg=True)
            for dtype, scorer in scorers.items()
        }
        ways["ours, float32, without JPEG"] = lambda clip, clock: our_way(clip, scorers["float32"], clock, jpeg=False)
    seconds, found, totals = {}, {}, {}
    for name, way in ways.items():
        seconds[name], found[name] = measure(way, clips, device, options.repeats)
        totals[name] = show(name, seconds[name])
    published, plain, half, *without = ways
    print()
    compare(found[plain], found[published], "float32 beside the published way")
    compare(found[half], found[plain], "bfloat16 beside float32")
    if without:
        compare(found[without[0]], found[plain], "without JPEG beside with it")
    whole, outside = totals[plain]
    aim("whole time over the networks' own", whole / seconds[plain][NETWORK], AIM_NETWORK, most=True)
    aim("float32, times the published way", totals[published][0] / whole, AIM_GPU if on_gpu(device) else AIM_FLOAT32)
    aim("bfloat16, times the published way", totals[published][0] / totals[half][0], AIM_BFLOAT16)
    if outside > 0:
        aim("outside the networks, times the published way", totals[published][1] / outside, AIM_OUTSIDE)


def on_gpu(device: torch.device) -> bool:
    return device.type == "cuda"


def videos(folder: Path) -> list[Path]:
    """Videos of a folder."""
    from synctalk.corpora.listing import VIDEO_SUFFIXES

    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        raise SystemExit(f"{folder} holds no video")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="?", type=Path, default=CLIPS)
    parser.add_argument("--sync", type=Path, help="syncnet_v2.model, or a SyncNet of ours that sees frames")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--frames-from-memory", type=int, default=0, metavar="N")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if options.sync:
        from synctalk.checkpoints.typed import load_syncnet

        net = load_syncnet(options.sync)
    else:
        net = peer.formula_syncnet()
    name = torch.cuda.get_device_name() if on_gpu(device) else "one core"
    print(f"{name}, torch {torch.__version__}")
    if not on_gpu(device):
        torch.set_num_threads(1)
        if importlib.util.find_spec("cv2"):
            from meter import use_one_core, watch_for_others

            use_one_core()
            with watch_for_others():
                return compare_ways(options, net, device)
    return compare_ways(options, net, device)


if __name__ == "__main__":
    main()
