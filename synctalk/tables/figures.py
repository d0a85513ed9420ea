"""Every figure that a table or a page shows: its heading, what it is, how many decimals, and which end of it is bad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """A figure as tables and pages print it.

    Attributes:
        heading: with an arrow to the better side, where there is one.
        meaning: what it is, in one line; empty for those of the perceptual study, whose caption explains them.
        decimals: decimals of one clip's, and of the tables beside the paper; means by `synctalk score` have one more.
        worst: which end is bad, and stands first in a table of clips: low or high values, or those far from zero.
    """

    heading: str
    meaning: str = ""
    decimals: int = 2
    worst: Literal["low", "high", "far"] = "low"


FIGURES = {
    "lse_c": Figure("LSE-C ↑", "SyncNet's confidence: how much the best shift of the audio stands out"),
    "lse_d": Figure("LSE-D ↓", "SyncNet's distance at the best shift", worst="high"),
    "lse_c_other": Figure("LSE-C, other audio", "the same with the audio of another clip: what chance looks like"),
    "n_windows": Figure("windows", "a clip, of five frames; LSE-C of clips under about 30 depends on their number", 0),
    "offset": Figure("offset", "best shift in frames; LSE cannot see it", 0, "far"),
    "offset_within_1": Figure("offset within 1", "share of clips whose best shift is at most one frame"),
    "psnr": Figure("PSNR ↑", "face box at 96 x 96, floating point, dB"),
    "psnr_uint8": Figure("PSNR (uint8) ↑", "the same as published code computes it: bytes wrap"),
    "ssim": Figure("SSIM ↑", "face box at 96 x 96; Gaussian window, sigma 1.5", 3),
    "mouth_psnr": Figure("mouth PSNR ↑", "mouth region of that box, dB"),
    "mouth_ssim": Figure("mouth SSIM ↑", "mouth region of that box", 3),
    "mean_mouth_psnr": Figure(
        "mean mouth PSNR", "what the clip's own mean mouth would score: a still picture at its best"
    ),
    "frame_psnr": Figure("frame PSNR ↑", "whole frame, dB"),
    "frame_psnr_uint8": Figure("frame PSNR (uint8) ↑", "whole frame, as published code computes it"),
    "frame_ssim": Figure("frame SSIM ↑", "whole frame", 3),
    "frame_lpips": Figure("frame LPIPS ↓", "whole frame; AlexNet, LPIPS 0.1", 4, "high"),
    "frame_fid": Figure("frame FID ↓", "all whole frames at once, hence no interval", 3, "high"),
    "wer": Figure("WER % ↓", "word edits over words of all clips; lower case, punctuation kept", 1, "high"),
    "cer": Figure("CER % ↓", "character edits over characters of all clips", 1, "high"),
    "wer1": Figure("WER1 % ↓", "of the first observer, on lrs2", 1, "high"),
    "wer2": Figure("WER2 % ↓", "of the first observer, on lrs3", 1, "high"),
    "wer3": Figure("WER3 % ↓", "of the Conformer, which is told the true words before each", 1, "high"),
    "wer3_free": Figure("WER3, free % ↓", "of the Conformer, which goes by its own words", 1, "high"),
    "intelligibility_mean": Figure("INTL ↑"),
    "intelligibility_std": Figure("INTL SD"),
    "sync_mean": Figure("SYNC ↑"),
    "sync_std": Figure("SYNC SD"),
    "authenticity_mean": Figure("AUTH ↑"),
    "authenticity_std": Figure("AUTH SD"),
}
