"""Speech with exact phone times from espeak-ng, called through ctypes.

espeak-ng keeps state between utterances (even after re-initialising, or seeding its generator), whisper voices seed
from the clock, and Klatt voices draw their breath from libc's rand(). So every call loads the library afresh, seeds
both generators, and unloads it: the same words and voice give the same samples in any process and order. Costs 6 ms.
"""

from __future__ import annotations

import _ctypes
import ctypes
import functools
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import espeakng_loader
import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, resample_poly

from synctalk.corpora.synthetic.visemes import Phone
from synctalk.errors import UserError
from synctalk.timebase import SAMPLE_RATE

ESPEAK_RATE = 22_050
_SYNCHRONOUS = 2
_WITH_PHONEME_EVENTS = 1
_CHARS_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_EVENT_END, _EVENT_PHONEME = 0, 7
_SEED = 1
SLOWEST, FASTEST = 80, 450
"""Words a minute that espeak-ng can speak."""
_ALONE = threading.Lock()
"""Held while the library is loaded: there is one of it in a process."""
CLOSURE_S = 0.08
"""Longest silence before the burst of a stop that is counted as its closure."""
UP, DOWN = 320, 441
"""16,000 / 22,050."""
_STOPS = frozenset("pbtdkg")


@functools.cache
def _low_pass() -> NDArray[np.float64]:
    """Filter of the change from 22.05 to 16 kHz: resample_poly's own design, made once."""
    taps: NDArray[np.float64] = firwin(2 * 10 * DOWN + 1, 1 / DOWN, window=("kaiser", 5.0))
    return taps


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class Voice:
    """An espeak-ng voice.

    Attributes:
        name: language and variant, "en-us+f2".
        rate: words a minute, `SLOWEST` to `FASTEST`.
        pitch, pitch_range: 0..99.
    """

    name: str
    rate: int
    pitch: int
    pitch_range: int


@dataclass(frozen=True)
class Speech:
    """An utterance: `pcm` int16 mono at 16 kHz, and its phones with times in seconds, without silence around them."""

    pcm: NDArray[np.int16]
    phones: tuple[Phone, ...]

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / SAMPLE_RATE


def join(speeches: Sequence[Speech], pauses_s: Sequence[float]) -> Speech:
    """Utterances one after the other, with a silence of `pauses_s` between each two; words are counted on."""
    pcm, phones = speeches[0].pcm, speeches[0].phones
    for speech, pause_s in zip(speeches[1:], pauses_s, strict=True):
        gap = np.zeros(round(pause_s * SAMPLE_RATE), np.int16)
        begin_s, n_words = (len(pcm) + len(gap)) / SAMPLE_RATE, 1 + max(phone.word for phone in phones)
        moved = tuple(
            Phone(p.name, p.start_s + begin_s, p.end_s + begin_s, p.word + n_words if p.word >= 0 else -1)
            for p in speech.phones
        )
        phones = (*phones, Phone("_", phones[-1].end_s, begin_s), *moved)
        pcm = np.concatenate([pcm, gap, speech.pcm])
    return Speech(pcm, phones)


def variants_folder() -> Path:
    """Where espeak-ng keeps its voice variants, a file each."""
    return Path(espeakng_loader.get_data_path()) / "voices" / "!v"


@functools.cache
def languages() -> tuple[str, ...]:
    """espeak-ng's kinds of English in Latin letters. British English is "en"; there is no "en-gb"."""
    files = (Path(espeakng_loader.get_data_path()) / "lang" / "gmw").glob("en*")
    return tuple(sorted(file.name.lower() for file in files if file.name != "en-Shaw"))


@functools.cache
def variants() -> tuple[str, ...]:
    """espeak-ng's voice variants; their case counts."""
    return tuple(sorted(file.name for file in variants_folder().iterdir() if file.is_file()))


def require_voice(name: str) -> None:
    """Check a voice name: espeak-ng takes a misspelt variant without a word and speaks in another voice.

    Raises:
        UserError: espeak-ng has no such voice.
    """
    language, _, variant = name.partition("+")
    if language not in languages():
        mend = f"take one of {', '.join(languages())} (en is British)"
        raise UserError(f"voice {name!r}", f"espeak-ng has no English called {language!r}", mend)
    if variant not in variants():
        mend = f"take one of f1 to f5 and m1 to m8, or the name of another file of {variants_folder()}"
        raise UserError(f"voice {name!r}", f"espeak-ng has no variant {variant!r}", mend)


def _require_unloaded() -> None:
    """Check that loading espeak-ng will start it afresh.

    Raises:
        UserError: it is loaded already, and by someone else.
    """
    try:
        library = ctypes.CDLL(espeakng_loader.get_library_path(), mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except OSError:
        return
    _ctypes.dlclose(library._handle)
    raise UserError("espeak-ng", "is in use elsewhere in this process", "make corpora in a process of their own")


def _call(text: str, voice: Voice) -> tuple[NDArray[np.int16], list[tuple[int, str, int]]]:
    """Samples at 22.05 kHz, and (sample, name, character of the text) for every phoneme event. Needs `_ALONE`."""
    _require_unloaded()
    library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
    chunks: list[NDArray[np.int16]] = []
    events: list[tuple[int, str, int]] = []

    def collect(samples: Any, n_samples: int, event: Any) -> int:  # noqa: ANN401  # ctypes pointers
        if n_samples > 0:
            chunks.append(np.ctypeslib.as_array(samples, (n_samples,)).copy())
        k = 0
        while event[k].type != _EVENT_END:
            if event[k].type == _EVENT_PHONEME:
                events.append((event[k].sample, event[k].id.string.decode(), event[k].text_position - 1))
            k += 1
        return 0

    callback = _Callback(collect)
    try:
        rate = library.espeak_Initialize(
            _SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _WITH_PHONEME_EVENTS
        )
        if rate != ESPEAK_RATE:
            raise UserError("espeak-ng", f"starts with the rate {rate}", "reinstall the package espeakng-loader")
        library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
        ctypes.CDLL(None).srand(_SEED)
        library.espeak_SetSynthCallback(callback)
        if library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise UserError(f"voice {voice.name}", "espeak-ng refuses it")
        for parameter, value in ((_RATE, voice.rate), (_PITCH, voice.pitch), (_RANGE, voice.pitch_range)):
            library.espeak_SetParameter(parameter, value, 0)
        encoded = text.encode()
        library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded) + 1), 0, 0, 0, _CHARS_UTF8, None, None)
        library.espeak_Synchronize()
        library.espeak_Terminate()
    finally:
        _ctypes.dlclose(library._handle)
    return np.concatenate(chunks), events


def _call_alone(text: str, voice: Voice) -> tuple[NDArray[np.int16], list[tuple[int, str, int]]]:
    with _ALONE:
        return _call(text, voice)


def _closure_start(pcm: NDArray[np.int16], burst: int) -> int:
    """First sample of the silence that ends at `burst`."""
    earliest = max(0, burst - int(CLOSURE_S * ESPEAK_RATE))
    loud = np.flatnonzero(np.abs(pcm[earliest:burst].astype(np.int32)) > 60)
    return int(earliest + loud[-1] + 1) if len(loud) else earliest


def speak(words: tuple[str, ...], voice: Voice) -> Speech:
    """Speak lower-case words. Pure: the same arguments give the same samples in any process and order.

    Phones are espeak-ng's, with stress marks. A stop starts with its closure (espeak-ng reports the burst). Silence at
    both ends is cut off; silences inside are phones named "_" of word -1.

    Raises:
        UserError: the voice is unknown, or espeak-ng is not usable.
    """
    require_voice(voice.name)
    # in a thread of its own: in the main thread, Ctrl-C would be raised inside `collect`, where ctypes swallows it
    with ThreadPoolExecutor(1) as thread:
        pcm, events = thread.submit(_call_alone, " ".join(words), voice).result()
    word_of_character = [number for number, word in enumerate(words) for _ in range(len(word) + 1)]
    starts: list[int] = []
    names: list[str] = []
    numbers: list[int] = []
    for sample, name, character in events:
        silent = name.startswith("_")
        stop = name.lstrip("',")[:1] in _STOPS
        floor = (starts[-1] + sample) // 2 if starts else 0
        starts.append(max(floor, _closure_start(pcm, sample)) if stop else sample)
        names.append("_" if silent else name)
        numbers.append(-1 if silent else word_of_character[min(character, len(word_of_character) - 1)])
    spoken = [k for k, number in enumerate(numbers) if number >= 0]
    first, last = spoken[0], spoken[-1]
    begin = starts[first]
    end = starts[last + 1] if last + 1 < len(starts) else len(pcm)
    bounds = [*starts[first : last + 1], end]
    phones = tuple(
        Phone(names[k], (a - begin) / ESPEAK_RATE, (b - begin) / ESPEAK_RATE, numbers[k])
        for k, a, b in zip(range(first, last + 1), bounds[:-1], bounds[1:], strict=True)
    )
    # the tail rings on after the last phone: keep it, it fades into the silence that follows
    tail = min(len(pcm), end + int(0.05 * ESPEAK_RATE))
    resampled = resample_poly(pcm[begin:tail].astype(np.float64), UP, DOWN, window=_low_pass())
    return Speech(np.clip(np.round(resampled), -32768, 32767).astype(np.int16), phones)
