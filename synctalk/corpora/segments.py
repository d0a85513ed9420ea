"""Long clips of a corpus' pre-training part, cut into segments between words.

`pretrain` clips of LRS2 and LRS3 last up to minutes and come with the times of their words. AV-HuBERT cuts a clip of
LRS3 whose last word ends after 15 s at every pause of more than 0.4 s, auto_avsr cuts at 16 s. Here a clip becomes as
few segments as the limit allows; among the ways to do that, one is taken that leaves no short segments, cuts in long
pauses, and makes segments of like length. The times count on the file's own line, so nothing is encoded again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, floor

from synctalk.corpora.listing import reject, segment_id
from synctalk.corpora.records import Clip, Word
from synctalk.errors import ClipError, Reason
from synctalk.rejected import Rejected
from synctalk.timebase import FPS, n_frames_in

SEGMENTED_SPLIT = "pretrain"
MARGIN_S = 0.2
"""Silence that a segment keeps before its first and after its last word, where the limit and the neighbours allow. The
longest stretch, too, by which word times may go beyond the file's end."""
SHORT_S = 1.0
"""Segments shorter than this are avoided where as many longer ones will do."""
LONG_PAUSE_S = 0.4
"""Longer pauses are no better to cut in: AV-HuBERT's choice."""
PAUSE_STEPS = 4
"""Pauses are compared in so many steps up to `LONG_PAUSE_S`, so that hundredths of a second do not decide."""
_TICK = 1e-6
"""Word times are decimals: 1.16 s is frame 29 and not 28.999999999999996."""

Cost = tuple[int, int, int, int]
"""Number of runs, of short ones, steps of pause that cuts lie in (negative), sum of squared lengths."""


@dataclass(frozen=True)
class Run:
    """Words `begin` .. `end - 1` of a clip, and the frames `first` .. `stop - 1` that hold them."""

    begin: int
    end: int
    first: int
    stop: int

    @property
    def n_frames(self) -> int:
        return self.stop - self.first


def _run(words: Sequence[Word], begin: int, end: int) -> Run:
    first, stop = floor(words[begin].start_s * FPS + _TICK), ceil(words[end - 1].end_s * FPS - _TICK)
    return Run(begin, end, first, max(first + 1, stop))


def _pause_s(words: Sequence[Word], number: int) -> float:
    """Silence before word `number`; endless before the first one and behind the last one."""
    if number in (0, len(words)):
        return float("inf")
    return max(0.0, words[number].start_s - words[number - 1].end_s)


def _cost(words: Sequence[Word], run: Run) -> Cost:
    steps = round(PAUSE_STEPS * min(_pause_s(words, run.begin), LONG_PAUSE_S) / LONG_PAUSE_S)
    return 1, int(run.n_frames < n_frames_in(SHORT_S)), -steps, run.n_frames**2


def split_words(words: Sequence[Word], limit: int) -> list[Run]:
    """Runs of at most `limit` frames that cover all words in order; a word that is longer stands alone.

    Dynamic programming over the word after which a run ends: the cheapest way by `Cost`, item by item.
    """
    cheapest: list[Cost] = [(0, 0, 0, 0)]
    last_runs: list[Run] = []
    for end in range(1, len(words) + 1):
        options: list[tuple[Cost, Run]] = []
        for begin in range(end - 1, -1, -1):
            run = _run(words, begin, end)
            if run.n_frames > limit and options:
                break
            before, own = cheapest[begin], _cost(words, run)
            total = (before[0] + own[0], before[1] + own[1], before[2] + own[2], before[3] + own[3])
            options.append((total, run))
        cost, run = min(options, key=lambda option: option[0])
        cheapest.append(cost)
        last_runs.append(run)
    runs: list[Run] = []
    end = len(words)
    while end:
        runs.append(last_runs[end - 1])
        end = runs[-1].begin
    return runs[::-1]


def _widened(words: Sequence[Word], run: Run, limit: int, n_frames: int) -> Run:
    """`run` with silence at both ends, up to `MARGIN_S`, half of the pause, the limit and the file's ends."""
    lead, trail = (floor(min(MARGIN_S, _pause_s(words, number) / 2) * FPS + _TICK) for number in (run.begin, run.end))
    room = limit - run.n_frames
    lead = min(lead, max(room - trail, room // 2))
    trail = min(trail, room - lead)
    return replace(run, first=max(0, run.first - lead), stop=min(n_frames, run.stop + trail))


def _segment(clip: Clip, run: Run) -> Clip:
    start_s = run.first / FPS
    words = tuple(
        Word(word.text, round(word.start_s - start_s, 4), round(word.end_s - start_s, 4))
        for word in clip.words[run.begin : run.end]
    )
    return replace(
        clip,
        id=segment_id(clip.id, run.first, run.stop),
        transcript=" ".join(word.text for word in words),
        words=words,
        first_frame=run.first,
        n_cut_frames=run.n_frames,
    )


def _cut_between_words(clip: Clip, n_frames: int, limit: int) -> list[Clip | Rejected]:
    words = clip.words
    video_s = n_frames / FPS
    if words[-1].start_s >= video_s or words[-1].end_s > video_s + MARGIN_S:
        detail = f"the last word ends at {words[-1].end_s:.2f} s, the video at {video_s:.2f} s"
        raise ClipError(Reason.LENGTH_MISMATCH, detail)
    if any(a.start_s > b.start_s or a.end_s > b.end_s for a, b in pairwise(words)):
        raise ClipError(Reason.NO_TRANSCRIPT, "the words' times are not in order")
    cut: list[Clip | Rejected] = []
    for run in split_words(words, limit):
        if run.n_frames > limit:
            lasts_s = words[run.begin].end_s - words[run.begin].start_s
            detail = f"the word {words[run.begin].text!r} lasts {lasts_s:.2f} s, segments at most {limit / FPS:.2f} s"
            cut.append(reject(segment_id(clip.id, run.first, run.stop), ClipError(Reason.TOO_LONG, detail)))
        else:
            cut.append(_segment(clip, _widened(words, run, limit, n_frames)))
    return cut


def cut_clip(clip: Clip, n_frames: int, max_segment_s: float) -> list[Clip | Rejected]:
    """A clip as it is, or its segments where it belongs to `pretrain` and is longer than `max_segment_s`.

    Every segment has whole words only, its own transcript and word times, and an id of its own. Silence longer than
    `MARGIN_S` between two segments belongs to neither. A word that is longer than the limit becomes a rejected row; a
    segment that is short stays one, and the crop stage decides by its own limit. A clip without a transcript
    (VoxCeleb2) is cut into equal parts.

    Args:
        clip: probed.
        n_frames: frames of its video's 25 fps time line.
        max_segment_s: 0 cuts nothing.

    Raises:
        ClipError: the clip is long and cannot be cut: `TOO_LONG`, it has a transcript without word times;
            `LENGTH_MISMATCH`, the words go beyond the video; `NO_TRANSCRIPT`, they are out of order.
    """
    limit = n_frames_in(max_segment_s)
    if not limit or clip.split != SEGMENTED_SPLIT or n_frames <= limit:
        return [clip]
    if clip.words:
        return _cut_between_words(clip, n_frames, limit)
    if clip.transcript:
        raise ClipError(
            Reason.TOO_LONG, f"{n_frames / FPS:.2f} s without word times, at most {max_segment_s:.2f} s are taken whole"
        )
    n_parts = ceil(n_frames / limit)
    bounds = [n_frames * k // n_parts for k in range(n_parts + 1)]
    return [_segment(clip, Run(0, 0, first, stop)) for first, stop in pairwise(bounds)]
