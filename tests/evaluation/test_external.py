"""Methods of others: the truth among them scores as the truth, and what has no figures is listed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from footage import START, made_videos, noise, real_videos, score, setup_of, small_judges, waves

from synctalk.corpora.records import Clip
from synctalk.errors import UserError
from synctalk.evaluation.judges.panel import Judges
from synctalk.evaluation.score import score_clips
from synctalk.evaluation.scores import ClipScore
from synctalk.evaluation.videos.corpus import ClipVideo
from synctalk.evaluation.videos.external import corpus_folders, match_samples, prepare_external
from synctalk.evaluation.videos.findings import ClipFinding, Note, write_findings
from synctalk.evaluation.videos.images import IMAGE_SCORES
from synctalk.media.write import write_video
from synctalk.shards.clips import CorpusClips
from synctalk.shards.read import Sample


class Shards:
    """Samples of videos, as a `ShardSet` gives them."""

    def __init__(self, videos: list[ClipVideo]) -> None:
        self.samples = [video.sample for video in videos]
        self.rows = [sample.row for sample in self.samples]

    def __getitem__(self, number: int) -> Sample:
        return self.samples[number]


@pytest.fixture(scope="module")
def judges() -> Judges:
    return small_judges()


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> list[ClipVideo]:
    return real_videos(tmp_path_factory.mktemp("real"))


@pytest.fixture(autouse=True)
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCTALK_WORKERS", "1")


def score_folder(truth: list[ClipVideo], folder: Path, judges: Judges) -> tuple[list[ClipScore], list[Note]]:
    test = CorpusClips(truth[0].root, [video.clip for video in truth], Shards(truth))  # type: ignore[arg-type]
    matched = match_samples(test, folder)
    prepare = partial(prepare_external, setup=setup_of(judges))
    scores, notes = score_clips(matched.videos, prepare, judges, label="test")
    return scores, [*matched.notes, *notes]


def copy_truth(truth: list[ClipVideo], folder: Path, suffix: str = ".mp4") -> dict[str, Path]:
    """The whole files of the real clips, called as somebody else's videos have to be."""
    copied = {}
    for video in truth:
        path = folder / f"{video.sample.row.id}{suffix}"
        path.parent.mkdir(parents=True)
        copied[video.sample.row.id] = Path(shutil.copy(video.root / video.clip.video, path))
    return copied


def without_pictures(scores: list[ClipScore]) -> list[ClipScore]:
    return [replace(one, **dict.fromkeys(IMAGE_SCORES)) for one in scores]


def test_the_truth_as_an_external_method_scores_as_the_truth(
    truth: list[ClipVideo], judges: Judges, tmp_path: Path
) -> None:
    copy_truth(truth, tmp_path)
    scores, notes = score_folder(truth, tmp_path, judges)
    assert notes == []
    # bit for bit: the stretch of each clip begins two frames into its file
    assert without_pictures(scores) == score(truth, judges)
    assert {(one.psnr, one.psnr_uint8, one.frame_psnr) for one in scores} == {(100.0, 100.0, 100.0)}


def test_a_method_scores_the_same_whether_it_is_ours_or_external(
    truth: list[ClipVideo], judges: Judges, tmp_path: Path
) -> None:
    """Lower halves of all frames 10 levels brighter, in ours over the stretch and in the other over the whole clip."""

    def brighter(frames: np.ndarray) -> np.ndarray:
        frames = frames.copy()
        frames[:, 80:] += 10
        return frames

    ours = score(made_videos(truth, tmp_path / "ours", brighter), judges)
    for number, video in enumerate(truth):
        n_stored = START + video.sample.row.n_frames + 1
        path = tmp_path / "other" / f"{video.sample.row.id}.mkv"
        path.parent.mkdir(parents=True)
        write_video(path, brighter(waves(n_stored, number)), audio=noise(n_stored, number), lossless=True)
    theirs, notes = score_folder(truth, tmp_path / "other", judges)
    assert notes == []
    for mine, other in zip(ours, theirs, strict=True):
        pictures = {name: getattr(mine, name) for name in IMAGE_SCORES}
        assert pictures == {name: getattr(other, name) for name in IMAGE_SCORES}
        assert mine.frame_psnr < 40
        assert (mine.n_frames, mine.hypothesis) == (other.n_frames, other.hypothesis)
        # ours went through AAC once more
        assert mine.lse_d == pytest.approx(other.lse_d, rel=0.2)


def test_a_missing_clip_is_listed_and_the_others_keep_their_figures(
    truth: list[ClipVideo], judges: Judges, tmp_path: Path
) -> None:
    copied = copy_truth(truth, tmp_path)
    gone = truth[1].sample.row.id
    copied[gone].rename(copied[gone].with_name("00002.mp4"))
    scores, notes = score_folder(truth, tmp_path, judges)
    assert [(note.id, note.finding, note.scored) for note in notes] == [
        (gone, ClipFinding.MISSING, False),
        (f"{Path(gone).parent}/00002", ClipFinding.EXTRA, False),
    ]
    whole = score([truth[0], truth[2]], judges)
    assert without_pictures(scores) == whole


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        ("broken", ClipFinding.UNREADABLE),
        ("mute", ClipFinding.NO_AUDIO),
        ("too short", ClipFinding.TOO_SHORT),
        ("ends before the stretch", ClipFinding.UNREADABLE),
        ("other size", ClipFinding.OTHER_SIZE),
    ],
)
def test_a_video_that_cannot_be_scored_says_why(
    truth: list[ClipVideo], judges: Judges, tmp_path: Path, fault: str, finding: ClipFinding
) -> None:
    made = next(iter(copy_truth(truth[:1], tmp_path).values()))
    frames, sound = waves(23, 0), noise(23, 0)
    match fault:
        case "broken":
            made.write_bytes(made.read_bytes()[:300])
        case "mute":
            write_video(made, frames)
        case "too short":
            write_video(made, frames[: START + 6], audio=sound)
        case "ends before the stretch":
            write_video(made, frames[:START], audio=sound)
        case "other size":
            write_video(made, frames[:, :96, :128], audio=sound)
    scores, notes = score_folder(truth[:1], tmp_path, judges)
    assert scores == []
    assert (notes[-1].id, notes[-1].finding, notes[-1].scored) == (truth[0].sample.row.id, finding, False)


@pytest.mark.parametrize(
    ("n_made", "finding", "n_scored"), [(20, ClipFinding.SHORTER, 18), (30, ClipFinding.LONGER, 20)]
)
def test_a_video_of_another_length_is_scored_where_both_have_frames(
    truth: list[ClipVideo], judges: Judges, tmp_path: Path, n_made: int, finding: ClipFinding, n_scored: int
) -> None:
    made = next(iter(copy_truth(truth[:1], tmp_path).values()))
    write_video(made, waves(n_made, 0), audio=noise(n_made, 0), lossless=True)
    (one,), (note,) = score_folder(truth[:1], tmp_path, judges)
    assert (note.finding, note.scored) == (finding, True)
    assert (one.n_frames, one.frame_psnr) == (n_scored, 100.0)


def test_nothing_can_be_scored_and_nothing_breaks(judges: Judges) -> None:
    assert score_clips([], partial(prepare_external, setup=setup_of(judges)), judges, label="test") == ([], [])


def test_corpora_are_those_that_have_a_folder(tmp_path: Path) -> None:
    (tmp_path / "lrs3").mkdir()
    assert corpus_folders("pc_avs", tmp_path, ["lrs2", "lrs3"]) == {"lrs3": tmp_path / "lrs3"}
    with pytest.raises(UserError, match=r"holds no videos of pc_avs; make lrs2/ or voxceleb2/ in it"):
        corpus_folders("pc_avs", tmp_path, ["lrs2", "voxceleb2"])


def test_clips_of_several_faces_have_a_video_each(truth: list[ClipVideo], tmp_path: Path) -> None:
    videos = [
        replace(
            truth[0], sample=replace(truth[0].sample, row=replace(truth[0].sample.row, id=f"both/face{n}", clip="both"))
        )
        for n in (1, 2)
    ]
    for n in (1, 2):
        copied = tmp_path / f"both/face{n}.mp4"
        copied.parent.mkdir(exist_ok=True)
        copied.touch()
    clip = Clip("both", "", "test", "0.mp4", "0.mp4", "")
    matched = match_samples(CorpusClips(truth[0].root, [clip], Shards(videos)), tmp_path)  # type: ignore[arg-type]
    assert [video.generated for video in matched.videos] == [tmp_path / f"both/face{n}.mp4" for n in (1, 2)]
    assert {video.clip.id for video in matched.videos} == {"both"}


def test_findings_are_a_table_by_corpus_and_clip(tmp_path: Path) -> None:
    notes = {
        "lrs2": [Note("b", ClipFinding.LONGER, True, "9 frames, 8"), Note("a", ClipFinding.MISSING, False, "no")],
        "lrs3": [],
    }
    write_findings(tmp_path / "out" / "notes.csv", notes)
    rows = pd.read_csv(tmp_path / "out" / "notes.csv")
    assert rows.to_dict("list") == {
        "corpus": ["lrs2", "lrs2"], "id": ["a", "b"], "finding": ["missing", "longer"], "scored": [False, True],
        "detail": ["no", "9 frames, 8"],
    }  # fmt: skip
