"""Named floating-point modes: which backend has which, and that all of them reach Triton."""

import sys

import pytest
from brute import data, run_python
from mlbench_kernels import batch_hard, hard_negatives, mine, multi_similarity, semi_hard, top_k_negatives
from mlbench_kernels.miners import BatchEasyHardMiner, BatchHardMiner, MultiSimilarityMiner
from mlbench_kernels.precision import PRECISIONS
from mlbench_kernels.rules import Extreme

FUNCTIONS = {
    "batch_hard": batch_hard,
    "hard_negatives": hard_negatives,
    "semi_hard": semi_hard,
    "top_k_negatives": lambda *batch, **options: top_k_negatives(*batch, k=2, **options),
    "multi_similarity": multi_similarity,
    "mine": lambda *batch, **options: mine(Extreme("negatives"), *batch, **options),
    "BatchHardMiner": lambda *batch, **options: BatchHardMiner(**options)(*batch),
    "BatchEasyHardMiner": lambda *batch, **options: BatchEasyHardMiner(**options)(*batch),
    "MultiSimilarityMiner": lambda *batch, **options: MultiSimilarityMiner(**options)(*batch),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_unknown_mode_is_told_with_those_that_exist(name):
    with pytest.raises(
        ValueError, match="precision: 'fp8' is unknown; allowed are auto, ieee, tf32x3, bf16x3, tf32, b"
    ):
        FUNCTIONS[name](*data(8, 3, 2), precision="fp8")


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("backend", ["auto", "blocked", "reference"])
def test_a_mode_that_a_backend_lacks_never_becomes_another(name, backend):
    with pytest.raises(
        ValueError, match=r"precision: 'bf16' is a mode of .* '(blocked|reference)' runs; allowed are a"
    ):
        FUNCTIONS[name](*data(8, 3, 2), precision="bf16", backend=backend)


@pytest.mark.parametrize("precision", ["auto", "ieee"])
@pytest.mark.parametrize("backend", ["blocked", "reference"])
def test_plain_torch_computes_and_reports_real_float32(backend, precision):
    assert batch_hard(*data(8, 3, 2), backend=backend, precision=precision).precision == "ieee"


MODES = """
import pytest, torch
import mlbench_kernels.engine.triton as engine
from test_precision import FUNCTIONS
from brute import data
from mlbench_kernels import batch_hard

seen, launch = [], engine.launch
def spy(rule, problem, layout, precision, tiling):
    seen.append(precision)
    return launch(rule, problem, layout, precision, tiling)
engine.launch = spy
for asked, runs in (("auto", "ieee"), ("tf32x3", "tf32x3"), ("tf32", "tf32")):
    for function in FUNCTIONS.values():
        seen.clear()
        function(*data(8, 3, 2), precision=asked, backend="triton")
        assert set(seen) == {runs}, (function, asked, seen)
assert batch_hard(*data(8, 3, 2), precision="tf32", backend="triton").precision == "tf32"
for mode in ("bf16", "bf16x3"):
    with pytest.raises(ValueError, match="cannot run in Triton's interpreter; allowed are auto, ieee, tf32, tf32x3"):
        batch_hard(*data(8, 3, 2), precision=mode, backend="triton")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Triton is for Linux")
def test_every_function_hands_its_mode_to_triton():
    run_python(MODES, TRITON_INTERPRET="1")


@pytest.mark.parametrize(
    ("capability", "mode"), [((8, 0), "bf16x3"), ((9, 0), "tf32x3"), ((10, 3), "tf32x3"), ((12, 0), "bf16x3")]
)
def test_auto_is_a_mode_that_the_device_is_fast_in(monkeypatch, capability, mode):
    import mlbench_kernels.precision as precision

    monkeypatch.setattr(precision.torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    embeddings, _ = data(2, 3, 1)
    assert precision.choose_precision("auto", "triton", embeddings) == mode
    assert all(precision.choose_precision(name, "triton", embeddings) == name for name in PRECISIONS)
