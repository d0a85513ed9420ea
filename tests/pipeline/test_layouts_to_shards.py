"""Look-alikes of GRID and of a folder of videos from index to shards: pictures, sound and words are those performed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from corpora.small_recipes import cut, per_split

from synctalk.corpora.index import index_corpus
from synctalk.corpora.records import Clip, read_clips
from synctalk.corpora.synthetic.perform import draw_recording, frames_of, perform
from synctalk.corpora.synthetic.plan import plan
from synctalk.corpora.synthetic.stage import build_stage
from synctalk.corpora.synthetic.synthesize import synthesize
from synctalk.faces.corpus import crop_corpus
from synctalk.faces.crop import crop_faces
from synctalk.faces.extract import CropParams
from synctalk.features import align_to_video, stacked_log_fbank
from synctalk.features.corpus import extract_corpus
from synctalk.params.read import load
from synctalk.rejected import read_rejected
from synctalk.shards.corpus import ShardParams, pack_corpus
from synctalk.shards.read import Sample, ShardSet
from synctalk.shards.screened import write_unscreened

MEMBERS = ("faces", "mouth", "fbank", "mfcc", "mel")
RECIPES = {
    "grid": cut("grid", per_split(train=2, val=1, test=1), per_split(train=1, val=1, test=1)),
    "folder": cut("folder", per_split(train=2, val=1, test=1), per_split(train=1, val=1, test=1)),
}


@dataclass(frozen=True)
class Made:
    """A corpus that went through all stages: its layout, root, index and samples by id."""

    layout: str
    root: Path
    clips: dict[str, Clip]
    samples: dict[str, Sample]


@pytest.fixture(scope="module", params=sorted(RECIPES))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    layout = str(request.param)
    folder = tmp_path_factory.mktemp(layout)
    params = replace(load("crop", CropParams, Path(__file__).parents[2] / "params.yaml"), clips_per_part=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        root, *folders = (Path(name) for name in ("corpus", "crops", "screening", "features", "shards"))
        crops, screening, features, shards = folders
        synthesize(RECIPES[layout], root, workers=1)
        clips = index_corpus(layout, layout, root, Path("index"))
        crop_corpus(layout, root, clips, params, "tracks", MEMBERS, crops)
        write_unscreened(crops, screening)
        extract_corpus(layout, root, clips, crops, screening, MEMBERS, features)
        pack_corpus(layout, clips, crops, screening, features, ShardParams(max_bytes=2_000_000), shards)
        for stage in ("index", "crops", "features"):
            assert read_rejected(Path(stage) / "rejected.parquet") == []
    found = ShardSet([folder / "shards"], ["train", "val", "test"])
    samples = [found[number] for number in range(len(found))]
    index = {clip.id: clip for clip in read_clips(folder / "index" / "clips.parquet")}
    return Made(layout, folder / "corpus", index, {sample.row.id: sample for sample in samples})


def test_every_clip_arrives_in_its_split_with_what_is_said(made: Made) -> None:
    recipe = RECIPES[made.layout]
    planned = {r.clip_id(k): (r, k) for r in plan(recipe) for k in range(r.n_utterances)}
    assert made.samples.keys() == made.clips.keys() == planned.keys()
    for clip_id, (recording, number) in planned.items():
        performance = perform(recipe, recording.speaker, recording.take, number)
        sample, n = made.samples[clip_id], len(performance.shapes)
        assert (sample.row.split, sample.row.transcript) == (recording.split, performance.text)
        assert (sample.row.start, sample.row.audio_start, sample.row.n_frames) == (0, 0, n)
        assert (sample.faces.shape, sample.mouth.shape) == ((n, 96, 96, 3), (n, 48, 48))
        assert (sample.fbank.shape, sample.mfcc.shape) == ((n, 104), (13, 4 * n))
        assert sample.mel.shape == (80, n * 80 // 25)
        words = [(word["text"], word["start_s"], word["end_s"]) for word in sample.about["words"]]
        if made.layout == "grid":  # a bare sentence beside a video has no times
            assert [text for text, _, _ in words] == performance.text.split()
            spoken = [(word.start_s, word.end_s) for word in performance.words]
            np.testing.assert_allclose([times for _, *times in words], spoken, atol=1e-4)


def test_pictures_and_sound_are_on_the_time_line_of_the_performance(made: Made) -> None:
    recipe = RECIPES[made.layout]
    for recording in plan(recipe):
        sample = made.samples[recording.clip_id(0)]
        performance = perform(recipe, recording.speaker, recording.take, 0)
        n = sample.row.n_frames
        truth = align_to_video(stacked_log_fbank(performance.pcm), n)
        shifts = range(-3, 4)
        middle = np.arange(5, n - 5)
        away = [np.abs(sample.fbank[middle + shift] - truth[middle]).mean() for shift in shifts]
        assert shifts[int(np.argmin(away))] == 0
        boxes = np.load(made.root / made.clips[recording.clip_id(0)].face_track)["boxes"]
        assert np.abs(sample.boxes - boxes).max() < 6  # whole pixels, smoothed
        stage = build_stage(draw_recording(recipe, recording.speaker, recording.take))
        faces = crop_faces(np.stack(list(frames_of(stage, performance))), sample.boxes, 96).astype(int)
        away = [np.abs(sample.faces[middle + shift] - faces[middle]).mean() for shift in shifts]
        assert shifts[int(np.argmin(away))] == 0
