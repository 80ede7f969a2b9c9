"""Engine recipes: those in the repository are valid; what is wrong with others is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtseg.backends.engine_recipe import EngineRecipe, load_engine_recipe, shipped_engines
from rtseg.backends.plans import BuildOptions
from rtseg.errors import RecipeError
from rtseg.model import Model, list_models

GOOD = 'model = "dilanet-m"\nsize = [480, 360]\n'


def test_each_shipped_model_has_recipes() -> None:
    names = [path.stem for path in shipped_engines()]
    for model in list_models():
        assert [n for n in names if n.startswith(model)] == sorted(
            f"{model}-{size}" for size in ("1024x512", "1920x1080", "480x360", "552x312")
        )


@pytest.mark.parametrize("path", shipped_engines(), ids=lambda path: path.stem)
def test_the_recipes_fit_their_models(path) -> None:
    recipe = load_engine_recipe(path)
    model = Model.load(recipe.model)
    assert model.check_size(recipe.size) == recipe.size
    assert path.stem == f"{recipe.model}-{recipe.size[0]}x{recipe.size[1]}"
    assert recipe.options == BuildOptions()


def test_there_is_one_for_what_run_picks_by_itself() -> None:
    for name in list_models():
        picked = {Model.load(name).input_size(*size) for size in ((1280, 720), (1920, 1080))}
        assert picked == {(552, 312)}


def test_only_model_and_size_are_needed(tmp_path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(GOOD)
    recipe = load_engine_recipe(str(path))
    assert recipe == EngineRecipe(model="dilanet-m", size=(480, 360))
    assert (recipe.precision, recipe.backend) == ("f16", "tensorrt")


def test_all_options_are_read(tmp_path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(
        GOOD + 'backend = "torch-tensorrt"\n[options]\nworkspace_mib = 256\nlevel = 5\n'
        "hardware_compatible = true\ncuda_graph = false\n"
    )
    recipe = load_engine_recipe(path)
    assert recipe.backend == "torch-tensorrt"
    assert recipe.options == BuildOptions(
        workspace_mib=256, level=5, hardware_compatible=True, cuda_graph=False
    )


def test_a_model_lies_beside_its_recipe(tmp_path, monkeypatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.onnx").touch()
    (tmp_path / "a" / "r.toml").write_text('model = "mine.onnx"\nsize = [64, 64]\n')
    monkeypatch.chdir(tmp_path)
    assert Path(load_engine_recipe("a/r.toml").model) == Path("a/mine.onnx")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("size = [480, 360]\n", "model: Field required"),
        ('model = "dilanet-m"\n', "size: Field required"),
        (GOOD + "sizes = 3\n", r"sizes: Extra inputs.*got 3"),
        (GOOD + 'precision = "int8"\n', r"precision: int8 is not supported yet; expected f16"),
        (GOOD + 'precision = "f32"\n', r"precision: .*'f16'.*got 'f32'"),
        (GOOD + 'backend = "openvino"\n', r"backend: .*'tensorrt' or 'torch-tensorrt'"),
        (GOOD + "[options]\nlevel = 9\n", r"options\.level: .*5, got 9"),
        (GOOD + "[options]\nlevel = true\n", r"options\.level: .*integer, got True"),
        (GOOD + "[options]\nworkspace_mib = 0\n", r"options\.workspace_mib: .*0, got 0"),
        (GOOD + "[options]\nlvel = 3\n", r"options\.lvel: "),
        ('model = "dilanet-m"\nsize = [480]\n', r"size\.1: Field required"),
        ('model = "dilanet-m"\nsize = [480, 0]\n', r"size\.1: .*got 0"),
        ('model = "dilanet-m"\nsize = [480.5, 360]\n', r"size\.0: .*integer"),
        ('model = "dilanet-m"\nsize = "480x360"\n', r"size: "),
        ("model = \n", "not a recipe in TOML"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(tmp_path, text, says) -> None:
    path = tmp_path / "engine.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=rf"engine\.toml.*{says}"):
        load_engine_recipe(path)


def test_a_recipe_that_is_not_there(tmp_path) -> None:
    with pytest.raises(RecipeError, match=r"no recipe nothing.*dilanet-m-480x360\.toml"):
        load_engine_recipe("nothing")
    with pytest.raises(RecipeError, match="not a recipe"):
        load_engine_recipe(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not a recipe"):
        load_engine_recipe(tmp_path / "bytes.toml")
