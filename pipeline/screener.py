"""Stage: crops and the audio beside them -> the SyncNet that screens, or one read from its file."""

from __future__ import annotations

from pathlib import Path

from pipeline.stage import run
from synctalk.checkpoints import save
from synctalk.checkpoints.typed import load_syncnet
from synctalk.corpora.manifest import require_current
from synctalk.corpora.params import CorpusParams
from synctalk.corpora.records import ClipTable
from synctalk.params.read import load, load_entry
from synctalk.runtime.device import set_threads
from synctalk.runtime.jobs import digest, scratch
from synctalk.runtime.parts import n_parts_in, part_path
from synctalk.screening.params import ScreenerParams, ScreenParams
from synctalk.screening.screener import Source, train_screener
from synctalk.training.loop import write_curves


def main(index: Path, crops: Path, out: Path) -> None:
    """Train on CROPS (one folder a corpus), whose clips stand in INDEX, into the folder OUT."""
    set_threads()
    params = load("screener", ScreenerParams)
    out.mkdir(parents=True, exist_ok=True)
    if params.net.checkpoint or load("screen", ScreenParams).policy == "off":
        if params.net.checkpoint:
            about = {"from": Path(params.net.checkpoint).name, "view": params.net.view}
            save(load_syncnet(Path(params.net.checkpoint)), out / "model.safetensors", about)
        write_curves(out / "curves.csv", [])
        return
    sources = {}
    for name in params.net.corpora:
        entry = load_entry("corpora", name, CorpusParams)
        require_current(name, entry, Path(entry.root))
        sources[name] = Source(Path(entry.root), ClipTable(index / name / "clips.parquet"), crops / name)
    stats = [part_path(source.crops, n).stat() for source in sources.values() for n in range(n_parts_in(source.crops))]
    with scratch("screener", params, digest((stat.st_size, stat.st_mtime_ns) for stat in stats)) as folder:
        model, state = train_screener(sources, params, folder)
        save(model, out / "model.safetensors", {"view": params.net.view, "seed": params.seed})
        write_curves(out / "curves.csv", state.curves)


if __name__ == "__main__":
    run(main)
