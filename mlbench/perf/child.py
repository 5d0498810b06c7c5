"""A pytest plugin for the processes that measure: it counts what every benchmarked call does.

It is loaded into processes in which another version of this package may come first, so it is handed over as a file,
next to `counts`, and imports nothing else of the package.
"""

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

#: Under this key of a benchmark's ``extra_info`` are its counts.
COUNTS = "counts"
#: And under this one whether a GPU was used.
GPU = "gpu"


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Count before timing."""
    from pytest_benchmark.fixture import BenchmarkFixture

    sys.path.append(str(Path(__file__).parent))
    from counts import counted  # type: ignore[import-not-found]

    fixture: Any = BenchmarkFixture
    plain = fixture.__call__

    def call(self: Any, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self.extra_info[COUNTS] = asdict(counted(lambda: function(*arguments, **named)))
        self.extra_info[GPU] = torch.cuda.is_initialized()
        return plain(self, function, *arguments, **named)

    fixture.__call__ = call
