"""Processes that die while they keep a plan, and processes that build at the same time."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from plan_keys import KEY

from rtseg.backends.plans import PlanCache

DIES = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from plan_keys import KEY
from rtseg.backends.plans import PlanCache

left, real = int(sys.argv[3]), os.replace

def replace(*args):
    global left
    if left == 0:
        os._exit(9)
    left -= 1
    return real(*args)

os.replace = replace
cache = PlanCache(Path(sys.argv[2]))
with cache.building(KEY):
    cache.put(KEY, b"new plan", {})
"""


def die_after(renames: int, folder: Path) -> int:
    """A process keeps a plan and dies before its next rename after so many; its exit code."""
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", DIES, here, str(folder), str(renames)]
    return subprocess.run(command, check=False, timeout=60).returncode


@pytest.mark.parametrize("earlier", [b"", b"old plan", b"new plan"])
@pytest.mark.parametrize("renames", [0, 1])
def test_a_kill_while_a_plan_is_kept_leaves_nothing_that_loads(tmp_path, renames, earlier) -> None:
    cache = PlanCache(tmp_path / "plans")
    if earlier:
        cache.put(KEY, earlier, {})
    assert die_after(renames, cache.folder) == 9
    assert cache.get(KEY).data is None
    assert cache.clean() != []
    assert list(cache.folder.glob("*.tmp")) == list(cache.folder.glob("*.plan")) == []
    with cache.building(KEY):  # the dead process holds no lock
        cache.put(KEY, b"new plan", {})
    assert cache.get(KEY).data == b"new plan"


def test_a_process_that_lives_keeps_its_plan(tmp_path) -> None:
    assert die_after(2, tmp_path / "plans") == 0
    assert PlanCache(tmp_path / "plans").get(KEY).data == b"new plan"


def build_once(folder: Path, start: Barrier) -> None:
    """What an engine does: look, lock, look again, build."""
    cache = PlanCache(folder / "plans")
    start.wait(60)
    with cache.building(KEY):
        if cache.get(KEY).data is None:
            with (folder / "builds").open("a") as log:
                log.write("built\n")
            time.sleep(0.3)
            cache.put(KEY, b"plan", {})
        assert cache.get(KEY).data == b"plan"


def test_two_processes_build_once(tmp_path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    both = [context.Process(target=build_once, args=(tmp_path, start)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    assert (tmp_path / "builds").read_text() == "built\n"


def test_who_waits_for_another_build_is_told(tmp_path) -> None:
    first = PlanCache(tmp_path / "plans")
    told = threading.Event()
    second = PlanCache(tmp_path / "plans", say=lambda _: told.set())
    order = []

    def wait() -> None:
        with second.building(KEY):
            order.append("second")

    with first.building(KEY):
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert told.wait(30)
        order.append("first")
    waiting.join(30)
    assert order == ["first", "second"]
    assert second.notes == ["another process is building for this device; waiting for it"]


def test_a_build_that_fails_frees_the_lock(tmp_path) -> None:
    cache = PlanCache(tmp_path / "plans")
    with pytest.raises(RuntimeError, match="no memory"), cache.building(KEY):
        raise RuntimeError("no memory")
    assert cache.clean() == []  # which raises while a lock is held
