"""Every built-in passes the conformance kit, apart from the failures that it declares and explains."""

import numpy as np
import pytest
from miniatures.every import WRITERS
from PIL import Image

from mlbench.registry import entries
from mlbench.testing import check_component
from mlbench.testing.kit import cases


def names(kind):
    return [entry.id for entry in entries(kind) if entry.distribution == "mlbench-dml"]


@pytest.fixture
def arguments(tmp_path):
    """Make the arguments of a component that needs files; of the others, none."""

    def make(name):
        if name == "mlbench/glyph-features":
            return {"max_classes": 16}
        if name == "mlbench/features":
            glyphs, trunk = {"id": "glyphs", "max_classes": 16}, {"id": "conv-small", "width": 2}
            return {"of": glyphs, "trunk": trunk, "transforms": {"size": 32, "mean": [0.2], "std": [0.35]}}
        if name == "mlbench/npz":
            vectors = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
            np.savez(tmp_path / "e.npz", embeddings=vectors, labels=np.repeat(np.arange(16), 2))
            return {"path": str(tmp_path / "e.npz")}
        if (id := name.removeprefix("mlbench/")) in WRITERS:
            return {"path": str(WRITERS[id](tmp_path))}
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


@pytest.mark.parametrize(
    ("kind", "name"),
    [("losses", f"fused-{name}") for name in ("arcface", "cosface", "normalized-softmax", "proxy-anchor", "proxy-nca")]
    + [("miners", f"fused-{name}") for name in ("batch-easy-hard", "batch-hard", "multi-similarity", "triplet-margin")],
)
def test_what_is_fused_is_held_to_its_counterpart_in_pytorch_metric_learning(kind, name):
    (check,) = (case for case in cases(kind, name) if case.requirement.name == "reference-parity")
    assert check.run().status == "passed"
