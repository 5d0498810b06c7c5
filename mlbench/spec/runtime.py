"""Where and how fast a benchmark runs."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mlbench.spec.base import Table, runtime


class Slurm(Table):
    """What SLURM is asked for, for every run, in the words of ``sbatch``.

    ``time`` is in minutes: a run that is not done then writes a checkpoint and is queued again. ``options`` are further
    options of ``sbatch``; ``setup`` are lines of shell before the run. ``cluster = "local"`` is submitit's stand-in
    without SLURM, to try things out on one machine.
    """

    cluster: Literal["slurm", "local"] = runtime("slurm")
    partition: str | None = runtime(None)
    time: int = runtime(60, ge=5)
    gres: str | None = runtime(None)
    mem: str | None = runtime(None)
    account: str | None = runtime(None)
    qos: str | None = runtime(None)
    constraint: str | None = runtime(None)
    setup: Annotated[tuple[str, ...], Field(strict=False)] = runtime(())
    options: dict[str, str | int | bool] = runtime({})


class Runtime(Table):
    """Where and how fast: nothing here can change a result.

    ``executor`` says who runs the runs; ``workers`` how many at once, 0 in this process. ``device`` may list several
    GPUs (``cuda:0,cuda:1``), and ``slots`` runs share each. ``address`` is that of a Ray cluster (``auto``: the one of
    this machine). ``loaders`` threads of each worker make batches ahead, 0 makes them in step; by default 0 on the CPU,
    whose cores train, and the cores that the workers leave on a GPU. ``images`` are read from ``mapped`` files and cut
    by these threads, or copied to the ``device`` at the start of a training and cut there. ``timeout`` is in seconds
    and for one attempt at a run; ``retries`` is how many further attempts a run gets whose process died or ran out of
    memory (an error or a NaN would come again); ``checkpoint_every`` is in seconds; ``fail_fast`` stops everything at
    the first run that fails.
    """

    executor: Literal["local", "inprocess", "ray", "slurm"] = runtime("local")
    workers: int | None = runtime(None, ge=0)
    device: str = runtime("cpu")
    slots: int = runtime(1, ge=1)
    address: str | None = runtime(None)
    slurm: Slurm = runtime(Slurm())
    loaders: int | None = runtime(None, ge=0)
    images: Literal["mapped", "device"] = runtime("mapped")
    retries: int = runtime(2, ge=0)
    timeout: float | None = runtime(None, gt=0)
    checkpoint_every: float = runtime(60.0, ge=0)
    fail_fast: bool = runtime(False)

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices, one by one.

        >>> Runtime(device="cuda:0,cuda:1").devices
        ('cuda:0', 'cuda:1')
        """
        return tuple(device.strip() for device in self.device.split(","))

    @property
    def in_process(self) -> bool:
        """Whether runs have no processes of their own."""
        return self.executor == "inprocess" or self.workers == 0

    @model_validator(mode="after")
    def _executor_can_do_that(self) -> "Runtime":
        engine = self.executor in ("ray", "slurm")
        if self.address is not None and self.executor != "ray":
            raise ValueError(f"address: for executor ray, not {self.executor}")
        if self.slurm != Slurm() and self.executor != "slurm":
            raise ValueError(f"slurm: for executor slurm, not {self.executor}")
        if engine and self.workers == 0:
            raise ValueError(
                f"workers: 0 runs in this process, executor {self.executor} does not; leave one of them out"
            )
        if engine and self.device not in ("cpu", "cuda"):
            raise ValueError(
                f"device: {self.executor} chooses among GPUs itself; write cpu or cuda, got {self.device!r}"
            )
        if len(self.devices) > 1 and not all(device.startswith("cuda:") for device in self.devices):
            raise ValueError(f"device: a list names GPUs, as in cuda:0,cuda:1, got {self.device!r}")
        if len(self.devices) > 1 and self.in_process:
            raise ValueError(f"device: one process uses one device, got {self.device!r}")
        if self.slots > 1 and (self.device == "cpu" or self.executor == "slurm"):
            raise ValueError(
                "slots: so many runs share a GPU of executor local or ray; elsewhere workers says how many"
            )
        return self
