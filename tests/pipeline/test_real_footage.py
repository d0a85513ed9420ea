"""Real footage from index to shards: every clip's fate is known from the manifest that lies beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import av
import numpy as np
import pytest
from indexed import indexed

from synctalk.corpora.records import Clip, ClipTable, write_clips
from synctalk.errors import ClipError, Reason, UserError
from synctalk.faces.corpus import crop_corpus
from synctalk.faces.crop import crop_face
from synctalk.faces.detect import make_detector
from synctalk.faces.extract import CropParams, crop_clip
from synctalk.features.corpus import extract_corpus
from synctalk.params.read import load
from synctalk.rejected import read_rejected
from synctalk.shards.corpus import ShardParams, pack_corpus
from synctalk.shards.read import Sample, ShardSet
from synctalk.shards.screened import write_unscreened

PARAMS = Path(__file__).parents[2] / "params.yaml"
WEIGHTS = {"yunet": "face_detection_yunet_2023mar.onnx", "insightface": "det_500m.onnx"}
MEMBERS = ("faces", "mouth", "fbank", "mfcc", "mel")
FACELESS = frozenset({Reason.NO_FACE, Reason.FACE_LOST})
KEPT: frozenset[Reason] = frozenset()
FATES = {
    "keep": KEPT,
    "reject: speech without a usable face": FACELESS,
    "reject: no human face": FACELESS,
    "2 faces": frozenset({Reason.SEVERAL_FACES}),
    "first frame held": frozenset({Reason.FROZEN_FACE}),
    "without audio track": frozenset({Reason.NO_AUDIO}),
    "moov missing": frozenset({Reason.TRUNCATED}),
    "duplicate frames": KEPT,
    "hard cut": KEPT,
    # sound that does not belong to the lips is a matter for the sync expert, not for these stages
    "lwbsza picture": KEPT,
    "pwij3p, audio": KEPT,
}
"""A phrase of the manifest's `expect` -> reasons for which the clip may be dropped; none = it is kept."""


@dataclass(frozen=True)
class Outcome:
    """What the stages made of the clips: of the index, dropped (id -> stage and reason) and packed (id -> sample)."""

    clips: dict[str, Clip]
    dropped: dict[str, tuple[str, Reason]]
    samples: dict[str, Sample]


@pytest.fixture(scope="module")
def root(shared: Path) -> Path:
    return shared / "clips"


def crop_params(shared: Path) -> CropParams:
    """The project's own, with weights; SCRFD sees smaller pictures than params.yaml says, for the test's time only."""
    params = load("crop", CropParams, PARAMS)
    detectors = {
        name: replace(section, weights=str(shared / "models" / WEIGHTS[name]), det_size=320)
        for name, section in params.detectors.items()
    }
    return replace(params, detectors=detectors, clips_per_part=4)


def table_of(clips: list[Clip]) -> ClipTable:
    """The clips as an index, in the folder of the moment."""
    write_clips(Path("clips.parquet"), clips)
    return ClipTable(Path("clips.parquet"))


@pytest.fixture(scope="module", params=sorted(WEIGHTS))
def outcome(request: pytest.FixtureRequest, shared: Path, root: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        index = indexed("folder", root)
        crops, screening, features, shards = (Path(name) for name in ("crops", "screening", "features", "shards"))
        clips = table_of(index.clips)
        crop_corpus("clips", root, clips, crop_params(shared), request.param, MEMBERS, crops)
        write_unscreened(crops, screening)
        extract_corpus("clips", root, clips, crops, screening, MEMBERS, features)
        pack_corpus("clips", clips, crops, screening, features, ShardParams(max_bytes=2_000_000), shards)
    packed = ShardSet([folder / "shards"], ["test"])
    samples = [packed[number] for number in range(len(packed))]
    return Outcome(
        {clip.id: clip for clip in index.clips},
        {
            row.id: (row.stage, row.reason)
            for row in [*index.rejected, *read_rejected(folder / "crops/rejected.parquet")]
        },
        {sample.row.id: sample for sample in samples},
    )


def allowed(expect: str) -> frozenset[Reason]:
    """The one entry of `FATES` that `expect` speaks of."""
    (found,) = [reasons for phrase, reasons in FATES.items() if phrase in expect]
    return found


def test_every_clip_is_kept_or_dropped_as_the_manifest_says(outcome: Outcome, root: Path) -> None:
    rows = [json.loads(line) for line in (root / "manifest.jsonl").read_text().splitlines()]
    wanted = {Path(row["path"]).with_suffix("").as_posix(): allowed(row["expect"]) for row in rows}
    assert outcome.samples.keys() | outcome.dropped.keys() == wanted.keys()
    assert not outcome.samples.keys() & outcome.dropped.keys()
    wrong = {
        name: outcome.dropped.get(name, "kept")
        for name, reasons in wanted.items()
        if (name in outcome.samples) != (reasons == KEPT)
        or (name in outcome.dropped and outcome.dropped[name][1] not in reasons)
    }
    assert wrong == {}
    assert {name for name, (stage, _) in outcome.dropped.items() if stage == "index"} == {
        "derived/no_audio",
        "derived/truncated",
    }


def test_the_index_holds_what_the_files_hold(outcome: Outcome) -> None:
    grid = outcome.clips["grid/bbaf2n"]
    assert (grid.n_frames, grid.fps, grid.width, grid.height, grid.sample_rate) == (75, 25.0, 360, 288, 44100)
    vfr = outcome.clips["hard/vrt1_vfr"]
    assert (vfr.n_frames, vfr.width, vfr.height) == (135, 700, 700)
    assert outcome.clips["derived/fps29_97"].fps == pytest.approx(30000 / 1001)
    assert outcome.clips["hard/bbb_cartoon_51audio"].sample_rate == 48000


def test_the_shards_are_readable_and_of_one_length(outcome: Outcome, shared: Path) -> None:
    params = crop_params(shared)
    for name, sample in outcome.samples.items():
        clip, n = outcome.clips[name], sample.row.n_frames
        assert n == (153 if name == "hard/vrt1_vfr" else 75), name  # 6.1 s, and 3 s of every other shot
        assert sample.faces.shape == (n, params.face_size, params.face_size, 3)
        assert sample.mouth.shape == (n, params.mouth.size, params.mouth.size)
        assert (sample.fbank.shape, sample.mfcc.shape) == ((n, 104), (13, 4 * n))
        assert sample.mel.shape == (80, n * 80 // 25)
        assert sample.boxes.min() >= 0
        assert (sample.boxes[:, 2:] <= [clip.width, clip.height]).all()
        assert (sample.boxes[:, 2] - sample.boxes[:, 0] >= params.track.min_face_px).all()


def test_the_mouth_region_is_around_the_mouth(outcome: Outcome) -> None:
    """The middle of the region lies in the lower middle of the face box."""
    for name, sample in outcome.samples.items():
        middle = np.array([sample.mouth.shape[2] - 1, sample.mouth.shape[1] - 1]) / 2
        linear, shift = sample.mouth_transforms[:, :, :2], sample.mouth_transforms[:, :, 2]
        in_frame = np.linalg.solve(linear, (middle - shift)[:, :, None])[:, :, 0]
        share = (in_frame - sample.boxes[:, :2]) / (sample.boxes[:, 2:] - sample.boxes[:, :2])
        assert (np.abs(share - [0.5, 0.78]) < [0.15, 0.1]).all(), (name, share.mean(0))


def lag_of(later: np.ndarray, earlier: np.ndarray, widest: int = 15) -> int:
    """Rows by which `later` [T, N] follows `earlier` [T, N]: where the middle of the one fits the other best."""
    middle = np.arange(widest, len(later) - widest)
    return min(
        range(-widest, widest + 1), key=lambda lag: float(np.square(later[middle] - earlier[middle - lag]).mean())
    )


@pytest.mark.parametrize(
    ("name", "original", "lag"),
    [
        ("derived/audio_late_120ms", "grid/pwij3p", 3),
        ("derived/audio_late_400ms", "grid/pwij3p", 10),
        ("derived/audio_early_200ms", "grid/pwij3p", -5),
        ("derived/swapped_audio", "grid/bbaf2n", 0),
        ("derived/fps29_97", "grid/swiz3n", 0),
    ],
)
def test_sound_rows_are_as_late_as_the_clip_was_made(outcome: Outcome, name: str, original: str, lag: int) -> None:
    assert lag_of(outcome.samples[name].fbank, outcome.samples[original].fbank) == lag


def test_pictures_at_other_rates_stay_in_time(outcome: Outcome) -> None:
    resampled, original = outcome.samples["derived/fps29_97"], outcome.samples["grid/swiz3n"]
    flat = [sample.mouth.reshape(75, -1).astype(np.float64) for sample in (resampled, original)]
    assert lag_of(flat[0], flat[1]) == 0


def test_one_shot_is_kept_where_the_speaker_changes_and_its_sound_goes_with_it(outcome: Outcome) -> None:
    """Both shots are equally long; which face counts as larger depends on the detector."""
    sample = outcome.samples["derived/speaker_change_at_3s"]
    assert sample.row.start in (0, 75)
    shot = outcome.samples["grid/brbk7n" if sample.row.start else "grid/bbaf2n"]
    assert lag_of(sample.fbank, shot.fbank) == 0
    assert np.abs(sample.mouth.astype(int) - shot.mouth).mean() < 6  # encoded twice


def decoded_in_order(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        for frame in cast(Iterator[av.VideoFrame], container.decode(video=0)):
            assert frame.time is not None
            yield frame.time, frame.to_ndarray(format="rgb24")


@pytest.mark.parametrize("name", ["grid/lbax4n.mpg", "hard/vrt1_vfr.mp4"])
def test_face_t_is_the_frame_nearest_to_t_over_25(outcome: Outcome, root: Path, name: str) -> None:
    sample = outcome.samples[Path(name).with_suffix("").as_posix()]
    times, frames = zip(*decoded_in_order(root / name), strict=True)
    for t in range(0, sample.row.n_frames, 7):
        away = np.abs(np.array(times) - times[0] - t / 25)
        near = np.flatnonzero(away < away.min() + 1e-3)  # two frames may be equally near
        faces = [crop_face(frames[i], sample.boxes[t], sample.faces.shape[1]).astype(int) for i in near]
        assert min(np.abs(sample.faces[t] - face).mean() for face in faces) < 3, t


def test_a_sentence_that_outlasts_the_shot_loses_its_face(shared: Path, root: Path, tmp_path: Path) -> None:
    shutil.copy(root / "derived/speaker_change_at_3s.mp4", tmp_path / "clip.mp4")
    (tmp_path / "clip.txt").write_text("bin blue at f two now bin red by k seven now\n")
    (clip,) = indexed("folder", tmp_path).clips
    params = crop_params(shared)
    with pytest.raises(ClipError) as error:
        crop_clip(tmp_path, clip, params, make_detector("yunet", params.detectors["yunet"]), MEMBERS)
    assert error.value.reason == Reason.FACE_LOST


@pytest.mark.parametrize("kind", sorted(WEIGHTS))
@pytest.mark.parametrize("mode", ["largest", "steadiest"])
def test_of_two_people_the_left_is_larger_and_as_steady(
    shared: Path, root: Path, tmp_path: Path, kind: str, mode: Literal["largest", "steadiest"]
) -> None:
    """The left face is 125 pixels wide and high (geometric mean), the right one 117 to 121; both hardly move."""
    shutil.copy(root / "derived/two_faces_left_speaks.mp4", tmp_path / "clip.mp4")
    (clip,) = indexed("folder", tmp_path).clips
    params = crop_params(shared)
    params = replace(params, track=replace(params.track, several_faces=mode))
    (crop,) = crop_clip(tmp_path, clip, params, make_detector(kind, params.detectors[kind]), MEMBERS)
    assert (crop.id, crop.clip, crop.n_frames) == ("clip", "clip", 75)
    assert (crop.boxes[:, 2] < clip.width / 2).all()


def test_of_two_people_the_published_track_says_who_speaks(shared: Path, root: Path, tmp_path: Path) -> None:
    shutil.copy(root / "derived/two_faces_left_speaks.mp4", tmp_path / "clip.mp4")
    (clip,) = indexed("folder", tmp_path).clips
    params = crop_params(shared)
    params = replace(params, track=replace(params.track, several_faces="all"))
    both = crop_clip(tmp_path, clip, params, make_detector("yunet", params.detectors["yunet"]), MEMBERS)
    landmarks = np.tile(np.array([[510, 110], [560, 110], [535, 140], [515, 165], [555, 165]]), (75, 1, 1))
    np.savez(tmp_path / "clip.npz", boxes=both[1].boxes, landmarks=landmarks)
    (crop,) = crop_clip(tmp_path, replace(clip, face_track="clip.npz"), params, None, MEMBERS)
    np.testing.assert_array_equal(crop.boxes, both[1].boxes)
    assert (crop.boxes[:, 0] > clip.width / 2).all()


def test_both_people_become_samples_of_their_own_where_params_say_so(
    shared: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("raw").mkdir()
    shutil.copy(root / "derived/two_faces_left_speaks.mp4", "raw/pair.mp4")
    shutil.copy(root / "grid/bbaf2n.mpg", "raw/left.mpg")
    clips = indexed("folder", Path("raw")).clips
    params = crop_params(shared)
    params = replace(params, track=replace(params.track, several_faces="all"))
    crops, screening, features, shards = (Path(name) for name in ("crops", "screening", "features", "shards"))
    listed = table_of(clips)
    crop_corpus("clips", Path("raw"), listed, params, "yunet", MEMBERS, crops)
    write_unscreened(crops, screening)
    extract_corpus("clips", Path("raw"), listed, crops, screening, MEMBERS, features)
    assert [read_rejected(folder / "rejected.parquet") for folder in (crops, features)] == [[], []]
    pack_corpus("clips", listed, crops, screening, features, ShardParams(max_bytes=2_000_000), shards)
    packed = ShardSet([shards], ["test"])
    alone, left, right = (packed[number] for number in range(3))
    assert [(row.id, row.clip) for row in packed.rows] == [
        ("left", "left"),
        ("pair/face1", "pair"),
        ("pair/face2", "pair"),
    ]
    assert left.boxes[:, 2].max() < clips[1].width / 2 < right.boxes[:, 0].min()
    np.testing.assert_array_equal(left.fbank, right.fbank)
    assert lag_of(left.fbank, alone.fbank) == 0
    # the left person is the one whose clip was put there
    n = min(len(left.mouth), len(alone.mouth))
    own, other = (np.abs(one.mouth[:n].astype(int) - alone.mouth[:n]).mean() for one in (left, right))
    assert own < 0.6 * other


def test_a_clip_that_is_called_like_a_face_of_another_is_refused(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = crop_params(shared)
    params = replace(params, track=replace(params.track, several_faces="all"))
    clips = [Clip(name, "", "test", f"{name}.mp4", f"{name}.mp4", "") for name in ("a", "a/face1", "b/face1")]
    with pytest.raises(UserError, match=r"^a/face1: is also the name of a face of the clip a; rename"):
        crop_corpus("clips", tmp_path, table_of(clips), params, "yunet", MEMBERS, tmp_path / "out")
