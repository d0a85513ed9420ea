"""Batches: every clip once an epoch, pure functions of seed and step, windows and tokens as the peers have them."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CROP, MOUTH, SENTENCES, samples, tokenizer
from torch.utils.data import DataLoader

from synctalk.errors import UserError
from synctalk.features.speech_batch import NoiseParams, SpeechBatch, speech_batch
from synctalk.features.tokens import token_batch
from synctalk.models.lip_reader import EOS, PAD
from synctalk.shards.cache import SampleCache, long_enough
from synctalk.shards.read import Sample, ShardSet
from synctalk.training.batches import (
    FrameBatches,
    StepSampler,
    batch_numbers,
    batches,
    length_classes,
)
from synctalk.training.generator_batches import TalkingFaceBatch, draw_reference, draw_windows, talking_face_batch
from synctalk.training.loop import TrainState, run_steps


def test_every_clip_comes_once_an_epoch_and_epochs_differ() -> None:
    flat = [number for step in range(10) for number in batch_numbers(5, 3, seed=1, step=step)]
    for epoch in range(6):
        assert sorted(flat[5 * epoch : 5 * epoch + 5]) == [0, 1, 2, 3, 4]
    assert flat[:5] != flat[5:10]
    assert batch_numbers(5, 3, seed=1, step=7) == flat[21:24]


def test_length_classes_end_at_most_an_eighth_above_the_class_before() -> None:
    assert length_classes([1, 7, 16, 17, 19, 20, 21]).tolist() == [1, 7, 16, 18, 20, 20, 21]
    lengths = np.arange(16, 700)
    padded = length_classes(lengths.tolist())
    assert (padded >= lengths).all()
    assert ((padded - lengths) < lengths / 8).all()


def test_batches_by_frames_are_cut_where_the_next_clip_would_not_fit() -> None:
    """Classes 10, 10, 10, 20, 20, 40 in batches of 40: three tens, since a twenty makes them 4 x 20; two twenties; a
    forty."""
    n_frames = [20, 10, 40, 10, 20, 10]
    batches_of = FrameBatches(n_frames, 40, seed=3)
    epochs = [[sorted(batches_of(step)) for step in range(first, first + 3)] for first in (0, 3, 6, 9)]
    for epoch in epochs:
        assert sorted(epoch) == [[0, 4], [1, 3, 5], [2]]
    assert len({str(epoch) for epoch in epochs}) > 1


def test_the_last_batch_by_frames_takes_clips_of_the_one_before() -> None:
    """Eleven clips of 10 in batches of 100: 6 and 5, not 10 and 1. Beside a clip of 40 only one of 10 fits into 80."""
    assert [len(FrameBatches([10] * 11, 100, seed=0)(step)) for step in (0, 1)] in ([6, 5], [5, 6])
    assert FrameBatches([10] * 8 + [40], 80, seed=0).ends == [7, 9]


def test_batches_by_frames_hold_every_clip_once_an_epoch_and_waste_little() -> None:
    rng = np.random.default_rng(0)
    n_frames = rng.integers(16, 400, 500)
    batches_of = FrameBatches(n_frames.tolist(), 4000, seed=1)
    per_epoch = len(batches_of.ends)
    for epoch in range(2):
        steps = range(epoch * per_epoch, (epoch + 1) * per_epoch)
        drawn = [batches_of(step) for step in steps]
        assert sorted(number for batch in drawn for number in batch) == list(range(500))
        padded = [len(batch) * n_frames[batch].max() for batch in drawn]
        assert max(padded) <= 4000
        assert sum(padded) < 1.15 * n_frames.sum()
    # any step on its own, as after a restart
    assert FrameBatches(n_frames.tolist(), 4000, seed=1)(per_epoch + 3) == batches_of(per_epoch + 3)
    assert {tuple(sorted(batches_of(s))) for s in range(per_epoch)} != {
        tuple(sorted(batches_of(s))) for s in range(per_epoch, 2 * per_epoch)
    }


def test_a_clip_longer_than_a_batch_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^batch_frames: 25: a clip of 26 frames does not fit; raise"):
        batches(samples(tmp_path), 2, 25, seed=0)
    assert batches(samples(tmp_path), 3, 0, seed=1)(7) == batch_numbers(4, 3, seed=1, step=7)


def read_ids(samples: list[Sample]) -> list[str]:
    return [sample.about["id"] for sample in samples]


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_read_the_batches_of_the_steps_from_any_step_on(tmp_path: Path, workers: int) -> None:
    shards = samples(tmp_path).shards
    for first in (0, 3, 11):
        sampler = StepSampler(len(shards), 3, seed=1, first_step=first)
        loader = DataLoader(shards, batch_sampler=sampler, num_workers=workers, collate_fn=read_ids)
        expected = [batch_numbers(len(shards), 3, seed=1, step=step) for step in range(first, first + 6)]
        assert list(islice(loader, 6)) == [[shards.rows[number].id for number in batch] for batch in expected]


def test_a_killed_run_goes_on_with_the_batches_that_it_would_have_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synctalk.training.loop.SAVE_EVERY_S", 0.0)
    cache = samples(tmp_path / "shards")

    def train(name: str, kill_at: int | None = None) -> dict[int, SpeechBatch]:
        (tmp_path / name).mkdir(exist_ok=True)
        seen: dict[int, SpeechBatch] = {}

        def train_step(step: int) -> dict[str, float]:
            if step == kill_at:
                raise KeyboardInterrupt
            numbers = batch_numbers(len(cache), 3, 7, step)
            rng = np.random.default_rng([7, step, 1])
            seen[step] = speech_batch(cache, numbers, crop=CROP, tokenizer=tokenizer(), rng=rng)
            return {}

        run_steps(TrainState({}, {}), 9, train_step, seed=7, folder=tmp_path / name, label="batches")
        return seen

    whole = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("killed", kill_at=5)
    resumed = train("killed")
    assert sorted(resumed) == [5, 6, 7, 8]
    for step, batch in resumed.items():
        assert batch.numbers == whole[step].numbers
        assert torch.equal(batch.video, whole[step].video)
        assert torch.equal(batch.target, whole[step].target)


def test_transcripts_survive_the_tokenizer() -> None:
    pieces = tokenizer()
    for sentence in SENTENCES:
        tokens = pieces.encode(sentence)
        assert tokens[-1] == EOS
        assert pieces.decode(tokens) == sentence
        assert pieces.decode([*tokens, 7, 8]) == sentence


def test_the_tokenizer_is_deterministic() -> None:
    assert tokenizer().model == tokenizer().model


def test_decoder_inputs_are_the_targets_shifted_and_begin_with_eos() -> None:
    target, decoder_input = token_batch([[5, 6, EOS], [7, EOS]])
    assert target.tolist() == [[5, 6, EOS], [7, EOS, PAD]]
    assert decoder_input.tolist() == [[EOS, 5, 6], [EOS, 7, PAD]]


def test_a_batch_pads_and_says_where(tmp_path: Path) -> None:
    cache = samples(tmp_path)
    batch = speech_batch(cache, [0, 3], crop=CROP, tokenizer=tokenizer())
    assert batch.audio.shape == (2, 26, 104)
    assert batch.video.shape == (2, 1, 26, CROP, CROP)
    assert batch.padding.sum(1).tolist() == [6, 0]
    assert float(batch.audio[0, 20:].abs().sum()) == 0
    assert float(batch.video[0, 0, 20:].abs().sum()) == 0
    # the filterbank is normalised frame by frame
    torch.testing.assert_close(batch.audio[1].mean(-1), torch.zeros(26), atol=1e-5, rtol=0)


def test_augmentation_is_one_crop_and_flip_for_the_whole_clip(tmp_path: Path) -> None:
    cache = samples(tmp_path)
    mouth = cache[0].mouth
    batch = speech_batch(cache, [0], crop=CROP, rng=np.random.default_rng(4))
    found = []
    for top in range(9):
        for left in range(9):
            for flip in (False, True):
                cut = mouth[:, top : top + CROP, left : left + CROP]
                cut = cut[..., ::-1] if flip else cut
                expected = (cut / 255.0 - 0.421) / 0.165
                if np.allclose(batch.video[0, 0].numpy(), expected, atol=1e-4):
                    found.append((top, left, flip))
    assert len(found) == 1


def test_windows_keep_their_distance_and_stay_inside() -> None:
    rng = np.random.default_rng(0)
    for n_frames in (20, 60, 200):
        starts = draw_windows(n_frames, 5, 0.08, rng)
        assert 1 <= len(starts) <= max(1, int(0.08 * n_frames))
        assert all(b - a >= 5 for a, b in pairwise(starts))
        assert min(starts) >= 0
        assert max(starts) + 5 <= n_frames
    assert draw_windows(5, 5, 0.0, rng) == [0]


def test_frames_to_make_belong_to_their_clip_and_time(tmp_path: Path) -> None:
    cache = samples(tmp_path)
    batch = talking_face_batch(
        cache, [1, 3], crop=CROP, window=5, share=0.2, tokenizer=tokenizer(), rng=np.random.default_rng(2)
    )
    n_frames = batch.speech.padding.shape[1]
    for row in range(len(batch.clip)):
        clip, frame = int(batch.clip[row]), int(batch.frame[row])
        real = cache[[1, 3][clip]].faces[frame]
        np.testing.assert_array_equal((batch.target_faces[row] * 255).round().byte().permute(1, 2, 0).numpy(), real)
        assert int(batch.frame_index[row]) == clip * n_frames + frame
        np.testing.assert_array_equal(batch.boxes[row].numpy(), cache[[1, 3][clip]].boxes[frame])


@pytest.mark.parametrize("start", [0, 2, 4])
def test_the_reference_is_every_other_window_equally_often(start: int) -> None:
    """A clip of 9 frames has windows of 5 that begin at 0 to 4; the one to make is not among the references."""
    rng = np.random.default_rng(0)
    counts = np.bincount([draw_reference(9, 5, start, rng) for _ in range(4000)], minlength=5)
    assert counts[start] == 0
    # a binomial of 4000 draws at 1/4: mean 1000, deviation 27
    assert (abs(np.delete(counts, start) - 1000) < 5 * 27).all()


def test_references_of_a_batch_are_other_windows_of_the_same_clip(tmp_path: Path) -> None:
    cache = samples(tmp_path, 1)
    faces = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((96, 96, 3), np.uint8)
    cache[0].__dict__.update(faces=faces)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        batch = talking_face_batch(cache, [0], crop=CROP, window=19, share=0.0, tokenizer=tokenizer(), rng=rng)
        first = [
            (faces[:, 0, 0, 0] * 255).round().int().tolist() for faces in (batch.target_faces, batch.reference_faces)
        ]
        assert sorted(first) == [list(range(19)), list(range(1, 20))]


def test_clips_too_short_to_train_on_are_left_out_or_named(tmp_path: Path) -> None:
    """Clips of 20, 22, 24 and 26 frames."""
    cache = samples(tmp_path)
    assert long_enough(cache, 23) == [2, 3]
    with pytest.raises(UserError, match=rf"^{tmp_path}: no clip has 27 frames; add longer clips"):
        long_enough(cache, 27)


def test_clips_that_do_not_stay_in_memory_are_read_once_and_give_the_same_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def batch(cache: SampleCache) -> TalkingFaceBatch:
        rng = np.random.default_rng(2)
        return talking_face_batch(cache, [1, 3], crop=CROP, window=5, share=0.2, tokenizer=tokenizer(), rng=rng)

    kept = samples(tmp_path)
    monkeypatch.setattr("synctalk.shards.cache.CACHE_BYTES", 0)
    dropped = SampleCache(kept.shards)
    expected = batch(kept)
    reads: list[int] = []
    read = ShardSet.read
    monkeypatch.setattr(ShardSet, "read", lambda shards, numbers: reads.extend(numbers) or read(shards, numbers))
    got = batch(dropped)
    assert reads == [1, 3]
    assert [dropped.keeps(number) for number in (1, 3)] == [False, False]
    assert [kept.keeps(number) for number in (1, 3)] == [True, True]
    torch.testing.assert_close(got.target_faces, expected.target_faces, atol=0, rtol=0)
    torch.testing.assert_close(got.reference_faces, expected.reference_faces, atol=0, rtol=0)
    torch.testing.assert_close(got.speech.audio, expected.speech.audio, atol=0, rtol=0)


def test_noise_changes_the_sound_of_as_many_clips_as_it_should_and_nothing_else(tmp_path: Path) -> None:
    cache = samples(tmp_path / "shards", 4)

    def batch(prob: float, seed: int = 0) -> SpeechBatch:
        noise = NoiseParams(prob=prob, low_db=0.0, high_db=10.0, voices=2)
        return speech_batch(cache, [0, 1, 2, 3], crop=MOUTH, rng=np.random.default_rng(seed), noise=noise)

    clean, all_noisy, half = batch(0.0), batch(1.0), batch(0.5)
    changed = [not torch.equal(a, b) for a, b in zip(clean.audio, all_noisy.audio, strict=True)]
    assert changed == [True] * 4
    some = sum(not torch.equal(a, b) for a, b in zip(clean.audio, half.audio, strict=True))
    assert 0 < some < 4
    assert torch.equal(clean.video, all_noisy.video)
    assert torch.equal(clean.padding, all_noisy.padding)
    assert torch.equal(all_noisy.audio, batch(1.0).audio)
    assert not torch.equal(all_noisy.audio, batch(1.0, seed=1).audio)
    assert float(all_noisy.audio[all_noisy.padding].abs().sum()) == 0
