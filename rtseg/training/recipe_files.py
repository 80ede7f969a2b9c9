"""Recipes as files: reading them, and values of the command line laid over them."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rtseg.errors import RecipeError
from rtseg.training.recipe import Recipe


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, or a shipped one by name; `overrides` are "key=value" in TOML syntax.

    Raises RecipeError naming the file and the key that is wrong.
    """
    try:
        values = tomllib.loads(_find(path).read_text())
        for text in overrides:
            values = _merged(values, _override(text))
        return Recipe.model_validate(_one_length(values, overrides))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise RecipeError(f"{path} is not a recipe in TOML: {exc}") from exc
    except ValidationError as exc:
        first: Any = exc.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        got = "" if isinstance(first["input"], dict) else f", got {first['input']!r}"
        raise RecipeError(f"{path}: {key or 'recipe'}: {first['msg']}{got}") from exc


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("rtseg.training") / "recipes"
    return sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name != "__init__.py")


def _find(path: str | Path) -> Path:
    file = Path(path)
    if file.is_file():
        return file
    shipped = Path(str(resources.files("rtseg.training") / "recipes" / f"{path}.toml"))
    if shipped.is_file():
        return shipped
    raise RecipeError(
        f"no recipe {str(path)!r}: expected a TOML file or one of {', '.join(shipped_recipes())}"
    )


def _override(text: str) -> dict[str, Any]:
    key, separator, value = text.partition("=")
    if not separator:
        raise RecipeError(f"override {text!r}; expected key=value, such as epochs=20")
    try:
        return tomllib.loads(f"{key} = {value}")
    except tomllib.TOMLDecodeError:  # a bare word is a string
        nested: Any = value.strip()
        for part in reversed(key.split(".")):
            nested = {part.strip(): nested}
        return dict(nested)


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`values` with `changes` laid over them; tables are merged, all else is replaced."""
    merged = dict(values)
    for key, new in changes.items():
        old = values.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            new = _merged(old, new)
        merged[key] = new
    return merged


def _one_length(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """An override of epochs replaces the file's iterations, and the other way round."""
    given = {text.partition("=")[0].strip() for text in overrides} & {"epochs", "iterations"}
    if len(given) != 1:
        return values
    other = ({"epochs", "iterations"} - given).pop()
    return {key: value for key, value in values.items() if key != other}
