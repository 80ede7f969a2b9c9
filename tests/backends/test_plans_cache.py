"""The plan cache: what is kept comes back, what does not fit is not used, and why is said."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from plan_keys import KEY, changed

from rtseg.backends.plans import PlanCache, PlanKey, plan_folder
from rtseg.errors import InputError

PLAN = bytes(range(256)) * 40


@pytest.fixture
def cache(tmp_path) -> PlanCache:
    return PlanCache(tmp_path / "plans")


def record_of(cache: PlanCache) -> Path:
    return cache.path(KEY).with_suffix(".json")


def test_a_plan_comes_back(cache) -> None:
    assert cache.get(KEY) == (None, "no plan yet")
    path = cache.put(KEY, PLAN, {"agreement": 0.9991, "where": Path("x")})
    found = PlanCache(cache.folder).get(KEY)
    assert found.data == PLAN == path.read_bytes()
    assert found.reason.startswith("built 2")
    assert cache.notes == []


def test_the_folder_and_its_files_are_the_users_alone(cache) -> None:
    cache.put(KEY, PLAN, {})
    cache.put_timing(KEY, b"timings")
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    names = {path.name for path in cache.folder.iterdir()}
    assert len(names) == 3  # plan, record, timings: no temporary file is left
    assert all(path.stat().st_mode & 0o077 == 0 for path in cache.folder.iterdir())


def test_the_record_says_what_the_plan_was_built_from(cache) -> None:
    cache.put(KEY, PLAN, {"agreement": 0.9991, "build_seconds": 41.0})
    record = json.loads(record_of(cache).read_text())
    assert set(record["key"]) == {field.name for field in fields(PlanKey)}
    assert record["key"]["options"] == KEY.options.model_dump()
    assert record["facts"] == {"agreement": 0.9991, "build_seconds": 41.0}
    assert record["source"] is None


@pytest.mark.parametrize("name", [field.name for field in fields(PlanKey)])
def test_another_key_finds_nothing(cache, name) -> None:
    cache.put(changed(name), PLAN, {})
    found = cache.get(KEY)
    assert found.data is None
    unrelated = name in ("kind", "model_sha256", "size")
    assert (found.reason == "no plan yet") == unrelated


def test_the_reason_names_what_changed_since_the_nearest_plan(cache) -> None:
    cache.put(replace(changed("library"), device="NVIDIA A100", capability="sm_80"), PLAN, {})
    cache.put(changed("library"), PLAN, {})
    cache.put(changed("model_sha256"), PLAN, {})
    assert cache.get(KEY).reason == "built by TensorRT 10.15.1, here is 10.16.1"
    wanted = replace(KEY, library="10.15.1", device="NVIDIA L4")
    assert cache.get(wanted).reason == "built on NVIDIA H100 80GB HBM3, here is NVIDIA L4"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("spoil", [cut, flip, lambda path: path.write_bytes(b"")])
def test_a_plan_that_is_not_what_was_kept(cache, spoil) -> None:
    spoil(cache.put(KEY, PLAN, {}))
    found = cache.get(KEY)
    assert found.data is None
    assert "hash does not match its record" in found.reason
    (entry,) = cache.entries()
    assert not entry.usable
    assert entry.key == KEY


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (cut, "record is damaged"),
        (lambda path: path.write_text("{}"), "record is damaged.*key"),
        (lambda path: path.write_text(path.read_text().replace("sm_90", "sm_89")), "another plan"),
        (lambda path: path.write_text(path.read_text().replace('"version": 1', '"version": 2')),
         "another version of rtseg"),
        (lambda path: path.unlink(), "without a record"),
    ],
)  # fmt: skip
def test_a_record_that_does_not_fit(cache, spoil, says) -> None:
    cache.put(KEY, PLAN, {})
    spoil(record_of(cache))
    found = cache.get(KEY)
    assert found.data is None
    assert re.search(says, found.reason), found.reason
    (entry,) = cache.entries()
    assert not entry.usable
    assert entry.problem == found.reason


def test_a_record_without_its_plan(cache) -> None:
    cache.put(KEY, PLAN, {}).unlink()
    assert cache.get(KEY) == (None, "a record without its plan")


def test_another_build_replaces_what_was_there(cache) -> None:
    cache.put(KEY, PLAN, {"agreement": 0.5})
    flip(cache.path(KEY))
    cache.put(KEY, PLAN[::-1], {"agreement": 0.9})
    assert cache.get(KEY).data == PLAN[::-1]
    (entry,) = cache.entries()
    assert entry.usable
    assert entry.size == len(PLAN)
    assert entry.facts == {"agreement": 0.9}


def test_entries_come_newest_first(cache) -> None:
    assert cache.entries() == []
    keys = [KEY, changed("size"), changed("library")]
    for key in keys:
        cache.put(key, PLAN, {})
    assert [entry.key for entry in cache.entries()] == keys[::-1]


def test_cleaning_removes_what_cannot_be_loaded_and_nothing_else(cache) -> None:
    cache.put(KEY, PLAN, {})
    cache.put_timing(KEY, b"timings")
    cut(cache.put(changed("size"), PLAN, {}))
    leftover = cache.folder / (cache.path(KEY).name + ".x7_a.tmp")
    foreign = [cache.folder / name for name in ("mine.plan", "mine.json", "poetry.lock")]
    for path in (leftover, *foreign):
        path.write_text("{}")
    removed = cache.clean()
    broken = cache.path(changed("size"))
    assert set(removed) == {leftover, broken, broken.with_suffix(".json")}
    assert cache.get(KEY).data == PLAN
    assert cache.clean() == []
    assert len(cache.clean(everything=True)) == 3
    assert cache.entries() == []
    assert all(path.exists() for path in foreign)


def test_cleaning_an_absent_folder(cache) -> None:
    assert cache.clean(everything=True) == []
    assert not cache.folder.exists()


def test_cleaning_does_not_disturb_a_build(cache) -> None:
    with cache.building(KEY), pytest.raises(InputError, match="a build is going on"):
        cache.clean()
    assert cache.clean() == []


def test_timings_are_kept_whole_or_not(cache) -> None:
    assert cache.timing(KEY) is None
    cache.put_timing(KEY, b"timings")
    assert cache.timing(KEY) == b"timings"
    assert cache.timing(changed("size")) == b"timings"
    assert cache.timing(changed("device")) is None
    (path,) = cache.folder.glob("*.timing")
    cut(path)
    assert cache.timing(KEY) is None


def test_the_folder_is_chosen_by_the_environment(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("RTSEG_PLANS", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert PlanCache().folder == tmp_path / "own"
    monkeypatch.delenv("RTSEG_PLANS")
    assert plan_folder() == tmp_path / "xdg" / "rtseg" / "plans"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert plan_folder() == tmp_path / "home" / ".cache" / "rtseg" / "plans"


def test_nothing_is_touched_before_a_plan_is_kept(cache) -> None:
    cache.get(KEY)
    cache.timing(KEY)
    cache.entries()
    assert not cache.folder.exists()
    assert list(cache.folder.parent.iterdir()) == []
