"""Hyperparameter search as a pure function of finished trials."""

from mlbench.search.halving import survivors as survivors
from mlbench.search.propose import propose as propose
from mlbench.search.propose import proposer as proposer
from mlbench.search.trial import Trial as Trial
