"""Stage: a generator -> whole test clips of a corpus, pasted back into their frames, with their audio."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.checkpoints.typed import load_generator
from synctalk.corpora.params import CorpusParams
from synctalk.corpora.records import read_clips
from synctalk.generation.corpus import GenerateParams, generate_corpus
from synctalk.params.read import load, load_entry
from synctalk.runtime.device import set_threads
from synctalk.runtime.jobs import content_key, scratch
from synctalk.shards.read import ShardSet


def main(method: str, model: Path, index: Path, shards: Path, out: Path) -> None:
    """Generate the test clips of lrs2 and lrs3 with MODEL into OUT/<corpus>/<clip id>.mp4."""
    set_threads()
    params, generator = load("generate", GenerateParams), load_generator(model / "model.safetensors")
    with scratch(f"generate-{method}", params, content_key(model, shards / "lrs2", shards / "lrs3")) as folder:
        for corpus in ("lrs2", "lrs3"):
            root = Path(load_entry("corpora", corpus, CorpusParams).root)
            clips = read_clips(index / corpus / "clips.parquet")
            generate_corpus(
                generator,
                root,
                clips,
                ShardSet([shards / corpus], ["test"]),
                params,
                folder / corpus,
                out / corpus,
                label=f"generate {method} {corpus}",
            )


if __name__ == "__main__":
    run(main)
