"""Early stopping beside the full search, over five seeds.

Run by hand; a quarter of an hour of one core, resumed if it is killed:

    OMP_NUM_THREADS=1 pytest tests/perf/bench_search.py -s

It does the searches of bench_search.toml in full and keeps every curve in leaderboards/search/curves.csv. What
the same searches would have found and cost with early stopping is worked out from these curves, which is exact: Sobol
points depend on no result, and a training that stops is the beginning of one that does not. A fast test shows that of
a real run. Where all the curves are there nothing is trained. The table goes into docs/search.md.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import pandas as pd
from tabulate import tabulate

import mlbench
from mlbench.search import Curve
from mlbench.store import Store

HERE = Path(__file__).parent
CURVES = HERE.parents[1] / "leaderboards" / "search" / "curves.csv"
PAGE = HERE.parents[1] / "docs" / "search.md"
SEEDS = range(5)
#: Width of a generation, epochs and factor; the first one is what docs/search.md recommends.
SETTINGS = {
    "successive halving, 1 in 3": (4, (1, 3), 3),
    "successive halving, 1 in 3, generations of 2": (2, (1, 3), 3),
    "successive halving, 1 in 2": (4, (1, 2, 4), 2),
    "median rule": (4, tuple(range(1, 9)), 2),
}

sys.path.insert(0, str(HERE.parent / "mlbench"))
from replay import replayed  # noqa: E402


def test_early_stopping_beside_the_full_search():
    if not CURVES.exists():
        CURVES.parent.mkdir(exist_ok=True)
        pd.concat([searched(seed) for seed in SEEDS]).to_csv(CURVES, index=False, lineterminator="\n")
    text = "\n\n".join(tables(pd.read_csv(CURVES)))
    print(text)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(re.sub(r"(<!-- tables -->\n).*(\n<!-- end -->)", rf"\1\n{text}\n\2", page, flags=re.S), "utf-8")


def searched(seed):
    """Every validation of the full search with a seed."""
    store = Path("mlbench-runs") / f"bench-search-{seed}"
    mlbench.run(HERE / "bench_search.toml", overrides=[f"seed={seed}"], store=store)
    trials = [record for record in Store(store).records() if record.role == "trial"]
    assert all(record.outcome == "completed" for record in trials)
    lines = [
        (seed, record.method, record.number, record.request["job"]["fold"], epoch, score)
        for record in sorted(trials, key=lambda record: (record.method, record.number, record.request["job"]["fold"]))
        for epoch, score in record.curve.points
    ]
    return pd.DataFrame(lines, columns=["seed", "method", "trial", "fold", "epoch", "map_at_r"])


def tables(frame):
    """What was kept of the best and of the cost: by setting, and by seed and method for the first of them."""
    searches = dict(list(frame.groupby(["seed", "method"])))
    found = {
        name: {of: kept(search, *setting) for of, search in searches.items()} for name, setting in SETTINGS.items()
    }
    by_setting = [[name, *summary(ratios.values())] for name, ratios in found.items()]
    first = next(iter(found.values()))
    by_search = [
        [*of, f"{100 * best(curves_of(search)):.2f}", *map(percent, first[of])] for of, search in searches.items()
    ]
    heads = ["", "Best, mean", "Best, worst", "Cost, mean", "Cost, worst"]
    yield tabulate(by_setting, heads, tablefmt="github", disable_numparse=True)
    heads = ["Seed", "Method", "Full search's best MAP@R", "Best with stopping", "Cost"]
    yield tabulate(by_search, heads, tablefmt="github", disable_numparse=True)


def kept(search, generation, epochs, factor):
    """Shares of the best validation MAP@R and of the training images that are left with early stopping."""
    full = curves_of(search)
    left = replayed(full, generation, epochs, factor)
    return best(left) / best(full), images(left) / images(full)


def curves_of(search):
    """The curve of every trial's every fold."""
    return {
        key: Curve(tuple(zip(one["epoch"].tolist(), one["map_at_r"].tolist(), strict=True)))
        for key, one in search.groupby(["trial", "fold"])
    }


def best(curves):
    """The best trial's objective."""
    trials = defaultdict(list)
    for (trial, _), curve in curves.items():
        trials[trial].append(max(score for _, score in curve.points))
    return max(fmean(folds) for folds in trials.values())


def images(curves):
    """Images seen, in epochs: all of them are as long."""
    return sum(curve.points[-1][0] for curve in curves.values())


def summary(ratios):
    """Mean and worst of both."""
    bests, costs = zip(*ratios, strict=True)
    return map(percent, (fmean(bests), min(bests), fmean(costs), max(costs)))


def percent(share):
    """In percent."""
    return f"{share:.1%}"
