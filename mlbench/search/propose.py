"""The next trial depends on the study, the trial's number and the results of earlier generations: on nothing else.

So a search that is killed, resumed, or finished by workers in any order is the same search.
"""

import hashlib
from collections.abc import Sequence

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
    if sampler == "sobol" or first < STARTUP_TRIALS:
        point = sobol_point(len(ordered), number, seed_of(study))
        return {path: dimension.at(float(u)) for (path, dimension), u in zip(ordered.items(), point, strict=True)}
    from mlbench.search.model_based import ask

    if number > first:
        # A stand-in result for each earlier trial of the generation keeps the model from proposing one point twice.
        expected = sum(trial.objective for trial in seen) / len(seen)
        for earlier in range(first, number):
            pending = ask(ordered, sampler, seed_of(study, earlier), seen)
            seen = [*seen, Trial(earlier, pending, expected)]
    return ask(ordered, sampler, seed_of(study, number), seen)


def seed_of(study: str, *parts: int) -> int:
    """A 32-bit seed from the study's identity and numbers.

    >>> seed_of("a", 1) == seed_of("a", 1) != seed_of("a", 2)
    True
    """
    text = "/".join([study, *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
