"""Models: an ONNX file with its contract, checked when it is loaded.

The file holds an FP16 graph of standard operators: input "image" (1, 3, H, W) float16, H and W
free; output "logits" (1, classes, H / output_stride, W / output_stride) float32. Loading one never
runs code from it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtseg.classes import LabelSet
from rtseg.errors import InputError, ModelError

if TYPE_CHECKING:
    import onnx

    from rtseg.contract import Contract

MAX_BYTES = 1 << 30
"""Larger model files are refused before they are read."""

DEFAULT = "dilanet-m"


@dataclass(frozen=True, slots=True)
class Model:
    """A checked model file. path: the file; contract: what it promises; classes: its labels."""

    path: Path
    contract: Contract
    classes: LabelSet
    data: bytes

    @classmethod
    def load(cls, name: str | Path) -> Model:
        """Load a shipped model by name, or an ONNX file made by `rtseg export`.

        Raises ModelError if there is no such model, the file is damaged, has no contract, or the
        contract and the graph disagree.
        """
        path = _find(name)
        data = _read(path)
        graph = _parse(path, data)
        contract = _contract(path, graph)
        _check(path, graph, contract)
        return cls(path, contract, contract.labels(), data)

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """Network input (width, height) for a source: its aspect ratio at about the pixel count
        the model was trained for, rounded to the stride."""
        stride, (tw, th) = self.contract.stride, self.contract.trained_size
        ratio = min(max(width / height, 1 / 8), 8.0)
        ideal = (tw * th * ratio) ** 0.5
        steps = max(1, round(ideal / stride)), max(1, round(ideal / ratio / stride))
        return steps[0] * stride, steps[1] * stride

    def check_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size itself if the network can take it. Raises InputError with the nearest that it
        can."""
        stride = self.contract.stride
        if min(size) < stride or max(size) > 8192 or any(v % stride for v in size):
            near = [min(8192, max(stride, round(v / stride) * stride)) for v in size]
            raise InputError(
                f"input size {size[0]}x{size[1]} does not fit {self.contract.name}: width and "
                f"height must be multiples of {stride} up to 8192; the nearest is "
                f"{near[0]}x{near[1]}"
            )
        return size


def list_models() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(p.stem for p in _shipped().glob("*.onnx"))


def digest(graph: onnx.ModelProto, contract: Contract) -> str:
    """SHA-256 over operators, their attributes, names, types, shapes and bytes of the weights, and
    what the contract says of them, less this digest itself and the measured accuracy.

    Independent of how the file is serialised.
    """
    sha = hashlib.sha256(contract.model_dump_json(exclude={"sha256", "measured"}).encode())
    for node in graph.graph.node:
        attributes = sorted(a.SerializeToString(deterministic=True) for a in node.attribute)
        sha.update(repr((node.op_type, list(node.input), list(node.output), attributes)).encode())
    for tensor in graph.graph.initializer:
        sha.update(repr((tensor.name, tensor.data_type, list(tensor.dims))).encode())
        sha.update(_bytes(tensor))
    return sha.hexdigest()


def with_contract(graph: onnx.ModelProto, contract: Contract) -> bytes:
    """The file's bytes with that contract in its metadata, in place of any other."""
    from rtseg.contract import KEY

    kept = [entry for entry in graph.metadata_props if entry.key != KEY]
    del graph.metadata_props[:]
    graph.metadata_props.extend(kept)
    graph.metadata_props.add(key=KEY, value=contract.model_dump_json())
    return bytes(graph.SerializeToString(deterministic=True))


def _bytes(tensor: Any) -> bytes:
    from onnx import numpy_helper

    return bytes(tensor.raw_data) or numpy_helper.to_array(tensor).tobytes()


def _shipped() -> Path:
    return Path(str(resources.files("rtseg") / "models"))


def _find(name: str | Path) -> Path:
    shipped = _shipped() / f"{name}.onnx"
    if str(name) in list_models():
        return shipped
    path = Path(name)
    if path.is_file():
        return path
    raise ModelError(
        f"no model {str(name)!r}: expected an .onnx file made by `rtseg export`, or one of "
        f"{', '.join(list_models())}"
    )


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path} has {path.stat().st_size >> 20} MiB; at most 1024 are read")
        return path.read_bytes()
    except OSError as exc:
        raise ModelError(f"cannot read the model {path}: {exc.strerror or exc}") from exc


def _parse(path: Path, data: bytes) -> onnx.ModelProto:
    import onnx

    try:
        graph = onnx.load_model_from_string(data)
        _refuse_external(path, graph)
        onnx.checker.check_model(graph)
    except ModelError:
        raise
    except Exception as exc:  # protobuf's own error types differ between its versions
        raise ModelError(
            f"{path} is not an ONNX model, or is damaged ({_first_line(exc)}); expected a file "
            "made by `rtseg export`"
        ) from exc
    return graph


def _refuse_external(path: Path, graph: onnx.ModelProto) -> None:
    if any(tensor.external_data for tensor in graph.graph.initializer):
        raise ModelError(f"{path} keeps weights in other files; expected one self-contained file")


def _contract(path: Path, graph: onnx.ModelProto) -> Contract:
    from pydantic import ValidationError

    from rtseg.contract import KEY, Contract

    values = {entry.key: entry.value for entry in graph.metadata_props}
    if KEY not in values:
        raise ModelError(
            f"{path} has no rtseg contract: preprocessing and classes are unknown; expected a "
            "file made by `rtseg export`"
        )
    try:
        return Contract.model_validate_json(values[KEY])
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "contract"
        raise ModelError(f"{path} has a broken contract: {where}: {first['msg']}") from exc


def _check(path: Path, graph: onnx.ModelProto, contract: Contract) -> None:
    """Contract against graph: one image in, one map of logits out, channels, types, digest."""
    import onnx

    weights = {tensor.name for tensor in graph.graph.initializer}
    inputs = [value for value in graph.graph.input if value.name not in weights]
    outputs = list(graph.graph.output)
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(f"{path} has {len(inputs)} inputs and {len(outputs)} outputs; expected 1")
    (in_kind, in_channels), (kind, out_channels) = _channels(inputs[0]), _channels(outputs[0])
    if in_channels != 3:
        raise ModelError(f"{path} takes {in_channels} channels; expected 3 ({contract.order})")
    if out_channels != len(contract.classes):
        raise ModelError(
            f"{path} gives {out_channels} channels but its contract names "
            f"{len(contract.classes)} classes"
        )
    if kind != onnx.TensorProto.FLOAT:
        raise ModelError(f"{path} gives logits of ONNX type {kind}; expected float32")
    if in_kind != onnx.TensorProto.FLOAT16:
        raise ModelError(f"{path} takes images of ONNX type {in_kind}; expected float16")
    _check_stride(path, graph, contract)
    if digest(graph, contract) != contract.sha256:
        raise ModelError(
            f"{path} was changed after its export: weights and contract do not match its hash"
        )


def _check_stride(path: Path, graph: onnx.ModelProto, contract: Contract) -> None:
    """The logits' size for an image of the trained size, as the graph itself implies it."""
    import onnx

    width, height = contract.trained_size
    fixed = onnx.ModelProto()
    fixed.CopyFrom(graph)
    for axis, size in enumerate((1, 3, height, width)):
        fixed.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
    fixed.graph.output[0].type.tensor_type.ClearField("shape")
    output = onnx.shape_inference.infer_shapes(fixed, data_prop=True).graph.output[0]
    got = [dim.dim_value for dim in output.type.tensor_type.shape.dim][2:]
    stride = contract.output_stride
    if got != [height // stride, width // stride]:
        raise ModelError(
            f"{path} gives logits of {got[::-1]} for an image of {[width, height]}; its contract "
            f"says 1/{stride} of that"
        )


def _channels(value: Any) -> tuple[int, int]:
    """(element type, size of axis 1) of a graph input or output; 0 where it is not fixed."""
    tensor = value.type.tensor_type
    dims = tensor.shape.dim
    return tensor.elem_type, dims[1].dim_value if len(dims) == 4 else 0


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:120]
