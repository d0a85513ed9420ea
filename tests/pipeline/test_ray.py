"""A Ray cluster of two nodes on this machine makes the bytes that one process makes, whatever dies meanwhile."""

from __future__ import annotations

import os
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

from synctalk.errors import Reason, UserError
from synctalk.rejected import read_rejected
from synctalk.runtime.mapping import map_ordered

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
from synctalk.runtime.parts import run_parts
run_parts("test corpus", ["key"], test_parts.stage(Path(sys.argv[1])), test_parts.N_PARTS, Path(sys.argv[2]))
"""


@dataclass(frozen=True)
class Nodes:
    """A running cluster: the head, one more node, and where to ask for it."""

    cluster: Any
    second: Any
    address: str


cluster = pytest.mark.cluster


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    pytest.importorskip("ray")
    # of a short name, for Ray's sockets lie there; and the address of the running cluster, which else may be the user's
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
    ):
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")  # a crowded machine is not this test's matter
        patch.setenv("RAY_worker_niceness", "0")  # as the driver: 15 by default
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": OBJECT_STORE}
        cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        second = cluster.add_node(**node)
        cluster.wait_for_nodes()
        yield Nodes(cluster, second, cluster.address)
        cluster.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus, its params, and in `local` what one process of this machine makes of it."""
    folder = tmp_path_factory.mktemp("ray")
    make_corpus(folder / "raw", 12)
    write_params(folder, clips_per_part=1)
    started = start(folder, RUN_STAGES, "local", SYNCTALK_EXECUTOR="local", SYNCTALK_WORKERS="1")
    assert started.wait(300) == 0, started.stdout.read()
    return folder


def start(folder: Path, script: str, *arguments: str, **environment: str) -> Any:
    path = os.pathsep.join(map(str, (TESTS / "pipeline", TESTS / "runtime", TESTS, TESTS.parent)))
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
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


def kill_a_task() -> bool:
    """Whether there was one."""
    found = task_processes()
    if found:
        os.kill(found[0], signal.SIGKILL)
    return bool(found)


def wait_until(holds: Callable[[], object], process: Any) -> None:
    until = time.monotonic() + 120
    while not holds():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < until
        time.sleep(0.01)


def parts_of(folder: Path, stage: str) -> int:
    return len(list(folder.glob(f".synctalk/scratch/{stage}-lrs2-*/part-??????.parquet")))


@cluster
def test_a_killed_worker_and_a_lost_node_change_no_byte(folder: Path, nodes: Nodes) -> None:
    driver = start(folder, RUN_STAGES, "ray", SYNCTALK_EXECUTOR="ray", RAY_ADDRESS=nodes.address)
    wait_until(lambda: parts_of(folder, "crop") >= 2, driver)
    wait_until(kill_a_task, driver)
    wait_until(lambda: parts_of(folder, "features") >= 1, driver)
    nodes.cluster.remove_node(nodes.second, allow_graceful=False)
    said, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0, said
    assert "Task _perform failed" in said  # Ray began tasks again
    assert digests(folder / "ray") == digests(folder / "local")


@cluster
def test_hung_and_crashed_clips_are_rejected_there_too(folder: Path, nodes: Nodes) -> None:
    made = []
    for name in ("ray", "local"):
        environment = {"SYNCTALK_EXECUTOR": name, "RAY_ADDRESS": nodes.address, "SYNCTALK_CLIP_LIMIT_S": "10"}
        driver = start(folder, RUN_PARTS, f"calls-{name}", f"parts-{name}", **environment)
        said, _ = driver.communicate(timeout=300)
        assert driver.returncode == 0, said
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


def test_a_cluster_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(address: str, **_: object) -> None:
        raise ConnectionError(f"Could not find any running Ray instance at {address}")

    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
    monkeypatch.setenv("SYNCTALK_EXECUTOR", "ray")
    with pytest.raises(UserError) as error:
        list(map_ordered(abs, [1], label="test"))
    mend = "`ray start --head` begins one; RAY_ADDRESS names another machine's, or is `local`"
    assert str(error.value) == f"RAY_ADDRESS=192.0.2.1:6379: no Ray cluster answers; {mend}"
