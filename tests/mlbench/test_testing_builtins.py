"""Every built-in passes the conformance kit, apart from the failures that it declares and explains."""

import pytest

from mlbench.registry import entries
from mlbench.testing import check_component


def names(kind):
    return [entry.id for entry in entries(kind) if entry.distribution == "mlbench-dml"]


@pytest.mark.parametrize("name", names("losses"))
def test_loss_conforms(name):
    check_component("losses", name, raise_on_failure=True)


@pytest.mark.parametrize("name", names("miners"))
def test_miner_conforms(name):
    check_component("miners", name, raise_on_failure=True)
