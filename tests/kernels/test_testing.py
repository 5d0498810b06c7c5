"""`check_rule` passes every rule there is, and catches one whose forms differ."""

import sys
from dataclasses import replace

import pytest
import torch
from brute import run_python
from crowd import Crowd
from mlbench_kernels.rules import Beyond, Extreme, TopK
from mlbench_kernels.testing import check_rule

RULES = {
    "a user's": lambda anchors: Crowd(torch.full((len(anchors),), 2.0)),
    "farthest positive": lambda anchors: Extreme("positives", farthest=True),
    "three nearest": lambda anchors: TopK("others", 3),
    "first beyond": lambda anchors: Beyond("negatives", torch.full((len(anchors), 2), 1.0)),
}


@pytest.mark.parametrize("name", RULES)
def test_rules_agree_with_their_reference_form(name):
    check_rule(RULES[name])


@pytest.mark.skipif(sys.platform != "linux", reason="Triton is for Linux")
def test_the_triton_form_is_checked_in_the_interpreter():
    code = "import torch; from crowd import Crowd; from mlbench_kernels.testing import check_rule\n"
    code += "check_rule(lambda anchors: Crowd(torch.full((len(anchors),), 2.0)), 'triton')"
    run_python(code, TRITON_INTERPRET="1")


class LastTileOnly(Crowd):
    """Forgets what earlier tiles had."""

    def update(self, state, tile):
        return super().update(self.init(len(tile.rows), tile.distance.dtype, tile.distance.device), tile)


class PositionInTile(Crowd):
    """Takes the column of a tile for a position."""

    def update(self, state, tile):
        return super().update(state, replace(tile, first=0))


class LastOfEquals(Crowd):
    """Depends on the order in which tiles come: of equal candidates the later tile's stays."""

    def update(self, state, tile):
        count, nearest, index = super().update(state, tile)
        value, place = tile.distance.min(dim=1)
        return count, nearest, torch.where(value == nearest, place + tile.first, index)


class WrongUnit(Crowd):
    """Reports a number of the tile, whose unit it has not asked for."""

    outputs = ("count", "number")

    def finish(self, state):
        return state[0], state[1]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (LastTileOnly, r"output 0 \('count'\) of blocked at \[\d+\] is \d+, the reference has \d+; "),
        (PositionInTile, r"output 1 \('index'\) of blocked"),
        (LastOfEquals, r"output 1 \('index'\) of blocked"),
        (WrongUnit, r"output 1 \('number'\) of blocked"),
    ],
)
def test_a_rule_whose_forms_differ_is_caught(rule, said):
    with pytest.raises(AssertionError, match=said):
        check_rule(lambda anchors: rule(torch.full((len(anchors),), 2.0)))


def test_a_wrong_triton_form_is_caught():
    code = """
import torch
from crowd import Crowd
from mlbench_kernels.testing import check_rule

class OtherPool(Crowd):
    triton = "mlbench_kernels.rules.extreme_triton"
    outputs = ("index",)
    constants = (True,)
    thresholds = None

    def __init__(self):
        pass

    def update(self, state, tile):
        value, place = tile.distance.min(dim=1)
        return state[0], value.minimum(state[1]), torch.where(value < state[1], place + tile.first, state[2])

    def finish(self, state):
        return (state[2],)

try:
    check_rule(lambda anchors: OtherPool(), "triton")
except AssertionError as error:
    assert "output 0 ('index') of triton" in str(error)
else:
    raise SystemExit("not caught")
"""
    run_python(code, TRITON_INTERPRET="1")
