"""One utterance from its names: words, speech, mouth, head, frames; all of it pure functions of the recipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from synctalk.corpora.records import Word
from synctalk.corpora.synthetic.canvas import Image
from synctalk.corpora.synthetic.grammar import draw_sentence
from synctalk.corpora.synthetic.identity import Identity, draw_identity
from synctalk.corpora.synthetic.motion import Motion, draw_motion
from synctalk.corpora.synthetic.recipe import SyntheticCorpus
from synctalk.corpora.synthetic.render import DrawnTrack, render, track
from synctalk.corpora.synthetic.scene import COLLARS, Light
from synctalk.corpora.synthetic.seeds import generator
from synctalk.corpora.synthetic.speech import Speech, Voice, join, speak
from synctalk.corpora.synthetic.stage import Recording, Stage
from synctalk.corpora.synthetic.visemes import Phone, mouth_curves
from synctalk.timebase import FPS, SAMPLE_RATE, n_samples

SILENCE_S = (0.1, 0.25)
"""Silence before and after the speech, mouth at rest: drawn evenly from this range."""
PAUSE_S = (0.15, 0.9)
"""Silence between the sentences of a long utterance, from this range."""
_FEMALE = "f1 f2 f3 f4 f5 Alicia Andrea Annie anika anikaRobot aunty belinda grandma linda shelby steph steph2 steph3"
FEMALE_VARIANTS = frozenset([*_FEMALE.split(), "whisperf"])
"""espeak-ng's female variants: their speakers get female faces."""
FULL_SCALE = 32_767


@dataclass(frozen=True)
class Speaker:
    """A face and a voice; `words_per_minute` is the voice's habit, `articulation` the lips'."""

    identity: Identity
    voice: Voice
    articulation: float


@dataclass(frozen=True)
class Performance:
    """An utterance before it is painted.

    Attributes:
        words: with times, seconds.
        phones: silences included, seconds; they cover the whole clip.
        pcm: int16 mono at 16 kHz, exactly as long as the frames.
        shapes: mouth shapes [T, N_SHAPE].
        motion: head pose and lids, T frames.
    """

    words: tuple[Word, ...]
    phones: tuple[Phone, ...]
    pcm: NDArray[np.int16]
    shapes: NDArray[np.float32]
    motion: Motion

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


def draw_speaker(recipe: SyntheticCorpus, number: int) -> Speaker:
    """Speaker `number` of the corpus."""
    rng = generator(recipe.seed, recipe.layout, "speaker", number)
    variant = recipe.voices[int(rng.integers(len(recipe.voices)))]
    accent = recipe.accents[int(rng.integers(len(recipe.accents)))]
    female = variant in FEMALE_VARIANTS
    voice = Voice(
        name=f"{accent}+{variant}",
        rate=round(recipe.words_per_minute.draw(rng)),
        pitch=int(rng.integers(32, 66)),
        pitch_range=int(rng.integers(35, 70)),
    )
    articulation = recipe.articulation.draw(rng)
    return Speaker(draw_identity(rng, female), voice, articulation)


def draw_recording(recipe: SyntheticCorpus, speaker: int, take: int) -> Recording:
    """Recording `take` of a speaker."""
    names = (recipe.seed, recipe.layout, "recording", speaker, take)
    rng = generator(*names)
    r = recipe
    return Recording(
        identity=draw_speaker(recipe, speaker).identity,
        identity_key=(recipe.seed, recipe.layout, "head", speaker),
        key=names,
        light=Light(
            azimuth=r.light_azimuth.draw(rng),
            elevation=r.light_elevation.draw(rng),
            key=r.light_key.draw(rng),
            gain=r.light_gain.draw(rng),
            warmth=float(rng.uniform(-0.6, 0.8)),
        ),
        background=r.backgrounds[int(rng.integers(len(r.backgrounds)))],
        collar=COLLARS[int(rng.integers(len(COLLARS)))],
        zoom=r.zoom.draw(rng),
        shift=(float(rng.uniform(-0.1, 0.1)), float(rng.uniform(-0.06, 0.06))),
        tilt=float(rng.uniform(-1.5, 1.5)),
        gaze=(float(rng.uniform(-0.025, 0.025)), float(rng.uniform(-0.012, 0.012))),
        size=r.size,
    )


def _room_noise(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Noise that loses 3 dB an octave, of unit deviation, [n]."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    noise: NDArray[np.float64] = np.fft.irfft(spectrum, n)
    noise /= noise.std()
    return noise


def _mix(
    speech: Speech, lead: int, n: int, level_db: float, snr_db: float, rng: np.random.Generator
) -> NDArray[np.int16]:
    """Speech after `lead` samples of silence, in room noise, [n] int16."""
    dry = speech.pcm.astype(np.float64)
    target = FULL_SCALE * 10 ** (level_db / 20)
    dry *= target / np.sqrt((dry**2).mean())
    pcm = _room_noise(rng, n) * target * 10 ** (-snr_db / 20)
    pcm[lead : lead + len(dry)] += dry[: n - lead]
    # soft limit: formant voices have peaks far above their level
    return np.round(np.tanh(pcm / FULL_SCALE) * FULL_SCALE).astype(np.int16)


def _words(sentence: tuple[str, ...], phones: tuple[Phone, ...]) -> tuple[Word, ...]:
    spans: dict[int, tuple[float, float]] = {}
    for phone in phones:
        if phone.word >= 0:
            start = spans.get(phone.word, (phone.start_s, 0.0))[0]
            spans[phone.word] = (start, phone.end_s)
    return tuple(Word(sentence[number], *spans[number]) for number in sorted(spans))


def perform(recipe: SyntheticCorpus, speaker: int, take: int, number: int, n_sentences: int = 1) -> Performance:
    """Utterance `number` (counted from 0) of a recording; a longer one begins with the same sentence."""
    person = draw_speaker(recipe, speaker)
    names = (recipe.seed, recipe.layout, "utterance", speaker, take, number)
    rng, more = generator(*names), generator(*names, "more sentences")
    sentences = [draw_sentence(rng), *(draw_sentence(more) for _ in range(n_sentences - 1))]
    lead = round(rng.uniform(*SILENCE_S) * SAMPLE_RATE)
    trail_s = float(rng.uniform(*SILENCE_S))
    level_db = recipe.level_db.draw(rng)
    snr_db = recipe.noise_snr_db.draw(rng)
    pose = (recipe.yaw.draw(rng), recipe.pitch.draw(rng), recipe.roll.draw(rng))
    liveliness = recipe.liveliness.draw(rng)
    speech = join(
        [speak(sentence, person.voice) for sentence in sentences], more.uniform(*PAUSE_S, n_sentences - 1).tolist()
    )
    lead_s = lead / SAMPLE_RATE
    n_frames = int(np.ceil((lead_s + speech.duration_s + trail_s) * FPS))
    spoken = tuple(Phone(p.name, p.start_s + lead_s, p.end_s + lead_s, p.word) for p in speech.phones)
    phones = (Phone("_", 0.0, lead_s), *spoken, Phone("_", spoken[-1].end_s, n_frames / FPS))
    return Performance(
        words=_words(tuple(chain(*sentences)), phones),
        phones=phones,
        pcm=_mix(speech, lead, n_samples(n_frames), level_db, snr_db, rng),
        shapes=mouth_curves(phones, n_frames, person.articulation),
        motion=draw_motion(rng, n_frames, pose, liveliness),
    )


def frames_of(stage: Stage, performance: Performance) -> Iterator[Image]:
    """The frames, RGB uint8 [S, S, 3]."""
    return render(stage, performance.shapes, performance.motion)


def track_of(stage: Stage, performance: Performance) -> DrawnTrack:
    """The published track."""
    return track(stage, performance.motion)
