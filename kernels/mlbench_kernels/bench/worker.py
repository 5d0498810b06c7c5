"""Groups are measured in a process beside the program: what crashes or hangs it costs one row, and the next goes on."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch

from .case import EXACT, Case, Setting, Shape
from .cases import all_cases
from .measure import measure
from .memory import clear_peak, peak_memory
from .rows import Contestant, Row
from .timing import Machine
from .timing_cpu import Cpu
from .timing_gpu import Gpu

Message = tuple[str, Any]

_WARM_UP = 256  # rows of the small problem that loads what a call needs, before its memory is measured


class Group(NamedTuple):
    """A case at a shape."""

    operation: str
    shape: Shape

    @property
    def case(self) -> Case:
        """What the name stands for."""
        return next(case for case in all_cases() if case.operation == self.operation)

    def __str__(self) -> str:
        return f"{self.operation} {self.shape}"


class Options(NamedTuple):
    """How to measure.

    Attributes:
        device: "cpu" or "cuda".
        cold: on a GPU, overwrite the L2 cache before each call.
        threads: on a CPU; None: as the case says.
        patience: seconds after which a participant that is heard no more of is given up.
    """

    device: str = "cpu"
    cold: bool = False
    threads: int | None = None
    patience: float = 60.0


@dataclass
class Worker:
    """A process that measures; started when it is first needed, and anew when it died.

    Attributes:
        options: how to measure.
    """

    options: Options
    _process: Any = None
    _connection: Connection | None = None

    def measure(self, group: Group) -> list[Row]:
        """The rows of a group; a participant that ends the process, or does not end, gets a row that says so."""
        lost: dict[Contestant, str] = {}
        while True:
            last, rows, error = self._attempt(group, frozenset(lost))
            if not error:
                return rows + [Row.of(group.operation, who, group.shape, error=why) for who, why in lost.items()]
            self.close()
            if last is None:  # nobody's fault but the group's
                whose = Contestant(group.case.providers[0].name, EXACT)
                return [Row.of(group.operation, whose, group.shape, error=error)]
            lost[last] = error

    def _attempt(self, group: Group, without: frozenset[Contestant]) -> tuple[Contestant | None, list[Row], str]:
        """Who ran last, the rows, and what went wrong."""
        last: Contestant | None = None
        try:
            for kind, content in self._ask(("measure", group, without)):
                if kind == "about":
                    last = content
                else:
                    return last, *((content, "") if kind == "rows" else ([], content))
        except TimeoutError:
            return last, [], f"no answer in {self.options.patience:.0f} s"
        except (EOFError, OSError):
            pass
        return last, [], "the process died"

    def peak(self, group: Group, contestant: Contestant) -> int | None:
        """Peak memory of a participant above the inputs, in a process of its own; None if it died."""
        self.close()
        try:
            return next((content for kind, content in self._ask(("peak", group, contestant)) if kind == "peak"), None)
        except (EOFError, OSError, TimeoutError):
            return None
        finally:
            self.close()

    def close(self) -> None:
        """End the process."""
        if self._process is not None and self._connection is not None:
            self._connection.close()
            self._process.terminate()
            self._process.join(5)
            if self._process.is_alive():  # in a system call that does not return
                self._process.kill()
            self._process = self._connection = None

    def _ask(self, task: tuple[Any, ...]) -> Iterator[Message]:
        """Messages until the one that ends the task."""
        if self._connection is None:
            self._start()
        assert self._connection is not None
        self._connection.send(task)
        while True:
            if not self._connection.poll(self.options.patience):
                raise TimeoutError
            message: Message = self._connection.recv()
            yield message
            if message[0] != "about":
                return

    def _start(self) -> None:
        # A fork of a server that has imported everything and run nothing: ready at once, and with no memory of its own.
        # Where there is no such server, on Windows, importing anew does as well.
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload([__name__])
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self.options))
        self._process.start()
        theirs.close()


def serve(connection: Connection, options: Options) -> None:
    """The process: answers tasks until the other end is closed."""
    machine: Machine | None = None
    while True:
        try:
            kind, group, argument = connection.recv()
        except EOFError:
            return
        try:
            torch.set_num_threads(options.threads or group.case.threads)
            if kind == "peak":
                connection.send(("peak", peak_of(group, argument)))
                continue
            machine = machine or (Cpu() if options.device == "cpu" else Gpu(options.cold))
            rows = measure(group.case, group.shape, machine, lambda who: connection.send(("about", who)), argument)
            connection.send(("rows", rows))
        except Exception as error:  # told to the other end
            connection.send(("error", f"{type(error).__name__}: {error}"[:300]))


def peak_of(group: Group, contestant: Contestant) -> int:
    """Peak memory of one call above what was resident before it, on the CPU."""
    case, shape = group.case, group.shape
    provider = next(provider for provider in case.providers if provider.name == contestant.provider)
    setting = Setting(Cpu.backend, contestant.precision)
    small = Shape(_WARM_UP, shape.dimension, max(1, _WARM_UP * shape.classes // shape.count))
    provider.prepare(case.make(small, Cpu.device), setting)()
    call = provider.prepare(case.make(shape, Cpu.device), setting)
    clear_peak()
    before = peak_memory()
    call()
    return peak_memory() - before
