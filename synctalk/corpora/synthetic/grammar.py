"""The sentences of the synthetic corpora: a small fixed grammar like GRID's, with homophenes in it.

Homophenes are words that look alike on the lips: "pat" and "bat", "bin" and "pin", the letters "b" and "p".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from synctalk.corpora.synthetic.visemes import viseme_sequence

VERBS = ("bin", "pin", "pat", "bat", "lay", "place", "set", "move")
COLOURS = ("blue", "green", "red", "white")
PREPOSITIONS = ("at", "by", "in", "with")
LETTERS = ("b", "p", "f", "o", "r", "y")
DIGITS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
ADVERBS = ("again", "now", "please", "soon")
WORDS = tuple(sorted({*VERBS, *COLOURS, *PREPOSITIONS, *LETTERS, *DIGITS, *ADVERBS}))


def draw_sentence(rng: np.random.Generator) -> tuple[str, ...]:
    """A random sentence of 4 to 6 words: verb colour [preposition letter] digit [adverb]; one option at least."""

    def pick(words: Sequence[str]) -> str:
        return words[int(rng.integers(len(words)))]

    verb, colour, preposition, letter, digit, adverb = map(
        pick, (VERBS, COLOURS, PREPOSITIONS, LETTERS, DIGITS, ADVERBS)
    )
    parts = rng.choice(3, p=(0.6, 0.2, 0.2))
    middle = () if parts == 1 else (preposition, letter)
    end = () if parts == 2 else (adverb,)
    return (verb, colour, *middle, digit, *end)


def homophene_groups(pronounce: Callable[[str], Sequence[str]]) -> list[tuple[str, ...]]:
    """Groups of two or more words of the grammar that look alike, sorted.

    Args:
        pronounce: phones of a word.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for word in WORDS:
        groups.setdefault(viseme_sequence(pronounce(word)), []).append(word)
    return sorted(tuple(group) for group in groups.values() if len(group) > 1)
