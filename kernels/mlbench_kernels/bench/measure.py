"""Measure one group: every participant of a case at one shape."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from .case import EXACT, Call, Case, Judge, Provider, Setting, Shape, Verdict
from .rows import Contestant, Row, with_shares
from .timing import SLOW, Machine, Quantiles, Timed, take_turns

Say = Callable[[Contestant | None], None]

TURNS = 3.0
"""About how many seconds the participants of a group take turns."""
_ROOM = 0.8  # of the free memory that a participant may need


class Once(NamedTuple):
    """One call."""

    result: Any
    seconds: float
    peak: int | None


class Entry(NamedTuple):
    """A participant that ran."""

    contestant: Contestant
    timed: Timed
    once: Once
    verdict: Verdict | None


def contestants(case: Case, shape: Shape, device: str) -> Iterator[tuple[Provider, Contestant]]:
    """Who takes part in a group, ours first."""
    for provider in case.providers:
        if device in provider.devices and shape.count <= provider.most:
            for precision in provider.precisions if device == "cuda" else (EXACT,):
                yield provider, Contestant(provider.name, precision)


def measure(
    case: Case,
    shape: Shape,
    machine: Machine,
    say: Say = lambda contestant: None,
    without: Collection[Contestant] = (),
    turns: float = TURNS,
) -> list[Row]:
    """Check every participant, then let those that ran take turns.

    Args:
        case: what.
        shape: how large.
        machine: where.
        say: hears who is about to run, None for all: should the process die, that one is the reason.
        without: who is left out.
        turns: about how many seconds they take turns.

    Returns:
        A row for each; whoever raised an exception has its message in place of times.
    """
    inputs = case.make(shape, machine.device)
    judge = case.judge(inputs)
    entries, rows = [], []
    for provider, contestant in contestants(case, shape, machine.kind):
        if contestant in without:
            continue
        say(contestant)
        try:
            entries.append(_enter(provider, contestant, inputs, judge, shape, machine))
        except Exception as error:  # one participant's failure is a row, whatever it is
            rows.append(Row.of(case.operation, contestant, shape, error=_message(error)))
            machine.finish()  # raises if the device is of no more use to this process
    say(None)
    times = {entry.contestant: [entry.once.seconds] for entry in entries}
    quick = {entry.contestant: entry.timed for entry in entries if entry.timed.seconds < SLOW}
    times.update(take_turns(machine, quick, turns))
    clock = machine.clock_mhz()
    rows += [_row(case.operation, shape, entry, times[entry.contestant], machine, clock) for entry in entries]
    return with_shares(rows)


def once(machine: Machine, call: Call) -> Once:
    """One call, its time and its memory."""
    machine.finish()
    machine.watch()
    start = machine.mark()
    result = call()
    stop = machine.mark()
    machine.finish()
    return Once(result, machine.seconds(start, stop), machine.peak())


def _enter(
    provider: Provider, contestant: Contestant, inputs: Any, judge: Judge, shape: Shape, machine: Machine
) -> Entry:
    """Run a participant, check what it found, and see how long it takes when warm."""
    needed, free = provider.pair_bytes * shape.count**2, machine.free()
    if free is not None and needed > _ROOM * free:
        raise MemoryError(f"not run: it needs about {needed / 2**30:.0f} GiB, and {free / 2**30:.0f} GiB are free")
    call = provider.prepare(inputs, Setting(machine.backend, contestant.precision))
    first = once(machine, call)
    verdict = None if provider.answer is None else judge(provider.answer(first.result), contestant.precision)
    first = first._replace(result=None)
    again = first if first.seconds > SLOW and not machine.compiles else once(machine, call)._replace(result=None)
    return Entry(contestant, machine.prepare(call, again.seconds, provider.capturable), again, verdict)


def _row(operation: str, shape: Shape, entry: Entry, times: list[float], machine: Machine, clock: int | None) -> Row:
    low, middle, high = Quantiles.of(times)
    verdict = entry.verdict
    return Row.of(
        operation,
        entry.contestant,
        shape,
        seconds=middle,
        seconds_20=low,
        seconds_80=high,
        calls=len(times) * entry.timed.inner,
        timer="graph" if entry.timed.inner > 1 else machine.timer,
        peak_bytes=entry.once.peak,
        checked=verdict and verdict.of,
        differ=verdict and verdict.differ,
        excess=verdict and verdict.excess,
        bound=verdict and verdict.bound,
        clock_mhz=clock,
    )


def _message(error: Exception) -> str:
    """One line."""
    if isinstance(error, ModuleNotFoundError):
        return f"not installed: {error.name}"
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:300]
