"""Laws behind measured points: a line, a power, the share of the work that stays serial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

Rounds = Mapping[float, Sequence[float]]
"""What each round gave, by x."""


def series(rounds: Rounds, unit: str) -> dict[str, Any]:
    """The points of one quantity for JSON, and the law through their medians if there are enough.

    low, high: the least and most of the rounds.
    """
    x, values = list(rounds), list(rounds.values())
    middle = [median(v) for v in values]
    found = {
        "unit": unit,
        "x": x,
        "median": [_digits(v) for v in middle],
        "low": [_digits(min(v)) for v in values],
        "high": [_digits(max(v)) for v in values],
    }
    return found | ({"law": law(found)} if len(x) > 2 else {})


def law(points: Mapping[str, Any]) -> dict[str, float]:
    """y = intercept + slope * x and y ~ x^exponent, each with its R².

    Both are least squares of relative errors, as the noise of times is relative. breaks_at: the x
    that is farthest from the line, off: by what share of it (+ is above); noise: half the range of
    the rounds there, as a share. What is off by no more than the noise is no break.
    """
    x, y = np.array(points["x"], float), np.array(points["median"], float)
    slope, intercept = np.polyfit(x, y, 1, w=1 / y)
    exponent, scale = np.polyfit(np.log(x), np.log(y), 1)
    line = intercept + slope * x
    off = y / line - 1
    worst = int(np.argmax(np.abs(off)))
    spread = (points["high"][worst] - points["low"][worst]) / 2
    return {
        "intercept": _digits(intercept),
        "slope": _digits(slope),
        "r2": round(_r2(y, line), 4),
        "exponent": round(float(exponent), 3),
        "exponent_r2": round(_r2(np.log(y), scale + exponent * np.log(x)), 4),
        "breaks_at": float(x[worst]),
        "off": round(float(off[worst]), 4),
        "noise": round(spread / float(y[worst]), 4),
    }


def speed_up(points: Mapping[str, Any]) -> dict[str, float]:
    """What the most cores give over one. points: of times, over cores.

    serial: the share of the work on one core that does not get faster with more, after Amdahl.
    """
    cores, times = points["x"], points["median"]
    most, times_faster = cores[-1], times[0] / times[-1]
    return {
        "cores": most,
        "speed_up": round(times_faster, 3),
        "efficiency": round(times_faster / most, 3),
        "serial": round((most / times_faster - 1) / (most - 1), 3),
    }


def little(rate: Mapping[str, Any], mean: Mapping[str, Any]) -> dict[str, float]:
    """Frames under way by Little's law (rate * time in the system) over the queue's depth, at the
    depth where the two differ most: 1 where the queue is always full.

    rate: frames per second; mean: milliseconds a frame spends in the pipeline; both over depth.
    knee: the least depth with 97 % of the best rate.
    """
    pairs = zip(rate["x"], rate["median"], mean["median"], strict=True)
    filled = {depth: fps * ms / 1e3 / depth for depth, fps, ms in pairs}
    worst = max(filled, key=lambda depth: abs(filled[depth] - 1))
    best = max(rate["median"])
    knee = min(d for d, fps in zip(rate["x"], rate["median"], strict=True) if fps >= 0.97 * best)
    return {"knee": knee, "breaks_at": worst, "filled": round(filled[worst], 3)}


def sentence(found: Mapping[str, float]) -> str:
    """A law in words."""
    if "speed_up" in found:
        return (
            f"{found['speed_up']:.2f}x on {found['cores']:g} cores, efficiency "
            f"{found['efficiency']:.0%}, serial {found['serial']:.0%}"
        )
    if "knee" in found:
        return (
            f"full speed from depth {found['knee']:g}; by Little's law filled to "
            f"{found['filled']:.0%} at depth {found['breaks_at']:g}, the farthest from 100 %"
        )
    breaks = "farthest off" if abs(found["off"]) > found["noise"] else "holds; most off"
    return (
        f"{found['intercept']:.3g} + {found['slope']:.3g} x, R² {found['r2']:.3f}; "
        f"x^{found['exponent']:.2f}, R² {found['exponent_r2']:.3f}; {breaks} at "
        f"{found['breaks_at']:.3g}: {found['off']:+.0%}, rounds ±{found['noise']:.0%}"
    )


def _r2(y: np.ndarray, fit: np.ndarray) -> float:
    """Of a constant it is 0: there is nothing to explain."""
    total = float(((y - y.mean()) ** 2).sum())
    return 1 - float(((y - fit) ** 2).sum()) / total if total else 0.0


def _digits(value: float) -> float:
    """Five significant digits."""
    return float(f"{value:.5g}")
