"""What a corpus' funnel counts."""

from __future__ import annotations

from synctalk.corpora.records import Rejected
from synctalk.errors import Reason
from synctalk.shards.corpus import funnel
from synctalk.shards.records import IndexRow


def test_clips_that_the_lists_leave_out_are_counted_but_do_not_lower_the_keep_rate() -> None:
    kept = IndexRow("k", "k", "k", "test", "s", "", 0, 0, 45_000, "test-00000.tar", 0, 0, "")
    left_out = [Rejected(f"a/{k}", "index", Reason.NOT_LISTED, "") for k in range(7)]
    lost = [Rejected("b", "crop", Reason.NO_FACE, "")]
    counted = funnel([kept], left_out + lost)
    assert (counted["clips"], counted["kept"], counted["keep_rate"], counted["hours"]) == (9, 1, 0.5, 0.5)
    assert counted["rejected"] == {"no_face": 1, "not_listed": 7}
    assert funnel([], left_out)["keep_rate"] == 0.0
