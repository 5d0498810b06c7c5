"""Progress as plain lines, for logs and pipes."""

import time
from typing import TextIO

#: Seconds between two lines on the same step.
_PAUSE = 10.0


class Lines:
    """Says when a step begins, and every few seconds how far it is and how long it will take.

    >>> import sys
    >>> watch = Lines(sys.stdout)
    >>> watch("unpacking CUB_200_2011.tgz", 0, 100)
    unpacking CUB_200_2011.tgz
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._step = ""
        self._begun = self._told = 0.0
        self._start = 0

    def __call__(self, what: str, done: int, total: int) -> None:
        """``done`` of ``total`` units of step ``what`` are done; 0 where the total is unknown."""
        now = time.monotonic()
        if what != self._step:
            self._step, self._begun, self._told, self._start = what, now, now, done
            print(what, file=self._stream, flush=True)
        elif now - self._told >= _PAUSE and done > self._start and total:
            self._told = now
            left = (now - self._begun) / (done - self._start) * (total - done)
            print(f"{what}: {done / total:.0%}, {left:.0f} s left", file=self._stream, flush=True)
