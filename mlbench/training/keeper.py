"""What a training offers to whoever keeps its state."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Interrupted(Exception):
    """A training was asked to stop; what was kept of it is where it goes on."""


class CannotResume(Exception):
    """A state does not fit the training that it was kept of."""


@dataclass
class Position:
    """How far a training is: steps done of an epoch, and the sum of their losses."""

    epoch: int = 1
    step: int = 0
    total: float = 0.0


class Keeper:
    """Is offered the state of a training between any two steps, and decides. This one keeps nothing."""

    def resume(self) -> dict[str, Any] | None:
        """The state to go on from; None to begin."""
        return None

    def offer(self, position: Position, capture: Callable[[], dict[str, Any]] | None, *, validated: bool) -> None:
        """A step or a validation is done.

        Args:
            position: How far the training is.
            capture: Gives its whole state, to be written at once: it is not a copy. None if it has parts whose state
                nobody can know, so that it can only begin anew.
            validated: Whether a validation was just done.

        Raises:
            Interrupted: If the training is to stop here.
        """
