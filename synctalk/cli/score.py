"""`synctalk score`: videos of any method, scored by judges that are named."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

JUDGES = Path("models/judges")


class ProtocolName(StrEnum):
    """Public protocols of LSE."""

    LRS = "lrs"
    FACE = "face"


class DtypeName(StrEnum):
    """Number types that SyncNet can score in."""

    F32 = "float32"
    BF16 = "bfloat16"


class RoiName(StrEnum):
    """How published lip readers see the mouth."""

    MEAN_FACE = "mean_face"
    CENTRE = "centre"


class DetectorChoice(StrEnum):
    """Face detectors whose weights a user can bring."""

    YUNET = "yunet"
    INSIGHTFACE = "insightface"


def score(
    generated: Annotated[Path, typer.Argument(help="Folder of generated videos, at any depth.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the figures and the page.")],
    reference: Annotated[Path | None, typer.Option(help="Folder of the real videos, same paths.")] = None,
    transcripts: Annotated[Path | None, typer.Option(help="Folder of the sentences, same paths, .txt.")] = None,
    clips: Annotated[Path | None, typer.Option("--list", help="File of the ids to score, one a line.")] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Wav2Lip's list: line k is `audio_id video_id`, its video GENERATED/k.mp4.")
    ] = None,
    sync: Annotated[Path, typer.Option(help="SyncNet behind LSE.")] = JUDGES / "syncnet" / "model.safetensors",
    lse: Annotated[bool, typer.Option(help="Score synchronisation.")] = True,
    protocol: Annotated[
        ProtocolName | None, typer.Option(help="What a published SyncNet sees: whole frames (lrs), or tracked faces.")
    ] = None,
    jpeg: Annotated[
        bool, typer.Option(help="Show SyncNet what the published scripts' JPEG frame dump leaves.")
    ] = False,
    sync_dtype: Annotated[DtypeName, typer.Option(help="Of SyncNet's lip tower; bfloat16 is faster.")] = DtypeName.F32,
    observer: Annotated[Path, typer.Option(help="Lip reader behind WER.")] = JUDGES / "observer1" / "model.safetensors",
    wer: Annotated[bool | None, typer.Option(help="Read lips; by default where transcripts are given.")] = None,
    roi: Annotated[RoiName, typer.Option(help="Mouth region of a published lip reader.")] = RoiName.MEAN_FACE,
    beam: Annotated[int, typer.Option(min=1, help="Hypotheses kept while reading.")] = 50,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest hypothesis, in word pieces.")] = 512,
    detector: Annotated[DetectorChoice, typer.Option(help="Face detector.")] = DetectorChoice.YUNET,
    weights: Annotated[Path | None, typer.Option(help="ONNX file of the detector; none does without faces.")] = None,
    min_score: Annotated[float, typer.Option(help="Faces below this score are not seen, 0..1.")] = 0.6,
    tracks: Annotated[Path | None, typer.Option(help="Folder of published face tracks, ID.npz, instead.")] = None,
    lpips: Annotated[
        Path | None, typer.Option(help="AlexNet's weights (torchvision's file): LPIPS of whole frames.")
    ] = None,
    lpips_heads: Annotated[Path | None, typer.Option(help="LPIPS' linear layers, weights/v0.1/alex.pth.")] = None,
    fid: Annotated[
        Path | None, typer.Option(help="Inception's weights (pytorch-fid's file): FID of whole frames.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Score the videos in GENERATED, matched by their paths, and write tables, notes and a page to OUT.

    Example: synctalk score made/ --reference real/ --transcripts real/ --weights face_detection_yunet_2023mar.onnx
    --sync syncnet_v2.model --protocol lrs --observer observer.safetensors -o scores/
    """
    import json

    from synctalk.errors import UserError
    from synctalk.evaluation.folder import add_perceptual, score_matching, summary, write_scored
    from synctalk.evaluation.judges.files import Wanted, assemble
    from synctalk.evaluation.judges.perceptual import load_nets
    from synctalk.evaluation.videos.pairs import match_crossed, match_folders
    from synctalk.faces.detect import DetectorParams
    from synctalk.report.score_page import write_pages
    from synctalk.runtime.device import set_threads

    set_threads()
    reads = transcripts is not None if wer is None else wer
    found_by = DetectorParams(weights=str(weights), det_size=640, min_score=min_score) if weights else None
    panel = assemble(
        Wanted(
            sync=sync if lse else None,
            protocol=protocol.value if protocol else None,
            observer=observer if reads else None,
            roi=roi.value,
            beam=beam,
            max_tokens=max_tokens,
            detector=detector.value if weights else None,
            detector_params=found_by,
            tracks=tracks,
            jpeg=jpeg,
            sync_dtype=sync_dtype.value,
        )
    )
    if (lpips or fid) and not reference:
        raise UserError("--lpips" if lpips else "--fid", "needs the real videos", "give --reference")
    if not (lse or reads or reference):
        raise UserError("score", "there is nothing to score by", "give --reference, or leave out --no-lse")
    nets = load_nets(lpips, lpips_heads, fid)
    words = panel.words | {"sha256": panel.words["sha256"] | nets.hashes}
    if pairs is not None:
        if clips is not None:
            raise UserError("--list", "cannot stand beside --pairs", "give one of the two")
        matching = match_crossed(generated, pairs, reference, transcripts)
    else:
        matching = match_folders(generated, reference, transcripts, clips)
    out.mkdir(parents=True, exist_ok=True)
    scored = score_matching(matching, panel.setup, panel.judges, judged_by=panel.hashes, wer_name="wer", out=out)
    scored = add_perceptual(scored, matching, nets, out)
    write_scored(scored, words, out)
    shown = write_pages(scored, matching, words, out)
    typer.echo(json.dumps(summary(scored, words), indent=2, sort_keys=True) if as_json else shown)
