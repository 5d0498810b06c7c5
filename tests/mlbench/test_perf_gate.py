"""The counted gate on this repository: no operation does more than the committed baseline says."""

from pathlib import Path

from mlbench.perf import baseline

PERF = Path(__file__).parents[1] / "perf"


def test_no_operation_does_more_than_before():
    # If this fails on purpose: `mlbench perf bless --reason ...`
    assert baseline.differences(baseline.read(PERF / "counted.json"), baseline.measure([PERF])) == []
