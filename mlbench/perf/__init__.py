"""Measurements that can be compared: counts, contestants that take turns, bounds that hold on any machine."""

from mlbench.perf.counts import Counts as Counts
from mlbench.perf.counts import counted as counted
from mlbench.perf.counts import peak_bytes as peak_bytes
from mlbench.perf.guard import PerfGuard as PerfGuard
from mlbench.perf.interleaved import Turns as Turns
from mlbench.perf.statistics import Interval as Interval
from mlbench.perf.statistics import median_interval as median_interval
from mlbench.perf.turns import Measurement as Measurement
from mlbench.perf.turns import as_table as as_table
from mlbench.perf.turns import measured as measured
from mlbench.perf.turns import report as report
from mlbench.perf.turns import take_turns as take_turns
