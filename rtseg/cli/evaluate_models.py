"""What `rtseg eval` can measure: the deployed file in an engine, or weights in torch."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rtseg.backends import Precision
from rtseg.closing import Closing
from rtseg.errors import EngineError, InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtseg.classes import LabelSet
    from rtseg.evaluation import Subject
    from rtseg.segmenter import Segmenter
    from rtseg.training.prediction import TorchPredictor


class Candidate(Protocol):
    """A predictor that says what it is. path: its file; classes: what its labels mean."""

    path: Path
    classes: LabelSet

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 BGR → (H, W) uint8 labels."""
        ...

    def subject(self) -> Subject:
        """What was measured; asked when at least one image was."""
        ...

    def close(self) -> None:
        """Free what computes."""
        ...


class Deployed(Closing):
    """A model file through the engine and the kernels of `rtseg run`."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter = segmenter
        self.path, self.classes = segmenter.model.path, segmenter.model.classes

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return self.segmenter(image).labels

    def subject(self) -> Subject:
        """What the contract says, and the engine."""
        from rtseg.evaluation import Subject

        contract = self.segmenter.model.contract
        engine = self.segmenter.engine(*contract.trained_size)
        return Subject(
            file=str(self.path), name=contract.name, network=contract.network,
            classes=self.classes, engine=engine.name, version=_version(engine.name),
            precision=engine.precision, device=engine.device, input_size=self.segmenter.size,
            trained_on=contract.trained_on, pretraining=contract.pretraining,
            training=contract.training,
        )  # fmt: skip

    def close(self) -> None:
        """Free the engine."""
        self.segmenter.close()


class Weights(Closing):
    """Trained weights in torch, FP32."""

    def __init__(self, predictor: TorchPredictor) -> None:
        self.predictor = predictor
        self.path, self.classes = predictor.path, predictor.classes

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return self.predictor(image)

    def subject(self) -> Subject:
        """What the file and its run folder say, and the device."""
        from rtseg.evaluation import Subject
        from rtseg.training.provenance import read_provenance

        p, stated = self.predictor, read_provenance(self.path)
        return Subject(
            file=str(p.path), name=p.path.stem, network=p.name, classes=p.classes,
            engine="torch", version=_version("torch"), precision="f32", device=str(p.device),
            input_size=p.size, trained_on=stated.trained_on, pretraining=stated.pretraining,
        )  # fmt: skip

    def close(self) -> None:
        """Nothing is held."""


def open_candidate(
    model: str,
    *,
    size: tuple[int, int] | None,
    backend: str,
    precision: Precision,
    device: str,
) -> Deployed | Weights:
    """A shipped model's name or an .onnx file in an engine; .safetensors, .pt or a run folder in
    torch on `device`. Raises InputError for an engine's options with weights, ModelError,
    EngineError."""
    from rtseg.model import list_models

    path = Path(model)
    if model not in list_models() and (path.suffix in (".safetensors", ".pt") or path.is_dir()):
        if backend != "auto" or precision not in ("auto", "f32"):
            raise InputError(
                f"{model} runs in torch at f32, not in {backend} {precision}; export it first "
                "(rtseg export), or leave out backend and precision"
            )
        return _in_torch(path, size, device)
    from rtseg.segmenter import Segmenter

    return Deployed(Segmenter(model, size=size, backend=backend, precision=precision))


def _in_torch(path: Path, size: tuple[int, int] | None, device: str) -> Weights:
    try:
        from rtseg.training.prediction import TorchPredictor
    except ImportError as exc:
        raise EngineError(f'{path} needs torch ({exc}); pip install "rtseg[train]"') from exc
    return Weights(TorchPredictor(path, size=size, device=device))


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
