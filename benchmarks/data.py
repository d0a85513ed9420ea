"""Data preparation and training-side reading against what a user would run instead, in core-seconds.

    python benchmarks/data.py prepare [CLIPS]   whole path beside Wav2Lip's and insightface's ways
    python benchmarks/data.py read [CLIPS]      samples for training beside Wav2Lip's and AV-HuBERT's ways

CLIPS is a folder of videos, one talking face in each. All work is done on one core with one thread a library, and
measured as CPU time of the process: a way's first run is not counted, of the others the median is taken. Inputs are the
same for all ways and lie in the page cache.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import cv2
import numpy as np
import peer_data as peers
import torch
import typer
from meter import Stopwatch, cpu_seconds, repeat, use_one_core, watch_for_others
from numpy.typing import NDArray
from torch import Tensor

import synctalk.corpora.layouts
import synctalk.faces.detect
import synctalk.faces.extract
from synctalk.corpora.index import index_corpus
from synctalk.corpora.layouts import read_corpus
from synctalk.corpora.records import Clip, ClipTable, write_clips, write_table
from synctalk.faces.align import MEAN_FACE, crop_mouth, mouth_transforms
from synctalk.faces.corpus import crop_corpus
from synctalk.faces.detect import Detector, DetectorParams, make_detector
from synctalk.faces.extract import CropParams, audio_origin_s, crop_clip
from synctalk.faces.track import iou
from synctalk.features import normalise_fbank, stacked_log_fbank
from synctalk.features.corpus import extract_corpus
from synctalk.features.extract import extract_features
from synctalk.features.roi_input import CROP_SIZE, centre_crop
from synctalk.features.speech_batch import mouth_input
from synctalk.media import read_audio, read_video, write_audio, write_video
from synctalk.params.read import load
from synctalk.runtime.parts import part_path
from synctalk.shards.corpus import ShardParams, iter_index, pack_corpus
from synctalk.shards.read import ShardSet
from synctalk.shards.records import CROP_SCHEMA, FEATURE_SCHEMA, Crop, crop_to_row, npy
from synctalk.shards.screened import write_unscreened

MEMBERS = ("faces", "mouth", "fbank", "mfcc", "mel")
FACE_SIZE, MOUTH_SIZE = 96, 96
SHARDS = ShardParams(max_bytes=10**9)
AIM_S3FD, AIM_SCRFD, AIM_ROI, AIM_IOU = 300.0, 15.0, 10.0, 0.95
AIM_WAV2LIP, AIM_AVHUBERT = 5.0, 5.0
STAGE_COPIES = 8
"""How often each clip stands in the corpus that the stages are run on."""
ONCE = "load the detector"
"""Step that a run does once and not for every frame; it is no part of the rates."""

STEPS = (
    (synctalk.corpora.layouts, "probe_clip", "index: probe"),
    (synctalk.faces.extract, "probe", "crop: probe"),
    (synctalk.faces.extract, "read_audio", "crop: decode sound (length, loudness)"),
    (synctalk.faces.extract, "read_video", "crop: decode pictures"),
    (synctalk.faces.extract, "find_tracks", "crop: shot changes, tracks"),
    (synctalk.faces.detect.YuNet, "__call__", "crop: detect"),
    (synctalk.faces.detect.InsightFace, "__call__", "crop: detect"),
    (synctalk.faces.extract, "mouth_transforms", "crop: mouth regions"),
    (synctalk.faces.extract, "crop_mouth", "crop: mouth regions"),
    (synctalk.faces.extract, "crop_faces", "crop: faces"),
    (synctalk.faces.extract, "encode_mosaic", "crop: JPEG"),
)
"""Where the clock of a step stands: module, name, step."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)

Clips = Annotated[Path, typer.Argument(help="Folder of videos.")]
Yunet = Annotated[Path, typer.Option(help="face_detection_yunet_2023mar.onnx")]
Scrfd = Annotated[Path, typer.Option(help="An SCRFD file of insightface: det_500m.onnx, det_10g.onnx")]
Repeats = Annotated[int, typer.Option(help="Counted runs of each way.")]
CLIPS, YUNET = Path("../shared/clips/grid"), Path("../shared/models/face_detection_yunet_2023mar.onnx")
SCRFD = Path("../shared/models/det_500m.onnx")


@contextlib.contextmanager
def clocks(meter: Stopwatch) -> Iterator[None]:
    """Account the steps of `STEPS` wherever the pipeline runs them."""
    with contextlib.ExitStack() as stack:
        for module, name, step in STEPS:
            stack.enter_context(patch.object(module, name, meter.timed(step, getattr(module, name))))
        yield


def crop_params(detector: str, weights: Path, det_size: int, every: int) -> CropParams:
    """Cropping as params.yaml has it, with faces and mouths of the paper's size and one detector."""
    params = load("crop", CropParams)
    found = DetectorParams(weights=str(weights.absolute()), det_size=det_size, min_score=0.5)
    return replace(
        params,
        face_size=FACE_SIZE,
        mouth=replace(params.mouth, size=MOUTH_SIZE),
        track=replace(params.track, detect_every=every),
        detectors={detector: found},
    )


def prepare_ours(root: Path, kind: str, params: CropParams, folder: Path, meter: Stopwatch) -> list[Clip]:
    """What the stages index, crop, features and shard do with each clip, and their files, in this one process; the
    shards come to lie in `folder`/shards.
    """
    crops, features = folder / "crops", folder / "features"
    with meter.of(ONCE):
        detector = make_detector(kind, params.detectors[kind])
    with clocks(meter):
        with meter.of("index: lists"):
            listed = [
                synctalk.corpora.layouts.probe_clip(root, clip).clip for clip in read_corpus("folder", root).clips
            ]
            write_clips(folder / "clips.parquet", listed)
        clips = list(ClipTable(folder / "clips.parquet"))
        with meter.of("crop: quality, files"):
            samples = [sample for clip in clips for sample in crop_clip(root, clip, params, detector, MEMBERS)]
            kept = [sample for sample in samples if isinstance(sample, Crop)]
            write_table(part_path(crops, 0), [crop_to_row(crop) for crop in kept], CROP_SCHEMA)
    rows = []
    for clip, crop in zip(clips, kept, strict=True):
        with meter.of("features: decode sound"):
            pcm = read_audio(root / clip.audio, audio_origin_s(clip))
        with meter.of("features: compute"):
            found = extract_features(pcm, crop.audio_start, crop.n_frames, MEMBERS)
        rows.append({"id": crop.id, **{name: npy(array) for name, array in found.items()}})
    with meter.of("features: files"):
        write_table(part_path(features, 0), rows, FEATURE_SCHEMA)
    with meter.of("shard"), contextlib.chdir(folder):
        write_unscreened(crops, folder / "screening")
        listing = ClipTable(folder / "clips.parquet")
        pack_corpus("bench", listing, crops, folder / "screening", features, SHARDS, folder / "shards")
    return clips


def prepared(root: Path, kind: str, params: CropParams, folder: Path) -> tuple[list[Clip], ShardSet]:
    """Clips of `root` and their shards in `folder`, not timed."""
    clips = prepare_ours(root, kind, params, folder, Stopwatch())
    return clips, ShardSet([folder / "shards"], ["test"])


def stages_rate(root: Path, kind: str, params: CropParams, folder: Path, copies: int) -> float:
    """Frames per core-second of the stages as `dvc repro` runs them, every clip in a guarded process; that these start
    and load the detector is counted, so each clip stands in the corpus `copies` times.
    """
    corpus = folder / "corpus"
    for number in range(copies):
        (corpus / str(number)).mkdir(parents=True)
        for clip in read_corpus("folder", root).clips:
            (corpus / str(number) / Path(clip.video).name).symlink_to(root / clip.video)
    with contextlib.chdir(folder):
        before = cpu_seconds()
        clips = index_corpus("bench", "folder", corpus, Path("index"))
        crop_corpus("bench", corpus, clips, params, kind, MEMBERS, Path("crops"))
        write_unscreened(Path("crops"), Path("screening"))
        extract_corpus("bench", corpus, clips, Path("crops"), Path("screening"), MEMBERS, Path("features"))
        pack_corpus("bench", clips, Path("crops"), Path("screening"), Path("features"), SHARDS, Path("shards"))
        spent = cpu_seconds() - before
        return sum(row.n_frames for row in iter_index(Path("shards"))) / spent


def mean_overlap(samples: ShardSet, root: Path, clips: list[Clip], detector: Detector) -> float:
    """Mean IoU of the boxes in the shards with the same detector run on every frame; a frame that it finds no face in
    is left out.
    """
    overlaps = []
    for number in range(len(samples)):
        sample = samples[number]
        clip = next(clip for clip in clips if clip.id == sample.row.clip)
        frames = read_video(root / clip.video).frames[sample.row.start :]
        for box, detections in zip(sample.boxes.astype(np.float32), detector(list(frames)), strict=False):
            found = [iou(box, detection.box) for detection in detections]
            if found:
                overlaps.append(max(found))
    return float(np.mean(overlaps))


def print_way(title: str, seconds: dict[str, float], n_frames: int, n_clips: int) -> float:
    """One way's steps and rates; returns frames per core-second."""
    per_frame = {step: spent / n_frames for step, spent in seconds.items() if step != ONCE}
    whole = sum(per_frame.values())
    print(f"\n{title}")
    for step, spent in per_frame.items():
        print(f"  {step:<40}{1e6 * spent:10.1f} us a frame{spent / whole:7.1%}")
    print(f"  whole: {1 / whole:.1f} frames, {n_clips / n_frames / whole:.3f} clips a core-second")
    if ONCE in seconds:
        print(f"  and once a worker, not counted: {ONCE}, {seconds[ONCE]:.2f} s")
    return 1 / whole


def print_aim(what: str, value: float, aim: float, unit: str = "times") -> None:
    verdict = "meets" if value >= aim else "MISSES"
    print(f"{what}: {value:.3g} {unit}, {verdict} the aim of {aim:g}")


def folder_bytes(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.rglob(pattern))


def write_wav2lip(folder: Path, clips: list[Clip], root: Path, samples: ShardSet, meter: Stopwatch) -> None:
    """Wav2Lip's stored form of all clips, its boxes taken from our shards."""
    for number, clip in enumerate(clips):
        with meter.of("decode pictures (OpenCV)"):
            frames = peers.decode(root / clip.video)
        sample = samples[number]
        with meter.of("crop, one JPEG a frame"):
            span = slice(sample.row.start, sample.row.start + sample.row.n_frames)
            peers.write_face_files(folder / clip.id, frames[span], sample.boxes)
        with meter.of("sound to WAV"):
            write_audio(folder / clip.id / "audio.wav", read_audio(root / clip.audio, audio_origin_s(clip)))


def print_disk(root: Path, clips: list[Clip], samples: ShardSet, wav2lip: Path) -> None:
    """Bytes that a clip takes in each stored form."""
    n = len(clips)
    sizes = {"the clips as they came": sum((root / clip.video).stat().st_size for clip in clips)}
    sizes["ours: shards"] = sum(row.size for row in samples.rows)
    for name in samples[0].members:
        sizes[f"  {name}"] = sum(len(samples[i].members[name]) for i in range(len(samples)))
    sizes["Wav2Lip: JPEG files and WAV"] = folder_bytes(wav2lip, "*.jpg") + folder_bytes(wav2lip, "*.wav")
    print("\ndisk, bytes a clip")
    for name, size in sizes.items():
        print(f"  {name:<30}{size / n:12,.0f}")


def compare_mouths(clips: list[Clip], root: Path, params: CropParams, detector: Detector, repeats: int) -> float:
    """Print the mouth regions of our and AV-HuBERT's way from the same frames and landmarks; returns the ratio."""
    footage = []
    for clip in clips:
        frames = read_video(root / clip.video).frames
        points = detector(frames[len(frames) // 2 :][:1])[0][0].landmarks
        footage.append((frames, np.repeat(points[None], len(frames), axis=0)))

    def run(meter: Stopwatch) -> None:
        for frames, landmarks in footage:
            with meter.of("AV-HuBERT: scikit-image's warp of every frame, then a cut"):
                peers.warp_mouths(frames, landmarks, MEAN_FACE)
            with meter.of("ours: one cv2.warpAffine a frame, then grey"):
                transforms = mouth_transforms(landmarks, params.mouth, frames.shape[1:3])
                crop_mouth(frames, transforms, params.mouth.size)

    seconds = repeat(run, repeats)
    n_frames = sum(len(frames) for frames, _ in footage)
    print("\nmouth regions of 96 x 96 from decoded frames and landmarks (theirs in colour, ours grey)")
    for name, spent in seconds.items():
        print(f"  {name:<60}{n_frames / spent:9.0f} frames a core-second")
    theirs, ours = seconds.values()
    return theirs / ours


@app.command()
def prepare(
    clips_folder: Clips = CLIPS,
    yunet: Yunet = YUNET,
    scrfd: Scrfd = SCRFD,
    every: Annotated[int, typer.Option(help="Our detectors look at every k-th frame.")] = 5,
    repeats: Repeats = 3,
    s3fd_frames: Annotated[int, typer.Option(help="Frames of S3FD's one batch.")] = peers.S3FD_BATCH,
) -> None:
    """Whole path: decode, detect, crop, features, shard."""
    root = clips_folder.absolute()
    ours = {
        f"YuNet at full size, every {every}th frame": ("yunet", crop_params("yunet", yunet, 4096, every)),
        f"SCRFD at 320, every {every}th frame": ("insightface", crop_params("insightface", scrfd, 320, every)),
    }
    with tempfile.TemporaryDirectory() as scratch:
        rates, shard_sets = {}, {}
        for number, (title, (detector, params)) in enumerate(ours.items()):
            clips, samples = prepared(root, detector, params, Path(scratch) / str(number))
            shard_sets[title] = samples
            n_frames = sum(row.n_frames for row in samples.rows)

            def run(meter: Stopwatch, detector: str = detector, params: CropParams = params) -> None:
                with tempfile.TemporaryDirectory(dir=scratch) as folder:
                    prepare_ours(root, detector, params, Path(folder), meter)

            seconds = repeat(run, repeats, warm_up=False)
            rates[title] = print_way(f"ours, {title}", seconds, n_frames, len(clips))
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                staged = stages_rate(root, detector, params, Path(folder), copies=STAGE_COPIES)
            print(f"  by the stages, {STAGE_COPIES * len(clips)} clips: {staged:.1f} frames a core-second")

        stored = Path(scratch) / "wav2lip"
        samples = next(iter(shard_sets.values()))
        rest = repeat(lambda meter: write_wav2lip(stored, clips, root, samples, meter), repeats)

        frames = peers.decode(root / clips[0].video)[:s3fd_frames]
        net = peers.S3FD().eval()
        peers.detect_by_s3fd(net, frames[:2])
        detect = repeat(lambda meter: meter.timed("S3FD", peers.detect_by_s3fd)(net, frames), repeats, warm_up=False)
        scaled = {f"detect (S3FD, batch of {len(frames)})": detect["S3FD"] * n_frames / len(frames)}
        s3fd_rate = print_way("(a) Wav2Lip's way", {**rest, **scaled}, n_frames, len(clips))

        user = peers.insightface_detector(scrfd, 640)

        def detect_all(meter: Stopwatch) -> None:
            for clip in clips:
                for frame in peers.decode(root / clip.video):
                    with meter.of("detect (SCRFD at 640)"):
                        user.detect(frame)

        scrfd_rate = print_way(
            "(b) insightface on every frame, the rest as Wav2Lip",
            {**rest, **repeat(detect_all, repeats, warm_up=False)}, n_frames, len(clips),
        )  # fmt: skip
        print_disk(root, clips, samples, stored)
        first = next(iter(ours.values()))
        faces = make_detector("yunet", first[1].detectors["yunet"])
        roi = compare_mouths(clips, root, first[1], faces, repeats)
        print()
        for title, (detector, params) in ours.items():
            print(f"ours, {title}")
            same = faces if detector == "yunet" else make_detector(detector, params.detectors[detector])
            overlap = mean_overlap(shard_sets[title], root, clips, same)
            print_aim("  mean IoU of its boxes with the same detector on every frame", overlap, AIM_IOU, "")
            print_aim("  beside (a)", rates[title] / s3fd_rate, AIM_S3FD)
            print_aim("  beside (b)", rates[title] / scrfd_rate, AIM_SCRFD)
        print_aim("mouth regions beside AV-HuBERT's", roi, AIM_ROI)


def window_sample(faces: NDArray[np.uint8], mel: NDArray[np.float32], start: int) -> tuple[Tensor, ...]:
    """Wav2Lip's input (`peer_data.read_wav2lip`) from the 5 frames to make and the 5 of the reference, RGB uint8
    [10, S, S, 3], and the whole mel spectrogram.
    """
    channels = cv2.split(faces.reshape(-1, FACE_SIZE, 3))
    planes = torch.from_numpy(np.stack(channels)).reshape(3, -1, FACE_SIZE, FACE_SIZE).float() / 255
    target, reference = planes[:, : peers.WINDOW], planes[:, peers.WINDOW :]
    inputs = torch.cat([target, reference])
    inputs[:3, :, FACE_SIZE // 2 :] = 0
    windows = torch.from_numpy(np.stack([peers.mel_window(mel, start + i) for i in range(peers.WINDOW)]))[:, None]
    return inputs, windows, windows[0], target


def speech_sample(mouth: NDArray[np.uint8], fbank: NDArray[np.float32], rng: np.random.Generator) -> tuple[Tensor, ...]:
    """AV-HuBERT's input of a whole clip: augmented video [T, 88, 88], normalised filterbank [T, 104]."""
    return mouth_input(mouth, CROP_SIZE, rng), torch.from_numpy(normalise_fbank(fbank))


def grey_frames(video: Path) -> NDArray[np.uint8]:
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in peers.decode(video)])


def write_copies(folder: Path, clips: list[Clip], root: Path, samples: ShardSet) -> None:
    """What the other ways read: MP4 files of the clips with sound at 16 kHz, mouth videos and WAV files as AV-HuBERT
    prepares them, JPEG files as Wav2Lip does, and arrays to be mapped into memory.
    """
    write_wav2lip(folder / "wav2lip", clips, root, samples, Stopwatch())
    for number, clip in enumerate(clips):
        sample, target = samples[number], folder / str(number)
        target.mkdir()
        pcm = read_audio(root / clip.audio, audio_origin_s(clip))
        write_video(target / "clip.mp4", read_video(root / clip.video).frames, audio=pcm, crf=18)
        write_video(target / "mouth.mp4", np.repeat(sample.mouth[..., None], 3, axis=-1))
        write_audio(target / "sound.wav", pcm)
        for name in ("faces", "mouth", "fbank", "mel"):
            np.save(target / f"{name}.npy", getattr(sample, name))


@dataclass(frozen=True)
class Draw:
    """What a sample is: number of its clip, the frames to make and those of the reference."""

    clip: int
    target: range
    reference: range


def draw(number: int, samples: ShardSet) -> Draw:
    """A function of the number; the sound of a clip's last frames is too short for a window."""
    clip = number % len(samples)
    last = samples.rows[clip].n_frames - 2 * peers.WINDOW
    starts = np.random.default_rng(number).integers(0, last, 2).tolist()
    return Draw(clip, *(range(start, start + peers.WINDOW) for start in starts))


class Reader:
    """A sample, each way."""

    def __init__(self, folder: Path, clips: list[Clip], samples: ShardSet) -> None:
        self.folder, self.clips, self.samples = folder, clips, samples
        self.rng = np.random.default_rng(0)

    def _array(self, drawn: Draw, name: str) -> NDArray[Any]:
        return np.load(self.folder / str(drawn.clip) / f"{name}.npy", mmap_mode="r")

    def windows_of_files(self, drawn: Draw) -> tuple[Tensor, ...]:
        folder = self.folder / "wav2lip" / self.clips[drawn.clip].id
        return peers.read_wav2lip(folder, drawn.target, drawn.reference)

    def windows_of_shards(self, drawn: Draw) -> tuple[Tensor, ...]:
        sample = self.samples[drawn.clip]
        return window_sample(sample.some_faces([*drawn.target, *drawn.reference]), sample.mel, drawn.target.start)

    def windows_of_arrays(self, drawn: Draw) -> tuple[Tensor, ...]:
        faces = self._array(drawn, "faces")[[*drawn.target, *drawn.reference]]
        return window_sample(faces, self._array(drawn, "mel"), drawn.target.start)

    def clip_of_mp4(self, drawn: Draw) -> tuple[Tensor, ...]:
        video = self.folder / str(drawn.clip) / "clip.mp4"
        mouth = centre_crop(grey_frames(video), MOUTH_SIZE)
        return speech_sample(mouth, stacked_log_fbank(read_audio(video)), self.rng)

    def clip_of_mouth_mp4(self, drawn: Draw) -> tuple[Tensor, ...]:
        folder = self.folder / str(drawn.clip)
        fbank = stacked_log_fbank(peers.read_wav(folder / "sound.wav"))
        return speech_sample(grey_frames(folder / "mouth.mp4"), fbank, self.rng)

    def clip_of_shards(self, drawn: Draw) -> tuple[Tensor, ...]:
        sample = self.samples[drawn.clip]
        return speech_sample(sample.mouth, sample.fbank, self.rng)

    def clip_of_arrays(self, drawn: Draw) -> tuple[Tensor, ...]:
        return speech_sample(self._array(drawn, "mouth"), self._array(drawn, "fbank"), self.rng)


Read = Callable[[Draw], tuple[Tensor, ...]]


def compare_readers(title: str, ways: dict[str, Read], draws: list[Draw], repeats: int) -> float:
    """Print the rates of the ways; returns that of the second one, ours, over that of the first one, the peer."""
    shapes = ["x".join(map(str, tensor.shape)) for tensor in next(iter(ways.values()))(draws[0])]
    print(f"\n{title}\n  a sample: {', '.join(shapes)}")

    def run(meter: Stopwatch, read: Read) -> None:
        with meter.of("read"):
            for drawn in draws:
                read(drawn)

    rates = []
    for name, read in ways.items():
        rates.append(len(draws) / repeat(partial(run, read=read), repeats)["read"])
        print(f"  {name:<68}{rates[-1]:8.0f} samples a core-second")
    return rates[1] / rates[0]


@app.command()
def read(
    clips_folder: Clips = CLIPS,
    yunet: Yunet = YUNET,
    n_samples: Annotated[int, typer.Option("--samples", help="Samples of a run.")] = 200,
    repeats: Repeats = 5,
) -> None:
    """Training-side reading, one sample after the other."""
    root = clips_folder.absolute()
    with tempfile.TemporaryDirectory() as scratch:
        params = crop_params("yunet", yunet, 4096, every=5)
        clips, samples = prepared(root, "yunet", params, Path(scratch) / "ours")
        copies = Path(scratch) / "copies"
        write_copies(copies, clips, root, samples)
        ways = Reader(copies, clips, samples)
        draws = [draw(number, samples) for number in range(n_samples)]
        windows = compare_readers(
            "windows of 5 frames and a reference (Wav2Lip)",
            {
                "(c) Wav2Lip: 10 JPEG files, mel spectrogram of the WAV file": ways.windows_of_files,
                "ours: 10 frames of the mosaic, stored mel spectrogram": ways.windows_of_shards,
                "floor: arrays mapped into memory": ways.windows_of_arrays,
            },
            draws,
            repeats,
        )
        whole = compare_readers(
            "whole clips (AV-HuBERT)",
            {
                "(d) the MP4 file decoded, its filterbank": ways.clip_of_mp4,
                "ours: mosaic, stored filterbank": ways.clip_of_shards,
                "AV-HuBERT's stored form: MP4 of 96 x 96, filterbank of the WAV file": ways.clip_of_mouth_mp4,
                "floor: arrays mapped into memory": ways.clip_of_arrays,
            },
            draws,
            repeats,
        )
        print("\ndisk, bytes a clip")
        sizes = {
            "MP4 of the clip": folder_bytes(copies, "clip.mp4"),
            "ours, all members": sum(row.size for row in samples.rows),
            "Wav2Lip: JPEG files and WAV": folder_bytes(copies / "wav2lip", "*.*"),
            "AV-HuBERT: MP4 of mouths and WAV": folder_bytes(copies, "mouth.mp4") + folder_bytes(copies, "sound.wav"),
            "arrays": folder_bytes(copies, "*.npy"),
        }
        for name, size in sizes.items():
            print(f"  {name:<40}{size / len(clips):12,.0f}")
        print()
        print_aim("windows beside (c)", windows, AIM_WAV2LIP)
        print_aim("whole clips beside (d)", whole, AIM_AVHUBERT)


@app.callback()
def options() -> None:
    """One core, one worker, no progress bars."""
    os.environ |= {"SYNCTALK_WORKERS": "1", "TQDM_DISABLE": "1"}
    print(f"core {use_one_core()}, one thread a library")


if __name__ == "__main__":
    with watch_for_others():
        app(standalone_mode=False)
