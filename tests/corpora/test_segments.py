"""Segments of long clips: by hand, and what holds for any words."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from synctalk.corpora.listing import segment_id
from synctalk.corpora.records import Clip, Word
from synctalk.corpora.segments import MARGIN_S, cut_clip, split_words
from synctalk.errors import ClipError, Reason
from synctalk.rejected import Rejected
from synctalk.shards.write import sample_key
from synctalk.timebase import FPS


def clip_of(words: list[tuple[str, float, float]], split: str = "pretrain", text: str | None = None) -> Clip:
    spoken = tuple(Word(*word) for word in words)
    transcript = " ".join(word.text for word in spoken) if text is None else text
    return Clip("pretrain/7/00001", "7", split, "v.mp4", "v.mp4", transcript, spoken, face_track="t.npz")


def segments_of(clip: Clip, n_frames: int, max_s: float) -> list[Clip]:
    found = cut_clip(clip, n_frames, max_s)
    assert all(isinstance(row, Clip) for row in found)
    return [row for row in found if isinstance(row, Clip)]


TALK = clip_of(
    [("so", 0.5, 1.0), ("this", 1.0, 1.5), ("is", 1.6, 2.0), ("a", 2.8, 3.0), ("long", 3.0, 4.0), ("talk", 4.1, 5.0)]
)


def test_a_clip_is_cut_in_its_long_pause_and_each_segment_has_its_own_words() -> None:
    first, second = segments_of(TALK, 150, 3.0)
    # silence of 0.2 s is kept around the words; the rest of the pause from 2.0 to 2.8 s belongs to neither
    assert (first.first_frame, first.n_cut_frames) == (7, 48)
    assert (second.first_frame, second.n_cut_frames) == (65, 65)
    assert (first.id, second.id) == ("pretrain/7/00001/000007-000055", "pretrain/7/00001/000065-000130")
    assert (first.transcript, second.transcript) == ("so this is", "a long talk")
    assert first.words == (Word("so", 0.22, 0.72), Word("this", 0.72, 1.22), Word("is", 1.32, 1.72))
    assert second.words == (Word("a", 0.2, 0.4), Word("long", 0.4, 1.4), Word("talk", 1.5, 2.4))
    for segment in (first, second):
        alike = replace(segment, id="", first_frame=0, n_cut_frames=0, transcript="", words=())
        assert alike == replace(TALK, id="", transcript="", words=())


@pytest.mark.parametrize(
    ("clip", "n_frames", "max_s"),
    [
        (TALK, 150, 0.0),
        (TALK, 150, 6.0),
        (replace(TALK, split="train"), 150, 3.0),
        (replace(TALK, split="test"), 999, 1),
    ],
)
def test_clips_that_are_short_or_of_another_split_stay_as_they_are(clip: Clip, n_frames: int, max_s: float) -> None:
    assert cut_clip(clip, n_frames, max_s) == [clip]


def test_a_long_silence_alone_is_cut_away() -> None:
    (segment,) = segments_of(clip_of([("hm", 30.0, 30.5)]), 2000, 16.0)
    assert (segment.first_frame, segment.n_cut_frames) == (745, 23)
    assert segment.words == (Word("hm", 0.2, 0.7),)


def test_margins_give_way_to_the_limit_and_to_the_ends_of_the_file() -> None:
    edges = clip_of([("a", 0.04, 1.0), ("b", 1.0, 2.0), ("c", 2.0, 3.0), ("d", 3.0, 3.96)])
    assert [(s.first_frame, s.n_cut_frames) for s in segments_of(edges, 99, 2.0)] == [(0, 50), (50, 49)]
    tight = clip_of([("a", 1.0, 3.0), ("b", 4.0, 6.0)])
    # 50 frames of words, 2 of room: one on either side
    assert [(s.first_frame, s.n_cut_frames) for s in segments_of(tight, 200, 2.08)] == [(24, 52), (99, 52)]


def test_a_short_rest_is_avoided_even_at_the_price_of_a_pause() -> None:
    clip = clip_of([("oh", 0.0, 0.3), *[(f"w{k}", 1.0 + 0.5 * k, 1.5 + 0.5 * k) for k in range(6)]])
    first, second = segments_of(clip, 110, 3.2)
    assert first.transcript.split()[:2] == ["oh", "w0"]
    assert min(first.n_cut_frames, second.n_cut_frames) >= FPS


def test_without_pauses_segments_are_of_like_length() -> None:
    clip = clip_of([(f"w{k}", 0.5 * k, 0.5 * k + 0.5) for k in range(22)])
    assert [s.n_cut_frames for s in segments_of(clip, 275, 10.0)] == [138, 138]  # and not 250 and 25


def test_a_word_that_is_longer_than_a_segment_is_a_row_with_its_reason() -> None:
    clip = clip_of([("one", 0.0, 0.5), ("aaah", 1.0, 5.0), ("two", 5.5, 6.0)])
    one, long_word, two = cut_clip(clip, 200, 2.0)
    assert isinstance(one, Clip)
    assert isinstance(two, Clip)
    assert (one.transcript, two.transcript) == ("one", "two")
    assert long_word == Rejected(
        "pretrain/7/00001/000025-000125",
        "index",
        Reason.TOO_LONG,
        "the word 'aaah' lasts 4.00 s, segments at most 2.00 s",
    )


@pytest.mark.parametrize(
    ("clip", "reason", "detail"),
    [
        (clip_of([], text="so it goes"), Reason.TOO_LONG, "6.00 s without word times, at most 3.00 s are taken whole"),
        (clip_of([("late", 6.0, 6.1)]), Reason.LENGTH_MISMATCH, "the last word ends at 6.10 s, the video at 6.00 s"),
        (clip_of([("late", 5.0, 6.3)]), Reason.LENGTH_MISMATCH, "the last word ends at 6.30 s, the video at 6.00 s"),
        (
            clip_of([("b", 2.0, 3.0), ("a", 1.0, 2.0), ("c", 3.0, 4.0)]),
            Reason.NO_TRANSCRIPT,
            "the words' times are not in order",
        ),
    ],
)
def test_what_cannot_be_cut_has_a_reason(clip: Clip, reason: Reason, detail: str) -> None:
    with pytest.raises(ClipError) as error:
        cut_clip(clip, 150, 3.0)
    assert (error.value.reason, error.value.detail) == (reason, detail)
    assert cut_clip(clip, 150, 6.0) == [clip]


def test_words_may_end_a_little_after_the_video() -> None:
    *_, last = segments_of(clip_of([("so", 0.0, 1.0), ("long", 4.0, 6.1)]), 150, 3.0)
    assert last.first_frame + last.n_cut_frames == 150


def test_a_clip_that_nobody_wrote_down_is_cut_into_equal_parts() -> None:
    parts = segments_of(clip_of([], text=""), 1000, 16.0)
    assert [(part.first_frame, part.n_cut_frames) for part in parts] == [(0, 333), (333, 333), (666, 334)]
    assert parts[1].id == "pretrain/7/00001/000333-000666"


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_words_segments_are_whole_few_and_within_the_limit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.uniform(0.05, 0.7, 120).round(2)
    pauses = (rng.exponential(0.15, 120) * (rng.random(120) < 0.4)).round(2)
    starts = np.cumsum(lengths + pauses) - lengths
    clip = clip_of([(f"w{k}", float(a), float(a + n)) for k, (a, n) in enumerate(zip(starts, lengths, strict=True))])
    n_frames = int(np.ceil(clip.words[-1].end_s * FPS)) + int(rng.integers(0, 30))
    limit = int(rng.integers(50, 400))
    segments = segments_of(clip, n_frames, limit / FPS)

    assert [word.text for s in segments for word in s.words] == [word.text for word in clip.words]
    for segment in segments:
        assert segment.n_cut_frames <= limit
        assert 0 <= segment.first_frame < segment.first_frame + segment.n_cut_frames <= n_frames
        for word in segment.words:
            own = clip.words[int(word.text[1:])]
            assert abs(word.start_s + segment.first_frame / FPS - own.start_s) < 1e-4
            assert 0 <= word.start_s <= word.end_s <= segment.n_cut_frames / FPS + 1e-4
        assert segment.words[0].start_s <= MARGIN_S + 1 / FPS
        assert segment.transcript == " ".join(word.text for word in segment.words)
        assert segment.id == segment_id(clip.id, segment.first_frame, segment.first_frame + segment.n_cut_frames)
        assert sample_key(segment.id) == segment.id
    for one, other in pairwise(segments):
        assert other.first_frame >= one.first_frame + one.n_cut_frames - 1  # a frame that holds parts of both words
    assert [s.id for s in segments] == sorted({s.id for s in segments})

    n_greedy, begin = 0, 0
    while begin < len(clip.words):  # greedy gives the smallest number there is
        first = np.floor(clip.words[begin].start_s * FPS + 1e-6)
        fits = [k for k in range(begin, 120) if np.ceil(clip.words[k].end_s * FPS - 1e-6) - first <= limit]
        begin, n_greedy = fits[-1] + 1, n_greedy + 1
    assert len(segments) == n_greedy == len(split_words(clip.words, limit))


def test_words_of_no_length_are_a_frame_long() -> None:
    clip = clip_of([("a", 1.0, 1.0), ("b", 9.0, 9.0)])
    assert all(s.n_cut_frames >= 1 for s in segments_of(clip, 300, 0.04))
