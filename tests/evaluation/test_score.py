"""Scores of videos from end to end with small random judges, and how clips become a figure."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from footage import made_videos, real_videos, score, small_judges
from training.tiny import samples

from synctalk.corpora.records import Clip
from synctalk.errors import UserError
from synctalk.evaluation.judges import lip_reader
from synctalk.evaluation.judges.panel import Judges
from synctalk.evaluation.scores import ClipScore, offset_counts, summarise, write_offsets, write_scores
from synctalk.evaluation.videos.corpus import ClipVideo, clip_videos
from synctalk.evaluation.videos.images import IMAGE_SCORES
from synctalk.shards.clips import CorpusClips

SCORE = ClipScore(
    id="a", n_frames=20, n_windows=15, lse_c=1.0, lse_d=2.0, offset=0, lse_c_other=0.5, **dict.fromkeys(IMAGE_SCORES),
    edits=0, n_words=4, char_edits=0, n_chars=7, wer3_edits=1, wer3_free_edits=2, reference="a b c d",
    hypothesis="a b c d", wer3_hypothesis="a b c x", wer3_free_hypothesis="a b",
)  # fmt: skip


@pytest.fixture(scope="module")
def judges() -> Judges:
    return small_judges()


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> list[ClipVideo]:
    return real_videos(tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def real_scores(truth: list[ClipVideo], judges: Judges) -> list[ClipScore]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNCTALK_WORKERS", "1")
        return score(truth, judges)


def test_ground_truth_is_scored_in_its_order_without_image_scores(
    truth: list[ClipVideo], real_scores: list[ClipScore]
) -> None:
    assert [one.id for one in real_scores] == [video.clip.id for video in truth]
    assert [one.reference for one in real_scores] == [video.sample.row.transcript for video in truth]
    assert [one.n_frames for one in real_scores] == [20, 22, 24]
    assert [one.n_windows for one in real_scores] == [15, 17, 19]
    assert [one.n_words for one in real_scores] == [6, 6, 6]
    assert all(getattr(one, name) is None for one in real_scores for name in IMAGE_SCORES)


def test_scores_do_not_depend_on_the_worker_count(
    truth: list[ClipVideo], judges: Judges, real_scores: list[ClipScore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCTALK_WORKERS", "2")
    assert score(truth, judges) == real_scores


def test_a_take_is_scored_by_itself_but_for_the_other_sound(
    truth: list[ClipVideo], judges: Judges, real_scores: list[ClipScore]
) -> None:
    pair = score([truth[2], truth[0]], judges)
    assert replace(pair[0], lse_c_other=0) == replace(real_scores[2], lse_c_other=0)
    # the last is compared with the first, so the third of three with the same clip as here
    assert pair[0].lse_c_other == real_scores[2].lse_c_other != real_scores[2].lse_c
    assert pair[1].lse_c_other != real_scores[0].lse_c_other


def test_the_frame_dump_changes_what_the_sync_judge_sees_and_nothing_else(
    truth: list[ClipVideo], judges: Judges, real_scores: list[ClipScore]
) -> None:
    assert judges.sync is not None
    through = score(truth, replace(judges, sync=replace(judges.sync, jpeg=True)))
    for ours, plain in zip(through, real_scores, strict=True):
        assert ours.lse_d != plain.lse_d
        assert ours.lse_d == pytest.approx(plain.lse_d, rel=0.2)
        same = {"lse_c": 0, "lse_d": 0, "offset": 0, "lse_c_other": 0}
        assert replace(ours, **same) == replace(plain, **same)


def test_a_copy_of_the_real_video_is_perfect_by_pixels_and_equal_by_judges(
    truth: list[ClipVideo], judges: Judges, real_scores: list[ClipScore], tmp_path: Path
) -> None:
    made = score(made_videos(truth, tmp_path / "made"), judges)
    for ours, theirs in zip(made, real_scores, strict=True):
        assert (ours.psnr, ours.psnr_uint8, ours.mouth_psnr) == (100.0, 100.0, 100.0)
        assert ours.ssim == pytest.approx(1.0)
        assert ours.hypothesis == theirs.hypothesis
        assert (ours.wer3_hypothesis, ours.wer3_free_hypothesis) == (
            theirs.wer3_hypothesis,
            theirs.wer3_free_hypothesis,
        )
        assert ours.wer3_hypothesis is not None
        assert ours.n_windows == theirs.n_windows


def test_scores_survive_their_file(tmp_path: Path) -> None:
    scores = [
        SCORE,
        replace(SCORE, id="b", psnr=30.0, psnr_uint8=29.0, ssim=0.9, mouth_psnr=25.0, mean_mouth_psnr=24.0),
    ]
    write_scores(tmp_path / "lrs2.parquet", scores)
    assert pq.read_table(tmp_path / "lrs2.parquet").to_pylist() == [asdict(one) for one in scores]


def test_wer_is_over_the_words_of_the_corpus_and_no_mean_of_clips() -> None:
    scores = [replace(SCORE, edits=3, n_words=10), replace(SCORE, edits=1, n_words=1)]
    figures = summarise(scores, "wer2")
    assert figures["wer2"].value == pytest.approx(100 * 4 / 11)
    assert figures["wer2"].n == 2


def test_wer3_is_the_mean_of_clips_where_it_is_forced_and_of_the_corpus_where_it_is_free() -> None:
    scores = [replace(SCORE, wer3_edits=3, wer3_free_edits=3, n_words=10)]
    scores.append(replace(SCORE, wer3_edits=1, wer3_free_edits=1, n_words=1))
    figures = summarise(scores, "wer1")
    assert figures["wer3"].value == pytest.approx((30 + 100) / 2)
    assert figures["wer3_free"].value == pytest.approx(100 * 4 / 11)
    # a clip that nobody read counts in neither
    unread = replace(SCORE, wer3_edits=None, wer3_free_edits=None, n_words=4)
    assert summarise([*scores, unread], "wer1")["wer3"] == figures["wer3"]
    assert summarise([*scores, unread], "wer1")["wer3_free"] == figures["wer3_free"]


def test_empty_and_over_long_hypotheses_count_in_full(
    truth: list[ClipVideo], judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six words a clip: nothing read is six deletions, forty words too many forty insertions, a rate above 100 %."""
    said = [video.sample.row.transcript for video in truth]
    read = ["", f"{said[1]} " + "no " * 40, "\t  "]
    monkeypatch.setattr(lip_reader, "read_lips", lambda *_: read)
    scores = score(truth, replace(judges, conformer=None))
    assert [(one.edits, one.n_words) for one in scores] == [(6, 6), (40, 6), (6, 6)]
    assert [one.hypothesis for one in scores] == read
    assert scores[0].char_edits == scores[0].n_chars == len(said[0])
    figures = summarise(scores, "wer1")
    assert figures["wer1"].value == pytest.approx(100 * 52 / 18)
    assert (figures["wer1"].n, figures["cer"].n) == (3, 3)


def test_means_by_hand_and_no_image_figures_of_ground_truth() -> None:
    scores = [replace(SCORE, lse_c=float(c), offset=o) for c, o in ((1, -1), (2, 0), (6, 5), (3, -8))]
    figures = summarise(scores, "wer1")
    rates = {"wer1", "cer", "wer3", "wer3_free"}
    assert set(figures) == {"n_windows", "lse_c", "lse_d", "offset", "lse_c_other", "offset_within_1"} | rates
    assert figures["lse_c"].value == 3.0
    assert figures["offset"].value == -1.0
    assert figures["offset_within_1"].value == 0.5
    assert figures["lse_d"].low == figures["lse_d"].high == 2.0
    made = [replace(one, **dict.fromkeys(IMAGE_SCORES, 7.0)) for one in scores]
    assert {summarise(made, "wer1")[name].value for name in IMAGE_SCORES} == {7.0}


def test_offsets_are_counted_with_empty_bars(tmp_path: Path) -> None:
    scores = [replace(SCORE, offset=offset) for offset in (0, 0, -15, 3, None)]
    counts = offset_counts(scores)
    assert list(counts) == list(range(-15, 16))
    assert {offset: n for offset, n in counts.items() if n} == {0: 2, -15: 1, 3: 1}
    write_offsets(tmp_path / "offsets.csv", scores)
    lines = (tmp_path / "offsets.csv").read_text().splitlines()
    assert (len(lines), lines[0], lines[1], lines[16]) == (32, "offset,clips", "-15,1", "0,2")
    assert offset_counts([replace(SCORE, offset=None)]) == {}


def test_takes_are_one_a_sample_with_its_own_clip(tmp_path: Path) -> None:
    shards = samples(tmp_path / "shards", 3).shards
    clips = [Clip(row.id, "", "test", f"{row.id}.mp4", f"{row.id}.mp4", "") for row in reversed(shards.rows)]
    for row in shards.rows:
        path = tmp_path / "made" / f"{row.id}.mp4"
        path.parent.mkdir(parents=True)
        path.touch()
    real = clip_videos(CorpusClips(tmp_path, clips, shards), None)
    made = clip_videos(CorpusClips(tmp_path, clips, shards), tmp_path / "made")
    ids = [row.id for row in shards.rows]
    assert [video.clip.id for video in real] == [video.sample.row.id for video in made] == ids
    assert [video.generated for video in real] == [None] * 3
    assert [video.generated for video in made] == [tmp_path / "made" / f"{clip_id}.mp4" for clip_id in ids]
    np.testing.assert_array_equal(made[2].sample.boxes, shards[2].boxes)


def test_videos_of_several_faces_share_their_clip_and_have_their_own_videos(tmp_path: Path) -> None:
    shards = samples(tmp_path / "shards", 2).shards
    shards.rows = [replace(row, clip="both") for row in shards.rows]
    for row in shards.rows:
        path = tmp_path / "made" / f"{row.id}.mp4"
        path.parent.mkdir(parents=True)
        path.touch()
    clip = Clip("both", "", "test", "both.mp4", "both.mp4", "")
    videos = clip_videos(CorpusClips(tmp_path, [clip], shards), tmp_path / "made")
    assert [video.clip.video for video in videos] == ["both.mp4"] * 2
    assert [video.generated for video in videos] == [tmp_path / "made" / f"{row.id}.mp4" for row in shards.rows]


def test_a_missing_generated_video_is_named_with_its_mend(tmp_path: Path) -> None:
    shards = samples(tmp_path / "shards", 1).shards
    clips = [Clip(row.id, "", "test", "", "", "") for row in shards.rows]
    with pytest.raises(UserError) as error:
        clip_videos(CorpusClips(tmp_path, clips, shards), tmp_path / "made")
    assert str(error.value) == f"{tmp_path}/made/main/0/00001.mp4: is not there; run `dvc repro generate`"
