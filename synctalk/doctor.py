"""What this machine, its installation and params.yaml have and lack, each with its mend.

Every check is a function without arguments that looks at one thing and finds one line; what it meets on the way becomes
a finding and never a trace.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from synctalk.errors import ClipError, UserError
from synctalk.params.read import PARAMS, load, read_yaml
from synctalk.timebase import FPS, SAMPLE_RATE

MIN_PYTHON, MIN_FREE_GB = (3, 11), 10.0
SELF_TEST_FRAMES = 25
"""Length of the clip that the decoders are tried on."""
LOCK_FILES = (Path("dvc.lock"), Path("data/synthetic/dvc.lock"))
"""What DVC knows of finished stages."""
RWLOCK = Path(".dvc/tmp/rwlock")
"""Which process of DVC works on which path."""
EXTRAS = {"ray": "extraction on a cluster", "s3fs": "shards in object stores"}
"""Packages of the extras, and what they are for."""


class State(StrEnum):
    """How much a finding hinders."""

    OK = "ok"
    NOTE = "note"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        state: `ok`; `note` where something can be had that is not there; `fail` where work will break.
        found: what there is.
        mend: what to do about it; "" where nothing need be done.
    """

    name: str
    state: State
    found: str
    mend: str = ""


def check_python() -> Finding:
    """The interpreter's version."""
    found = f"Python {platform.python_version()}, {sys.executable}"
    if sys.version_info < MIN_PYTHON:
        return Finding("python", State.FAIL, found, f"take Python {'.'.join(map(str, MIN_PYTHON))} or later")
    return Finding("python", State.OK, found)


def check_torch() -> Finding:
    """torch, the device that training takes, and torchaudio beside it."""
    import torch

    from synctalk.features.torchaudio_cpu import load_torchaudio
    from synctalk.runtime.device import torch_device

    found = f"torch {torch.__version__}, torchaudio {load_torchaudio().__version__}"
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return Finding("torch", State.OK, f"{found}; {name}, {memory:.0f} GiB; training runs on {torch_device()}")
    if torch.version.cuda:
        return Finding(
            "torch", State.NOTE, f"{found}; built for CUDA {torch.version.cuda}, no GPU is seen", "look at nvidia-smi"
        )
    return Finding("torch", State.OK, f"{found}; no CUDA in this build, training runs on {torch_device()}")


def check_decoders() -> Finding:
    """Writes a clip of one second and decodes it again, pictures and audio."""
    from synctalk.media import probe, read_audio, read_video, write_video

    shades = np.linspace(40, 200, SELF_TEST_FRAMES).astype(np.uint8)
    frames = np.broadcast_to(shades[:, None, None, None], (SELF_TEST_FRAMES, 64, 64, 3))
    tone = 0.3 * 32767 * np.sin(2 * np.pi * 440 * np.arange(SELF_TEST_FRAMES * SAMPLE_RATE // FPS) / SAMPLE_RATE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "self-test.mp4"
        write_video(path, frames, audio=tone.astype(np.int16))
        back, audio, info = read_video(path).frames, read_audio(path), probe(path)
    version = importlib.metadata.version("av")
    if info.video is None or info.audio is None or len(back) != SELF_TEST_FRAMES:
        return Finding("decoders", State.FAIL, f"av {version}: the clip came back without its parts", "reinstall av")
    error = float(np.abs(back.mean(axis=(1, 2, 3)) - shades).max())
    level = float(np.sqrt(np.mean(audio.astype(np.float64) ** 2)) / np.sqrt(np.mean(tone**2)))
    if error > 4 or not 0.8 < level < 1.2:
        return Finding(
            "decoders",
            State.FAIL,
            f"av {version}: pictures off by {error:.1f} of 255, loudness {level:.2f} times",
            "reinstall av",
        )
    return Finding("decoders", State.OK, f"av {version} writes and reads H.264 and AAC")


def _owners(module: str) -> list[str]:
    """Distributions that bring a module of the name: a second one overwrites files of the first."""
    return sorted(set(importlib.metadata.packages_distributions().get(module, [])))


def check_cv2() -> Finding:
    """Distributions that bring a cv2."""
    owners = _owners("cv2")
    import cv2

    found = f"cv2 {cv2.__version__} of {', '.join(owners)}"
    if len(owners) > 1:
        return Finding("opencv", State.FAIL, found, f"pip uninstall {' '.join(owners)}, then install one of them again")
    return Finding("opencv", State.OK, found)


def check_onnxruntime() -> Finding:
    """Distributions that bring onnxruntime, which runs SCRFD, and where it can run.

    insightface asks for `onnxruntime`, the extra `gpu` for `onnxruntime-gpu`: pip installs both, and which files are
    there in the end is accident. CUDA is then missing, often without a word.
    """
    owners = _owners("onnxruntime")
    import onnxruntime

    providers = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
    found = f"onnxruntime {onnxruntime.__version__} of {', '.join(owners)}; runs on {', '.join(providers)}"
    if len(owners) > 1:
        keep = "onnxruntime-gpu" if "onnxruntime-gpu" in owners else owners[0]
        mend = f"pip uninstall {' '.join(owners)}, then pip install {keep} alone"
        return Finding("onnxruntime", State.FAIL, found, mend)
    return Finding("onnxruntime", State.OK, found)


def check_detectors() -> list[Finding]:
    """Every detector that a corpus of params.yaml names, or that has weights: its file loads and runs."""
    from synctalk.faces.detect import OBTAIN, make_detector
    from synctalk.faces.extract import CropParams

    wanted = {str(corpus["detector"]) for corpus in read_yaml(PARAMS)["corpora"].values()}
    findings = []
    for kind, params in sorted(load("crop", CropParams).detectors.items()):
        name = f"detector {kind}"
        if not params.weights and kind not in wanted:
            findings.append(Finding(name, State.NOTE, "no weights, and no corpus needs them", f"bring {OBTAIN[kind]}"))
            continue
        try:
            make_detector(kind, params)
        except UserError as error:
            findings.append(Finding(name, State.FAIL, error.line))
        else:
            findings.append(Finding(name, State.OK, f"{params.weights} ({OBTAIN[kind]})"))
    return findings


def check_params() -> Finding:
    """params.yaml against its schema, and what it says of the corpora against the disk."""
    from synctalk.schema import check

    check(PARAMS)
    data = read_yaml(PARAMS)
    return Finding("params", State.OK, f"{PARAMS}, scale {data['scale']}, variant {data['variant']}")


def check_locks() -> Finding:
    """DVC's own records, which it writes in place: one that a kill has cut off is refused by every later command."""
    from dvc.dvcfile import Lockfile
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    there = [lock for lock in LOCK_FILES if lock.is_file()]
    broken = []
    with Repo() as repo:
        for lock in there:
            try:
                Lockfile(repo, str(lock)).load()
            except DvcException:
                broken.append(lock)
    try:
        json.loads(RWLOCK.read_text(encoding="utf-8") if RWLOCK.is_file() else "{}")
    except ValueError:  # no JSON, or no text
        broken.append(RWLOCK)
    if broken:
        names = " ".join(map(str, broken))
        mend = "remove it, or `git restore` it where the last commit has one; finished stages come from DVC's run cache"
        return Finding("lock files", State.FAIL, f"{names}: cut off", mend)
    return Finding("lock files", State.OK, ", ".join(map(str, there)) or "none yet: nothing has run")


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()


def check_git() -> Finding:
    """The repository that experiments are kept in."""
    if not shutil.which("git"):
        return Finding("git", State.FAIL, "is not there", "install git; `dvc exp run` and `dvc metrics diff` need it")
    version = _git("--version").removeprefix("git version ")
    try:
        commit, changed = _git("rev-parse", "--short", "HEAD"), _git("status", "--porcelain").splitlines()
    except subprocess.CalledProcessError:
        return Finding("git", State.FAIL, f"git {version}; this is no repository with a commit", "work in a clone")
    if changed:
        return Finding("git", State.NOTE, f"git {version}; {commit} and {len(changed)} changed files", "git status")
    return Finding("git", State.OK, f"git {version}; {commit}, nothing changed")


def cache_folder() -> Path:
    """DVC's cache of files."""
    from dvc.repo import Repo

    with Repo() as repo:
        return Path(repo.cache.local.path)


def link_types(cache: Path, workspace: Path) -> list[str]:
    """Which of reflink, hardlink and symlink work from the cache to the workspace."""
    from dvc_objects.fs.local import LocalFileSystem

    cache.mkdir(parents=True, exist_ok=True)
    system: Any = LocalFileSystem()  # type: ignore[no-untyped-call]  # DVC has no types
    with tempfile.TemporaryDirectory(dir=cache) as there, tempfile.TemporaryDirectory(dir=workspace) as here:
        source = Path(there) / "source"
        source.write_bytes(b"a link's other end")
        links: dict[str, Callable[[str, str], Any]] = {
            "reflink": system.reflink,
            "hardlink": os.link,
            "symlink": os.symlink,
        }
        works = []
        for name, link in links.items():
            try:
                link(str(source), str(Path(here) / name))
            except (OSError, NotImplementedError):  # this file system, or DVC on it, has no such links
                continue
            works.append(name)
    return works


def check_cache() -> Finding:
    """Whether a second copy of the data is kept, and what would spare it."""
    from dvc.repo import Repo

    with Repo() as repo:
        types = repo.cache.local.cache_types
    cache = cache_folder()
    works = link_types(cache, Path.cwd())
    found = f"{cache}; cache.type {', '.join(types)}; {', '.join(works) or 'no kind of link'} possible"
    if "reflink" in works or not set(types) <= {"reflink", "copy"} or not works:
        return Finding("dvc cache", State.OK, found)
    mend = f"large corpora: dvc config --local cache.type {','.join(works)} keeps one copy, read-only"
    return Finding("dvc cache", State.NOTE, found, mend)


def check_disk() -> Finding:
    """Free space where the data and the cache will lie."""
    folders = {Path.cwd(), cache_folder()}
    free = {folder: shutil.disk_usage(folder).free / 1e9 for folder in folders if folder.exists()}
    found = "; ".join(f"{gigabytes:.0f} GB free at {folder}" for folder, gigabytes in sorted(free.items()))
    if min(free.values()) < MIN_FREE_GB:
        return Finding("disk", State.NOTE, found, "`synctalk plan` says what a corpus will take")
    return Finding("disk", State.OK, found)


def check_machine() -> Finding:
    """Cores, and the settings that the environment makes."""
    from synctalk.runtime.mapping import executor, n_workers

    found = f"{os.cpu_count()} cores; {n_workers()} workers, by {executor()}"
    settings = sorted(name for name in os.environ if name.startswith("SYNCTALK_"))
    return Finding("machine", State.OK, found + (f"; {', '.join(settings)}" if settings else ""))


def check_extras() -> Finding:
    """Optional packages."""
    missing = {name: use for name, use in EXTRAS.items() if importlib.util.find_spec(name) is None}
    if missing:
        uses = ", ".join(f"{name} ({use})" for name, use in missing.items())
        return Finding("extras", State.NOTE, f"not installed: {uses}", "pip install 'synctalk[ray,s3]' where needed")
    return Finding("extras", State.OK, f"{', '.join(EXTRAS)} are installed")


ANYWHERE: dict[str, Callable[[], Finding | list[Finding]]] = {
    "python": check_python,
    "machine": check_machine,
    "torch": check_torch,
    "decoders": check_decoders,
    "opencv": check_cv2,
    "onnxruntime": check_onnxruntime,
    "extras": check_extras,
    "git": check_git,
}
IN_A_PROJECT: dict[str, Callable[[], Finding | list[Finding]]] = {
    "params": check_params,
    "lock files": check_locks,
    "detectors": check_detectors,
    "dvc cache": check_cache,
    "disk": check_disk,
}
"""Checks that need a checkout: params.yaml and DVC's folder."""


def examine() -> list[Finding]:
    """All findings; those of a project only where the working directory is one."""
    findings: list[Finding] = []
    checks = {**ANYWHERE, **IN_A_PROJECT} if PARAMS.exists() else ANYWHERE
    for name, check in checks.items():
        try:
            found = check()
        except (UserError, ClipError, ImportError, OSError, subprocess.CalledProcessError) as error:
            found = Finding(name, State.FAIL, " ".join(str(error).split()))
        findings += found if isinstance(found, list) else [found]
    if not PARAMS.exists():
        findings.append(Finding("project", State.NOTE, f"no {PARAMS} here", "run in a checkout for the rest"))
    return findings
