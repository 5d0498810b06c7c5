"""A web server on this machine that offers one file, well or badly."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Offer:
    """What is offered, how, and what was asked for.

    `breaks_after` ends the next answer after so many bytes, once; `resumes` says whether ranges are understood.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.breaks_after: int | None = None
        self.resumes = True
        self.ranges: list[str | None] = []
        self.url = ""


@contextmanager
def offering(content: bytes) -> Iterator[Offer]:
    offer = Offer(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            offer.ranges.append(asked)
            start = int(re.findall(r"bytes=(\d+)-", asked)[0]) if asked and offer.resumes else 0
            if self.path == "/missing.zip":
                self.send_error(404)
            elif start >= len(offer.content):
                self.send_error(416)
            else:
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(offer.content) - start))
                self.end_headers()
                stop, offer.breaks_after = offer.breaks_after, None
                self.wfile.write(offer.content[start : None if stop is None else start + stop])

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    offer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield offer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
