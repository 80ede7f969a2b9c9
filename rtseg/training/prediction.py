"""Trained weights as a predictor: the network in torch, FP32, without an engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

import rtseg.classes
from rtseg.classes import LabelSet
from rtseg.errors import EngineError, ModelError, RecipeError
from rtseg.networks import build, entry
from rtseg.training.tensors import fitted, normalise, predict
from rtseg.training.weights import Trained, load_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEYS = ("network", "classes", "ema")
"""What of a checkpoint is needed."""


class TorchPredictor:
    """Labels from the network of a weights file or checkpoint, in FP32.

    path: .safetensors, a run's last.pt (its averaged weights are taken), or a run folder (its
    best.safetensors, or else last.pt).
    size: (width, height) that images are resized to; by default each goes in at its own size, or
    the nearest that the network takes.
    device: as torch names it.

    Raises ModelError for a file that cannot be used, EngineError for a device that is not there.
    """

    def __init__(
        self, path: Path, *, size: tuple[int, int] | None = None, device: str = "cpu"
    ) -> None:
        self.path = weights_file(path)
        self.device = _device(device)
        network, self.name, self.classes = load_trained(self.path)
        self.row = entry(self.name)
        self.size = self._check_size(size)
        self.network = network.to(self.device)
        # torch's types do not know this form
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 BGR → (H, W) uint8 labels."""
        rgb = torch.from_numpy(image[..., ::-1].transpose(2, 0, 1).copy())[None]
        x = normalise(rgb.to(self.device).float() / 255.0)
        if self.size is not None:
            x = F.interpolate(
                x, size=self.size[::-1], mode="bilinear", align_corners=False, antialias=True
            )
        try:
            return predict(self.network(fitted(x, self.row)), image.shape[:2])
        except torch.OutOfMemoryError as exc:
            raise EngineError(
                f"{self.path}: out of memory at {x.shape[3]}x{x.shape[2]}; give a smaller --size"
            ) from exc

    def _check_size(self, size: tuple[int, int] | None) -> tuple[int, int] | None:
        if size is None:
            return None
        m = self.row.margin
        width, height = self.row.sizes.nearest(size[0] + 2 * m, size[1] + 2 * m)
        near = (width - 2 * m, height - 2 * m)
        if near != size:
            raise ModelError(
                f"input size {size[0]}x{size[1]} does not fit {self.name}; the nearest is "
                f"{near[0]}x{near[1]}"
            )
        return size


def weights_file(path: Path) -> Path:
    """The file itself, or the weights of a run folder. Raises ModelError where there are none."""
    if not path.is_dir():
        return path
    for name in ("best.safetensors", "last.pt"):
        if (path / name).is_file():
            return path / name
    raise ModelError(f"{path} holds no best.safetensors and no last.pt; expected a run's folder")


def load_trained(path: Path) -> Trained:
    """The network of a .safetensors file or a .pt checkpoint, strictly. Raises ModelError."""
    try:
        return load_checkpoint(path) if path.suffix == ".pt" else load_weights(path)
    except RecipeError as exc:  # a network that is not in the registry
        raise ModelError(f"{path}: {exc}") from exc


def load_checkpoint(path: Path) -> Trained:
    """The network of a run's checkpoint with its averaged weights, in eval mode.

    Tensors and plain values only: no code of the file is run. Raises ModelError for a file that is
    damaged, no checkpoint of rtseg, or whose weights do not fit the network it names.
    """
    state = _state(path)
    name, labels = str(state["network"]), _label_set(path, state["classes"])
    network = build(name, len(labels)).eval()
    try:
        network.load_state_dict(state["ema"], strict=True)
    except (RuntimeError, TypeError, AttributeError) as exc:
        reason = " ".join(str(exc).split())[:300]
        raise ModelError(
            f"{path} does not fit {name} with {len(labels)} classes: {reason}"
        ) from exc
    return Trained(network, name, labels)


def _state(path: Path) -> dict[str, Any]:
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as exc:
        raise ModelError(f"no checkpoint {path}; expected a run's last.pt") from exc
    except Exception as exc:  # a damaged archive raises whatever its reader meets first
        reason = " ".join(str(exc).split())[:200]
        raise ModelError(f"cannot read the checkpoint {path}: {reason}") from exc
    missing = [key for key in KEYS if not isinstance(state, dict) or key not in state]
    if missing:
        raise ModelError(f"{path} is no checkpoint of rtseg: no {', '.join(missing)} in it")
    return dict(state)


def _label_set(path: Path, names: Any) -> LabelSet:
    """The known label set of these names, or that of the weights beside the checkpoint."""
    known = [value for value in vars(rtseg.classes).values() if isinstance(value, LabelSet)]
    beside = [path.parent / f"{name}.safetensors" for name in ("best", "final")]
    known += [load_weights(file).classes for file in beside if file.is_file()]
    for classes in known:
        if names == list(classes.names):
            return classes
    raise ModelError(
        f"{path} has classes of no known label set ({str(names)[:100]}); expected those of a data "
        "set that rtseg reads, or best.safetensors of the same run beside it"
    )


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as exc:
        reason = str(exc).strip().splitlines()[0]
        raise EngineError(f"cannot compute on {name!r}: {reason}; expected cpu or cuda") from exc
    return device
