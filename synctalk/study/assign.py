"""Which videos a study shows, who rates which, and in what order.

Legend: M methods, C clips, V videos, K raters, L videos a rater.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from synctalk.errors import UserError

SECONDS = 60.0
"""For how long a sharing out is looked for; a hundred videos and twenty raters take a fraction of a second."""


@dataclass(frozen=True)
class Item:
    """One video of the study: a clip as one method made it, or the real one."""

    method: str
    clip: str


def choose_items(clips: Mapping[str, set[str]], n_videos: int, seed: int) -> list[Item]:
    """`n_videos` videos: clips drawn by `seed` from those that every method has, each shown by every method.

    Methods are thus judged on the same clips. Where `n_videos` is no multiple of M, the last clip is shown by some
    methods only, drawn too.

    Args:
        clips: method -> its clips.
        n_videos: V.
        seed: of the draw.

    Raises:
        UserError: a method has no clip in common with the others, or there are too few.
    """
    methods = sorted(clips)
    common = sorted(set.intersection(*clips.values()))
    n_clips = -(-n_videos // len(methods))
    if len(common) < n_clips:
        counts = ", ".join(f"{method} {len(clips[method])}" for method in methods)
        raise UserError(
            f"{n_videos} videos of {len(methods)} methods",
            f"need {n_clips} clips that every method has, and there are {len(common)} ({counts})",
            f"give --videos {len(common) * len(methods)} or less" if common else "name files alike in every folder",
        )
    rng = np.random.default_rng(seed)
    chosen = [common[index] for index in rng.permutation(len(common))[:n_clips]]
    items = [Item(method, clip) for clip in chosen for method in rng.permutation(methods).tolist()]
    return items[:n_videos]


def _sums(groups: NDArray[np.int64], n_raters: int) -> csr_array:
    """Matrix that sums x [K V] over each rater's videos of each group, [K G, K V]."""
    n_groups, n_videos = int(groups.max()) + 1, len(groups)
    raters = np.repeat(np.arange(n_raters), n_videos)
    rows = raters * n_groups + np.tile(groups, n_raters)
    return csr_array((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(n_raters * n_groups, len(rows)))


def share_out(items: Sequence[Item], n_raters: int, overlap: int, seed: int) -> list[list[int]]:
    """Indices in `items` that each rater rates, ascending: a random solution of these demands, by integer programming.

    * each video has `overlap` raters;
    * raters have equally many videos, or differ by one;
    * a rater has equally many videos of each method, or differing by one; where the counts of the methods forbid that
      for somebody, by up to three;
    * a rater sees one clip as seldom as the numbers allow: once, where L is at most C.

    Raises:
        UserError: more raters a video than there are raters, or more raters than ratings.
    """
    n_ratings, n_videos = len(items) * overlap, len(items)
    if overlap > n_raters:
        raise UserError(f"{overlap} raters a video", f"there are {n_raters} raters", "lower --overlap")
    if n_ratings < n_raters:
        raise UserError(f"{n_raters} raters", f"there are {n_ratings} ratings to give", "lower --raters")
    methods = sorted({item.method for item in items})
    clips = sorted({item.clip for item in items})
    of_method = np.array([methods.index(item.method) for item in items])
    of_clip = np.array([clips.index(item.clip) for item in items])
    low, high = n_ratings // n_raters, -(-n_ratings // n_raters)
    by_video = csr_array(
        (np.ones(n_raters * n_videos), (np.tile(np.arange(n_videos), n_raters), np.arange(n_raters * n_videos)))
    )
    most_of_a_clip = -(-high * max(Counter(of_clip.tolist()).values()) // n_videos)
    cost = np.random.default_rng(seed).random(n_raters * n_videos)
    for slack in (0, 1):
        found = milp(
            cost,
            integrality=np.ones(len(cost)),
            bounds=Bounds(0, 1),
            constraints=[
                LinearConstraint(by_video, overlap, overlap),
                LinearConstraint(_sums(np.zeros(n_videos, np.int64), n_raters), low, high),
                LinearConstraint(
                    _sums(of_method, n_raters), low // len(methods) - slack, -(-high // len(methods)) + slack
                ),
                LinearConstraint(_sums(of_clip, n_raters), 0, most_of_a_clip),
            ],
            # any solution will do: the costs only make it a random one
            options={"mip_rel_gap": 1.0, "time_limit": SECONDS},
        )
        if found.x is not None:
            taken = found.x.reshape(n_raters, n_videos).round().astype(bool)
            return [np.flatnonzero(row).tolist() for row in taken]
    raise UserError(
        f"{n_videos} videos, {n_raters} raters, {overlap} raters a video",
        "cannot be shared out evenly",
        "take a number of videos that is a multiple of the methods",
    )


def order_apart(clips: Sequence[str], rng: np.random.Generator) -> list[int]:
    """A random order of a rater's videos in which no clip follows itself; indices in `clips`.

    Raises:
        UserError: one clip is more than half of them.
    """
    if max(Counter(clips).values()) > (len(clips) + 1) // 2:
        raise UserError("the study", "shows one clip to a rater twice in a row", "give more clips, or more raters")
    order = rng.permutation(len(clips))

    def repeats() -> NDArray[np.intp]:
        names = np.asarray(clips)[order]
        return np.flatnonzero(names[1:] == names[:-1])

    while len(before := repeats()):
        a, b = rng.choice(before), rng.integers(len(order))
        order[[a, b]] = order[[b, a]]
        if len(repeats()) > len(before):
            order[[a, b]] = order[[b, a]]
    return [int(index) for index in order]
