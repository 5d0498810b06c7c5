"""The life of a worker process: requests in on standard input, news out on standard output, one JSON object a line."""

import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any, TextIO

from mlbench.api.errors import MlbenchError
from mlbench.execution.worker import Context, Worker


def serve() -> None:
    """Work until the coordinator closes the pipe."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a component prints goes to standard error, not into the conversation
    context = Context(**json.loads(sys.stdin.readline())["context"])
    worker: Worker | None = None
    for line in sys.stdin:
        message = json.loads(line)
        try:
            worker = worker or Worker(context)
            worker.run(message["request"], partial(_tell, out, "told", message["job"]))
            _tell(out, "done", message["job"])
        except MlbenchError as error:
            _tell(out, "fatal", message["job"], {"error": type(error).__name__, "text": str(error)})


def _tell(out: TextIO, kind: str, job: str, content: Mapping[str, Any] | None = None) -> None:
    try:
        out.write(json.dumps({"kind": kind, "job": job, "content": content and dict(content)}) + "\n")
        out.flush()
    except OSError:
        os._exit(0)  # the coordinator is gone: nobody wants the result any more


if __name__ == "__main__":
    serve()
