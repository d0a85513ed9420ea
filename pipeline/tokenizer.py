"""Stage: training transcripts -> a SentencePiece unigram model."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.corpora.records import read_clips
from synctalk.features.tokens import TokenizerParams, train_tokenizer
from synctalk.params.read import load


def main(index: Path, out: Path) -> None:
    """Train on the transcripts of the training splits in INDEX (one folder a corpus) and write the model to OUT."""
    params = load("tokenizer", TokenizerParams)
    clips = [clip for corpus in params.corpora for clip in read_clips(index / corpus / "clips.parquet")]
    transcripts = [clip.transcript for clip in clips if clip.split in ("pretrain", "train")]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(train_tokenizer(transcripts, params))


if __name__ == "__main__":
    run(main)
