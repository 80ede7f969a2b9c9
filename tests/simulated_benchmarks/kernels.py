"""The GPU benchmarks of kernels on numba's simulator, tiny: what they run and what they check.

Its events tell no time, so no time is looked at. `test_gpu_check_measuring.py` runs this in a
process of its own, as the simulator is chosen when numba is imported.
"""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Event

import numpy as np
import pytest

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS.parent / "benchmarks"), str(TESTS / "simulated")]

import gpu_kernels  # noqa: E402
from gpu_document import problems  # noqa: E402
from gpu_kernel_cases import differing  # noqa: E402
from gpu_kernel_peers import host_calls, torch_ops  # noqa: E402
from numba import cuda  # noqa: E402

from rtseg.backends import available  # noqa: E402
from rtseg.benchmark.device_rates import copy_rates  # noqa: E402
from rtseg.benchmark.device_timing import Candidate, enqueued, in_turns, recorded, waited_for  # noqa: E402
from rtseg.kernels import cpu  # noqa: E402

SIZE, TARGET = (32, 16), (16, 16)
FOOTPRINT = 4000
"""Bytes: a ring of two or more pictures."""


@pytest.fixture(autouse=True)
def no_torch_on_the_gpu(monkeypatch) -> None:
    """Also where there is one: the simulator cannot work beside it."""
    monkeypatch.setattr(available, "torch_gpu_missing", lambda: "there is the simulator")


@pytest.fixture(params=gpu_kernels.MAKERS)
def case(request):
    return gpu_kernels.MAKERS[request.param](SIZE, TARGET, cuda.stream(), FOOTPRINT)


def test_each_case_does_what_the_cpu_does(case) -> None:
    assert len(case.calls) >= 2
    recorded(cuda.stream(), case.calls)
    verdict = case.check()
    assert verdict.get("labels_differ", 0) == 0


def test_a_case_that_was_not_run_does_not_pass(case) -> None:
    with pytest.raises(AssertionError):
        case.check()


def test_torchs_operators_do_the_same(case) -> None:
    """Within rounding; a peer that does less would flatter or shame the kernels."""
    result = torch_ops(case, SIZE, TARGET, "cpu")()
    if case.logits is not None:
        want = np.empty(SIZE[::-1], np.uint8)
        cpu.postprocess(case.logits, want)
        assert (result.numpy() == want).mean() > 0.995
    elif case.labels is None:
        want = np.empty((3, *TARGET[::-1]), np.float32)
        from gpu_kernel_cases import MEAN, STD

        cpu.preprocess(case.image, want, MEAN, STD)
        np.testing.assert_allclose(result.float().numpy(), want, atol=0.03)
    else:
        assert drawn(case, result) <= 1.01


def drawn(case, result) -> float:
    """How far a blend of torch's is from that of the CPU's kernel: luma, or all of BGR."""
    from gpu_kernel_cases import ALPHA

    from rtseg.classes import CAMVID
    from rtseg.frame import Yuv420, empty_like
    from rtseg.kernels.tables import blend_table

    want = empty_like(case.image)
    cpu.blend(case.image, case.labels, blend_table(CAMVID, alpha=ALPHA, like=case.image), want)
    got, expected = (result[0], want.y) if isinstance(want, Yuv420) else (result, want)
    return float(np.abs(got.numpy().astype(float) - expected).max())


def test_the_host_can_do_it_too(case) -> None:
    calls = host_calls(case, SIZE, TARGET)
    assert set(calls) == {"OpenCV", "rtseg on the CPU"}
    before = None if case.image is None else cuda_copy(case.image)
    for call in calls.values():
        call()
    if before is not None:
        np.testing.assert_array_equal(cuda_copy(case.image), before)


def cuda_copy(image) -> np.ndarray:
    return (image if isinstance(image, np.ndarray) else image.y).copy()


def test_wrong_labels_are_found_and_equal_classes_are_not() -> None:
    logits = np.zeros((3, 2, 2), np.float32)
    logits[1] = 5
    right = np.ones((8, 8), np.uint8)
    assert differing(logits, right) == 0
    wrong = right.copy()
    wrong[2, 3] = 2
    with pytest.raises(AssertionError):
        differing(logits, wrong)
    logits[2] = 5  # two classes that are equal everywhere
    assert differing(logits, wrong) == 1


def test_rows_of_kernels_are_those_of_the_document(monkeypatch) -> None:
    few = {name: gpu_kernels.MAKERS[name] for name in ("preprocess nv12", "blend bgr")}
    monkeypatch.setattr(gpu_kernels, "MAKERS", few)
    job = gpu_kernels.Job((SIZE,), TARGET, rounds=1, copy_rate=1e12, footprint=1)
    rows = list(gpu_kernels.measure(job))
    assert [row["kernel"] for row in rows] == list(few)
    found = problems({"kernels": {"rows": rows}})
    assert not [problem for problem in found if problem.startswith("kernels[")]


def test_copies_fill_a_ring_that_is_large_enough() -> None:
    calls = gpu_kernels.copies(1000, FOOTPRINT, cuda.stream())
    assert len(calls) == 4
    for call in calls:
        call()


# Timing


def test_candidates_take_turns() -> None:
    order, stream = [], cuda.stream()

    def candidate(name: str) -> Candidate:
        return Candidate(stream, lambda: order.append(name), parts=2)

    times = in_turns({"a": candidate("a"), "b": candidate("b")}, rounds=2, count=3, warmup=1)
    assert {name: len(samples) for name, samples in times.items()} == {"a": 6, "b": 6}
    assert "".join(order) == "aaaabbbb" + "aaaabbbb" * 2  # one of each burst is not timed


def test_a_recording_runs_all_calls_and_counts_them() -> None:
    done = []
    candidate = recorded(cuda.stream(), [lambda i=i: done.append(i) for i in range(3)])
    assert done == [0, 1, 2]
    candidate.call()
    assert (done, candidate.parts) == ([0, 1, 2] * 2, 3)


def test_the_hosts_clock_is_divided_by_the_parts() -> None:
    candidate = Candidate(cuda.stream(), lambda: Event().wait(0.02), parts=4)
    for clock in (waited_for, enqueued):
        times = clock(candidate, 3)
        assert len(times) == 3
        assert min(times) >= 5


def test_rates_are_of_copies_that_run() -> None:
    assert set(copy_rates(1)) == {"copy", "upload", "download"}
