"""What a call does, counted: the same on every machine, however busy."""

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch.profiler import ProfilerActivity, profile


@dataclass(frozen=True)
class Counts:
    """One call on the CPU.

    Attributes:
        operators: Operators of torch that were dispatched, those inside others included.
        allocations: Tensors' memory asked for.
        bytes: Most memory of tensors in use at once above what was before, plus the same of Python and NumPy.
        flops: Floating-point operations of matrix products, convolutions, additions and multiplications, as torch's
            profiler counts them.
    """

    operators: int
    allocations: int
    bytes: int
    flops: int


def counted(call: Callable[[], object]) -> Counts:
    """Count what a call does.

    It is made three times: first so that what only first calls do is over, then once for each way of counting.

    Args:
        call: Does the same work each time.

    >>> left, right = torch.ones(8, 16), torch.ones(16, 4)
    >>> counts = counted(lambda: left @ right)
    >>> counts.flops, counts.allocations
    (1024, 1)
    """
    call()
    seen = _seen(call)
    return replace(seen, bytes=seen.bytes + _python_bytes(call))


def peak_bytes(call: Callable[[], object]) -> int:
    """Most memory in use at once during a call above what was before: ``Counts.bytes``, and of a GPU where it is used.

    On a GPU what torch's allocator hands out counts; on the CPU tensors, Python and NumPy. What a library allocates
    past both is not seen.
    """
    call()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        torch.cuda.synchronize()
        return int(torch.cuda.max_memory_allocated()) - before
    return _seen(call).bytes + _python_bytes(call)


def _seen(call: Callable[[], object]) -> Counts:
    """What torch's profiler sees; of the bytes those of tensors."""
    gc.collect()
    # Not a dispatch mode: it sees custom operators from outside alone.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, with_flops=True) as profiled:
        call()
    # The summary by operator hides when memory was given back; the raw events are in order.
    events = list(profiled.profiler.kineto_results.events())
    memory = [event.nbytes() for event in events if event.name() == "[memory]"]
    used = most = 0
    for change in memory:
        used += change
        most = max(most, used)
    operators = sum(event.name().startswith("aten::") for event in events)
    flops = sum(event.flops or 0 for event in profiled.events())
    return Counts(operators, sum(change > 0 for change in memory), most, int(flops))


def _python_bytes(call: Callable[[], object]) -> int:
    """Most bytes that Python and NumPy had in use above what was before."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
