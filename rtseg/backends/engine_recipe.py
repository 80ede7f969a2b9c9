"""Engine recipes: TOML files that say which engine to build, for `rtseg compile`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rtseg.backends.plan_key import BuildOptions, Kind
from rtseg.errors import RecipeError

Pixels = Annotated[int, Field(strict=True, gt=0, le=8192)]


def _known(precision: object) -> object:
    if precision == "int8":
        raise ValueError("int8 is not supported yet; expected f16")
    return precision


class EngineRecipe(BaseModel):
    """Everything about an engine but the machine it is for; unknown keys are errors.

    model: a shipped model's name, or an .onnx file; a relative path is looked for beside the recipe
    first, then in the current folder. size: input (width, height), multiples of the model's stride.
    precision: of the convolutions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1)
    size: tuple[Pixels, Pixels]
    precision: Annotated[Literal["f16"], BeforeValidator(_known)] = "f16"
    backend: Kind = "tensorrt"
    options: BuildOptions = BuildOptions()


def load_engine_recipe(path: str | Path) -> EngineRecipe:
    """Read a recipe file. Raises RecipeError naming the file and the key that is wrong."""
    file = Path(path)
    try:
        recipe = EngineRecipe.model_validate(tomllib.loads(file.read_text()))
    except FileNotFoundError as exc:
        raise RecipeError(f"no recipe {path}: expected a TOML file{_such_as()}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise RecipeError(f"{path} is not a recipe in TOML: {exc}") from exc
    except ValidationError as exc:
        raise RecipeError(f"{path}: {_first(exc)}") from exc
    beside = file.parent / recipe.model
    return recipe.model_copy(update={"model": str(beside)}) if beside.is_file() else recipe


def shipped_engines() -> list[Path]:
    """The recipes in `engines/` of the checkout that rtseg runs from; an installed package has
    none."""
    checkout = Path(__file__).parents[2]
    return sorted((checkout / "engines").glob("*.toml")) if _is_checkout(checkout) else []


def _is_checkout(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() and (folder / "rtseg").is_dir()


def _such_as() -> str:
    shipped = shipped_engines()
    return f", such as one of {', '.join(map(str, shipped))}" if shipped else ""


def _first(exc: ValidationError) -> str:
    """The first thing that is wrong: its key, what is the matter, what was got."""
    first: Any = exc.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "recipe"
    got = "" if isinstance(first["input"], dict) else f", got {first['input']!r}"
    return f"{key}: {first['msg'].removeprefix('Value error, ')}{got}"
