"""Sanity checks: do the judges judge, and does the generator speak?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """One statement that the figures must bear out, with what was measured."""

    statement: str
    measured: str
    holds: bool


def sanity_checks(truth: Mapping[str, Any], methods: Mapping[str, Mapping[str, Any]]) -> list[Check]:
    """Do the judges judge, and does the generator speak? From metrics.json of ground truth and of each method."""
    checks = []
    for corpus, real in truth.items():
        wer = next(name for name in real if name.startswith("wer"))
        checks += [
            Check(f"{corpus}: the observer reads real video, WER below 50 %", f"{real[wer]:.1f} %", real[wer] < 50),
            Check(
                f"{corpus}: the sync judge finds the offset within one frame on 90 % of real clips",
                f"{real['offset_within_1']:.0%}",
                real["offset_within_1"] >= 0.9,
            ),
        ]
        for method, figures in methods.items():
            made = figures[corpus]
            checks += [
                Check(
                    f"{corpus}, {method}: the mouth is closer to the truth than the clip's mean mouth",
                    f"{made['mouth_psnr']:.2f} dB against {made['mean_mouth_psnr']:.2f} dB",
                    made["mouth_psnr"] > made["mean_mouth_psnr"],
                ),
                Check(
                    f"{corpus}, {method}: LSE-C with its own audio is above that with another clip's",
                    f"{made['lse_c']:.2f} against {made['lse_c_other']:.2f}",
                    made["lse_c"] > made["lse_c_other"],
                ),
            ]
    return checks
