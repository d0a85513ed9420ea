"""Who rates what: even by construction, whatever the numbers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from synctalk.errors import UserError
from synctalk.study.assign import Item, choose_items, order_apart, share_out


def clips_of(n_methods: int, n_clips: int) -> dict[str, set[str]]:
    return {f"m{method}": {f"c{clip}" for clip in range(n_clips)} for method in range(n_methods)}


def spread(counts: Counter[str], names: set[str]) -> int:
    """Difference of the largest and the smallest count."""
    return max(counts[name] for name in names) - min(counts[name] for name in names)


@pytest.mark.parametrize(("n_videos", "n_methods"), [(100, 4), (100, 3), (5, 5), (7, 3)])
def test_methods_show_the_same_clips_and_equally_many(n_videos: int, n_methods: int) -> None:
    clips = clips_of(n_methods, 60)
    clips["m0"].add("only here")
    items = choose_items(clips, n_videos, seed=3)
    assert len(items) == len(set(items)) == n_videos
    assert spread(Counter(item.method for item in items), set(clips)) <= 1
    per_clip = Counter(item.clip for item in items)
    assert sum(count == n_methods for count in per_clip.values()) == n_videos // n_methods
    assert len(per_clip) == -(-n_videos // n_methods)
    assert "only here" not in per_clip


def test_the_seed_chooses() -> None:
    clips = clips_of(4, 60)
    assert choose_items(clips, 100, seed=1) == choose_items(clips, 100, seed=1)
    one, other = ({item.clip for item in choose_items(clips, 100, seed)} for seed in (1, 2))
    assert one != other


def test_too_few_clips_in_common_are_one_line_that_says_what_to_ask_for() -> None:
    clips = {"a": {"x", "y", "z"}, "b": {"y", "z", "w"}}
    with pytest.raises(UserError, match=r"need 3 clips .* there are 2 \(a 3, b 3\); give --videos 4 or less"):
        choose_items(clips, 5, seed=0)
    with pytest.raises(UserError, match="name files alike"):
        choose_items({"a": {"x"}, "b": {"y"}}, 2, seed=0)


@pytest.mark.parametrize(
    ("n_videos", "n_methods", "n_raters", "overlap"),
    [
        (100, 4, 20, 1),  # the paper's numbers
        (100, 4, 20, 3),
        (100, 3, 20, 2),
        (100, 7, 20, 1),
        (99, 5, 7, 7),
        (48, 4, 5, 2),
        (12, 4, 12, 1),
        (20, 4, 5, 5),
    ],
)
def test_shares_are_even(n_videos: int, n_methods: int, n_raters: int, overlap: int) -> None:
    items = choose_items(clips_of(n_methods, 60), n_videos, seed=0)
    shares = share_out(items, n_raters, overlap, seed=0)
    assert len(shares) == n_raters
    seen = Counter(place for share in shares for place in share)
    assert seen == dict.fromkeys(range(n_videos), overlap)
    assert all(len(share) == len(set(share)) for share in shares)
    loads = [len(share) for share in shares]
    assert max(loads) - min(loads) <= 1
    n_clips = len({item.clip for item in items})
    for share in shares:
        methods = Counter(items[place].method for place in share)
        assert spread(methods, {item.method for item in items}) <= 1
        if len(share) <= n_clips:
            assert max(Counter(items[place].clip for place in share).values()) == 1


def test_counts_that_cannot_be_even_are_as_near_as_they_go() -> None:
    # 34, 33 and 33 videos, nine raters each, a hundred raters with nine: three of each cannot be for everybody
    items = choose_items(clips_of(3, 60), 100, seed=0)
    shares = share_out(items, 100, 9, seed=0)
    assert {len(share) for share in shares} == {9}
    spreads = [spread(Counter(items[place].method for place in share), {"m0", "m1", "m2"}) for share in shares]
    assert max(spreads) == 2
    assert Counter(place for share in shares for place in share) == dict.fromkeys(range(100), 9)


def test_the_seed_shares_out() -> None:
    items = choose_items(clips_of(4, 60), 100, seed=0)
    assert share_out(items, 20, 2, seed=1) == share_out(items, 20, 2, seed=1)
    assert share_out(items, 20, 2, seed=1) != share_out(items, 20, 2, seed=2)


@pytest.mark.parametrize(
    ("n_raters", "overlap", "line"),
    [(2, 3, "3 raters a video: there are 2 raters; lower --overlap"), (9, 1, "9 raters: there are 8 ratings to give")],
)
def test_numbers_that_do_not_fit_are_one_line(n_raters: int, overlap: int, line: str) -> None:
    items = [Item(method, clip) for method in "ab" for clip in "wxyz"]
    with pytest.raises(UserError, match=line):
        share_out(items, n_raters, overlap, seed=0)


@pytest.mark.parametrize("clips", ["aabbccdd", "aaabb", "aaaabbbc", "abcdefgh", "a", "aaaaaabbbbbcc"])
def test_no_clip_follows_itself(clips: str) -> None:
    orders = set()
    for seed in range(20):
        order = order_apart(list(clips), np.random.default_rng(seed))
        assert sorted(order) == list(range(len(clips)))
        shown = [clips[place] for place in order]
        assert all(a != b for a, b in pairwise(shown))
        orders.add(tuple(order))
    assert len(orders) > 1 or len(clips) == 1


def test_a_clip_that_must_follow_itself_is_an_error() -> None:
    with pytest.raises(UserError, match="twice in a row"):
        order_apart(list("aaab"), np.random.default_rng(0))
