"""Every built-in passes the conformance kit, apart from the failures that it declares and explains."""

import mlbench_kernels.miners
import numpy as np
import pytest
from PIL import Image

from mlbench.registry import entries
from mlbench.testing import check_component


def names(kind):
    return [entry.id for entry in entries(kind) if entry.distribution == "mlbench-dml"]


@pytest.fixture
def arguments(tmp_path):
    """Make the arguments of a component that needs files; of the others, none."""

    def make(name):
        if name != "mlbench/folder":
            return None
        for label in range(8):
            (tmp_path / f"class {label}").mkdir()
            for sample in range(2):
                pixels = np.full((9, 7, 3), 20 * label + sample, np.uint8)
                Image.fromarray(pixels).save(tmp_path / f"class {label}" / f"{sample}.png")
        return {"path": str(tmp_path)}

    return make


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in ("losses", "miners", "samplers", "datasets", "metrics") for name in names(kind)],
)
def test_built_in_conforms(kind, name, arguments):
    check_component(kind, name, arguments(name), raise_on_failure=True)


@pytest.mark.parametrize("name", ["BatchEasyHardMiner", "BatchHardMiner", "MultiSimilarityMiner", "TripletMarginMiner"])
def test_a_fused_miner_is_held_to_its_counterpart_in_pytorch_metric_learning(name):
    report = check_component("miners", getattr(mlbench_kernels.miners, name))
    statuses = {check.name: check.status for check in report}
    assert statuses.pop("reference-parity") == "passed" and set(statuses.values()) == {"passed"}
