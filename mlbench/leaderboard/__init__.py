"""Records become tables: a pure function of the store. ``mlbench.leaderboard(store)`` gives the data frame."""

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from mlbench.leaderboard.anytime import search_frame as search_frame
from mlbench.leaderboard.rows import METRICS as METRICS
from mlbench.leaderboard.rows import Row as Row
from mlbench.leaderboard.rows import rows_of as rows_of
from mlbench.leaderboard.statistics import Interval as Interval
from mlbench.leaderboard.statistics import t_interval as t_interval
from mlbench.leaderboard.tables import cost_frame as cost_frame
from mlbench.leaderboard.tables import leaderboard_frame as leaderboard_frame
from mlbench.leaderboard.write import publish as publish
from mlbench.leaderboard.write import write_leaderboard as write_leaderboard
from mlbench.store import Store

if TYPE_CHECKING:
    import pandas as pd


class _Leaderboard(ModuleType):
    """This package, and at the same time the function ``mlbench.leaderboard(store)``."""

    def __call__(self, store: "str | Path") -> "pd.DataFrame":
        """The leaderboard of a store as a data frame; see `leaderboard_frame` for its columns.

        Raises:
            StoreError: If there is no store or a record cannot be trusted.
        """
        return leaderboard_frame(Store(store))


# The package and the function share the name that users expect of each.
sys.modules[__name__].__class__ = _Leaderboard
