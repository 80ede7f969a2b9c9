from fractions import Fraction

import pytest

from rtseg.video.stamps import Stamps


def run(stamps: list[int | None], rate: int | None = 25) -> tuple[list[int], int]:
    repair = Stamps(Fraction(1, 1000), None if rate is None else Fraction(rate))
    return [repair.next(pts) for pts in stamps], repair.repaired


@pytest.mark.parametrize("good", [[0, 40, 80], [-80, -40, 0], [7, 8, 5000, 5001, 90_000]])
def test_rising_stamps_pass_unchanged(good):
    assert run(good) == (good, 0)


def test_missing_stamps_follow_at_the_frame_rate():
    assert run([None, None, 100, None]) == ([0, 40, 100, 140], 2 + 1)


def test_a_small_step_back_moves_by_one_unit_and_recovers():
    assert run([0, 40, 40, 30, 120]) == ([0, 40, 41, 42, 120], 2)


def test_a_clock_set_anew_shifts_all_that_follows():
    assert run([5000, 5040, 0, 40, 80]) == ([5000, 5040, 5080, 5120, 5160], 1)


def test_without_a_rate_a_frame_lasts_a_25th():
    assert run([0, None], rate=None) == ([0, 40], 1)
