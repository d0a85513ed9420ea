"""Stage: the pre-training chain beside the phones of synthetic corpora -> purity of every iteration's units."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.corpora.params import CorpusParams
from synctalk.corpora.phones import PHONEMES, read_phonemes
from synctalk.models.lip_reader import LipReaderConfig
from synctalk.params.read import load, load_entry
from synctalk.runtime.device import set_threads
from synctalk.runtime.jobs import write_json
from synctalk.shards.cache import TRAIN_SPLITS, SampleCache
from synctalk.shards.read import ShardSet
from synctalk.shards.store import join
from synctalk.training.clusters import read_clusters
from synctalk.training.pretrain import PretrainSection
from synctalk.training.probe import (
    ProbeParams,
    probe_features,
    probe_figures,
    probe_units,
    top_layers,
    true_phones,
    write_probe,
)


def main(shards: str, clusters: Path, models: Path, out: Path, metrics: Path) -> None:
    """Probe CLUSTERS/<iteration> and MODELS/<iteration> on the pre-training corpora in SHARDS; write OUT and METRICS.

    Corpora without phones leave both empty.
    """
    set_threads()
    section, params = load("pretrain", PretrainSection), load("probe", ProbeParams)
    spoken = {
        corpus: read_phonemes(Path(load_entry("corpora", corpus, CorpusParams).root)) for corpus in section.corpora
    }
    silent = [corpus for corpus, phones in spoken.items() if not phones]
    if silent:
        print(f"probe: no {PHONEMES} in {', '.join(silent)}, as in every real corpus; nothing to compare units with")
        write_probe(out, [])
        return write_json(metrics, {})
    samples = SampleCache(ShardSet([join(shards, corpus) for corpus in section.corpora], TRAIN_SPLITS))
    phones = true_phones(samples, {file: rows for of_corpus in spoken.values() for file, rows in of_corpus.items()})
    labels = [
        probe_units(f"labels of {name}", read_clusters(clusters / name, samples), phones) for name in section.iterations
    ]
    layers = top_layers(section.iterations, load("av_syncnet", LipReaderConfig).encoder.n_layers)
    features = probe_features(
        samples,
        phones,
        {name: models / name for name in section.iterations},
        layers,
        params,
        crop=load("mouth_crop", int),
        seed=load("seed", int),
    )
    write_probe(out, [*labels, *features])
    write_json(metrics, probe_figures([*labels, *features]))


if __name__ == "__main__":
    run(main)
