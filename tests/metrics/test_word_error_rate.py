from __future__ import annotations

from random import Random

import pytest

from synctalk.metrics.wer import EditCounts, cer, character_edits, wer, word_edits


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("a b c", "a b c", EditCounts(0, 0, 0, 3)),
        ("a b c", "a x c", EditCounts(1, 0, 0, 3)),
        ("a b c", "a c", EditCounts(0, 1, 0, 3)),
        ("a b", "a b c d", EditCounts(0, 0, 2, 2)),
        ("a b", "", EditCounts(0, 2, 0, 2)),
        ("", "a b", EditCounts(0, 0, 2, 0)),
        ("", "", EditCounts(0, 0, 0, 0)),
        ("A  b\tc\n", " a b C", EditCounts(0, 0, 0, 3)),
        ("don't stop", "dont stop", EditCounts(1, 0, 0, 2)),
        ("café", "cafe", EditCounts(1, 0, 0, 1)),
    ],
)
def test_word_edits_by_hand(reference: str, hypothesis: str, expected: EditCounts) -> None:
    assert word_edits(reference, hypothesis) == expected


def test_rate_is_over_the_corpus_and_not_the_mean_of_clips() -> None:
    assert wer(["a", "a b c d e f g h i"], ["x", "a b c d e f g h i"]) == pytest.approx(1 / 10)


def test_rate_may_exceed_one() -> None:
    assert wer(["one"], ["two three four"]) == 3.0


def test_words_heard_in_silence_count() -> None:
    assert wer(["a b", ""], ["a b", "c"]) == 0.5


def levenshtein(a: list[str], b: list[str]) -> int:
    """Least number of edits, by the textbook's recursion over prefixes."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]


@pytest.mark.parametrize("n_hypothesis", [0, 1, 3, 10, 60])
def test_edits_are_the_fewest_however_short_or_long_the_hypothesis_is(n_hypothesis: int) -> None:
    random = Random(n_hypothesis)
    pairs = []
    for _ in range(20):
        reference, hypothesis = (random.choices("abcd", k=k) for k in (random.randint(1, 8), n_hypothesis))
        pairs.append((reference, hypothesis))
        counts = word_edits(" ".join(reference), " \t".join(hypothesis))
        assert (counts.edits, counts.n_reference) == (levenshtein(reference, hypothesis), len(reference))
    texts = [[" ".join(side) for side in sides] for sides in zip(*pairs, strict=True)]
    pooled = sum(levenshtein(*pair) for pair in pairs) / sum(len(reference) for reference, _ in pairs)
    assert wer(*texts) == pytest.approx(pooled, abs=1e-12)
    assert (pooled > 1) == (n_hypothesis > 8)


def test_one_text_is_a_corpus_of_one() -> None:
    assert wer("a b", "a c") == 0.5


def test_characters_by_hand() -> None:
    assert character_edits("ab c", "abc") == EditCounts(0, 1, 0, 4)
    assert character_edits("", "ab") == EditCounts(0, 0, 2, 0)
    assert cer(["ab c", "d"], ["ab  C", "e"]) == pytest.approx(1 / 5)


def test_different_numbers_of_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="2 references and 1 hypotheses"):
        wer(["a", "b"], ["a"])


def test_no_word_has_no_rate() -> None:
    with pytest.raises(ValueError, match="no rate"):
        wer(["", " "], ["a", ""])
