"""Measurements that can be compared: contestants take turns, each in processes of its own."""

from mlbench.perf.turns import Measurement as Measurement
from mlbench.perf.turns import as_table as as_table
from mlbench.perf.turns import measured as measured
from mlbench.perf.turns import report as report
from mlbench.perf.turns import take_turns as take_turns
