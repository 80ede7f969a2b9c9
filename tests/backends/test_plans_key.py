"""Whatever a plan depends on changes the name it is kept under."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields, replace

import pytest
from plan_keys import KEY, OTHER, OTHER_OPTIONS, changed
from pydantic import ValidationError

from rtseg.backends import plan_key
from rtseg.backends.plan_key import differences
from rtseg.backends.plans import BuildOptions, PlanKey, model_sha256


def test_the_digest_is_of_the_values_alone() -> None:
    same = replace(KEY, options=BuildOptions(level=3))
    assert re.fullmatch("[0-9a-f]{64}", KEY.digest())
    assert same.digest() == KEY.digest()


@pytest.mark.parametrize("name", [field.name for field in fields(PlanKey)])
def test_every_component_changes_the_digest(name) -> None:
    assert changed(name).digest() != KEY.digest()


@pytest.mark.parametrize("name", list(BuildOptions.model_fields))
def test_every_option_of_the_builder_changes_the_digest(name) -> None:
    other = replace(KEY, options=BuildOptions(**{name: OTHER_OPTIONS[name]}))
    of_the_run = name == "cuda_graph"
    assert (other.digest() == KEY.digest()) == of_the_run
    assert (differences(other, KEY) == []) == of_the_run


def test_the_schema_changes_the_digest(monkeypatch) -> None:
    before = KEY.digest()
    monkeypatch.setattr(plan_key, "SCHEMA", plan_key.SCHEMA + 1)
    assert KEY.digest() != before


@pytest.mark.parametrize("name", [field.name for field in fields(PlanKey)])
def test_every_component_is_named_when_it_differs(name) -> None:
    (phrase,) = differences(changed(name), KEY)
    values = {
        "model_sha256": ["another model"],
        "size": ["360x480", "480x360"],
        "options": ["level = 4", "3"],
    }.get(name, [OTHER[name], getattr(KEY, name)])
    assert all(value in phrase for value in values)


def test_an_older_library_is_named_as_people_say_it() -> None:
    assert differences(changed("library"), KEY) == ["built by TensorRT 10.15.1, here is 10.16.1"]
    assert differences(KEY, KEY) == []


def test_timings_are_shared_by_plans_of_one_device_and_library() -> None:
    shared = ("model_sha256", "size", "precision", "options")
    for field in fields(PlanKey):
        same = changed(field.name).builder() == KEY.builder()
        assert same == (field.name in shared), field.name


def test_one_byte_of_the_model_is_another_model() -> None:
    assert model_sha256(b"\0" * 1000) != model_sha256(b"\0" * 999 + b"\1")


@pytest.mark.parametrize(
    "values",
    [{"workspace_mib": 0}, {"level": 6}, {"level": -1}, {"level": True}, {"cuda_graph": 1},
     {"lvel": 3}],
)  # fmt: skip
def test_options_are_checked(values) -> None:
    with pytest.raises(ValidationError):
        BuildOptions(**values)


def test_keys_and_options_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        KEY.device = "another"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        KEY.options.level = 5  # type: ignore[misc]
    assert hash(KEY) == hash(replace(KEY))
