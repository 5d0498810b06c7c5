"""Batches ready for the model, made ahead of time by threads."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mlbench.api.sampler import GroupedBatch, Indices
from mlbench.data.ahead import Rooms, Submit, made
from mlbench.data.images import ImageView, are_vectors
from mlbench.data.on_device import OnDevice
from mlbench.data.transforms import EvalTransform, TrainTransform

#: Batches that are made ahead of the one in use.
_AHEAD = 2
#: Numbers that one call transforms at least: enough that handing it to a thread costs little beside.
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
        snapshot: Gives what must be known to go on from there; called after every draw that is ahead of its use.
        resident: Transforms in place of ``transform``, which then only draws, if the images lie on a device.

    Attributes:
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
        resident: OnDevice | None = None,
    ) -> None:
        self._view = view
        self._batches = batches
        self._transform = transform
        self._generator = generator
        self._views = views
        self._threads = threads
        self._rooms = Rooms(pinned=pinned)
        self._snapshot = snapshot
        self._resident = resident
        self._state: Any = None
        self.waited = 0.0

    @property
    def state(self) -> Any:
        """What ``snapshot`` gives after the draw of the batch that was handed out last.

        None before the first where threads make batches ahead.
        """
        return self._state if self._threads else self._snapshot()  # without threads that batch was the last drawn

    def take(self, count: int) -> Iterator[Batch]:
        """The next ``count`` batches."""
        coming = made(self._begin, count, self._threads, _AHEAD)
        while True:
            started = time.perf_counter()
            begun = next(coming, None)
            self.waited += time.perf_counter() - started
            if begun is None:
                return
            batch, self._state = begun
            del begun  # the caller alone holds it
            yield batch

    def _begin(self, submit: Submit) -> tuple[Batch, Any]:
        """Draw the next batch and have it made."""
        drawn = next(self._batches)
        indices, groups = (drawn.indices, drawn.groups) if isinstance(drawn, GroupedBatch) else (drawn, None)
        views = tuple(self._transformed(indices, submit) for _ in range(self._views))
        return Batch(indices, groups, views), self._snapshot() if self._threads else None

    def _transformed(self, indices: Indices, submit: Submit) -> Tensor:
        images = self._view.images(indices)
        if isinstance(images, Tensor) and are_vectors(images):
            return images
        transform = self._transform
        draws = transform.draw(images, self._generator)
        if self._resident:
            return self._resident(indices, draws)
        out = self._rooms.take(transform.shape(images))
        if not self._threads or out.numel() <= _PIXELS:  # small images are made so fast that cutting would show
            submit(transform.apply, images, draws, out)
            return out
        for part in _parts(out, self._threads):
            submit(transform.apply, images[part], draws.part(part), out[part])
        return out


def evaluated(
    view: ImageView, transform: EvalTransform, size: int, *, threads: int = 0, pinned: bool = False
) -> Iterator[Tensor]:
    """All items of a view in their order, ``size`` at a time, transformed for evaluation.

    Args:
        view: The items; vectors pass as they are.
        transform: For evaluation.
        size: Items of a batch; the last may have fewer.
        threads: Threads that make the next batch while one is in use; 0 makes each when it is asked for.
        pinned: Whether batches lie in page-locked memory.
    """
    rooms, starts = Rooms(pinned=pinned), iter(range(0, len(view), size))

    def begin(submit: Submit) -> Tensor:
        start = next(starts)
        images = view.images(range(start, min(start + size, len(view))))
        if isinstance(images, Tensor) and are_vectors(images):
            return images
        out = rooms.take(transform.shape(images))
        for part in _parts(out, threads):
            submit(transform.apply, images[part], out[part])
        return out

    return made(begin, len(range(0, len(view), size)), threads, ahead=1)


def _parts(out: Tensor, threads: int) -> list[slice]:
    """Parts of a batch that one call transforms: as many as there are threads, unless they became too small.

    Fewer would leave threads without work, more make them wait for one another: between its images a thread needs the
    interpreter's lock.
    """
    count = len(out)
    step = max(1, _PIXELS * count // out.numel(), -(-count // max(threads, 1)))
    return [slice(start, start + step) for start in range(0, count, step)]
