"""The per-pixel work of a frame: rtseg against OpenCV, PyTorch and supervision doing the same.

    pip install -c constraints.txt -e '.[dev,bench]'   for supervision; else it is left out
    pytest benchmarks/bench_kernels.py        every candidate by itself, with pytest-benchmark
    python benchmarks/bench_kernels.py        in turns: medians and ratios, to results/kernels.json

1280x720 frames, 768x432 input, logits of 11 classes at strides 8 and 4 of a scene of polygons
(4–8 % of the cells mixed), and white noise as the worst case. One thread each.
RTSEG_BENCH_TINY=1 makes everything small: a test that each candidate still runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import peers
import results
import scenes

from rtseg.classes import CAMVID
from rtseg.frame import Yuv420
from rtseg.interleave import interleaved, summary
from rtseg.kernels import cpu
from rtseg.kernels.tables import blend_table

TINY = os.environ.get("RTSEG_BENCH_TINY") == "1"
HEIGHT, WIDTH = (48, 80) if TINY else (720, 1280)
INPUT = (32, 48) if TINY else (432, 768)
STRIDE_8 = (6, 10) if TINY else (90, 160)
STRIDE_4 = (8, 12) if TINY else (108, 192)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ALPHA = 0.5

Call = Callable[[], object]


def group_preprocess() -> dict[str, Call]:
    planes, bgr = scenes.planes(HEIGHT, WIDTH), scenes.picture(HEIGHT, WIDTH)
    i420 = np.concatenate([planes.y.ravel(), planes.u.ravel(), planes.v.ravel()])
    i420 = i420.reshape(HEIGHT * 3 // 2, WIDTH)
    out = np.empty((3, *INPUT), np.float32)

    def opencv(image: np.ndarray[Any, Any]) -> None:
        small = cv2.resize(image, INPUT[::-1], interpolation=cv2.INTER_LINEAR)
        rgb = cv2.cvtColor(small, cv2.COLOR_BGR2RGB).astype(np.float32)
        cv2.multiply(rgb, (1 / 255,) * 4, dst=rgb)
        cv2.subtract(rgb, (*MEAN, 0.0), dst=rgb)
        cv2.multiply(rgb, (*(1 / d for d in STD), 1.0), dst=rgb)
        np.copyto(out, rgb.transpose(2, 0, 1))

    calls: dict[str, Call] = {
        "rtseg, planes": lambda: cpu.preprocess(planes, out, MEAN, STD),
        "rtseg, BGR": lambda: cpu.preprocess(bgr, out, MEAN, STD),
        "OpenCV, planes": lambda: opencv(cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420)),
        "OpenCV, BGR": lambda: opencv(bgr),
    }
    return calls | torch_preprocess(bgr)


def torch_preprocess(bgr: np.ndarray[Any, Any]) -> dict[str, Call]:
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(1)
    image = torch.from_numpy(bgr)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))

    def tensor() -> object:
        with torch.inference_mode():
            rgb = image.flip(2).permute(2, 0, 1)[None].float() / 255
            small = torch.nn.functional.interpolate(rgb, INPUT, mode="bilinear")
            return ((small - mean) / std).contiguous()

    return {"PyTorch, BGR": tensor}


def group_blend() -> dict[str, Call]:
    """Labels → overlay, by itself."""
    bgr, planes = scenes.picture(HEIGHT, WIDTH), scenes.planes(HEIGHT, WIDTH)
    labels = np.empty((HEIGHT, WIDTH), np.uint8)
    cpu.postprocess(scenes.logits(len(CAMVID), *STRIDE_8), labels)
    out, out_planes = bgr.copy(), Yuv420(planes.y.copy(), planes.u.copy(), planes.v.copy())
    on_bgr = blend_table(CAMVID, alpha=ALPHA, like=bgr)
    on_planes = blend_table(CAMVID, alpha=ALPHA, like=planes)
    palette = CAMVID.palette()

    def opencv() -> object:
        colours = cv2.LUT(cv2.merge([labels] * 3), palette[None])
        return cv2.addWeighted(bgr, 1 - ALPHA, colours, ALPHA, 0)

    calls: dict[str, Call] = {
        "rtseg, BGR": lambda: cpu.blend(bgr, labels, on_bgr, out),
        "rtseg, planes": lambda: cpu.blend(planes, labels, on_planes, out_planes),
        "OpenCV, BGR": opencv,
    }
    annotators = peers.supervision_blend(bgr, labels, CAMVID, ALPHA)
    return calls | torch_blend(bgr, labels, palette) | annotators


def torch_blend(
    bgr: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], palette: np.ndarray[Any, Any]
) -> dict[str, Call]:
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(1)
    image, colours = torch.from_numpy(bgr), torch.from_numpy(palette)
    ids = torch.from_numpy(labels).long()

    def overlay() -> object:
        with torch.inference_mode():
            return (image * (1 - ALPHA) + colours[ids] * ALPHA).to(torch.uint8).numpy()

    return {"PyTorch, BGR": overlay}


def group_overlay(size: tuple[int, int], noise: bool = False) -> dict[str, Call]:
    """Logits → labels and overlay."""
    classes = len(CAMVID)
    logits = scenes.logits(classes, *size)
    if noise:
        logits = np.random.default_rng(0).normal(size=logits.shape).astype(np.float32)
    bgr, planes = scenes.picture(HEIGHT, WIDTH), scenes.planes(HEIGHT, WIDTH)
    labels = np.empty((HEIGHT, WIDTH), np.uint8)
    out, out_planes = bgr.copy(), Yuv420(planes.y.copy(), planes.u.copy(), planes.v.copy())
    on_bgr = blend_table(CAMVID, alpha=ALPHA, like=bgr)
    on_planes = blend_table(CAMVID, alpha=ALPHA, like=planes)
    palette = CAMVID.palette()

    def rtseg_bgr() -> None:
        cpu.postprocess(logits, labels)
        cpu.blend(bgr, labels, on_bgr, out)

    def rtseg_planes() -> None:
        cpu.postprocess(logits, labels)
        cpu.blend(planes, labels, on_planes, out_planes)

    def opencv() -> object:
        large = [cv2.resize(c, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR) for c in logits]
        best = np.argmax(np.stack(large), axis=0).astype(np.uint8)
        return cv2.addWeighted(bgr, 1 - ALPHA, palette[best], ALPHA, 0)

    hwc = np.ascontiguousarray(logits.transpose(1, 2, 0))

    def opencv_hwc() -> object:
        large = cv2.resize(hwc, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
        best = np.argmax(large, axis=2).astype(np.uint8)
        colours = cv2.LUT(cv2.merge([best] * 3), palette[None])
        return cv2.addWeighted(bgr, 1 - ALPHA, colours, ALPHA, 0)

    calls: dict[str, Call] = {
        "rtseg, BGR": rtseg_bgr,
        "rtseg, planes": rtseg_planes,
        "rtseg, labels only": lambda: cpu.postprocess(logits, labels),
        "OpenCV, by channel": opencv,
        "OpenCV, all channels": opencv_hwc,
    }
    return calls | torch_overlay(logits, bgr, palette)


def torch_overlay(
    logits: np.ndarray[Any, Any], bgr: np.ndarray[Any, Any], palette: np.ndarray[Any, Any]
) -> dict[str, Call]:
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(1)
    values, image = torch.from_numpy(logits)[None], torch.from_numpy(bgr)
    colours = torch.from_numpy(palette)

    def overlay() -> object:
        with torch.inference_mode():
            large = torch.nn.functional.interpolate(
                values, size=bgr.shape[:2], mode="bilinear", align_corners=False
            )
            drawn = colours[large.argmax(1)[0]]
            return (image * (1 - ALPHA) + drawn * ALPHA).to(torch.uint8).numpy()

    return {"PyTorch": overlay}


def group_single() -> dict[str, Call]:
    """Each other kernel by itself, and what copying the same bytes costs."""
    logits = scenes.logits(len(CAMVID), *STRIDE_8)
    bgr, planes = scenes.picture(HEIGHT, WIDTH), scenes.planes(HEIGHT, WIDTH)
    labels = np.empty((HEIGHT, WIDTH), np.uint8)
    cpu.postprocess(logits, labels)
    out, out_planes = bgr.copy(), Yuv420(planes.y.copy(), planes.u.copy(), planes.v.copy())
    return {
        "to_bgr": lambda: cpu.to_bgr(planes),
        "from_bgr": lambda: cpu.from_bgr(bgr, out_planes),
        "count": lambda: cpu.count(labels),
        "copy of a BGR frame": lambda: np.copyto(out, bgr),
    }


GROUPS: dict[str, Callable[[], dict[str, Call]]] = {
    "preprocess": group_preprocess,
    "overlay, stride 8": lambda: group_overlay(STRIDE_8),
    "overlay, stride 4": lambda: group_overlay(STRIDE_4),
    "overlay, noise": lambda: group_overlay(STRIDE_8, noise=True),
    "blend": group_blend,
    "single": group_single,
}
group = cache(lambda name: GROUPS[name]())
NAMES = [(name, call) for name in GROUPS for call in group(name)]


@pytest.mark.parametrize(("name", "candidate"), NAMES)
def test_kernel(benchmark: Any, name: str, candidate: str) -> None:
    cv2.setNumThreads(1)
    benchmark.group = name
    benchmark(group(name)[candidate])


def main() -> None:
    cv2.setNumThreads(1)
    rounds = 3 if TINY else 30
    tables = {}
    for name in GROUPS:
        tables[name] = summary(interleaved(group(name), rounds))
        print(f"\n{name:22s}     median       min  ratio")
        for candidate, row in tables[name].items():
            times = f"{row['median_ms']:8.3f}  {row['min_ms']:8.3f} {row['ratio']:6.2f}"
            print(f"  {candidate:22s} {times}")
    if not TINY:
        results.write("kernels", details() | {"groups": tables})


def details() -> dict[str, object]:
    shares = {"stride 8": STRIDE_8, "stride 4": STRIDE_4}
    return {
        "threads": 1,
        "what": {name: peers.WHAT[name] for name in group("blend") if name in peers.WHAT},
        "frame": [WIDTH, HEIGHT],
        "input": [INPUT[1], INPUT[0]],
        "classes": len(CAMVID),
        "mixed_cells": {
            name: round(scenes.mixed_share(scenes.logits(len(CAMVID), *size)), 3)
            for name, size in shares.items()
        },
    }


if __name__ == "__main__":
    main()
