"""The code in the package's README runs as it stands there."""

import re
from pathlib import Path

import pytest
import torch

BLOCKS = re.findall(
    r"^```python\n(.*?)^```", (Path(__file__).parents[2] / "kernels/README.md").read_text(), flags=re.S | re.M
)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block_runs(number):
    torch.manual_seed(0)
    names = {}
    exec(BLOCKS[number], names)
    if "loss" in names:
        assert torch.isfinite(names["loss"])
    if "loss_function" in names:
        first = names["loss_function"](
            names["images"], names["labels"], names["miner"](names["images"], names["labels"])
        )
        assert names["loss"] < first, "the training of the README does not learn"
