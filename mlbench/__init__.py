"""mlbench: a benchmark harness for deep metric learning that people can believe.

What the command line does, these functions do: `run`, `plan`, `evaluate`, `leaderboard`.
"""

from typing import TYPE_CHECKING

from mlbench._lazy import lazy_exports

if TYPE_CHECKING:
    from mlbench.notebook import Result as Result
    from mlbench.notebook import evaluate as evaluate
    from mlbench.notebook import plan as plan
    from mlbench.notebook import run as run

# `leaderboard` is a package that can be called; it is imported when first asked for.
__getattr__, __dir__ = lazy_exports(__name__, {"notebook": ("Result", "evaluate", "plan", "run"), "leaderboard": ()})
