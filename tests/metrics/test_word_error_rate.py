from __future__ import annotations

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
