"""The gradient kernel compiles without a GPU, multiplies on the matrix unit and keeps its sums in registers."""

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed")
from mlbench_kernels.aot.compile import compile_launch
from mlbench_kernels.engine.layout import Layout
from mlbench_kernels.engine.problem import Problem
from mlbench_kernels.engine.triton_gradient import _gradient, launch
from mlbench_kernels.rules import LogSumExp, Triplets

RULES = {
    "log-sum-exp": LogSumExp("negatives", -10.0),
    "triplets": Triplets("negatives", 0.2, 1.0, thresholds=torch.zeros(64, 3)),
}


@pytest.mark.parametrize("rule", RULES)
def test_the_gradient_spills_nothing_on_hopper(rule):
    made, rows, labels = RULES[rule], torch.zeros(64, 256), torch.zeros(64, dtype=torch.int64)
    problem = Problem(rows, labels, rows, labels, True, "euclidean")
    limits = torch.zeros(64, 0) if made.thresholds is None else made.thresholds
    saved = limits, torch.zeros(64), torch.zeros(64)
    compiled = compile_launch(_gradient, launch(made, problem, Layout(made, problem), saved, True, True, "tf32x3"), 90)
    assert "0 bytes spill stores, 0 bytes spill loads" in compiled.log
    assert "wgmma.mma_async" in compiled.ptx
    assert compiled.shared < 99 << 10  # of the smallest GPU in the tuning table
