"""Hyperparameter search as a pure function of finished trials."""

from mlbench.search.propose import propose as propose
from mlbench.search.stopping import Curve as Curve
from mlbench.search.stopping import thresholds as thresholds
from mlbench.search.trial import Trial as Trial
