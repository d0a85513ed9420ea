"""A Ray cluster of two nodes on this machine makes the bytes that one process makes, whatever dies meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from small_corpus import digests, make_corpus, write_params

from synctalk import ray_tasks
from synctalk.corpora.records import read_rejected
from synctalk.errors import Reason, UserError
from synctalk.jobs import map_ordered

OBJECT_STORE = 80 * 2**20
TESTS = Path(__file__).parents[1]
RUN_STAGES = """
import sys
from pathlib import Path
from small_corpus import stages
for stage in stages(Path("raw"), Path(sys.argv[1])).values():
    stage()
"""
RUN_PARTS = """
import sys
from pathlib import Path
import test_parts
from synctalk.parts import run_parts
run_parts("test corpus", ["key"], test_parts.stage(Path(sys.argv[1])), test_parts.N_PARTS, Path(sys.argv[2]))
"""


@dataclass(frozen=True)
class Nodes:
    """A running cluster: the head, one more node, and where to ask for it."""

    cluster: Any
    second: Any
    address: str


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")  # a crowded machine is not this test's matter
        patch.setenv("RAY_worker_niceness", "0")  # as the driver: 15 by default
        from ray.cluster_utils import Cluster

        folder = tempfile.mkdtemp(prefix="ray-")  # of a short name: Ray's sockets lie there
        node = {"num_cpus": 1, "object_store_memory": OBJECT_STORE}
        cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False, "temp_dir": folder})
        second = cluster.add_node(**node)
        cluster.wait_for_nodes()
        yield Nodes(cluster, second, cluster.address)
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus, its params, and in `local` what one process of this machine makes of it."""
    folder = tmp_path_factory.mktemp("ray")
    make_corpus(folder / "raw", 12)
    write_params(folder, clips_per_part=1)
    started = start(folder, RUN_STAGES, "local", SYNCTALK_EXECUTOR="local", SYNCTALK_WORKERS="1")
    assert started.wait(300) == 0, started.stderr.read()
    return folder


def start(folder: Path, script: str, *arguments: str, **environment: str) -> Any:
    path = os.pathsep.join(map(str, (TESTS / "pipeline", TESTS, TESTS.parent)))
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], cwd=folder, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": path} | environment,
    )  # fmt: skip


def task_processes() -> list[int]:
    """Ray's workers that run a task at this moment, by the title that Ray gives them."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            title = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::_perform"):
            found.append(int(entry.name))
    return found


def wait_until(holds: Callable[[], object], process: Any) -> None:
    until = time.monotonic() + 120
    while not holds():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.01)


def parts_of(folder: Path, stage: str) -> int:
    return len(list(folder.glob(f".synctalk/scratch/{stage}-lrs2-*/part-??????.parquet")))


def test_a_killed_worker_and_a_lost_node_change_no_byte(folder: Path, nodes: Nodes) -> None:
    driver = start(folder, RUN_STAGES, "ray", SYNCTALK_EXECUTOR="ray", RAY_ADDRESS=nodes.address)
    wait_until(lambda: parts_of(folder, "crop") >= 2 and task_processes(), driver)
    os.kill(task_processes()[0], signal.SIGKILL)
    wait_until(lambda: parts_of(folder, "features") >= 1, driver)
    nodes.cluster.remove_node(nodes.second, allow_graceful=False)
    _, errors = driver.communicate(timeout=300)
    assert driver.returncode == 0, errors
    assert "died or was killed while executing a task" in errors  # Ray saw it
    assert digests(folder / "ray") == digests(folder / "local")


def test_hung_and_crashed_clips_are_rejected_there_too(folder: Path, nodes: Nodes) -> None:
    made = []
    for name in ("ray", "local"):
        environment = {"SYNCTALK_EXECUTOR": name, "RAY_ADDRESS": nodes.address, "SYNCTALK_CLIP_LIMIT_S": "3"}
        driver = start(folder, RUN_PARTS, f"calls-{name}", f"parts-{name}", **environment)
        _, errors = driver.communicate(timeout=300)
        assert driver.returncode == 0, errors
        made.append(digests(folder / f"parts-{name}"))
    assert made[0] == made[1]
    reasons = {row.id: row.reason for row in read_rejected(folder / "parts-ray/rejected.parquet")}
    assert (reasons["0/1"], reasons["1/0"], "2/1" in reasons) == (Reason.TIMED_OUT, Reason.CRASHED, False)


def test_without_ray_the_executor_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCTALK_EXECUTOR", "ray")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError) as error:
        list(map_ordered(abs, [1], label="test"))
    assert str(error.value) == "SYNCTALK_EXECUTOR=ray: Ray is not installed; pip install 'synctalk[ray]'"


def test_an_unknown_executor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCTALK_EXECUTOR", "slurm")
    with pytest.raises(UserError, match="SYNCTALK_EXECUTOR: is 'slurm'; set it to local or ray"):
        list(map_ordered(abs, [1], label="test"))


def test_a_cluster_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    assert ray_tasks.MAX_RETRIES > 0
    script = "from synctalk.jobs import map_ordered; list(map_ordered(abs, [1], label='test'))"
    driver = start(
        tmp_path, script, SYNCTALK_EXECUTOR="ray", RAY_ADDRESS="auto", RAY_TMPDIR=str(tmp_path / "no cluster")
    )
    _, errors = driver.communicate(timeout=120)
    assert "no Ray cluster answers; `ray start --head` begins one" in errors
