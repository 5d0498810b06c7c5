"""Participants take turns, so that a change of the machine's speed hits all of them; what counts is the median."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from random import Random
from statistics import quantiles
from typing import Any, NamedTuple, Protocol, TypeVar

import torch

from .case import Call

Key = TypeVar("Key", bound=Hashable)

SLOW = 3.0
"""Seconds after which a call is made once and not again."""
_FEWEST, _MOST = 3, 50  # rounds


class Clock(Protocol):
    """How time passes on a machine."""

    def mark(self) -> Any:
        """A moment in the machine's work."""

    def seconds(self, start: Any, stop: Any) -> float:
        """Between two marks, once all work is done."""

    def finish(self) -> None:
        """Wait until all work is done."""


class Timed(NamedTuple):
    """What to time.

    Attributes:
        call: the call, or several in one.
        inner: how many.
        seconds: about how long one takes.
    """

    call: Call
    inner: int
    seconds: float


class Machine(Clock, Protocol):
    """A device and how to measure on it.

    Attributes:
        kind: "cpu" or "cuda".
        device: where inputs live.
        backend: which backend of ours to time.
        timer: what the times are from.
        compiles: whether a first call may take its time to compile something.
    """

    kind: str
    device: torch.device
    backend: str
    timer: str
    compiles: bool

    def free(self) -> int | None:
        """Bytes that can be allocated."""

    def watch(self) -> None:
        """Start to watch the memory."""

    def peak(self) -> int | None:
        """The most memory since `watch` above what was in use then, in bytes; None if it is measured elsewhere."""

    def prepare(self, call: Call, seconds: float, capturable: bool) -> Timed:
        """The form in which a call of about `seconds` is timed."""

    def before_each(self) -> None:
        """Done before each call, outside the timing."""

    def clock_mhz(self) -> int | None:
        """The processor's clock, if it can be read."""


class Quantiles(NamedTuple):
    """20th, 50th and 80th percentile."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Quantiles:
        """Of at least one value.

        >>> Quantiles.of([5.0, 1.0, 2.0, 3.0, 4.0, 6.0])
        Quantiles(low=2.0, middle=3.5, high=5.0)
        """
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        tenths = quantiles(values, n=10, method="inclusive")
        return cls(tenths[1], tenths[4], tenths[7])


def take_turns(machine: Machine, contestants: Mapping[Key, Timed], budget: float) -> dict[Key, list[float]]:
    """Call each contestant in turn, the slow in fewer rounds; seconds of every call.

    Who follows whom is drawn anew every round: a call right after one that emptied the caches takes longer.

    Args:
        machine: where they run.
        contestants: who.
        budget: about how many seconds all calls may take; everyone is called at least three times.
    """
    share = budget / max(1, len(contestants))
    calls = {key: _calls(timed, share) for key, timed in contestants.items()}
    rounds = max(calls.values(), default=0)
    marks: dict[Key, list[tuple[Any, Any]]] = {key: [] for key in contestants}
    order, draw = list(contestants.items()), Random(0)
    for i in range(rounds):
        draw.shuffle(order)
        for key, timed in order:
            if (i + 1) * calls[key] // rounds > i * calls[key] // rounds:
                machine.before_each()
                start = machine.mark()
                timed.call()
                marks[key].append((start, machine.mark()))
    machine.finish()
    return {key: [machine.seconds(*pair) / contestants[key].inner for pair in pairs] for key, pairs in marks.items()}


def _calls(timed: Timed, share: float) -> int:
    return min(_MOST, max(_FEWEST, int(share / max(timed.seconds * timed.inner, 1e-9))))
