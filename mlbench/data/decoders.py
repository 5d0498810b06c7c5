"""Processes that decode images, so that preparing a dataset uses all cores."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from mlbench.api.dataset import Dataset
from mlbench.api.errors import DataError
from mlbench.data.chunks import Ints, write_chunk
from mlbench.data.first_resize import decoded
from mlbench.registry import resolve, use_file
from mlbench.registry.child import python_module

#: Images between two words of progress.
_STEP = 32

#: Called with the number of images that were decoded since the last call.
Count = Callable[[int], None]


@dataclass(frozen=True)
class Decoders:
    """How many processes decode, and what they must know to make the dataset for themselves.

    Attributes:
        dataset: Id and arguments of the dataset.
        plugins: Files of un-packaged code.
        processes: How many.
    """

    dataset: Mapping[str, Any]
    plugins: Sequence[str] = ()
    processes: int = 1

    def write(self, chunks: Sequence[tuple[Path, Ints]], resize: int | None, count: Count) -> None:
        """Write these chunks.

        Raises:
            DataError: If a process dies, or cannot write; chunks that were finished stay.
        """
        lock, waiting = Lock(), iter(chunks)

        def told(images: int) -> None:
            with lock:
                count(images)

        def work(decoder: _Decoder) -> None:
            while True:
                with lock:
                    chunk = next(waiting, None)
                if chunk is None:
                    return
                decoder.write(*chunk, told)

        with ExitStack() as stack:
            processes = min(self.processes, len(chunks))
            decoders = [stack.enter_context(_Decoder(self, resize)) for _ in range(processes)]
            threads = stack.enter_context(ThreadPoolExecutor(processes))
            try:
                for ended in as_completed([threads.submit(work, decoder) for decoder in decoders]):
                    ended.result()
            except BaseException:  # Ctrl-C too: a thread ends when its process does
                for decoder in decoders:
                    decoder.kill()
                raise


class _Decoder:
    """One process; JSON over its standard input and output, one message a line."""

    def __init__(self, decoders: Decoders, resize: int | None) -> None:
        command, environment = python_module(__name__)
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # A session of its own: Ctrl-C in the terminal reaches the parent alone; the child sees its pipe closed.
            start_new_session=True,
        )
        self._say({"dataset": decoders.dataset, "plugins": list(decoders.plugins), "resize": resize})

    def __enter__(self) -> "_Decoder":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.communicate()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def write(self, path: Path, items: Ints, count: Count) -> None:
        self._say({"path": str(path), "items": items.tolist()})
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            if "error" in answer:
                raise DataError(answer["error"])
            if "done" in answer:
                return
            count(answer["images"])
        raise DataError(
            f"a process that prepares images died (exit code {self._process.wait()}); give the command again to go on "
            "where it was, with fewer --workers if memory ran out"
        )

    def _say(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # `write` hears that it died


def write_counted(path: Path, dataset: Dataset, items: Ints, resize: int | None, count: Count) -> None:
    """Decode and write one chunk here.

    Raises:
        DataError: If it cannot be written.
    """

    def counted() -> Iterator[Any]:
        for start in range(0, len(items), _STEP):
            part = items[start : start + _STEP]
            yield from decoded(dataset, part, resize)
            count(len(part))

    try:
        write_chunk(path, counted())
    except OSError as error:
        raise DataError(
            f"{path.parent}: prepared images cannot be written: {error.strerror}; free some space, or set "
            "MLBENCH_CACHE to a folder on another disk. What is finished stays, and the same command goes on"
        ) from error


def main() -> None:
    """Write chunks until the parent closes the pipe."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a dataset prints goes to standard error, not into the conversation

    def say(**message: Any) -> None:
        try:
            print(json.dumps(message), file=out, flush=True)
        except OSError:
            os._exit(0)  # the parent is gone

    about = json.loads(sys.stdin.readline())
    try:
        for file in about["plugins"]:
            use_file(file)
        dataset: Dataset = resolve("datasets", about["dataset"], "dataset").build()
        for line in sys.stdin:
            chunk = json.loads(line)
            items = np.array(chunk["items"], np.int64)
            write_counted(Path(chunk["path"]), dataset, items, about["resize"], lambda images: say(images=images))
            say(done=True)
    except Exception as error:
        say(error=f"{error}" if isinstance(error, DataError) else f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
