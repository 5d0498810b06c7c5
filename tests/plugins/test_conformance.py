"""Every component of every first-party plugin passes the conformance kit, by the door that a stranger's tests use."""

from pathlib import Path

from mlbench.testing import parametrize_with_checks

DISTRIBUTIONS = sorted(folder.parent.name for folder in Path(__file__).parents[2].glob("plugins/*/pyproject.toml"))


def test_all_plugins_are_found():
    assert len(DISTRIBUTIONS) >= 3


@parametrize_with_checks(DISTRIBUTIONS)
def test_conforms(check):
    check()
