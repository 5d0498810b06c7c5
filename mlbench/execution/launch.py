"""The other processes of a run that has several: started with it, ended with it, and its failure if they fail."""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from mlbench.api.errors import ConfigError
from mlbench.execution.failures import how_it_died, out_of_memory
from mlbench.registry.child import python_module
from mlbench.training.ranks import ALONE, Ranks, Several

#: Where the ranks of a run meet: they are all on this machine.
_HOST = "127.0.0.1"
#: Seconds for the ranks to meet, once all have their data open.
_MEETING = 300
#: Seconds for a rank to end after another one saw it fail, or after the run is over.
_ENDING = 10


class RankDied(Exception):
    """A rank of a run ended before the run did.

    Attributes:
        reason: Why, as a record has it.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def ranks_of(request: Mapping[str, Any]) -> int:
    """How many processes a job has: a training may have several."""
    trains = request["task"] != "test" and request["loss"] is not None
    return request["training"].get("ranks", 1) if trains else 1


@contextmanager
def launched(context: Mapping[str, Any], request: Mapping[str, Any]) -> Iterator[Ranks]:
    """The ranks of a training, of which this process is the first.

    Args:
        context: The `Context` of this process's worker; the others get it too, each with a device of its own.
        request: What they train.

    Raises:
        RankDied: If one of the others ends before the block does.
    """
    if (world := ranks_of(request)) == 1:
        yield ALONE
        return
    devices = devices_of(context["device"], world)
    store = meeting(world)
    with ExitStack() as ending:
        others = [ending.enter_context(closing(_Rank(rank, world))) for rank in range(1, world)]
        for other in others:
            told = {**context, "device": devices[other.rank]}
            place = {"rank": other.rank, "world_size": world, "port": store.port}
            other.tell({"context": told, "request": request, **place})
        for other in others:
            other.wait_until_ready()
        try:
            with joined(store, 0, world, devices[0]) as ranks:
                yield ranks
        except RuntimeError as error:  # what torch's collectives raise, wherever they surface
            if (died := None if out_of_memory(error) else _died(others, error)) is not None:
                raise died from error
            raise


def meeting(world_size: int, port: int | None = None) -> Any:
    """Where ranks meet: on a port that is open, or on one that is opened here, then its ``port``."""
    return dist.TCPStore(  # type: ignore[attr-defined]  # public, but not in its stubs
        _HOST,
        port or 0,
        world_size,
        is_master=port is None,
        wait_for_workers=False,
        timeout=timedelta(seconds=_MEETING),
    )


@contextmanager
def joined(store: Any, rank: int, world_size: int, device: str) -> Iterator[Ranks]:
    """Be one of the ranks that meet at a store, inside the block."""
    cuda = torch.device(device).type == "cuda"
    if cuda:
        torch.cuda.set_device(device)
    # Plain data cross by the CPU, so that a rank that waits for another's validation does not occupy its GPU.
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world_size)
    try:
        yield Several()
    finally:
        dist.destroy_process_group()


def devices_of(device: str, ranks: int) -> list[str]:
    """A device for each rank: GPUs from the given one on, or the CPU for all.

    >>> devices_of("cpu", 2)
    ['cpu', 'cpu']

    Raises:
        ConfigError: If there are too few.
    """
    if ranks == 1 or device == "cpu":
        return [device] * ranks
    first = torch.device(device)
    numbers = range(first.index or 0, (first.index or 0) + ranks)
    if first.type != "cuda" or numbers[-1] >= torch.cuda.device_count():
        raise ConfigError(
            f"training.ranks: {ranks} ranks need as many CUDA devices from {device} on, there are "
            f"{torch.cuda.device_count()} in all; lower it, or set runtime.device"
        )
    return [f"cuda:{number}" for number in numbers]


def _died(others: Sequence["_Rank"], error: RuntimeError) -> RankDied | None:
    """The end of other ranks, if that is what an error is about; not if they met with the same one."""
    deadline = time.monotonic() + _ENDING
    found = [died for other in others if (died := other.died(deadline)) is not None]
    if not found or any(f"{type(error).__name__}: {error}" in str(died) for died in found):
        return None
    return RankDied(found[0].reason, "\n".join(map(str, found)))


class _Rank:
    """A process that runs ``python -m mlbench.execution.rank``. It ends when its standard input does."""

    def __init__(self, rank: int, world_size: int) -> None:
        self.rank = rank
        self._name = f"rank {rank} of {world_size}"
        command, environment = python_module("mlbench.execution.rank")
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)

    def tell(self, order: Mapping[str, Any]) -> None:
        """What to do."""
        assert self._process.stdin is not None
        with suppress(OSError):  # it died: `wait_until_ready` says so
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()

    def wait_until_ready(self) -> None:
        """Return when it has opened its data.

        Raises:
            RankDied: If it has not.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line != "ready\n":
            raise self._how_it_died(line)

    def died(self, deadline: float) -> RankDied | None:
        """How it ended; None if it has not by then, or if it came to its end."""
        assert self._process.stdout is not None
        with suppress(subprocess.TimeoutExpired):
            if self._process.wait(max(0.0, deadline - time.monotonic())):
                return self._how_it_died(self._process.stdout.readline())
        return None

    def close(self) -> None:
        """End it, however far it is."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _how_it_died(self, line: str) -> RankDied:
        if line:  # what it raised
            said = json.loads(line)
            return RankDied(said["reason"], f"{self._name}: {said['error']}")
        reason, text = how_it_died(self._process.wait(), "")
        return RankDied(reason, f"{self._name}: {text}")
