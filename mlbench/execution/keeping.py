"""Keeps a training's state in the store: now and then, and when it is asked to stop."""

import time
from collections.abc import Callable
from typing import Any

from mlbench.api.errors import StoreError
from mlbench.store.checkpoints import Checkpoints
from mlbench.training import Interrupted, Keeper, Meter, Position

#: After a validation a checkpoint is due in this share of the usual time: little is lost between it and the next one.
_VALIDATED = 0.25
#: Writing checkpoints may take at most a fiftieth of the time.
_LEAST = 50


class Keeping(Keeper):
    """A keeper that writes checkpoints.

    Args:
        checkpoints: Where.
        every: Seconds between two of them; 0 keeps every step.
        meter: What the run has cost so far is kept with its state.
        stop: Whether the training is asked to stop.
        progress: Told how far it is, after every step.
        note: Told what a user may want to know.

    Attributes:
        until: The state after this epoch is kept in any case, for the next part of the training.
    """

    until: int | None = None

    def __init__(
        self,
        checkpoints: Checkpoints,
        every: float,
        meter: Meter,
        stop: Callable[[], bool],
        progress: Callable[..., None],
        note: Callable[[str], None],
    ) -> None:
        self._checkpoints, self._every, self._meter = checkpoints, every, meter
        self._stop, self._progress, self._note = stop, progress, note
        self._last = time.monotonic()
        self._possible = True

    def resume(self) -> dict[str, Any] | None:
        """The newest state that can be trusted."""
        kept, problems = self._checkpoints.latest()
        for problem in problems:
            self._note(f"set aside: {problem}")
        if kept is None:
            return None
        position = Position(**kept["training"]["position"])
        if self.until is not None and position.epoch > self.until + 1:
            return None  # of a later part, and this one is done again
        self._note(f"goes on in epoch {position.epoch} after {position.step} batches")
        self._meter.go_on(kept["spent"])
        training: dict[str, Any] = kept["training"]
        return training

    def offer(self, position: Position, capture: Callable[[], dict[str, Any]] | None, *, validated: bool) -> None:
        """See `Keeper`."""
        self._progress(epoch=position.epoch, step=position.step)
        stopping = self._stop()
        ended = self.until is not None and position.epoch > self.until
        if capture is not None and self._possible and (stopping or ended or self._due(validated)):
            self._write(capture)
        if stopping:
            self._note(f"stopped in epoch {position.epoch} after {position.step} batches")
            raise Interrupted

    def _due(self, validated: bool) -> bool:
        return time.monotonic() - self._last >= self._every * (_VALIDATED if validated else 1.0)

    def _write(self, capture: Callable[[], dict[str, Any]]) -> None:
        started = time.monotonic()
        try:
            self._checkpoints.write({"training": capture(), "spent": self._meter.spent})
        except TypeError as error:
            self._possible = False
            self._note(f"no checkpoints, it would begin anew: a state is more than plain data and tensors ({error})")
        except StoreError as error:  # a full disk: the training can still end well
            self._note(f"no checkpoint: {error}")
        self._last = time.monotonic()
        if self._every:
            self._every = max(self._every, _LEAST * (self._last - started))
