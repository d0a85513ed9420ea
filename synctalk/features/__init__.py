"""Audio features and network inputs: one function for each, used by training, generation and evaluation alike.

Importing this package loads numpy only; python_speech_features and torchaudio are loaded where they are called.
"""

from synctalk.features.align import align_to_video
from synctalk.features.audio_input import audio_input, audio_input_of_pcm
from synctalk.features.fbank import normalise_fbank, stacked_log_fbank
from synctalk.features.mel import mel_spectrogram, mel_window_starts, mel_windows
from synctalk.features.mfcc import add_deltas, mfcc, mfcc_with_deltas
from synctalk.features.noise import mix_fbank, mix_noise
from synctalk.features.pcm import pcm_from

__all__ = [
    "add_deltas",
    "align_to_video",
    "audio_input",
    "audio_input_of_pcm",
    "mel_spectrogram",
    "mel_window_starts",
    "mel_windows",
    "mfcc",
    "mfcc_with_deltas",
    "mix_fbank",
    "mix_noise",
    "normalise_fbank",
    "pcm_from",
    "stacked_log_fbank",
]
