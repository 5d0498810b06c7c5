"""Carries a plan out: finds what is done, runs what is ready, in this process or in several."""

from mlbench.execution.coordinator import Summary as Summary
from mlbench.execution.coordinator import run_plan as run_plan
from mlbench.execution.estimate import Estimate as Estimate
from mlbench.execution.estimate import device_name as device_name
from mlbench.execution.estimate import estimates as estimates
from mlbench.execution.forecast import Forecast as Forecast
from mlbench.execution.forecast import forecast as forecast
from mlbench.execution.study import Study as Study
from mlbench.execution.study import foreseen as foreseen
from mlbench.execution.study import open_study as open_study
