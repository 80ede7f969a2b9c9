"""What the cache refuses to load, and what it does where nothing can be kept."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from plan_keys import KEY, changed

from rtseg.backends import private_folder
from rtseg.backends.plans import PlanCache
from rtseg.errors import EngineError, InputError, OutputError

PLAN = b"a plan" * 100


@pytest.fixture
def cache(tmp_path) -> PlanCache:
    return PlanCache(tmp_path / "plans")


@pytest.fixture
def foreign(tmp_path) -> Path:
    path = tmp_path / "from-elsewhere.engine"
    path.write_bytes(PLAN)
    return path


def test_a_plan_that_was_copied_into_the_folder_is_not_loaded(cache) -> None:
    cache.put(changed("size"), b"another", {})
    cache.path(KEY).write_bytes(PLAN)
    found = cache.get(KEY)
    assert found.data is None
    assert "without a record" in found.reason


def test_a_foreign_plan_needs_trust(cache, foreign) -> None:
    with pytest.raises(InputError, match=r"runs native code.*NVIDIA.*--trust"):
        cache.import_plan(foreign, KEY, trust=False)
    assert not cache.folder.exists()
    path = cache.import_plan(foreign, KEY, trust=True)
    assert path == cache.path(KEY)
    assert cache.get(KEY) == (PLAN, f"taken over from {foreign}")
    (entry,) = cache.entries()
    assert entry.source == str(foreign)
    assert json.loads(path.with_suffix(".json").read_text())["source"] == str(foreign)


def test_a_foreign_plan_is_checked_before_it_is_taken_over(cache, foreign) -> None:
    seen = []

    def refuse(data: bytes) -> dict[str, object]:
        seen.append(data)
        raise EngineError("it is for another GPU")

    with pytest.raises(EngineError, match="another GPU"):
        cache.import_plan(foreign, KEY, trust=True, check=refuse)
    assert seen == [PLAN]
    assert cache.entries() == []
    cache.import_plan(foreign, KEY, trust=True, check=lambda _: {"agreement": 0.999})
    assert cache.entries()[0].facts == {"agreement": 0.999}


@pytest.mark.parametrize("name", ["none.engine", "empty.engine"])
def test_a_foreign_plan_that_is_none(cache, tmp_path, name) -> None:
    (tmp_path / "empty.engine").touch()
    with pytest.raises(InputError, match=name):
        cache.import_plan(tmp_path / name, KEY, trust=True)
    assert cache.entries() == []


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722, 0o1777])
def test_a_folder_that_others_may_write_to_is_refused(cache, mode) -> None:
    cache.put(KEY, PLAN, {})
    cache.folder.chmod(mode)
    for use in (cache.entries, cache.clean, lambda: cache.get(KEY), lambda: cache.timing(KEY)):
        with pytest.raises(InputError, match=rf"mode {mode:04o}.*chmod 700.*RTSEG_PLANS"):
            use()
    cache.folder.chmod(0o755)
    assert cache.get(KEY).data == PLAN


def test_a_folder_of_another_user_is_refused(cache, monkeypatch) -> None:
    cache.put(KEY, PLAN, {})
    owner = os.geteuid()
    monkeypatch.setattr(private_folder.os, "geteuid", lambda: owner + 1)
    with pytest.raises(InputError, match=f"belong to user {owner}, not to you.*RTSEG_PLANS"):
        cache.get(KEY)


def test_a_plan_is_not_lost_where_the_folder_cannot_be_made(tmp_path) -> None:
    (tmp_path / "file").touch()
    said: list[str] = []
    cache = PlanCache(tmp_path / "file" / "plans", say=said.append)
    assert cache.get(KEY) == (None, "no plan yet")
    built = []
    with cache.building(KEY):
        assert cache.timing(KEY) is None
        built.append(PLAN)
        assert cache.put(KEY, PLAN, {}) is None
        cache.put_timing(KEY, b"timings")
    assert built == [PLAN]
    assert [text.rpartition(": ")[2] for text in said] == ["Not a directory"] * 2
    assert "the plan is not kept" in said[0]
    assert said == cache.notes
    assert cache.entries() == cache.clean() == []
    with pytest.raises(OutputError, match="not kept"):
        cache.import_plan(Path(__file__), KEY, trust=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_plan_is_not_lost_where_the_folder_is_read_only(cache) -> None:
    cache.put(changed("size"), PLAN, {})
    cache.folder.chmod(0o500)
    try:
        with cache.building(KEY):
            assert cache.put(KEY, PLAN, {}) is None
        assert "Permission denied" in cache.notes[-1]
        assert cache.get(changed("size")).data == PLAN
    finally:
        cache.folder.chmod(0o700)


@pytest.mark.parametrize("written", [0, 1])
def test_a_full_disk_leaves_nothing_behind(cache, monkeypatch, written) -> None:
    cache.put(changed("size"), PLAN, {})
    real, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 2 * written:  # a file and its folder for each that is written
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(private_folder.os, "fsync", full)
    assert cache.put(KEY, PLAN, {}) is None
    assert cache.notes == [f"the plan is not kept in {cache.folder}: No space left on device"]
    monkeypatch.undo()
    assert len(list(cache.folder.iterdir())) == 2
    assert cache.get(changed("size")).data == PLAN
    assert cache.put(KEY, PLAN, {}) == cache.path(KEY)
