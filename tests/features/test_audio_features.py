from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import python_speech_features
from parity import assert_close, pcm, reference

from synctalk.features import (
    add_deltas,
    align_to_video,
    audio_input,
    audio_input_of_pcm,
    mel_spectrogram,
    mel_window_starts,
    mel_windows,
    mfcc,
    mfcc_with_deltas,
    mix_fbank,
    mix_noise,
    normalise_fbank,
    pcm_from,
    stacked_log_fbank,
)
from synctalk.features.extract import extract_features

CLIPS = ["mix", "speech"]
SECOND = (8000 * np.sin(np.arange(16_000) * 0.2)).astype(np.int16)


@pytest.mark.parametrize("clip", CLIPS)
def test_log_filterbank_is_the_peers(shared: Path, clip: str) -> None:
    theirs = reference(shared, "avhubert_audio")
    ours = stacked_log_fbank(pcm(shared, clip))
    assert ours.dtype == np.float32
    assert_close(ours, theirs[f"{clip}.stacked"], 1e-4)
    assert_close(ours.reshape(-1, 26)[: len(theirs[f"{clip}.logfbank"])], theirs[f"{clip}.logfbank"], 1e-4)
    assert_close(normalise_fbank(ours), theirs[f"{clip}.normalised"], 1e-5)


@pytest.mark.parametrize("n_samples", [1, 399, 400, 401, 560, 561, 16_000, 16_080, 16_081])
def test_mfcc_of_pieces_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch, n_samples: int) -> None:
    audio = np.random.default_rng(0).integers(-9000, 9000, n_samples).astype(np.int16)
    whole = python_speech_features.mfcc(audio, 16_000).T
    for piece in (1, 2, 7, 98, 99, 100):
        monkeypatch.setattr(sys.modules["synctalk.features.mfcc"], "PIECE_WINDOWS", piece)
        np.testing.assert_allclose(mfcc(audio), whole, atol=1e-9)


@pytest.mark.parametrize("clip", CLIPS)
def test_mfcc_is_the_peers(shared: Path, clip: str) -> None:
    np.testing.assert_allclose(mfcc(pcm(shared, clip)), reference(shared, "syncnet")[f"{clip}.mfcc"], atol=1e-6)


@pytest.mark.parametrize("clip", CLIPS)
def test_mel_is_the_peers(shared: Path, clip: str) -> None:
    theirs = reference(shared, "wav2lip")[f"{clip}.mel_reflect"]
    np.testing.assert_allclose(mel_spectrogram(pcm(shared, clip)), theirs, atol=1e-3)


@pytest.mark.parametrize("fps", [24, 25, 30])
@pytest.mark.parametrize(("clip", "n_columns"), [("mix", 193), ("speech", 287)])
def test_mel_windows_start_as_the_peers(shared: Path, clip: str, n_columns: int, fps: int) -> None:
    theirs = reference(shared, "wav2lip")[f"{clip}.chunk_start_fps{fps}"]
    assert mel_window_starts(n_columns, fps) == theirs.tolist()


@pytest.mark.parametrize("snr", [-10, 0, 7.5])
def test_noise_is_mixed_as_the_peers(shared: Path, snr: float) -> None:
    theirs = reference(shared, "avhubert_audio")
    clean, speech = pcm(shared, "mix"), pcm(shared, "speech")
    for name, ours in [
        ("long", mix_noise(clean, speech, snr)),
        ("short", mix_noise(speech, clean, snr)),
    ]:
        assert_close(ours, theirs[f"noise.{name}_noise.snr{snr}"], 1)


def test_noise_of_one_level_gives_the_peers_other_level(shared: Path) -> None:
    """The noise is got back from the mixture at 0 dB, to within its rounding."""
    theirs = reference(shared, "avhubert_audio")
    clean = pcm(shared, "mix")
    noise = (theirs["noise.long_noise.snr0"].astype(np.int64) - clean).clip(-32768, 32767).astype(np.int16)
    ours = mix_noise(clean, noise, -10)
    np.testing.assert_allclose(ours.astype(int), theirs["noise.long_noise.snr-10"], atol=4)


@pytest.mark.parametrize(
    ("samples", "rows"), [(1, 1), (400, 1), (401, 1), (400 + 3 * 160, 1), (401 + 3 * 160, 2), (16_000, 25)]
)
def test_rows_of_a_clip(samples: int, rows: int) -> None:
    assert stacked_log_fbank(np.ones(samples, dtype=np.int16)).shape == (rows, 104)


def test_digital_silence_is_finite() -> None:
    silence = np.zeros(16_000, dtype=np.int16)
    assert stacked_log_fbank(silence)[:24].max() == pytest.approx(-36.04, abs=0.01)
    assert np.isfinite(normalise_fbank(stacked_log_fbank(silence))).all()
    assert (mel_spectrogram(silence) == -4).all()
    assert np.isfinite(mfcc(silence)).all()


def test_normalised_rows_have_mean_0_and_variance_1() -> None:
    rows = normalise_fbank(stacked_log_fbank(SECOND))
    np.testing.assert_allclose(rows.mean(-1), 0, atol=1e-6)
    np.testing.assert_allclose(rows.var(-1), 1, atol=1e-3)


def test_shapes_at_every_rate() -> None:
    assert mel_spectrogram(SECOND).shape == (80, 81)
    assert mfcc(SECOND).shape == (13, 99)
    assert mfcc_with_deltas(SECOND).shape == (99, 39)


def test_deltas_are_those_of_the_reference_library() -> None:
    delta = pytest.importorskip("python_speech_features").delta
    cepstra = mfcc(SECOND).T
    expected = np.hstack([cepstra, delta(cepstra, 2), delta(delta(cepstra, 2), 2)])
    np.testing.assert_allclose(mfcc_with_deltas(SECOND), expected, atol=1e-4)


def test_deltas_of_a_ramp_by_hand() -> None:
    rows = add_deltas(np.arange(10.0)[None])
    assert rows.shape == (10, 3)
    assert rows[2:-2, 1].tolist() == [1.0] * 6
    assert rows[4:-4, 2].tolist() == [0.0] * 2
    assert rows[0, 1] == pytest.approx((2 * 2 + 1) / 10)


@pytest.mark.parametrize("feature", [stacked_log_fbank, mel_spectrogram, mfcc, mfcc_with_deltas])
@pytest.mark.parametrize(
    "samples",
    [np.zeros(800, dtype=np.float32), np.zeros((2, 800), dtype=np.int16), np.zeros(0, dtype=np.int16)],
    ids=["float", "stereo", "empty"],
)
def test_other_samples_are_refused(feature: object, samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match="samples"):
        feature(samples)


def test_mel_needs_half_a_window() -> None:
    with pytest.raises(ValueError, match="400 samples are too few"):
        mel_spectrogram(np.zeros(400, dtype=np.int16))


def test_a_tone_lights_its_mel_band() -> None:
    tone = (10_000 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)).astype(np.int16)
    low = (10_000 * np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000)).astype(np.int16)
    assert mel_spectrogram(tone)[:, 40].argmax() > mel_spectrogram(low)[:, 40].argmax()


def test_one_mel_window_a_frame() -> None:
    mel = np.tile(np.arange(81, dtype=np.float32), (80, 1))
    windows = mel_windows(mel, 25)
    assert windows.shape == (25, 80, 16)
    assert windows[:6, 0, 0].tolist() == [0, 3, 6, 9, 12, 16]
    assert windows[-1, 0, -1] == 80


def test_too_few_mel_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="15 mel columns"):
        mel_windows(np.zeros((80, 15), dtype=np.float32), 3)


@pytest.mark.parametrize(("n_frames", "expected"), [(2, [1, 2]), (3, [1, 2, 3]), (5, [1, 2, 3, 0, 0]), (0, [])])
def test_alignment_cuts_or_pads_the_end(n_frames: int, expected: list[int]) -> None:
    rows = np.array([[1, 1], [2, 2], [3, 3]], dtype=np.float32)
    aligned = align_to_video(rows, n_frames)
    assert aligned.dtype == np.float32
    assert aligned[:, 0].tolist() == expected


@pytest.mark.parametrize("n_frames", [10, 15])
def test_alignment_is_the_peers_training(shared: Path, n_frames: int) -> None:
    rows = np.arange(26, dtype=np.float32).reshape(13, 2)
    theirs = reference(shared, "talklip")[f"align.train_13to{n_frames}"]
    assert align_to_video(rows, n_frames).tolist() == theirs.tolist()


def test_sound_begins_at_a_frame_and_with_silence_before_the_first() -> None:
    pcm = np.arange(1, 1 + 3 * 640, dtype=np.int16)
    assert pcm_from(pcm, 0).tolist() == pcm.tolist()
    assert pcm_from(pcm, 2)[0] == 1 + 2 * 640
    early = pcm_from(pcm, -2)
    assert (early[: 2 * 640] == 0).all()
    assert early[2 * 640 :].tolist() == pcm.tolist()


def test_features_follow_the_sound_to_where_it_was_repaired() -> None:
    pcm = np.random.default_rng(0).integers(-9000, 9000, 640 * 30).astype(np.int16)
    members = ("fbank", "mfcc")
    found = extract_features(pcm, 0, 20, members)
    late, early = extract_features(pcm, 4, 20, members), extract_features(pcm, -4, 20, members)
    # all but the rows whose windows reach over the new beginning
    np.testing.assert_allclose(late["fbank"][1:16], found["fbank"][5:20], rtol=1e-5)
    np.testing.assert_allclose(early["mfcc"][:, 18:], found["mfcc"][:, 2:-16], rtol=1e-4, atol=1e-3)
    assert early["fbank"].shape == late["fbank"].shape == (20, 104)


def test_level_of_the_noise_by_hand() -> None:
    clean = np.full(1000, 1000, dtype=np.int16)
    noise = np.tile(np.array([50, -50], dtype=np.int16), 3)
    mixed = mix_noise(clean, noise, 20)
    assert set(mixed.tolist()) == {900, 1100}
    assert len(mixed) == 1000


def test_loud_mixtures_are_scaled_and_not_clipped() -> None:
    clean = np.array([30_000, 30_000, -100, 100], dtype=np.int16)
    mixed = mix_noise(clean, np.array([20_000, 10_000, 100, -100], dtype=np.int16), 0)
    assert mixed.max() == 32767
    assert mixed[0] > mixed[1]


def test_silent_noise_is_refused() -> None:
    with pytest.raises(ValueError, match="silent"):
        mix_noise(SECOND, np.zeros(9, dtype=np.int16), 0)


def test_importing_features_loads_numpy_only() -> None:
    heavy = {"torch", "torchaudio", "python_speech_features", "scipy"}
    code = f"import sys, synctalk.features; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "[]"


def test_torchaudio_loads_beside_any_build_of_torch() -> None:
    from synctalk.features.torchaudio_cpu import load_torchaudio

    torchaudio = load_torchaudio()
    assert torchaudio.functional.melscale_fbanks(401, 55.0, 7600.0, 80, 16_000).shape == (401, 80)
    assert load_torchaudio() is torchaudio


@pytest.mark.parametrize(("n", "n_frames"), [(16_000, 25), (16_001, 26), (100, 1), (3_000, 5), (0, 1)])
def test_any_sound_has_a_mel_window_for_each_frame(n: int, n_frames: int) -> None:
    rows = audio_input_of_pcm("mel", np.random.default_rng(0).integers(-3000, 3000, n).astype(np.int16))
    assert rows.shape == (n_frames, 80, 16)
    assert rows.dtype == np.float32


def test_what_a_network_hears_is_what_the_shards_hold() -> None:
    pcm = np.random.default_rng(0).integers(-3000, 3000, 32_000).astype(np.int16)
    stored = extract_features(pcm, 0, 50, ("fbank", "mel"))
    np.testing.assert_array_equal(audio_input("fbank", stored["fbank"], 50), normalise_fbank(stored["fbank"]))
    np.testing.assert_array_equal(audio_input_of_pcm("fbank", pcm)[:50], audio_input("fbank", stored["fbank"], 50))
    # the last 0.2 s of a clip hear one window; an audio's own end may lie a column later
    np.testing.assert_array_equal(audio_input_of_pcm("mel", pcm)[:45], audio_input("mel", stored["mel"], 50)[:45])


def test_noise_in_filterbanks_by_hand() -> None:
    """Speech of power 4 everywhere; two noises of power 1 and 9, as loud as each other: at 0 dB the sum is 8."""
    clean = np.full((3, 2), np.log(4), np.float32)
    noises = [np.zeros((3, 2), np.float32), np.full((1, 2), np.log(9), np.float32)]
    np.testing.assert_allclose(mix_fbank(clean, noises, 0.0), np.log(8), rtol=1e-6)
    np.testing.assert_allclose(mix_fbank(clean, noises[:1], 10.0), np.log(4.4), rtol=1e-6)


def test_noise_in_filterbanks_keeps_its_shape_and_is_repeated() -> None:
    clean = np.zeros((4, 1), np.float32)
    noise = np.log(np.array([[1.0], [3.0]], np.float32))  # of mean power 2
    np.testing.assert_allclose(np.exp(mix_fbank(clean, [noise], 0.0))[:, 0], [1.5, 2.5, 1.5, 2.5], rtol=1e-6)


@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_noise_in_filterbanks_is_that_of_waveforms_in_the_mean(snr_db: float) -> None:
    """Two white noises; single frames differ as their waves interfere, the mean power does not."""
    rng = np.random.default_rng(0)
    one, other = ((rng.normal(size=48000) * level).astype(np.int16) for level in (3000, 500))
    waves = stacked_log_fbank(mix_noise(one, other, snr_db))
    mixed = mix_fbank(stacked_log_fbank(one), [stacked_log_fbank(other)], snr_db)
    assert np.exp(waves).mean() == pytest.approx(np.exp(mixed).mean(), rel=0.03)
    assert np.exp(mixed).mean() > 1.05 * np.exp(stacked_log_fbank(one)).mean()
