"""Re-voice any video: find the faces of every shot, make them say the new audio, paste them back.

Two passes over the video: the first looks for faces in every k-th frame, the second makes and pastes. Pixels outside
the lower halves of the face boxes, and frames without a face, are those of the input. Of the pictures no more is held
than a batch; what grows with length are numbers for each frame, and the audio.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synctalk.errors import ClipError, UserError
from synctalk.faces.detect import Detector
from synctalk.generation.audio import encode_long_audio
from synctalk.generation.fit import Fit
from synctalk.generation.output import OUTPUT_RATE, check_paths, frame_rate, write_dubbed
from synctalk.generation.paste import dubbed_frames
from synctalk.generation.people import Who
from synctalk.generation.playback import playback
from synctalk.generation.shots import chosen_tracks, sample_faces, shot_people, tracks_of_frames
from synctalk.media import probe, read_audio
from synctalk.media.read import require_video
from synctalk.models.generator import FaceGenerator
from synctalk.runtime.jobs import progress_bar
from synctalk.timebase import SAMPLE_RATE


@dataclass(frozen=True)
class Dubbed:
    """What was done.

    Attributes:
        n_frames: frames written.
        n_made: those among them with a face that was made anew.
        cut_s: seconds of audio that had no picture.
        width, height: of the video, pixels.
    """

    n_frames: int
    n_made: int
    cut_s: float
    width: int
    height: int


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    """What is found wrong with `path` in this block becomes a `UserError` that names it."""
    try:
        yield
    except ClipError as error:
        raise UserError(path, error.detail.removeprefix(path.name).lstrip(" :"), "take another file") from error


def dub(
    model: FaceGenerator,
    detector: Detector,
    video: Path,
    audio: Path,
    out: Path,
    *,
    crf: float,
    lossless: bool = False,
    fit: Fit = Fit.KEEP,
    who: Who = "largest",
) -> Dubbed:
    """Make `out`: the pictures of `video` with lips that say `audio`, and that audio.

    Frames keep their size and the time that each is shown for; odd sides get one row or column more (`even_sides`).

    Args:
        model: a trained generator in eval mode.
        detector: finds faces.
        video: any video that FFmpeg reads; its own audio is not used.
        audio: any file with audio.
        out: MP4 to write; its folder is made where it is missing.
        crf: x264's constant rate factor, 0 (best) to 51.
        lossless: keep every untouched pixel exactly; few players show such files.
        fit: what is done where audio and picture differ in length.
        who: whose lips, in every shot.

    Raises:
        UserError: a file cannot be read or written, or no shot has the face.
    """
    check_paths(video, audio, out)
    with _usable(video):
        stream = require_video(probe(video))
    with _usable(audio):
        picture = probe(audio).video
        origin_s = None if picture is None else picture.start_s
        pcm = read_audio(audio, origin_s)
        written = read_audio(audio, origin_s, OUTPUT_RATE)
    with _usable(video):
        shots = shot_people(sample_faces(video, stream, detector), stream.n_frames, float(frame_rate(stream)))
    tracks = chosen_tracks(shots, who)
    if not any(shots):
        raise UserError(video, "no face was found", "take other footage, or lower the detector's score")
    if not tracks:
        most = max(map(len, shots))
        raise UserError(video, f"no shot has a face number {who}", f"take a number up to {most}, largest, or all")
    shown = playback(stream, len(pcm) / SAMPLE_RATE, fit)
    n_samples = round(shown.duration_s * SAMPLE_RATE)
    embedding = encode_long_audio(model, np.pad(pcm[:n_samples], (0, max(0, n_samples - len(pcm)))))
    made = dubbed_frames(model, video, stream, tracks, shown, embedding)
    frames = progress_bar(iterable=made, total=len(shown.order), desc="dub", unit="frame")
    with _usable(video):
        n_frames = write_dubbed(out, frames, written, shown, stream, crf=crf, lossless=lossless)
    covered = np.array([bool(found) for found in tracks_of_frames(tracks, stream.n_frames)])
    extra = 0 if lossless else 1
    return Dubbed(
        n_frames=n_frames,
        n_made=int(covered[shown.order].sum()),
        cut_s=max(0.0, (len(pcm) - n_samples) / SAMPLE_RATE),
        width=stream.width + stream.width % 2 * extra,
        height=stream.height + stream.height % 2 * extra,
    )
