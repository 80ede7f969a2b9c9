"""What one would otherwise write or install, from a video file to an overlaid one.

- naive: cv2.VideoCapture → resize, normalise → torch eager → upsample, argmax in numpy → palette
  and cv2.addWeighted → cv2.VideoWriter.
- supervision: its `process_video`, which reads (cv2.VideoCapture) and writes (VideoSink) in threads
  of its own; between them ONNX Runtime, argmax in numpy, MaskAnnotator.
- ultralytics: its own `predict` loop on a semantic model of similar size, once in torch and once
  exported to OpenVINO, as it recommends for CPUs. The weights are random: what it draws means
  nothing and is mostly of one class, which is the cheapest to draw and to encode. It writes MJPG.

`use_all_cores` before each run: ultralytics limits the threads of OpenCV and torch.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import cv2
import numpy as np
import peers

from rtseg.hardware import cpu_count
from rtseg.model import DEFAULT, Model, list_models
from rtseg.training.weights import load_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALPHA = 0.5
NETWORK = "yolo26n-sem"
STRIDE = 32  # of its input

Run: TypeAlias = Callable[[Path, Path], int]
Size: TypeAlias = tuple[int, int]


class Candidate(NamedTuple):
    """run: from a clip to a file or, beside it, a folder; gives the number of frames. what: in
    words. size: of the network's input. gmacs: of its convolutions, for one frame."""

    run: Run
    what: str
    size: Size
    gmacs: float


def makers() -> list[tuple[str, Callable[[str, Size], Candidate]]]:
    """(model, function that takes it and the frame's size) of those that are installed."""
    functions = [naive]
    if peers.installed("onnxruntime", "supervision"):
        functions.append(supervision)
    pairs = [(name, make) for name in list_models() for make in functions]
    if peers.installed("ultralytics"):
        pairs += [(NETWORK, ultralytics), (NETWORK, ultralytics_openvino)]
    return pairs


def use_all_cores() -> None:
    """In OpenCV and torch."""
    import torch

    cv2.setNumThreads(cpu_count())
    torch.set_num_threads(cpu_count())


def ours(model: Model, frame: Size, run: Run, what: str) -> Candidate:
    """A candidate that runs a model of rtseg, at the input size which rtseg takes."""
    size, trained = model.input_size(*frame), model.contract.trained_size
    share = size[0] * size[1] / (trained[0] * trained[1])
    return Candidate(run, what, size, model.contract.gmacs * share)


def prepare(picture: NDArray[np.uint8], model: Model, size: Size) -> NDArray[np.float32]:
    """(1, 3, h, w) of a BGR picture, with OpenCV and numpy."""
    mean, std = (np.array(v, np.float32) for v in (model.contract.mean, model.contract.std))
    small = cv2.resize(picture, size)
    rgb = cv2.cvtColor(small, cv2.COLOR_BGR2RGB).astype(np.float32) / 255
    return np.ascontiguousarray(((rgb - mean) / std).transpose(2, 0, 1)[None])


def naive(name: str, frame: Size) -> Candidate:
    """OpenCV in and out, torch eager, numpy."""
    import torch

    model = Model.load(name)
    network, *_ = load_weights(model.path.with_suffix(".safetensors"))
    palette, size = model.classes.palette(), model.input_size(*frame)

    def overlay(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        with torch.no_grad():
            logits = network(torch.from_numpy(prepare(picture, model, size)))
            up = torch.nn.functional.interpolate(logits, picture.shape[:2], mode="bilinear")
        labels = np.argmax(up[0].numpy(), axis=0)
        return cv2.addWeighted(picture, 1 - ALPHA, palette[labels], ALPHA, 0)

    def run(clip: Path, out: Path) -> int:
        return opencv_loop(clip, out, overlay)

    return ours(model, frame, run, "OpenCV, torch eager f32, numpy, OpenCV: one loop")


def opencv_loop(
    clip: Path, out: Path, overlay: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> int:
    """Read, draw and write one frame after another."""
    capture, writer, count = cv2.VideoCapture(str(clip)), None, 0
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        drawn = overlay(frame)
        if writer is None:
            size = frame.shape[1], frame.shape[0]
            writer = cv2.VideoWriter(str(out), cv2.VideoWriter_fourcc(*"mp4v"), 25, size)
        writer.write(drawn)
        count += 1
    capture.release()
    if writer is not None:
        writer.release()
    return count


def supervision(name: str, frame: Size) -> Candidate:
    """supervision's `process_video` around ONNX Runtime and its MaskAnnotator."""
    import supervision as sv

    model = Model.load(name)
    size = model.input_size(*frame)
    infer = peers.onnx_runtime(model, size, spin=False)  # reading and writing want the cores too
    paint = peers.annotator(model.classes, ALPHA)

    def overlay(picture: NDArray[np.uint8], _number: int) -> NDArray[np.uint8]:
        logits = infer(prepare(picture, model, size))[0]
        hwc = np.ascontiguousarray(logits.transpose(1, 2, 0))  # one resize for all classes
        labels = cv2.resize(hwc, picture.shape[1::-1]).argmax(2).astype(np.uint8)
        return paint.annotate(picture, peers.detections(labels))

    def run(clip: Path, out: Path) -> int:
        sv.process_video(str(clip), str(out), overlay)
        return sv.VideoInfo.from_video_path(str(out)).total_frames or 0

    return ours(model, frame, run, "process_video, ONNX Runtime f32, numpy, MaskAnnotator: threads")


def ultralytics(name: str, frame: Size) -> Candidate:
    """ultralytics' `predict` with the network as it is, in torch."""
    network, side, size, gmacs = random_network(name, frame)
    return Candidate(predicting(network, frame, side), "ultralytics' predict, torch", size, gmacs)


def ultralytics_openvino(name: str, frame: Size) -> Candidate:
    """The same, exported to OpenVINO first; argmax is then part of the network."""
    network, _, size, gmacs = random_network(name, frame)
    shape = size[::-1]
    with (
        contextlib.chdir(tempfile.mkdtemp(prefix="rtseg-bench-")),  # where it writes the export
        warnings.catch_warnings(),  # of its own libraries
    ):
        warnings.simplefilter("ignore")
        path = Path(network.export(format="openvino", imgsz=shape, device="cpu")).resolve()
    what = "ultralytics' predict, exported to OpenVINO"
    exported = type(network)(path, task="semantic")
    return Candidate(predicting(exported, frame, shape), what, size, gmacs)


def random_network(name: str, frame: Size) -> tuple[Any, int, Size, float]:
    """The model with random weights, its `imgsz`, the input size that follows, and its GMACs."""
    settings = Path(tempfile.gettempdir()) / "rtseg-bench-ultralytics"
    settings.mkdir(exist_ok=True)
    os.environ |= {"YOLO_CONFIG_DIR": str(settings), "YOLO_OFFLINE": "true"}
    os.environ["OMP_NUM_THREADS"] = str(cpu_count())  # else it sets 1
    stand_in_for_torchvision()
    import torch
    from ultralytics import YOLO

    from rtseg.networks.counting import count_macs

    logging.getLogger("ultralytics").setLevel(logging.ERROR)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = YOLO(f"{name}.yaml", task="semantic")
    side = imgsz(Model.load(DEFAULT).input_size(*frame), frame)
    size = input_of(side, frame)
    return network, side, size, count_macs(network.model, *size) / 1e9


def predicting(network: Any, frame: Size, side: int | Size) -> Run:
    """Its `predict` loop, with the overlay written to a video."""
    options = {"imgsz": side, "device": "cpu", "verbose": False}
    network.predict(np.zeros((*frame[::-1], 3), np.uint8), **options)  # prepares the network

    def run(clip: Path, out: Path) -> int:
        place = {"project": str(out.parent), "name": "ultralytics", "exist_ok": True}
        answers = network.predict(str(clip), stream=True, save=True, **place, **options)
        return sum(1 for _ in answers)

    return run


def stand_in_for_torchvision() -> None:
    """An empty module, where the installed torchvision was built for another torch.

    ultralytics imports it before it reads a video, but a semantic model uses nothing of it.
    """
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError) as exc:
        print(f"torchvision cannot be used, an empty module stands in: {exc}")
        sys.modules["torchvision"] = types.ModuleType("torchvision")


def imgsz(size: Size, frame: Size) -> int:
    """The longer side at which ultralytics' input has most nearly as many pixels as `size`."""

    def difference(side: int) -> int:
        width, height = input_of(side, frame)
        return abs(width * height - size[0] * size[1])

    return min(range(STRIDE, 4096, STRIDE), key=difference)


def input_of(side: int, frame: Size) -> Size:
    """(width, height) of a frame scaled to a longer side and padded to the stride."""
    scale = side / max(frame)
    width, height = (-(-round(length * scale) // STRIDE) * STRIDE for length in frame)
    return width, height
