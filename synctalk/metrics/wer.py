"""Word and character error rates over a corpus (paper tables 1 to 4): edits of all clips over words of all clips.

Text is lower-cased and split on white space; punctuation stays (facebookresearch/av_hubert @258fb50, infer_s2s).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jiwer


@dataclass(frozen=True)
class EditCounts:
    """What turns one reference into its hypothesis.

    Attributes:
        substitutions: units replaced.
        deletions: units of the reference that the hypothesis lacks.
        insertions: units of the hypothesis that the reference lacks.
        n_reference: units of the reference.
    """

    substitutions: int
    deletions: int
    insertions: int
    n_reference: int

    @property
    def edits(self) -> int:
        """All three kinds."""
        return self.substitutions + self.deletions + self.insertions


def wer(references: Sequence[str] | str, hypotheses: Sequence[str] | str) -> float:
    """Word error rate: 0 is perfect, 1 as many edits as words; it may exceed 1.

    Raises:
        ValueError: different numbers of texts, or no word in any reference.
    """
    return _rate(references, hypotheses, word_edits)


def cer(references: Sequence[str] | str, hypotheses: Sequence[str] | str) -> float:
    """Character error rate, each gap between words being one character; see `wer`.

    Raises:
        ValueError: different numbers of texts, or no character in any reference.
    """
    return _rate(references, hypotheses, character_edits)


def word_edits(reference: str, hypothesis: str) -> EditCounts:
    """Edits of words in one clip. An empty reference counts every word of the hypothesis as inserted."""
    reference, hypothesis = _normalise(reference), _normalise(hypothesis)
    if not reference:
        return EditCounts(0, 0, len(hypothesis.split()), 0)
    return _counts(jiwer.process_words(reference, hypothesis))


def character_edits(reference: str, hypothesis: str) -> EditCounts:
    """Edits of characters in one clip. An empty reference counts every character of the hypothesis as inserted."""
    reference, hypothesis = _normalise(reference), _normalise(hypothesis)
    if not reference:
        return EditCounts(0, 0, len(hypothesis), 0)
    return _counts(jiwer.process_characters(reference, hypothesis))


def _normalise(text: str) -> str:
    """Lower case, with single spaces: jiwer parts words at those only."""
    return " ".join(text.lower().split())


def _counts(output: jiwer.WordOutput | jiwer.CharacterOutput) -> EditCounts:
    n_reference = output.hits + output.substitutions + output.deletions
    return EditCounts(output.substitutions, output.deletions, output.insertions, n_reference)


def _rate(
    references: Sequence[str] | str, hypotheses: Sequence[str] | str, count: Callable[[str, str], EditCounts]
) -> float:
    references = [references] if isinstance(references, str) else references
    hypotheses = [hypotheses] if isinstance(hypotheses, str) else hypotheses
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references and {len(hypotheses)} hypotheses")
    counts = [count(reference, hypothesis) for reference, hypothesis in zip(references, hypotheses, strict=True)]
    n_reference = sum(clip.n_reference for clip in counts)
    if n_reference == 0:
        raise ValueError("no reference has a word, so there is no rate")
    return sum(clip.edits for clip in counts) / n_reference
