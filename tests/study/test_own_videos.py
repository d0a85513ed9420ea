"""The pipeline's own videos in a study: real clips as the evaluation cuts them, beside the generated ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from evaluation.footage import START, noise, waves
from typer.testing import CliRunner

from synctalk.cli.app import app
from synctalk.corpora.records import Clip, write_clips
from synctalk.errors import UserError
from synctalk.media import probe, read_audio, read_video, write_video
from synctalk.params.read import PARAMS
from synctalk.shards.mosaic import encode_mosaic
from synctalk.shards.records import Crop, npy
from synctalk.shards.write import write_shards
from synctalk.study.records import read_key
from synctalk.study.videos import fit
from synctalk.timebase import n_samples

COMMITTED = Path(__file__).parents[2] / "params.yaml"
CORPUS, N_FRAMES, N_CLIPS = "lrs2", 20, 2


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which two test clips have been filmed, indexed, packed and generated; real ones begin `START` frames
    into their files.
    """
    monkeypatch.chdir(tmp_path)
    params = yaml.load(COMMITTED.read_text(encoding="utf-8"), yaml.CSafeLoader)
    params["corpora"][CORPUS]["root"] = "corpus"
    params["methods"] = {"base": params["methods"]["base"]}
    PARAMS.write_text(yaml.dump(params, Dumper=yaml.CSafeDumper), encoding="utf-8")
    rows = []
    for number in range(N_CLIPS):
        clip = Clip(f"main/{number}/00001", str(number), "test", f"{number}.mp4", f"{number}.mp4", "bin blue")
        (tmp_path / "corpus").mkdir(exist_ok=True)
        n_stored = START + N_FRAMES + 1
        write_video(
            tmp_path / "corpus" / clip.video, waves(n_stored, number), audio=noise(n_stored, number), lossless=True
        )
        made = tmp_path / "data/generated/base" / CORPUS / f"{clip.id}.mp4"
        made.parent.mkdir(parents=True)
        write_video(made, 255 - waves(N_FRAMES, number), audio=noise(N_FRAMES, number), lossless=True)
        crop = Crop(
            id=clip.id, clip=clip.id, start=START, audio_start=START, n_frames=N_FRAMES,
            frame_height=160, frame_width=160,
            boxes=np.tile(np.array([30, 40, 126, 136], np.int32), (N_FRAMES, 1)),
            mouth_transforms=np.tile(np.eye(2, 3, dtype=np.float32), (N_FRAMES, 1, 1)),
            faces=encode_mosaic(np.zeros((N_FRAMES, 96, 96, 3), np.uint8), 95),
            mouth=encode_mosaic(np.zeros((N_FRAMES, 32, 32), np.uint8), 95),
        )  # fmt: skip
        rows.append((clip, crop, {"fbank": npy(np.zeros((N_FRAMES, 104), np.float32))}))
    write_clips(tmp_path / "data/index" / CORPUS / "clips.parquet", [clip for clip, _, _ in rows])
    write_shards(tmp_path / "data/shards" / CORPUS, rows, max_bytes=10**9)
    return tmp_path


def build(*arguments: str) -> str:
    """`synctalk study build` with the smallest numbers; what it prints."""
    done = CliRunner().invoke(
        app,
        ["study", "build", "-o", "study", "--key", "key.json", "--corpus", CORPUS, "--raters", "2", "--size", "160",
         *arguments],
    )  # fmt: skip
    if isinstance(done.exception, UserError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_real_clips_are_cut_as_the_evaluation_cuts_them(project: Path) -> None:
    assert "4 videos of 2 methods, 2 raters with 2 videos each" in build("--videos", "4")
    key = read_key(project / "key.json")
    assert (key.origin.scale, key.origin.synthetic) == ("demo", True)  # lrs3 is still a look-alike
    assert sorted((shown.method, shown.clip) for shown in key.videos.values()) == [
        (method, f"{CORPUS}/main/{number}/00001") for method in ("base", "ground_truth") for number in range(N_CLIPS)
    ]
    for name, shown in key.videos.items():
        number = int(shown.clip.split("/")[-2])
        path = project / "study/videos" / f"{name}.mp4"
        info = probe(path)
        assert info.video is not None
        assert info.video.n_frames == N_FRAMES
        real = shown.method == "ground_truth"
        wanted = (
            waves(START + N_FRAMES + 1, number)[START : START + N_FRAMES] if real else 255 - waves(N_FRAMES, number)
        )
        np.testing.assert_allclose(read_video(path).frames.mean((1, 2)), wanted.mean((1, 2)), atol=3)
        sound = noise(START + N_FRAMES + 1, number)[n_samples(START) :] if real else noise(N_FRAMES, number)
        heard = read_audio(path)[: n_samples(N_FRAMES)].astype(float)
        # AAC keeps white noise only roughly; a shift by a frame would leave no likeness at all
        assert np.corrcoef(heard, sound[: n_samples(N_FRAMES)])[0, 1] > 0.5


def test_folders_stand_beside_the_pipelines_own(project: Path) -> None:
    for number in range(N_CLIPS):
        path = project / "brought" / CORPUS / f"main/{number}/00001.avi"
        path.parent.mkdir(parents=True)
        write_video(path.with_suffix(".mp4"), waves(N_FRAMES, 7), audio=noise(N_FRAMES, 7))
    build("--videos", "6", "--own", "--method", "newlip=brought")
    methods = sorted(shown.method for shown in read_key(project / "key.json").videos.values())
    assert methods == ["base", "base", "ground_truth", "ground_truth", "newlip", "newlip"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--videos", "6"], "6 videos of 2 methods: need 3 clips that every method has, and there are 2"),
        (["--own", "--method", "base=data/generated/base"], "--method base: is a method of the pipeline too"),
        (["--method", "base"], "--method base: is not of the form NAME=DIR"),
        (["--method", "a=x", "--method", "a=y"], "--method a=y: a is given twice"),
        (["--method", "a=none"], r"none: is no folder"),
        (["--size", "161"], "--size 161: is odd"),
    ],
)
def test_what_does_not_fit_is_one_line(project: Path, arguments: list[str], line: str) -> None:
    with pytest.raises(UserError, match=line) as error:
        build(*arguments)
    assert "\n" not in str(error.value)
    assert not (project / "study").exists()
    assert not (project / "key.json").exists()


def test_before_the_pipeline_has_run_it_says_so(project: Path) -> None:
    (project / "data/index" / CORPUS / "clips.parquet").unlink()
    with pytest.raises(UserError, match="run `dvc repro`, or give folders"):
        build()


def test_fit_leaves_frames_of_the_right_size_alone() -> None:
    frame = waves(1, 0)[0]
    assert np.array_equal(fit(frame, 160), frame)
