"""The same as the kernels do, with torch's operators on the GPU and with OpenCV on the host.

What torch is given lies on the device and is recorded as a CUDA graph, on one picture: it may find
it in the cache, which the kernels may not. Chroma under a blend is taken from one label in four,
where the kernels take the mean of four.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np
from gpu_kernel_cases import ALPHA, MEAN, STD, Case
from numba import cuda

from rtseg.benchmark.device_timing import Call, Candidate
from rtseg.classes import CAMVID
from rtseg.frame import Yuv420, empty_like
from rtseg.kernels import cpu
from rtseg.kernels.tables import blend_table, rgb_from_yuv

if TYPE_CHECKING:
    from numpy.typing import NDArray

Size: TypeAlias = tuple[int, int]

PALETTE = CAMVID.palette()


def torch_candidate(function: Callable[[], object]) -> Candidate:
    """Operators of torch as a CUDA graph on a stream of its own."""
    import torch

    new_stream: Any = torch.cuda.Stream
    side, graph = new_stream(), torch.cuda.CUDAGraph()
    side.wait_stream(torch.cuda.current_stream())
    with torch.inference_mode():
        with torch.cuda.stream(side):
            for _ in range(3):
                function()
        side.synchronize()
        with torch.cuda.graph(graph, stream=side):
            kept = function()

    def replay() -> None:
        with torch.cuda.stream(side):
            graph.replay()

    stream = cuda.external_stream(side.cuda_stream)
    return Candidate(stream, replay, keep=(kept, graph, function))


def torch_ops(case: Case, size: Size, target: Size, device: str = "cuda") -> Callable[[], object]:
    """A case in torch's operators, on the first picture of its ring; sizes are (width, height)."""
    if case.logits is not None:
        return torch_postprocess(case.logits, size, device)
    if case.labels is not None:
        return torch_blend(case, device)
    return torch_preprocess(case, target, device)


def torch_preprocess(case: Case, target: Size, device: str) -> Callable[[], object]:
    """(3, h, w) float16 of the picture."""
    import torch
    from torch.nn.functional import interpolate

    image, shape = case.image, target[::-1]
    mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (MEAN, STD))
    if not isinstance(image, Yuv420):
        bgr = torch.from_numpy(image).to(device)

        def from_bgr() -> object:
            rgb = bgr.flip(2).permute(2, 0, 1)[None].float() / 255
            small = interpolate(rgb, shape, mode="bilinear")[0]
            return ((small - mean) / std).half()

        return from_bgr
    luma = torch.from_numpy(image.y).to(device)
    chroma = torch.from_numpy(np.stack([image.u, image.v])).to(device)
    weights = rgb_from_yuv(image.matrix, image.full_range).astype(np.float32)
    matrix = torch.from_numpy(weights[:, :3]).to(device)
    offset = torch.from_numpy(weights[:, 3]).to(device).view(3, 1, 1)

    def from_planes() -> object:
        y = interpolate(luma[None, None].float(), shape, mode="bilinear")[0]
        uv = interpolate(chroma[None].float(), shape, mode="bilinear")[0]
        rgb = torch.einsum("ij,jhw->ihw", matrix, torch.cat([y, uv])) + offset
        return ((rgb.clamp(0, 255) / 255 - mean) / std).half()

    return from_planes


def torch_postprocess(logits: NDArray[np.float32], size: Size, device: str) -> Callable[[], object]:
    """(H, W) uint8 labels."""
    import torch
    from torch.nn.functional import interpolate

    values = torch.from_numpy(logits).to(device)[None]

    def labels() -> object:
        large = interpolate(values, size[::-1], mode="bilinear", align_corners=False)
        return large.argmax(1)[0].to(torch.uint8)

    return labels


def torch_blend(case: Case, device: str) -> Callable[[], object]:
    """The picture with colours, in its own colour space."""
    import torch

    image, ids = case.image, torch.from_numpy(case.labels).to(device).long()
    assert image is not None
    table = torch.from_numpy(blend_table(CAMVID, alpha=ALPHA, like=image).colours.copy())
    colours = table.to(device).float() * ALPHA
    if not isinstance(image, Yuv420):
        bgr = torch.from_numpy(image).to(device)
        return lambda: (bgr * (1 - ALPHA) + colours[ids]).to(torch.uint8)
    luma = torch.from_numpy(image.y).to(device)
    chroma = torch.from_numpy(np.stack([image.u, image.v], axis=-1)).to(device)

    def planes() -> object:
        y = (luma * (1 - ALPHA) + colours[:, 0][ids]).to(torch.uint8)
        uv = chroma * (1 - ALPHA) + colours[:, 1:][ids[::2, ::2]]
        return y, uv.to(torch.uint8)

    return planes


def host_calls(case: Case, size: Size, target: Size) -> dict[str, Call]:
    """A case on the host: with OpenCV, all its threads, and with rtseg's own kernels, one thread;
    sizes are (width, height)."""
    if case.logits is not None:
        return _host_postprocess(case.logits, size)
    if case.labels is not None:
        return _host_blend(case)
    return _host_preprocess(case, target)


def _host_preprocess(case: Case, target: Size) -> dict[str, Call]:
    image, out = case.image, np.empty((3, *target[::-1]), np.float32)
    assert image is not None
    source = _i420(image) if isinstance(image, Yuv420) else image

    def opencv() -> None:
        bgr = _bgr(source)
        small = cv2.resize(bgr, target, interpolation=cv2.INTER_LINEAR)
        rgb = cv2.cvtColor(small, cv2.COLOR_BGR2RGB).astype(np.float32)
        np.copyto(out, ((rgb / 255 - MEAN) / STD).transpose(2, 0, 1))

    return {"OpenCV": opencv, "rtseg on the CPU": lambda: cpu.preprocess(image, out, MEAN, STD)}


def _host_postprocess(logits: NDArray[np.float32], size: Size) -> dict[str, Call]:
    labels = np.empty(size[::-1], np.uint8)

    def opencv() -> object:
        large = [cv2.resize(c, size, interpolation=cv2.INTER_LINEAR) for c in logits]
        return np.argmax(np.stack(large), axis=0).astype(np.uint8)

    return {"OpenCV": opencv, "rtseg on the CPU": lambda: cpu.postprocess(logits, labels)}


def _host_blend(case: Case) -> dict[str, Call]:
    image, labels = case.image, case.labels
    assert image is not None and labels is not None
    source = _i420(image) if isinstance(image, Yuv420) else image
    table, out = blend_table(CAMVID, alpha=ALPHA, like=image), empty_like(image)

    def opencv() -> object:
        colours = cv2.LUT(cv2.merge([labels] * 3), PALETTE[None])
        drawn = cv2.addWeighted(_bgr(source), 1 - ALPHA, colours, ALPHA, 0)
        return cv2.cvtColor(drawn, cv2.COLOR_BGR2YUV_I420) if source.ndim == 2 else drawn

    return {"OpenCV": opencv, "rtseg on the CPU": lambda: cpu.blend(image, labels, table, out)}


def _i420(image: Yuv420) -> NDArray[np.uint8]:
    """(H * 3 / 2, W): the three planes one after another, as OpenCV takes them."""
    flat = np.concatenate([image.y.ravel(), image.u.ravel(), image.v.ravel()])
    return flat.reshape(image.height * 3 // 2, image.width)


def _bgr(source: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture itself, or that of planes one after another."""
    if source.ndim == 3:
        return source
    return np.asarray(cv2.cvtColor(source, cv2.COLOR_YUV2BGR_I420), np.uint8)
