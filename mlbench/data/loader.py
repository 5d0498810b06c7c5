"""Batches ready for the model, made ahead of time by threads."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mlbench.api.sampler import GroupedBatch, Indices
from mlbench.data.images import ImageView, Pixels, are_vectors
from mlbench.data.transforms import TrainTransform

#: Batches that are made ahead of the one in use.
_AHEAD = 2
#: Pixels that one call transforms: they stay in the processor's cache.
_PIXELS = 2**19


@dataclass(frozen=True)
class Batch:
    """A batch of a training.

    Attributes:
        indices: Places of the images in the view. ``[B]``
        groups: What the sampler says of them, if it groups. ``[B]``
        views: The images, transformed; twice, each with its own chance, where the loss wants a second view.
    """

    indices: Indices
    groups: Indices | None
    views: tuple[Tensor, ...]


class _Begun(NamedTuple):
    """A batch that is ready when all its parts are."""

    batch: Batch
    parts: list["Future[None]"]
    state: Any


class Loader:
    """Takes a sampler's batches and transforms their images.

    What is random is drawn here, batch after batch from one generator: image i of batch k gets the same random numbers
    whatever the number of threads. Nothing is drawn beyond the batches that were asked for: after them, sampler and
    generator stand as if all had been made in step. Between two of them they are ahead, which is what `state` is for.

    Args:
        view: The images.
        batches: The sampler's stream.
        transform: For training.
        generator: The only source of randomness.
        views: How many times every batch is transformed.
        threads: Threads that make batches ahead; 0 makes each when it is asked for.
        pinned: Whether batches lie in page-locked memory, for copies to a GPU beside its work.
        snapshot: Called after every draw: what must be known to go on from there.

    Attributes:
        state: What ``snapshot`` returned after the draw of the batch that was handed out last.
        waited: Seconds that the caller has waited for batches.
    """

    def __init__(
        self,
        view: ImageView,
        batches: Iterator[Indices | GroupedBatch],
        transform: TrainTransform,
        generator: torch.Generator,
        *,
        views: int = 1,
        threads: int = 0,
        pinned: bool = False,
        snapshot: Callable[[], Any] = lambda: None,
    ) -> None:
        self._view = view
        self._batches = batches
        self._transform = transform
        self._generator = generator
        self._views = views
        self._threads = threads
        self._pinned = pinned
        self._snapshot = snapshot
        self.state: Any = None
        self.waited = 0.0

    def take(self, count: int) -> Iterator[Batch]:
        """The next ``count`` batches."""
        made = self._ahead(count) if self._threads else (self._begin(None) for _ in range(count))
        while True:
            started = time.perf_counter()
            begun = next(made, None)
            self.waited += time.perf_counter() - started
            if begun is None:
                return
            self.state = begun.state
            yield begun.batch

    def _ahead(self, count: int) -> Iterator["_Begun"]:
        with ThreadPoolExecutor(self._threads) as threads:
            waiting: deque[_Begun] = deque()
            coming = (self._begin(threads) for _ in range(count))
            try:
                waiting.extend(islice(coming, _AHEAD))
                while waiting:
                    begun = waiting.popleft()
                    waiting.extend(islice(coming, 1))
                    for part in begun.parts:
                        part.result()
                    yield begun
            finally:
                threads.shutdown(cancel_futures=True)

    def _begin(self, threads: Executor | None) -> "_Begun":
        """Draw the next batch and make it, at once or by threads."""
        drawn = next(self._batches)
        indices, groups = (drawn.indices, drawn.groups) if isinstance(drawn, GroupedBatch) else (drawn, None)
        images = self._view.images(indices)
        parts: list[Future[None]] = []
        views = tuple(self._transformed(images, threads, parts) for _ in range(self._views))
        return _Begun(Batch(indices, groups, views), parts, self._snapshot())

    def _transformed(self, images: Pixels, threads: Executor | None, parts: list["Future[None]"]) -> Tensor:
        if isinstance(images, Tensor) and are_vectors(images):
            return images
        transform = self._transform
        draws, out = transform.draw(images, self._generator), transform.empty(images, pinned=self._pinned)
        step = max(1, _PIXELS // out[0].numel())
        for start in range(0, len(images), step):
            stop = start + step
            work = (images[start:stop], draws.part(start, stop), out[start:stop])
            if threads:
                parts.append(threads.submit(transform.apply, *work))
            else:
                transform.apply(*work)
        return out
