"""The next trial depends on the study, the trial's number and the results of earlier generations: on nothing else.

So a search that is killed, resumed, or finished by workers in any order is the same search.
"""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version

from mlbench.api.space import Space, Value
from mlbench.search.sobol import sobol_point
from mlbench.search.trial import Trial

#: Trials drawn from the Sobol sequence before a model of the objective is fitted.
STARTUP_TRIALS = 8


def propose(
    space: Space, sampler: str, study: str, number: int, generation: int, history: Sequence[Trial]
) -> dict[str, Value]:
    """The parameters of trial ``number``.

    Args:
        space: Dotted paths and their dimensions.
        sampler: ``"sobol"``, ``"tpe"`` or ``"gp"``.
        study: Identity of the study; it seeds everything.
        number: Number of the trial, from 0.
        generation: Width of a generation. Trials of one generation do not see each other's results.
        history: Finished trials; those of the trial's own or a later generation are ignored.

    Returns:
        A value for every path of ``space``, in sorted order of the paths.
    """
    first = number - number % generation
    seen = sorted((trial for trial in history if trial.number < first), key=lambda trial: trial.number)
    ordered = dict(sorted(space.items()))
    if _is_even(sampler, first):
        return _even(ordered, study, number)
    from mlbench.search.model_based import ask

    expected = sum(trial.objective for trial in seen) / len(seen)
    pending: list[Trial] = []
    for each in range(first, number + 1):
        # A stand-in result for each earlier trial of the generation keeps the model from proposing one point twice.
        # Where it is so sure that it does, the trial is better spent elsewhere.
        asked = ask(ordered, sampler, seed_of(study, each), [*seen, *pending])
        if any(asked == trial.parameters for trial in pending):
            asked = _even(ordered, study, each)
        pending.append(Trial(each, asked, expected))
    return pending[-1].parameters


def proposer(sampler: str, trials: int, generation: int) -> str | None:
    """The library whose version decides a search's later trials, as ``"optuna 4.5.0"``; None where it has no say.

    >>> proposer("tpe", trials=8, generation=1), proposer("sobol", trials=50, generation=1)
    (None, None)
    """
    last = (trials - 1) - (trials - 1) % generation
    return None if _is_even(sampler, last) else f"optuna {version('optuna')}"


def _is_even(sampler: str, first: int) -> bool:
    """Whether results have no say in the generation that begins with this trial."""
    return sampler == "sobol" or first < STARTUP_TRIALS


def _even(space: Space, study: str, number: int) -> dict[str, Value]:
    """A point that no result has a say in."""
    point = sobol_point(len(space), number, seed_of(study))
    return {path: dimension.at(float(u)) for (path, dimension), u in zip(space.items(), point, strict=True)}


def seed_of(study: str, *parts: int) -> int:
    """A 32-bit seed from the study's identity and numbers.

    >>> seed_of("a", 1) == seed_of("a", 1) != seed_of("a", 2)
    True
    """
    text = "/".join([study, *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
