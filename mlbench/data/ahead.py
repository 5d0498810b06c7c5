"""Things made by threads before they are asked for, and memory to make them in."""

import math
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

#: Numbers up to which the allocator has room that needs no clearing.
_SMALL = 2**16
Thing = TypeVar("Thing")
#: Has a function called with arguments, now or soon.
Submit: TypeAlias = Callable[..., None]


def made(begin: Callable[[Submit], Thing], count: int, threads: int, ahead: int) -> Iterator[Thing]:
    """What ``begin`` returns, ``count`` times, each when all that it submitted has been done.

    ``begin`` is called by the caller's thread and in order, what it submits by the threads and in any.

    Args:
        begin: Is given what it submits its work to.
        count: How many things.
        threads: How many work; 0 does the work when a thing is asked for.
        ahead: How many are begun before the one in use is given back.
    """
    if not threads:
        for _ in range(count):
            yield begin(lambda work, *arguments: work(*arguments))
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[Thing, list[Future[Any]]]] = deque()
        coming = (_begun(begin, pool) for _ in range(count))
        try:
            waiting.extend(islice(coming, ahead))
            while waiting:
                thing, parts = waiting.popleft()
                waiting.extend(islice(coming, 1))
                for part in parts:
                    part.result()
                yield thing
        finally:
            pool.shutdown(cancel_futures=True)


def _begun(begin: Callable[[Submit], Thing], pool: ThreadPoolExecutor) -> tuple[Thing, list[Future[Any]]]:
    parts: list[Future[Any]] = []
    return begin(lambda work, *arguments: parts.append(pool.submit(work, *arguments))), parts


class Rooms:
    """Memory for batches, which is used again when nobody holds the batch any more.

    The system clears fresh memory page by page, which takes as long as filling it. What is small comes from torch.

    Args:
        pinned: Whether it is page-locked, for copies to a GPU beside its work; torch itself keeps such memory.
    """

    def __init__(self, *, pinned: bool = False) -> None:
        self._pinned = pinned
        self._free: list[npt.NDArray[np.float32]] = []

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """A tensor of any content: float32 of this shape."""
        if self._pinned:
            return torch.empty(shape, pin_memory=True)
        if math.prod(shape) <= _SMALL:
            return torch.empty(shape)
        memory = self._free.pop() if self._free else None
        if memory is None or memory.shape != shape:
            memory = np.empty(shape, np.float32)
        lent = memory.view()
        # The storage of the tensor, which all views of it share, holds what is lent.
        weakref.finalize(lent, self._free.append, memory).atexit = False
        return torch.from_numpy(lent)
