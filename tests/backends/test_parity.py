"""The parity gate: what computes the same passes, what does not is named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rtseg.backends import openvino, parity
from rtseg.errors import EngineError

SIZE = (240, 184)

Logits = np.ndarray
Change = Callable[[Logits], Logits]


@pytest.fixture(scope="module")
def run(model) -> Callable[[np.ndarray], Logits]:
    """The model in an engine of its own, as a candidate."""
    context = openvino.build(model, SIZE, precision="f32", streams=1, threads=1).context()

    def infer(image: np.ndarray) -> Logits:
        context.input[:] = image
        return context.run().copy()

    return infer


@pytest.fixture
def check(model, run) -> Callable[..., parity.Parity]:
    """Compare the model with itself and a change to its logits."""

    def compare(change: Change, **options: object) -> parity.Parity:
        return parity.check(lambda image: change(run(image)), model, SIZE, **options)

    return compare


def as_bf16(logits: Logits) -> Logits:
    """The upper half of each float32: 8 bits of significand."""
    return (logits.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


def without(label: int) -> Change:
    """The class of that id is never the largest."""

    def change(logits: Logits) -> Logits:
        logits[label] -= 100
        return logits

    return change


def put(value: float, frame: int) -> Change:
    """One value that is not finite, in that frame, counted from 1."""
    seen = []

    def change(logits: Logits) -> Logits:
        seen.append(1)
        if len(seen) == frame:
            logits[3, 5, 7] = value
        return logits

    return change


def test_an_equal_engine_passes(check) -> None:
    found = check(lambda logits: logits)
    assert found.agreement == found.worst_iou == 1.0
    assert (found.frames, found.apart) == (4, 0.0)


@pytest.mark.parametrize("change", [as_bf16, lambda x: x.astype(np.float16).astype(np.float32)])
def test_a_narrower_type_passes(check, change) -> None:
    found = check(change)
    assert parity.LEAST < found.agreement < 1
    assert parity.LEAST_IOU < found.worst_iou < 1
    assert 0 < found.apart < parity.MOST_APART / 3


def test_the_images_are_streets_as_the_network_sees_them(check, model, run) -> None:
    seen = []
    parity.check(lambda image: seen.append(image.copy()) or run(image), model, SIZE, frames=3)
    assert [image.shape for image in seen] == [(3, 184, 240)] * 3
    assert all(-3 < image.min() < -0.5 < 0.5 < image.max() < 3 for image in seen)
    assert np.abs(seen[0] - seen[1]).mean() > 0.1
    labels = run(seen[0]).argmax(0)
    assert len(np.unique(labels)) >= 6


@pytest.mark.parametrize("name", ["road", "pole", "sign"])
def test_a_lost_class_is_named(check, model, name) -> None:
    with pytest.raises(EngineError, match=rf"worst class: {name}, IoU 0\.00.*mostly taken for"):
        check(without(model.classes.names.index(name)))


def test_a_rare_class_is_not_lost_among_the_pixels(check, model) -> None:
    with pytest.raises(EngineError, match=r"on 9\d\.\d\d % of the pixels.*sign, IoU 0\.00"):
        check(without(model.classes.names.index("sign")), least=0.5)


@pytest.mark.parametrize(
    ("value", "frame", "says"),
    [(np.nan, 2, r"gives NaN in frame 2 of 4"), (np.inf, 4, "infinite logits in frame 4 of 4"),
     (-np.inf, 1, "infinite logits in frame 1 of 4")],
)  # fmt: skip
def test_what_is_not_finite_is_told_with_its_frame(check, value, frame, says) -> None:
    with pytest.raises(EngineError, match=rf"{says}.*the reference does not \(1 of \d+ values\)"):
        check(put(value, frame))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_shifted_logits_fail(check, axis) -> None:
    with pytest.raises(EngineError, match=r"expected 99\.50 %.*It must not be used"):
        check(lambda logits: np.roll(logits, 1, axis), frames=2)


@pytest.mark.parametrize(
    "change", [lambda x: x[:10], lambda x: x.transpose(0, 2, 1), lambda x: x[None]]
)
def test_logits_of_another_shape_fail(check, change) -> None:
    with pytest.raises(EngineError, match=r"gives logits of \(.*\); expected \(11, 46, 60\)"):
        check(change, frames=1)


def test_agreement_counts_although_every_class_is_there(check) -> None:
    with pytest.raises(EngineError, match=r"on (99|100)\.\d\d % .*\(expected 100\.00 %\)"):
        check(as_bf16, least=1.0, frames=1)


@pytest.mark.parametrize("change", [lambda x: 1.1 * x, lambda x: x + 0.5])
def test_equal_labels_of_other_logits_fail(check, change) -> None:
    with pytest.raises(
        EngineError, match=r"logits are 0\.\d+ of their range apart .*\(expected 0\."
    ):
        check(change, frames=1)


def test_a_reference_that_sees_one_class_proves_nothing(model, monkeypatch) -> None:
    logits = np.zeros((len(model.classes), SIZE[1] // 4, SIZE[0] // 4), np.float32)
    logits[3] = 1
    image = np.zeros((3, SIZE[1], SIZE[0]), np.float32)
    monkeypatch.setattr(parity, "_reference", lambda *_: iter([(image, logits)]))
    with pytest.raises(EngineError, match=r"sees 1 class in the 1 rendered streets; expected 2"):
        parity.check(lambda _: logits, model, SIZE, frames=1)


def test_a_candidate_may_write_into_what_it_is_given(model, run) -> None:
    def spoil(image: np.ndarray) -> Logits:
        logits = run(image)
        image.fill(0)
        return logits

    assert parity.check(spoil, model, SIZE, frames=1).agreement == 1


def test_no_frames_prove_nothing(check) -> None:
    with pytest.raises(ValueError, match="0 frames"):
        check(lambda logits: logits, frames=0)
