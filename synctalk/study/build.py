"""A study from videos of methods: a folder to hand out, and the key that stays at home."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape

from synctalk.errors import UserError
from synctalk.evaluation.videos.pairs import videos_below
from synctalk.runtime.jobs import map_ordered
from synctalk.study.assign import Item, choose_items, order_apart, share_out
from synctalk.study.records import QUESTIONS, SCALE, Key, Origin, Shown, assignment_digest, opaque_name, write_key
from synctalk.study.videos import Form, Source, StudyClip, write_clip

PAGE, VIDEOS, STUDY = "index.html", "videos", "study.json"
"""What is handed out: the page, the folder of videos, and who rates which of them."""

HANDED_OUT = 946_684_800
"""Modification time of everything that is handed out, seconds: 1 January 2000, so that times say nothing."""

CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Of raters' codes; none that is mistaken for another."""


@dataclass(frozen=True)
class StudyPlan:
    """What the user chose. `form` is that of all videos."""

    n_videos: int
    n_raters: int
    overlap: int
    seed: int
    form: Form


@dataclass(frozen=True)
class Built:
    """What came out: the key, who rates how many, and what the user should know of the videos."""

    key: Key
    notes: list[str] = field(default_factory=list)


def own_sources(corpora: list[str]) -> tuple[dict[str, dict[str, Source]], Origin]:
    """Videos that the pipeline made, and the real ones as its evaluation cuts them; clips are `<corpus>/<id>`.

    Raises:
        UserError: there is no params.yaml, or the pipeline has not run.
    """
    from synctalk.evaluation.videos.corpus import clip_videos
    from synctalk.params.read import entry_names
    from synctalk.shards.clips import load_test_clips
    from synctalk.tables.setting import load_setting

    setting, data = load_setting(), Path("data")
    sources: dict[str, dict[str, Source]] = {name: {} for name in ("ground_truth", *entry_names("methods"))}
    for corpus in corpora:
        index = data / "index"
        if not (table := index / corpus / "clips.parquet").is_file():
            raise UserError(table, "is not there", "run `dvc repro`, or give folders by --method NAME=DIR")
        test = load_test_clips(corpus, index, data / "shards")
        for method, videos in sources.items():
            generated = None if method == "ground_truth" else data / "generated" / method / corpus
            videos |= {f"{corpus}/{video.sample.row.id}": video for video in clip_videos(test, generated)}
    return sources, Origin(scale=setting.scale, synthetic=setting.synthetic)


def folder_sources(methods: Mapping[str, Path]) -> dict[str, dict[str, Source]]:
    """Videos of folders, by method and clip.

    Raises:
        UserError: as `videos_below`.
    """
    return {name: dict(videos_below(folder)) for name, folder in methods.items()}


def rater_codes(secret: str, n_raters: int) -> list[str]:
    """Codes such as `07-k3f`: a number to read, and three letters so that nobody targets another's by a slip."""
    width = max(2, len(str(n_raters)))
    codes = []
    for number in range(1, n_raters + 1):
        letters = bytes.fromhex(opaque_name(secret, "rater", str(number)))
        codes.append(f"{number:0{width}d}-" + "".join(CODE_LETTERS[byte % len(CODE_LETTERS)] for byte in letters[:3]))
    return codes


def make_key(items: list[Item], digests: Mapping[Item, str], secret: str, plan: StudyPlan, origin: Origin) -> Key:
    """The key: names, raters and each rater's order; `digests` are those of the files."""
    names = {item: opaque_name(secret, item.method, item.clip) for item in items}
    rng = np.random.default_rng(plan.seed)
    raters = {}
    shares = share_out(items, plan.n_raters, plan.overlap, plan.seed)
    for code, share in zip(rater_codes(secret, plan.n_raters), shares, strict=True):
        own = [items[index] for index in share]
        raters[code] = tuple(names[own[index]] for index in order_apart([item.clip for item in own], rng))
    videos = {name: Shown(item.method, item.clip, digests[item]) for item, name in names.items()}
    return Key(secret, plan.seed, plan.overlap, origin, dict(sorted(videos.items())), raters)


def handed_out(key: Key) -> dict[str, Any]:
    """What the page and the server know: nothing of methods and clips."""
    return {
        "study": key.study,
        "scale": list(SCALE),
        "questions": [asdict(question) for question in QUESTIONS],
        "raters": {
            code: {"assignment": assignment_digest(key.study, code, videos), "videos": list(videos)}
            for code, videos in key.raters.items()
        },
    }


def render_page(study: Mapping[str, Any]) -> str:
    """The page for all raters; see page.html."""
    environment = Environment(loader=PackageLoader("synctalk.study", "."), autoescape=select_autoescape(["html"]))
    return environment.get_template("page.html").render(study=study)


def notes_on(written: list[StudyClip]) -> list[str]:
    """What might tell methods apart, or was cut: one line each."""
    notes = []
    for clip in written:
        if clip.n_cut:
            cut = ", ".join(f"{method} by {n}" for method, n in sorted(clip.n_cut.items()))
            notes.append(f"{clip.clip}: cut to the shortest video, {clip.n_frames} frames ({cut})")
        if clip.sizes:
            sizes = ", ".join(f"{method} {w}x{h}" for method, (w, h) in sorted(clip.sizes.items()))
            notes.append(f"{clip.clip}: frames of unlike size, whose sharpness or margins raters may notice ({sizes})")
    return notes


def write_items(
    items: list[Item], sources: Mapping[str, Mapping[str, Source]], folder: Path, form: Form
) -> tuple[dict[Item, Path], list[StudyClip]]:
    """Write every item to `folder`; items of one clip are written together, so that they get one length."""
    targets: dict[str, dict[str, tuple[Source, Path]]] = defaultdict(dict)
    paths = {}
    for number, item in enumerate(items):
        paths[item] = folder / f"{number}.mp4"
        targets[item.clip][item.method] = sources[item.method][item.clip], paths[item]
    return paths, list(map_ordered(partial(write_clip, form=form), list(targets.items()), label="write videos"))


def build_study(
    sources: Mapping[str, Mapping[str, Source]], plan: StudyPlan, origin: Origin, out: Path, key_path: Path
) -> Built:
    """Write the study to the folder `out`, its key to `key_path` and the raters' links beside the key.

    Raises:
        UserError: the numbers do not fit, a video cannot be used, `out` holds something already, or the key would lie
            in the folder that is handed out.
    """
    if key_path.resolve().is_relative_to(out.resolve()):
        raise UserError(key_path, "lies in the folder that is handed out", "put --key elsewhere")
    for path in (key_path, out):
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise UserError(path, "is there already", "a study is never written over: name another or take it away")
    items = choose_items({method: set(clips) for method, clips in sources.items()}, plan.n_videos, plan.seed)
    share_out(items, plan.n_raters, plan.overlap, plan.seed)  # numbers that do not fit are said before minutes of work
    secret = secrets.token_hex(16)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        paths, written = write_items(items, sources, Path(scratch), plan.form)
        digests = {item: hashlib.sha256(path.read_bytes()).hexdigest() for item, path in paths.items()}
        key = make_key(items, digests, secret, plan, origin)
        item_of = {opaque_name(secret, item.method, item.clip): item for item in items}
        (out / VIDEOS).mkdir(parents=True, exist_ok=True)
        for name in sorted(item_of):  # in the order of names: not even the order on the disk says more
            shutil.copyfile(paths[item_of[name]], out / VIDEOS / f"{name}.mp4")
    study = handed_out(key)
    (out / PAGE).write_text(render_page(study), encoding="utf-8")
    (out / STUDY).write_text(json.dumps(study, indent=1) + "\n", encoding="utf-8")
    write_key(key_path, key)
    write_links(links_path(key_path), key)
    for path in [*sorted(out.rglob("*")), out]:
        os.utime(path, (HANDED_OUT, HANDED_OUT))
    return Built(key, notes_on(written))


def links_path(key_path: Path) -> Path:
    """The raters' links lie beside the key."""
    return key_path.with_name(f"{key_path.stem}-raters.csv")


def write_links(path: Path, key: Key) -> None:
    """One line a rater: code, what to add to the page's address, how many videos."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["rater", "page", "n_videos"])
        writer.writerows([code, f"{PAGE}?rater={code}", len(videos)] for code, videos in key.raters.items())
