"""Published weights that a user can bring: what they are, under which terms, and where their authors give them out.

Nothing is fetched from here. Terms are those of the repository that publishes the weights, as read at the commits named
in synctalk/checkpoints/load.py; corpora that a network was trained on (LRS2, LRS3, VoxCeleb2) bring terms of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

NO_LICENCE = "no licence stated: ask the authors"
META = "AV-HuBERT licence (Meta): non-commercial research only"
WAV2LIP = "research and personal use only (README)"
AV_HUBERT_AT = "facebookresearch/av_hubert: checkpoints page linked from its README"
WAV2LIP_AT = "Rudrabha/Wav2Lip: links in its README"
TALKLIP_AT = "Sxjdwang/TalkLip: links in its README"


@dataclass(frozen=True)
class Published:
    """One published file.

    Attributes:
        file: name as its authors give it.
        kind: a key of `KINDS`.
        what: for what it is used here.
        licence: terms of the weights.
        obtain: who gives it out.
    """

    file: str
    kind: str
    what: str
    licence: str
    obtain: str


PUBLISHED = (
    Published("syncnet_v2.model", "syncnet", "LSE-C and LSE-D", "MIT", "joonson/syncnet_python: download_model.sh"),
    Published("base_vox_iter5.pt", "av_hubert", "start of AV-SyncNet, Base", META, AV_HUBERT_AT),
    Published("large_vox_iter5.pt", "av_hubert", "start of AV-SyncNet, Large", META, AV_HUBERT_AT),
    Published("base_vox_433h.pt", "av_hubert_seq2seq", "lip reader of LRS3, Base", META, AV_HUBERT_AT),
    Published("large_vox_433h.pt", "av_hubert_seq2seq", "observer of WER2 (LRS3), Large", META, AV_HUBERT_AT),
    Published("lip-reading observer 1", "av_hubert_seq2seq", "observer of WER1 (LRS2)", NO_LICENCE, TALKLIP_AT),
    Published("lip-reading expert", "av_hubert_seq2seq", "supervisor of TalkLip", NO_LICENCE, TALKLIP_AT),
    Published("TalkLip (g), TalkLip (g+c)", "talklip", "TalkLip's generator", NO_LICENCE, TALKLIP_AT),
    Published("discriminator of TalkLip", "talklip_disc", "TalkLip's discriminator", NO_LICENCE, TALKLIP_AT),
    Published("wav2lip.pth, wav2lip_gan.pth", "wav2lip", "Wav2Lip's generator", WAV2LIP, WAV2LIP_AT),
    Published("lipsync_expert.pth", "wav2lip_expert", "Wav2Lip's sync expert", WAV2LIP, WAV2LIP_AT),
    Published("visual_quality_disc.pth", "wav2lip_disc", "Wav2Lip's discriminator", WAV2LIP, WAV2LIP_AT),
    Published(
        "vsr_trlrs3_base.pth, vsr_trlrs2lrs3vox2avsp_base.pth",
        "auto_avsr",
        "observer of WER3",
        "code Apache-2.0; weights under the terms of their corpora",
        "mpc001/auto_avsr: model zoo in its README",
    ),
    Published(
        "LRS3_V_WER19.1/model.pth",
        "auto_avsr",
        "observer of WER3",
        "comparison and benchmarking only, non-commercial (README)",
        "mpc001/Visual_Speech_Recognition_for_Multiple_Languages: model zoo in its README",
    ),
)
