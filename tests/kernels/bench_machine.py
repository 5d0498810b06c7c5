"""Stand-ins for a GPU and for a participant that takes its process down."""

import os
from typing import NamedTuple

import torch
from mlbench_kernels.bench.case import OURS, Case, Provider, Shape, Verdict
from mlbench_kernels.bench.timing import Timed


class Pretended:
    """Behaves as a GPU does towards `measure`, on the CPU, with a clock that a call moves on by a millisecond."""

    kind, device, backend, timer, compiles = "cuda", torch.device("cpu"), "triton", "events", True

    def __init__(self):
        self.now = 0.0

    def mark(self):
        self.now += 0.0005
        return self.now

    def seconds(self, start, stop):
        return 2 * (stop - start)

    def finish(self): ...

    def free(self):
        return 1 << 20

    def watch(self): ...

    def peak(self):
        return 123

    def prepare(self, call, seconds, capturable):
        return Timed(call, 1, seconds)

    def before_each(self): ...

    def clock_mhz(self):
        return 1980


def doubled(batch, setting):
    return lambda: 2 * batch


TROUBLE = Case(
    "doubling",
    lambda shape, device: torch.ones(shape.count, shape.dimension, device=device),
    lambda batch: lambda answer, precision: Verdict(0, 1, float((answer - 2 * batch).abs().max()), 0.0),
    (
        Provider(OURS, doubled, lambda answer: answer),
        Provider("wrong", lambda batch, setting: lambda: batch, lambda answer: answer),
        Provider("raises", lambda batch, setting: lambda: [][0]),
        Provider("dies", lambda batch, setting: lambda: os._exit(7)),
        Provider("absent", lambda batch, setting: __import__("no_such_package")),
        Provider("hungry", doubled, pair_bytes=1e18),
    ),
    cpu=(Shape(4, 3, 2),),
    gpu=(),
)


class Trouble(NamedTuple):
    """Stands for a `Group`."""

    operation: str = TROUBLE.operation
    shape: Shape = TROUBLE.cpu[0]

    @property
    def case(self):
        return TROUBLE
