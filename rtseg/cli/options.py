"""Options that several commands take, and how their values are read."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer

from rtseg.backends import Precision
from rtseg.errors import InputError, OutputError
from rtseg.frame import ColourMatrix

Model = Annotated[
    str, typer.Option("--model", "-m", help="A shipped model's name, or an .onnx file.")
]
Size = Annotated[
    str | None,
    typer.Option("--size", metavar="WxH", help="Network input size; default fits the source."),
]
Backend = Annotated[
    str, typer.Option(help="Inference engine: auto, tensorrt, torch-tensorrt, torch or openvino.")
]
EngineFile = Annotated[
    Path | None,
    typer.Option(
        "--engine",
        metavar="RECIPE.toml",
        help="Run the engine of a recipe: its model, size, backend and options.",
    ),
]
PrecisionName = Annotated[
    str, typer.Option("--precision", help="auto, f16 (on a GPU), f32 or bf16 (on a CPU).")
]
Yes = Annotated[bool, typer.Option("-y", "--overwrite", help="Replace outputs that exist.")]
No = Annotated[bool, typer.Option("-n", "--no-overwrite", help="Never replace an output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset", metavar="NAME", help="camvid, cityscapes, …; else told by the files."
    ),
]
Data = Annotated[Path, typer.Option("--data", help="Folder of the data set.", metavar="DIR")]


def parse_size(text: str | None) -> tuple[int, int] | None:
    """ "640x360" → (640, 360). Raises InputError for another form."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text.strip())
    if match is None:
        raise InputError(f"size {text!r}; expected WIDTHxHEIGHT in pixels, such as 640x360")
    return int(match[1]), int(match[2])


def parse_engine(
    context: typer.Context, recipe: Path | None, model: str, size: str | None, backend: str
) -> dict[str, Any]:
    """Model, size, backend and options of `Segmenter`, of the recipe if there is one.

    Raises InputError for options that the recipe contradicts, RecipeError for a bad one.
    """
    if recipe is None:
        return {"model": model, "size": parse_size(size), "backend": backend}
    for name in ("model", "size", "backend"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise InputError(f"--engine says model, size and backend; leave --{name} out")
    from rtseg.backends.engine_recipe import load_engine_recipe

    wanted = load_engine_recipe(recipe)
    return {
        "model": wanted.model, "size": wanted.size, "backend": wanted.backend,
        "options": wanted.options,
    }  # fmt: skip


def parse_precision(text: str) -> Precision:
    """The precision of that name. Raises InputError for an unknown one."""
    for name in get_args(Precision):
        if text == name:
            return cast("Precision", name)
    raise InputError(f"precision {text!r}; expected auto, f16, f32 or bf16")


def parse_matrix(text: str | None) -> ColourMatrix | None:
    """The YUV matrix of that name. Raises InputError for an unknown one."""
    if text is None or text in get_args(ColourMatrix):
        return cast("ColourMatrix | None", text)
    raise InputError(f"matrix {text!r}; expected {', '.join(get_args(ColourMatrix))}")


def may_overwrite(paths: list[Path], *, yes: bool, no: bool) -> bool:
    """Whether existing outputs may be replaced: -y, or asked on a terminal, as ffmpeg does.

    Raises OutputError if one exists and may not be replaced, and InputError for -y with -n.
    """
    if yes and no:
        raise InputError("-y and -n contradict each other; give one of them")
    existing = [path for path in paths if path.exists()]
    if not existing or yes:
        return yes
    names = ", ".join(str(path) for path in existing)
    if not no and sys.stdin.isatty() and typer.confirm(f"{names} exists already. Replace it?"):
        return True
    raise OutputError(f"{names} exists already; pass -y to replace it, or give another name")
