"""The rules, a user's own included, on all backends: exact data, so that every tie has one right answer."""

import sys

import pytest
from brute import poison, run_python
from rule_checks import check_rules

SHAPES = [(1, 3, 1), (70, 5, 9), (33, 8, 50), (120, 3, 2)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("backend", ["blocked", "reference"])
def test_rules_pick_what_brute_force_picks(backend, shape, monkeypatch):
    poison(monkeypatch.setattr)
    check_rules(backend, [shape])


def test_picks_do_not_depend_on_the_tiling(monkeypatch):
    import mlbench_kernels.engine.blocked as blocked

    for name, size in {"_ROWS": 33, "_COLUMNS": 47, "_BLOCK": 9, "_BLOCKS": 3, "_WINDOW": 17}.items():
        monkeypatch.setattr(blocked, name, size)
    check_rules("blocked", [(120, 3, 4)], (3,), (3,))


@pytest.mark.skipif(sys.platform != "linux", reason="Triton is for Linux")
def test_rules_in_the_interpreter():
    code = "from rule_checks import check_rules; check_rules('triton', [(70, 5, 9)], (3,), (3,))"
    run_python(code, TRITON_INTERPRET="1")
