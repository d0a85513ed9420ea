"""Audio that was moved, and audio of other clips, planted in a corpus of look-alikes and found by a net that is trained
on that corpus as it stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from corpora.small_recipes import cut, per_split

from pipeline import crop, features, index, screen, screener, shard
from synctalk.corpora.records import Clip, ClipTable, read_rejected, read_table
from synctalk.corpora.synthetic.synthesize import synthesize
from synctalk.features.pcm import pcm_from
from synctalk.media import read_audio
from synctalk.media.write import write_audio
from synctalk.runtime.parts import n_parts_in, part_path
from synctalk.shards.read import ShardSet
from synctalk.shards.records import SCREENING_SCHEMA

pytestmark = pytest.mark.slow

CORPUS = "voxceleb2"  # its audio lies in files of its own
PLANTED = (3, -3, 5, -5, 10, -10, "other", "other")
"""Frames by which audio comes early, or that it is another clip's, in each of the two splits."""

N_TRAINED = 240
"""Of half as many the net learns an exception by heart."""


@dataclass(frozen=True)
class Outcome:
    """What was planted, by clip, and what came of the corpus: rows of the screening, its rejected, funnel, samples."""

    planted: dict[str, int | str]
    split: dict[str, str]
    rows: dict[str, dict]
    rejected: dict[str, str]
    metrics: dict
    audio_starts: dict[str, int]

    def of(self, *kinds: int | str, split: str = "pretrain") -> list[str]:
        return [name for name, kind in self.planted.items() if kind in kinds and self.split[name] == split]


def plant(root: Path, clips: list[Clip]) -> dict[str, int | str]:
    """Move or replace the audio of clips that are evenly spread over each split."""
    recordings = {clip.id: read_audio(root / clip.audio, 0.0) for clip in clips}
    planted: dict[str, int | str] = {}
    for split in ("pretrain", "test"):
        own = [clip for clip in clips if clip.split == split]
        for number, kind in enumerate(PLANTED):
            clip = own[number * len(own) // len(PLANTED)]
            n = len(recordings[clip.id])
            if isinstance(kind, str):
                pcm = np.resize(recordings[own[(number * len(own) // len(PLANTED)) - len(own) // 2].id], n)
            else:
                pcm = pcm_from(recordings[clip.id], kind)[:n]
                pcm = np.pad(pcm, (0, n - len(pcm)))
            write_audio(root / clip.audio, pcm)
            planted[clip.id] = kind
    return planted


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    folder = tmp_path_factory.mktemp("planted")
    params = yaml.load((Path(__file__).parents[2] / "params.yaml").read_text(), yaml.CSafeLoader)
    params["corpora"] = {CORPUS: params["corpora"][CORPUS] | {"root": "raw", "depends_on": "raw"}}
    params["screener"]["net"]["corpora"] = [CORPUS]
    params["screener"]["max_clips"] = N_TRAINED
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("params.yaml").write_text(yaml.dump(params, Dumper=yaml.CSafeDumper))
        root, crops, net, screening = Path("raw"), Path("crops"), Path("net"), Path("screening")
        recipe = cut(CORPUS, per_split(pretrain=N_TRAINED, test=16), per_split(pretrain=30, test=4))
        synthesize(replace(recipe, size=160), root)
        index.main(CORPUS, root, Path("index") / CORPUS)
        clips = list(ClipTable(Path("index") / CORPUS / "clips.parquet"))
        planted = plant(root, clips)
        listed = Path("index") / CORPUS
        crop.main(CORPUS, root, listed, crops / CORPUS)
        screener.main(Path("index"), crops, net)
        screen.main(CORPUS, root, listed, crops / CORPUS, net, screening)
        features.main(CORPUS, root, listed, crops / CORPUS, screening, Path("features"))
        metrics = Path("metrics.json")
        shard.main(CORPUS, listed, crops / CORPUS, screening, Path("features"), Path("shards"), metrics, Path("plots"))
        rows = [
            row for n in range(n_parts_in(screening)) for row in read_table(part_path(screening, n), SCREENING_SCHEMA)
        ]
        packed = ShardSet([Path("shards")], ["pretrain", "test"])
        yield Outcome(
            planted,
            {clip.id: clip.split for clip in clips},
            {row["id"]: row for row in rows},
            {row.id: row.reason.value for row in read_rejected(screening / "rejected.parquet")},
            json.loads(metrics.read_text()),
            {row.id: row.audio_start for row in packed.rows},
        )


def test_clips_that_were_left_alone_are_in_sync_and_kept(outcome: Outcome) -> None:
    alone = outcome.rows.keys() - outcome.planted.keys()
    print(sorted(outcome.rows[name]["confidence"] for name in alone)[:10])
    assert len(alone) == N_TRAINED + 16 - 2 * len(PLANTED)
    assert {outcome.rows[name]["offset"] for name in alone} <= {-1, 0, 1}
    assert not alone & outcome.rejected.keys()
    assert {outcome.audio_starts[name] for name in alone} == {0}


def test_moved_sound_is_found_with_its_offset(outcome: Outcome) -> None:
    moved = [name for name, kind in outcome.planted.items() if isinstance(kind, int)]
    found = {name: outcome.rows[name]["offset"] for name in moved}
    print({name: (outcome.planted[name], found[name], outcome.rows[name]["confidence"]) for name in moved})
    assert all(abs(found[name] - outcome.planted[name]) <= 1 for name in moved)


def test_sound_within_reach_is_moved_back_and_what_is_beyond_or_anothers_is_dropped(outcome: Outcome) -> None:
    for name in outcome.of(3, -3, 5, -5):
        assert outcome.audio_starts[name] == -outcome.rows[name]["offset"]
    gone = set(outcome.of(10, -10, "other"))
    print({name: outcome.rows[name]["confidence"] for name in outcome.of("other")})
    assert outcome.rejected == dict.fromkeys(gone, "out_of_sync")
    assert outcome.metrics["rejected"] == {"out_of_sync": 4}
    assert outcome.metrics["screening"]["repaired"] == 4


def test_clips_of_the_test_split_stay_whatever_was_found(outcome: Outcome) -> None:
    planted = [name for name in outcome.planted if outcome.split[name] == "test"]
    assert len(planted) == 8
    assert {outcome.audio_starts[name] for name in planted} == {0}
