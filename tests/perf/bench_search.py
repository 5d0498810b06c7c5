"""Successive halving beside the full search, over five seeds.

Run by hand; a quarter of an hour of one core, resumed if it is killed:

    OMP_NUM_THREADS=1 pytest tests/perf/bench_search.py -s

It does the searches of bench_search.toml in full and keeps every curve in leaderboards/search/curves.csv. What the same
searches would have found and cost with early stopping is worked out from these curves, which is exact: Sobol points
depend on no result, and a training that stops is the beginning of one that does not. A fast test shows that of a real
run. Where all the curves are there nothing is trained. The tables go into docs/search.md.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import pandas as pd
from tabulate import tabulate

import mlbench
from mlbench.store import Store

HERE = Path(__file__).parent
CURVES = HERE.parents[1] / "leaderboards" / "search" / "curves.csv"
PAGE = HERE.parents[1] / "docs" / "search.md"
SEEDS = range(5)
#: Epochs and factor; the second table is of the first one.
SETTINGS = [((2, 3, 5), 2), ((1, 2, 4), 2), ((2, 4), 3), ((1, 3), 3), ((2,), 4), ((3,), 4)]

sys.path.insert(0, str(HERE.parent / "mlbench"))
from replay import replayed  # noqa: E402


def test_successive_halving_beside_the_full_search():
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
        (seed, record.method, record.number, record.fold, entry["epoch"], entry["map_at_r"])
        for record in sorted(trials, key=lambda record: (record.method, record.number, record.fold))
        for entry in record.results["curve"]
    ]
    return pd.DataFrame(lines, columns=["seed", "method", "trial", "fold", "epoch", "map_at_r"])


def tables(frame):
    """What was kept of the best, and the cost: of every setting, then of every search with the first one."""
    searches = {of: curves_of(search) for of, search in frame.groupby(["seed", "method"])}
    found = [{of: kept(full, *setting) for of, full in searches.items()} for setting in SETTINGS]
    rows = [
        [", ".join(map(str, epochs)), f"1 in {factor}", *summary(ratios.values())]
        for (epochs, factor), ratios in zip(SETTINGS, found, strict=True)
    ]
    heads = ["After epochs", "Go on", "Best, mean", "Best, worst", "Cost"]
    yield tabulate(rows, heads, tablefmt="github", disable_numparse=True)
    rows = [[*of, f"{100 * best(full):.2f}", *map(percent, found[0][of])] for of, full in searches.items()]
    heads = ["Seed", "Method", "Full search's best MAP@R", "Best with halving", "Cost"]
    yield tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def curves_of(search):
    """The curve of every trial's every fold."""
    return {
        key: tuple(zip(one["epoch"].tolist(), one["map_at_r"].tolist(), strict=True))
        for key, one in search.groupby(["trial", "fold"])
    }


def kept(full, epochs, factor):
    """Shares of the best validation MAP@R and of the training images that are left; all trials are one generation."""
    left = replayed(full, len(full), epochs, factor)
    return best(left) / best(full), images(left) / images(full)


def best(curves):
    """The best trial's objective."""
    trials = defaultdict(list)
    for (trial, _), curve in curves.items():
        trials[trial].append(max(score for _, score in curve))
    return max(fmean(folds) for folds in trials.values())


def images(curves):
    """Images seen in training, in epochs: all of them are as long."""
    return sum(curve[-1][0] for curve in curves.values())


def summary(ratios):
    """Mean and worst of what is kept, and the cost, which is the same for all."""
    bests, costs = zip(*ratios, strict=True)
    return map(percent, (fmean(bests), min(bests), fmean(costs)))


def percent(share):
    """In percent."""
    return f"{share:.1%}"
