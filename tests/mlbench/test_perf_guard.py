"""Counts, intervals and the guard, on a clock that moves only when a call says so."""

from math import log2

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlbench.perf import PerfGuard, Turns, counted, median_interval, peak_bytes

MIB = 2**20


class Clock:
    """Seconds that calls spend by naming them."""

    def __init__(self, noise=(1.0,)):
        self.now, self.noise, self.readings = 0.0, noise, 0

    def mark(self):
        return self.now

    def seconds(self, start, stop):
        self.readings += 1
        return (stop - start) * self.noise[self.readings % len(self.noise)]

    def finish(self):
        pass

    def costing(self, cost):
        """Make for a size a call that takes ``cost(size)`` seconds."""

        def make(size):
            def call():
                self.now += cost(size)

            return call

        return make


# -- intervals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "rank"), [(8, 1), (11, 1), (12, 2), (15, 3), (20, 4), (30, 8)])
def test_an_interval_of_the_median_is_that_of_published_tables(count, rank):
    # Order statistics for the median at 99%: e.g. Conover, Practical Nonparametric Statistics, from binomial tables.
    found = median_interval(list(range(1, count + 1)), 0.99)
    assert (found.low, found.high) == (rank, count + 1 - rank)


def test_too_few_values_make_no_interval():
    with pytest.raises(ValueError, match="7 values are too few"):
        median_interval([1.0] * 7)


def test_an_interval_holds_the_true_median_as_often_as_it_says():
    generator = np.random.default_rng(0)
    draws = generator.exponential(size=(2000, 15))
    found = [median_interval(row.tolist(), 0.9) for row in draws]
    held = np.mean([one.low <= np.log(2) <= one.high for one in found])
    assert 0.9 <= held <= 0.97  # 15 values: 0.965 is the exact coverage


@given(st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=60))
def test_the_median_lies_in_its_interval(values):
    found = median_interval(values)
    assert found.low <= found.middle <= found.high


# -- counts ----------------------------------------------------------------------------------------------------------


def test_a_product_counts_its_operations_and_its_result():
    left, right = torch.ones(64, 32), torch.ones(32, 128)
    counts = counted(lambda: left @ right)
    assert counts.flops == 2 * 64 * 32 * 128
    assert counts.allocations == 1
    assert 64 * 128 * 4 <= counts.bytes < 64 * 128 * 4 + 10_000
    assert counts.operators >= 1


def test_counts_are_the_same_again():
    points = torch.randn(128, 16, generator=torch.Generator().manual_seed(0))

    def call():
        return torch.cdist(points, points).topk(3).values.sum()

    first, second = counted(call), counted(call)
    assert (first.operators, first.allocations, first.flops) == (second.operators, second.allocations, second.flops)
    assert abs(first.bytes - second.bytes) < 20_000  # Python's own share varies a little


def test_the_peak_is_of_what_is_alive_at_once():
    def one_after_the_other():
        for _ in range(4):
            torch.empty(MIB, dtype=torch.uint8)

    def together():
        return [torch.empty(MIB, dtype=torch.uint8) for _ in range(4)]

    assert MIB <= peak_bytes(one_after_the_other) < 1.2 * MIB
    assert 4 * MIB <= peak_bytes(together) < 4.2 * MIB


def test_memory_of_numpy_counts():
    assert 8 * MIB <= peak_bytes(lambda: np.empty(MIB)) < 8.2 * MIB


# -- turns -----------------------------------------------------------------------------------------------------------


def test_a_short_call_is_repeated_until_the_clock_can_tell():
    clock = Clock()
    turns = Turns([clock.costing(lambda _: 1e-6)(0)], clock)
    before = clock.now
    turns.rounds(1)
    assert clock.now - before == pytest.approx(5 * 5e-4, rel=0.01)


def test_the_least_of_a_round_counts():
    clock = Clock(noise=(1.0, 9.0, 5.0))
    found = Turns([clock.costing(lambda _: 0.5)(0), clock.costing(lambda _: 0.25)(0)], clock).rounds(3)
    assert found == [[0.5, 0.25]] * 3


# -- the guard -------------------------------------------------------------------------------------------------------


def test_a_ratio_within_its_bound_passes():
    clock = Clock()
    found = PerfGuard(clock).ratio(clock.costing(lambda n: 1.1 * n), clock.costing(float), [1, 2], max_ratio=1.2)
    assert {size: one.middle for size, one in found.items()} == {1: pytest.approx(1.1), 2: pytest.approx(1.1)}


def test_a_ratio_beyond_its_bound_is_refused_at_its_size():
    clock = Clock()
    slow_when_large = clock.costing(lambda n: n * (1.0 if n < 2 else 1.3))
    with pytest.raises(AssertionError, match=r"size 2: 1\.300 .* allowed is 1\.2"):
        PerfGuard(clock).ratio(slow_when_large, clock.costing(float), [1, 2], max_ratio=1.2)


def test_noise_alone_is_not_refused():
    clock = Clock(noise=tuple(np.random.default_rng(1).uniform(1.0, 3.0, size=997)))
    PerfGuard(clock).ratio(clock.costing(lambda _: 1.0), clock.costing(lambda _: 1.0), [1], max_ratio=1.05)


@pytest.mark.parametrize(
    ("cost", "exponent"), [(lambda n: n**2, 2.0), (lambda n: n**2 * log2(n), 2.16), (lambda n: n**3, 3.0)]
)
def test_growth_is_measured(cost, exponent):
    clock = Clock()
    make = clock.costing(lambda n: 1e-6 * cost(n))
    found = PerfGuard(clock).scaling(make, [256, 512, 1024], max_exponent=4)
    assert found.middle == pytest.approx(exponent, abs=0.01)
    with pytest.raises(AssertionError, match="time grows as size"):
        PerfGuard(clock).scaling(make, [256, 512, 1024], max_exponent=exponent - 0.1)


def test_a_hidden_square_is_found_by_its_bytes(perf_guard):
    def make(size):
        points = torch.ones(size, 8)
        return lambda: (points @ points.T).sum()

    with pytest.raises(AssertionError, match="bytes grows as size"):
        perf_guard.scaling(make, [128, 256, 512], max_exponent=1.5, of="bytes")
    found = perf_guard.scaling(lambda n: lambda: torch.ones(n, 4096), [64, 128, 256], max_exponent=1.1, of="bytes")
    assert found.middle == pytest.approx(1.0, abs=0.02)


def test_peak_memory_has_a_bound(perf_guard):
    assert MIB <= perf_guard.peak_memory(lambda: torch.empty(MIB, dtype=torch.uint8), 2 * MIB) < 1.2 * MIB
    with pytest.raises(AssertionError, match="allowed are 1,000"):
        perf_guard.peak_memory(lambda: torch.empty(MIB, dtype=torch.uint8), 1000)


@pytest.mark.parametrize("sizes", [[], [64], [64, 128], [0, 64]])
def test_sizes_that_show_no_growth_are_refused(perf_guard, sizes):
    with pytest.raises(ValueError, match="sizes: at least two"):
        perf_guard.scaling(lambda n: lambda: None, sizes, max_exponent=2)
