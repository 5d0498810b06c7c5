"""Why a run failed: from an exception, or from how its process ended and what it said last."""

import re
import signal
import traceback

import torch

#: Exit code of a process that was asked to stop and can go on: EX_TEMPFAIL.
STOPPED = 75
#: Reasons that another attempt may not meet again.
WORTH_RETRYING = frozenset({"memory", "killed", "crash"})
#: Lines of its log that the record of a process that died keeps.
_LAST = 25
_TIMEOUT = re.compile(r"^Timeout \(.*\)!$", re.MULTILINE)
_NO_MEMORY = re.compile(r"can't allocate memory|out of memory|not enough memory", re.IGNORECASE)


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, of the host or of a device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error)))


def tail_of(error: BaseException) -> str:
    """The end of a traceback."""
    return "".join(traceback.format_exception(error)[-4:])


def how_it_died(code: int, said: str) -> tuple[str, str]:
    """Reason and text of a process that ended without a result.

    Args:
        code: Its exit code; negative: the signal.
        said: The last lines of its log.
    """
    if code == 1 and (found := _TIMEOUT.search(said)):
        return "timeout", f"it took longer than runtime.timeout\n{said[found.start() :]}"
    said = "\n".join(said.splitlines()[-_LAST:])
    if code == -9:
        hint = "signal 9 is what the system sends when memory runs out"
        return "killed", f"the worker process died (signal 9); {hint}\n{said}".rstrip()
    how = f"signal {-code}, {_name(-code)}" if code < 0 else f"exit code {code}"
    return "crash", f"the worker process died ({how})\n{said}".rstrip()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
