"""espeak-ng's speech: the same samples whenever and wherever it is spoken, and phones that are where they are heard."""

from __future__ import annotations

import _ctypes
import ctypes
import hashlib
import multiprocessing
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest
from small_recipes import LAYOUTS, recipe_of

from synctalk.corpora.synthetic.grammar import WORDS, draw_sentence
from synctalk.corpora.synthetic.perform import FEMALE_VARIANTS
from synctalk.corpora.synthetic.seeds import generator
from synctalk.corpora.synthetic.speech import (
    Speech,
    Voice,
    languages,
    require_voice,
    speak,
    variants,
    variants_folder,
)
from synctalk.corpora.synthetic.visemes import visemes_of
from synctalk.errors import UserError
from synctalk.timebase import SAMPLE_RATE

SENTENCE = ("bin", "blue", "at", "f", "two", "now")
NOISY = ("en-us+whisper", "en-us+whisperf", "en-us+Reed", "en-us+caleb", "en-us+klatt4", "en+croak")
"""Voices that draw noise: from a clock, from libc, from espeak-ng's own generator."""
ACCENTS = sorted({accent for name in LAYOUTS for accent in recipe_of(name).accents})
VARIANTS = sorted({variant for name in LAYOUTS for variant in recipe_of(name).voices})


def voice(name: str, rate: int = 160) -> Voice:
    return Voice(name, rate, 50, 50)


def digest(name: str) -> str:
    speech = speak(SENTENCE, voice(name))
    return hashlib.sha256(speech.pcm.tobytes() + repr(speech.phones).encode()).hexdigest()


# --- the same samples ----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def digests() -> dict[str, str]:
    """Speech of voices of all kinds, spoken in one order."""
    return {name: digest(name) for name in (*NOISY, *(f"{accent}+f2" for accent in ACCENTS), "en+m3")}


def test_voices_differ(digests: dict[str, str]) -> None:
    assert len(set(digests.values())) >= len(digests) - 1  # two accents may agree on a sentence


def test_order_and_repetition_change_no_sample(digests: dict[str, str]) -> None:
    for name in (*reversed(digests), *digests):
        assert digest(name) == digests[name], name


def test_a_forked_process_speaks_the_same(digests: dict[str, str]) -> None:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(digest, list(digests)[::-1]) == list(digests.values())[::-1]


def test_a_new_process_speaks_the_same(digests: dict[str, str]) -> None:
    names = list(digests)[::2]
    code = f"from test_synthetic_speech import digest\nfor name in {names}: print(digest(name))"
    here = Path(__file__)
    path = f"{here.parent}:{here.parents[1]}:{here.parents[2]}"
    # memory that is not zero shows whether espeak-ng reads what it has not written
    environment = {"PYTHONPATH": path, "MALLOC_PERTURB_": "165", "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert run.stdout.split() == [digests[name] for name in names]


def test_an_interrupt_while_speaking_is_raised_and_spoils_nothing(digests: dict[str, str]) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def speak_on() -> None:
        while True:
            speak(SENTENCE, voice("en+m3"))

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for delay_ms in range(1, 21):
            signal.setitimer(signal.ITIMER_REAL, delay_ms / 1000)
            with pytest.raises(KeyboardInterrupt):
                speak_on()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert digest("en+m3") == digests["en+m3"]


def test_threads_take_turns(digests: dict[str, str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(digest, list(digests)[::-1])) == list(digests.values())[::-1]


def test_a_library_that_someone_else_keeps_loaded_is_refused() -> None:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        with pytest.raises(UserError) as error:
            speak(SENTENCE, voice("en+f1"))
    finally:
        _ctypes.dlclose(library._handle)
    assert str(error.value) == (
        "espeak-ng: is in use elsewhere in this process; make corpora in a process of their own"
    )


# --- voices --------------------------------------------------------------------------------------------------------
def test_unknown_voices_say_what_there_is() -> None:
    with pytest.raises(UserError) as error:
        require_voice("en-gb+f2")
    assert str(error.value) == (
        "voice 'en-gb+f2': espeak-ng has no English called 'en-gb'; take one of en, en-029, en-gb-scotland, "
        "en-gb-x-gbclan, en-gb-x-gbcwmd, en-gb-x-rp, en-us, en-us-nyc (en is British)"
    )
    for name, variant in (("en+f9", "f9"), ("en+F2", "F2"), ("en", ""), ("en+", "")):
        with pytest.raises(UserError) as error:
            require_voice(name)
        assert str(error.value) == (
            f"voice {name!r}: espeak-ng has no variant {variant!r}; take one of f1 to f5 and m1 to m8, "
            f"or the name of another file of {variants_folder()}"
        )


def test_every_voice_of_the_recipes_is_there() -> None:
    for name in LAYOUTS:
        for accent in recipe_of(name).accents:
            for variant in recipe_of(name).voices:
                require_voice(f"{accent}+{variant}")
    assert {"f1", "f2", "f3", "f4", "f5", *(f"m{k}" for k in range(1, 9))} <= set(variants())


def test_female_variants_are_those_that_espeak_calls_female() -> None:
    assert set(variants()) >= FEMALE_VARIANTS
    gender = {v: re.search(r"^gender\s+(\w+)", (variants_folder() / v).read_text(), re.M) for v in variants()}
    assert {v for v, found in gender.items() if found and found[1] == "female"} | {"shelby"} == FEMALE_VARIANTS


def test_accents_are_heard() -> None:
    def phones(accent: str, word: str) -> list[str]:
        return [phone.name for phone in speak((word,), voice(f"{accent}+f2")).phones]

    assert phones("en", "one") == ["w", "'0", "n"]
    assert phones("en-us", "one") == ["w", "'V", "n"]
    assert phones("en-gb-scotland", "r") == ["'A@", "r"]
    assert set(ACCENTS) <= set(languages())


# --- phones --------------------------------------------------------------------------------------------------------
def check_phones(sentence: tuple[str, ...], speech: Speech) -> None:
    """Phones follow each other without gaps, belong to the words in order, and are all in the table of visemes."""
    assert speech.phones[0].start_s == 0.0
    assert speech.phones[-1].end_s <= speech.duration_s <= speech.phones[-1].end_s + 0.06
    for phone, following in zip(speech.phones, speech.phones[1:], strict=False):
        assert phone.end_s == following.start_s
        assert phone.start_s <= phone.end_s
    spoken = [phone.word for phone in speech.phones if phone.word >= 0]
    assert spoken == sorted(spoken)
    assert set(spoken) == set(range(len(sentence)))
    for number in range(len(sentence)):
        own = [phone for phone in speech.phones if phone.word == number]
        assert own[-1].end_s - own[0].start_s > 0.03, (sentence[number], own)
    for phone in speech.phones:
        assert (phone.name == "_") == (phone.word == -1)
        assert visemes_of(phone.name)


@pytest.mark.parametrize("accent", ACCENTS)
def test_every_phone_of_the_grammar_has_a_viseme(accent: str) -> None:
    for number, word in enumerate(WORDS):
        check_phones((word,), speak((word,), voice(f"{accent}+{VARIANTS[number % len(VARIANTS)]}")))
    for number in range(25):
        sentence = draw_sentence(generator("phones", accent, number))
        variant = VARIANTS[number % len(VARIANTS)]
        check_phones(sentence, speak(sentence, voice(f"{accent}+{variant}", 140 + 3 * number)))


def test_unknown_phones_are_an_error() -> None:
    with pytest.raises(KeyError):
        visemes_of("R2D2")


@pytest.mark.parametrize("word", ["six", "seven", "soon"])
def test_the_hiss_is_where_its_phone_is(word: str) -> None:
    """The share of high frequencies is large inside /s/ and small in the vowel after it."""
    speech = speak((word,), voice("en-us+m2"))
    hiss, vowel = speech.phones[0], speech.phones[1]
    assert (hiss.name, vowel.name[0]) == ("s", "'")

    def crossings(start_s: float, end_s: float) -> float:
        """Zero crossings a sample."""
        part = speech.pcm[int(start_s * SAMPLE_RATE) : int(end_s * SAMPLE_RATE)].astype(int)
        return float(np.mean(np.diff(np.signbit(part)) != 0))

    assert crossings(hiss.start_s + 0.01, hiss.end_s - 0.01) > 0.35
    assert crossings(vowel.start_s + 0.02, vowel.end_s - 0.01) < 0.2


@pytest.mark.parametrize("word", ["bat", "at", "set", "again"])
def test_stops_begin_with_their_closure(word: str) -> None:
    """Before the burst a stop is silent, and that silence belongs to it."""
    speech = speak(("lay", word), voice("en-us+m2"))
    stops = [phone for phone in speech.phones if phone.name in ("t", "g", "b")]
    assert stops
    for stop in stops[-1:]:
        part = speech.pcm[int(stop.start_s * SAMPLE_RATE) : int(stop.end_s * SAMPLE_RATE)].astype(float)
        half = len(part) // 3
        assert np.abs(part[:half]).mean() < 0.7 * np.abs(part[half:]).max()


def test_faster_speech_is_shorter() -> None:
    lengths = [speak(SENTENCE, voice("en-us+f2", rate)).duration_s for rate in (120, 160, 200, 240)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] / lengths[-1] > 1.5
