"""What a reader may change about a synthetic corpus: an entry of data/synthetic/params.yaml."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from synctalk.params.section import section


class Range(NamedTuple):
    """A value is drawn evenly between `low` and `high`; in the file `[low, high]`."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.low, self.high))


@section
class PerSplit:
    """One number for each split."""

    pretrain: int
    train: int
    val: int
    test: int

    def of(self, split: str) -> int:
        return {"pretrain": self.pretrain, "train": self.train, "val": self.val, "test": self.test}[split]


@section
class SyntheticCorpus:
    """A synthetic corpus. Two recipes that differ in `layout` or `seed` share no speaker and no sentence.

    Lengths in face units (half the width of a face), angles in degrees.
    """

    layout: Literal["lrs2", "lrs3", "voxceleb2", "grid", "folder"]
    seed: int
    """Recipes of other seeds share no speaker and no sentence."""
    utterances: PerSplit
    pretrain_sentences: int
    """Sentences of an utterance of the split `pretrain`. The real ones last up to minutes."""
    speakers: PerSplit
    """Speakers of each split; no speaker stands in two."""
    recordings_per_speaker: int
    """Recordings of a speaker, each with its own light, place and clothes."""
    size: int
    """Width and height of the videos, pixels, a multiple of 4: 160 in LRS2, 224 in LRS3 and VoxCeleb2."""
    accents: tuple[str, ...]
    """espeak-ng's English languages, e.g. en-us, en-gb-x-rp."""
    voices: tuple[str, ...]
    """espeak-ng's voice variants, e.g. f2, m3."""
    words_per_minute: Range
    articulation: Range
    """Factor on how far the lips move, about 0.85 to 1.15."""
    level_db: Range
    """Loudness of the speech, dB below full scale (RMS, negative)."""
    noise_snr_db: Range
    """Room noise, dB below the speech."""
    backgrounds: tuple[str, ...]
    """Of studio, stage, room, street, shelves."""
    light_azimuth: Range
    """Direction of the lamp, degrees from the front."""
    light_elevation: Range
    light_key: Range
    """Part of the light that comes from the lamp, 0..1."""
    light_gain: Range
    """Brightness against the average."""
    yaw: Range
    """Turn of the head at rest, degrees; pitch and roll alike."""
    pitch: Range
    roll: Range
    liveliness: Range
    """Factor on the size of head motion."""
    zoom: Range
    """Size of the face against the average."""
    crf: float
    """x264's constant rate factor, 0 (best) to 51."""
    preset: str
    """x264's speed preset."""
