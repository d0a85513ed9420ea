"""How often a face detector must look: `python benchmarks/detection.py CLIPS --yunet FILE --scrfd FILE`.

For every clip of the folder CLIPS in which each frame has a face, the boxes that come of detection in every k-th frame,
interpolated between and looked at again where unsure, against detection in every frame: mean IoU (0 where a face is
missed), that of the worst clip, the mean distance of the mouth in pixels of the 96-pixel region, and detector calls a
frame. "plain" interpolates everywhere. "shaken" has the same detections moved from side to side by a quarter of the
face's width, a turn in 0.8 s, in the middle third of each clip. Boxes are compared as they come, before smoothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from synctalk.corpora.listing import VIDEO_SUFFIXES
from synctalk.errors import ClipError
from synctalk.faces.align import MEAN_FACE
from synctalk.faces.detect import DetectorParams, make_detector
from synctalk.faces.extract import CropParams
from synctalk.faces.sample import sample_faces
from synctalk.faces.track import Detection, FaceTrack, TrackParams, choose_tracks, iou, shot_changes, thumbnail
from synctalk.media import read_video
from synctalk.params.read import load
from synctalk.runtime.progress import progress_bar
from synctalk.timebase import FPS

EVERY = (1, 2, 3, 5, 8, 10)
SWING, TURN_FRAMES = 0.25, 20
"""Of the shaken footage: widths of the face to either side, frames to and fro."""
SIZES = {"insightface": (320, 640), "yunet": (320, 640)}


@dataclass(frozen=True)
class Footage:
    """What a detector sees in each frame of a clip, and where shots begin."""

    name: str
    seen: list[list[Detection]]
    cuts: list[int]


class Recorded:
    """A detector that remembers: frames are their numbers; counts the frames it is asked for."""

    def __init__(self, seen: list[list[Detection]], min_score: float) -> None:
        self.seen, self.min_score, self.n_frames = seen, min_score, 0

    def __call__(self, frames: Sequence[int]) -> list[list[Detection]]:
        self.n_frames += len(frames)
        return [self.seen[number] for number in frames]


def look(folder: Path, kind: str, params: DetectorParams, track: TrackParams) -> Iterator[Footage]:
    """Clips with a face in every frame of a shot, each looked at in every frame."""
    detector = make_detector(kind, params)
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    for path in progress_bar(iterable=files, desc=f"{kind} {params.det_size}"):
        try:
            frames = read_video(path).frames
            cuts = shot_changes(np.stack([thumbnail(frame) for frame in frames]), track.shot_threshold)
            footage = Footage(path.name, detector(list(frames)), cuts)
            tracks = every_frame(footage, track)
        except ClipError:
            continue
        if len(tracks[0]) in np.diff([0, *cuts, len(frames)]):
            yield footage


def every_frame(footage: Footage, track: TrackParams) -> list[FaceTrack]:
    """Tracks from detection in every frame."""
    return choose_tracks(list(enumerate(footage.seen)), footage.cuts, len(footage.seen), track, FPS)


def shaken(footage: Footage) -> Footage:
    """The same detections, moved from side to side in the middle third of the clip."""
    n, seen = len(footage.seen), []
    for number, faces in enumerate(footage.seen):
        turns = (number - n // 3) / TURN_FRAMES if n // 3 <= number < 2 * n // 3 else 0.0
        moved = []
        for face in faces:
            shift = np.array([SWING * (face.box[2] - face.box[0]) * np.sin(2 * np.pi * turns), 0], np.float32)
            moved.append(Detection(face.box + np.tile(shift, 2), face.landmarks + shift, face.score))
        seen.append(moved)
    return replace(footage, seen=seen)


def agreement(found: FaceTrack | None, wanted: FaceTrack) -> tuple[float, float]:
    """Mean IoU over the frames of `wanted`, and mean distance of the mouth in pixels of the mouth region."""
    if found is None:
        return 0.0, np.nan
    overlaps, distances = [], []
    for place, box in enumerate(wanted.boxes):
        other = place + wanted.start - found.start
        if not 0 <= other < len(found):
            overlaps.append(0.0)
            continue
        overlaps.append(iou(found.boxes[other], box))
        face = wanted.landmarks[place]
        scale = np.linalg.norm(MEAN_FACE[1] - MEAN_FACE[0]) / np.linalg.norm(face[1] - face[0])
        distances.append(scale * np.linalg.norm(found.landmarks[other][3:].mean(0) - face[3:].mean(0)))
    return float(np.mean(overlaps)), float(np.mean(distances))


def measure(clips: list[Footage], track: TrackParams, min_score: float) -> tuple[float, float, float, float]:
    """Mean and worst IoU, distance of the mouth, and detector calls a frame."""
    scores, calls, n_frames = [], 0, 0
    for footage in clips:
        detector = Recorded(footage.seen, min_score)
        numbers = np.arange(len(footage.seen))
        found = choose_tracks(
            sample_faces(numbers, footage.cuts, detector, track), footage.cuts, len(numbers), track, FPS
        )
        calls, n_frames = calls + detector.n_frames, n_frames + len(numbers)
        for one in every_frame(footage, track):
            pairs = [agreement(other, one) for other in found] or [(0.0, np.nan)]
            scores.append(max(pairs))
    overlap, distance = np.array(scores).T
    return float(overlap.mean()), float(overlap.min()), float(np.nanmean(distance)), calls / n_frames


def main(
    clips: Annotated[Path, typer.Argument(help="Folder of videos.")],
    yunet: Annotated[Path, typer.Option(help="YuNet's ONNX file.")],
    scrfd: Annotated[Path, typer.Option(help="An SCRFD file of insightface.")],
) -> None:
    """Print the tables."""
    section = load("crop", CropParams)
    track = replace(section.track, smooth_frames=1, several_faces="all", min_face_px=20)
    weights = {"insightface": scrfd, "yunet": yunet}
    for kind, size in [(kind, size) for kind, sizes in SIZES.items() for size in sizes]:
        params = replace(section.detectors[kind], weights=str(weights[kind]), det_size=size)
        filmed = list(look(clips, kind, params, track))
        n_frames = sum(len(one.seen) for one in filmed)
        for name, footage in (("as filmed", filmed), ("shaken", [shaken(one) for one in filmed])):
            typer.echo(f"\n{kind} {size}, {name}: {len(footage)} clips, {n_frames} frames")
            typer.echo("|  k | IoU | worst clip | mouth px | calls/frame | plain: IoU | worst clip | mouth px |")
            typer.echo("|---:|---:|---:|---:|---:|---:|---:|---:|")
            for every in EVERY:
                sparse = replace(track, detect_every=every)
                mean, worst, mouth, calls = measure(footage, sparse, params.min_score)
                plain = measure(footage, replace(sparse, sure_iou=-1.0, sure_margin=-1.0), params.min_score)
                typer.echo(
                    f"| {every:2d} | {mean:.3f} | {worst:.3f} | {mouth:.2f} | {calls:.2f} "
                    f"| {plain[0]:.3f} | {plain[1]:.3f} | {plain[2]:.2f} |"
                )


if __name__ == "__main__":
    typer.run(main)
