"""Optuna's TPE and Gaussian-process samplers, each asked once with a fresh state.

Optuna's samplers keep random state that is not saved, so a resumed study differs from an uninterrupted one. Here an
in-memory study is rebuilt from the finished trials and one fresh sampler, seeded by study and trial number, is asked
for one trial.
"""

import warnings
from collections.abc import Mapping, Sequence

import optuna

from mlbench.api.space import Categorical, Dimension, Float, Int, Value
from mlbench.search.trial import Trial


def ask(space: Mapping[str, Dimension], sampler: str, seed: int, seen: Sequence[Trial]) -> dict[str, Value]:
    """The next parameters after ``seen``. ``sampler`` is ``"tpe"`` or ``"gp"``."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions = {path: _distribution(dimension) for path, dimension in space.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(direction="maximize", sampler=_sampler(sampler, seed))
        for trial in seen:
            study.add_trial(
                optuna.trial.create_trial(params=trial.parameters, distributions=distributions, value=trial.objective)
            )
        asked = study.ask(distributions)
    return {path: _rounded(dimension, asked.params[path]) for path, dimension in space.items()}


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=0, multivariate=True)
    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=0, deterministic_objective=False)


def _distribution(dimension: Dimension) -> optuna.distributions.BaseDistribution:
    match dimension:
        case Float():
            return optuna.distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)
        case Int():
            return optuna.distributions.IntDistribution(dimension.low, dimension.high, log=dimension.log)
        case Categorical():
            return optuna.distributions.CategoricalDistribution(dimension.choices)


def _rounded(dimension: Dimension, value: Value) -> Value:
    if isinstance(dimension, Float):
        return min(max(float(f"{float(value):.12g}"), dimension.low), dimension.high)
    return value
