"""One run's record."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from mlbench.api.errors import StoreError
from mlbench.spec import canonical_json, digest

#: Version of the stored format of a record. Records of format 1 have no checksum of their own; they are still read.
FORMAT = 2
#: What format 1 does not have.
_SINCE_2 = {"reason", "files"}


def in_words(failures: Mapping[str, int]) -> str:
    """Failures by reason as text.

    >>> in_words({"diverged": 1, "collapsed": 2})
    '2 collapsed, 1 diverged'
    """
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(failures.items()))


class Record(BaseModel):
    """What a run leaves behind.

    On disk it has one field more, ``checksum``: the SHA-256 of the canonical JSON of all others.

    Attributes:
        run: SHA-256 of the canonical JSON of ``request``.
        request: Everything that could change the result.
        outcome: ``completed``; ``diverged`` (the loss or the embeddings stopped being finite); ``collapsed`` (all
            embeddings became equal); ``failed`` (an error, or the end of its process).
        results: What was measured; empty unless completed.
        error: What went wrong, for a run that did not complete.
        reason: Why a run failed: ``error`` (an exception), ``memory``, ``killed`` (signal 9, which is also what the
            system sends when memory runs out), ``crash`` (another signal or exit code), ``timeout``.
        files: SHA-256 of every file beside the record, by name.
        cost: Seconds, peak memory, images per second: the only part that differs between two equal runs, together
            with ``environment``.
        provenance: Where every component used comes from: distribution, version, commit, source hash.
        environment: Versions, machine, and the backend that ran each rule of `mlbench_kernels`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1, 2] = 2
    run: str
    request: dict[str, Any]
    outcome: Literal["completed", "diverged", "collapsed", "failed"]
    results: dict[str, Any] = {}
    error: str | None = None
    reason: Literal["error", "memory", "killed", "crash", "timeout"] | None = None
    files: dict[str, str] = {}
    cost: dict[str, float] = {}
    provenance: list[dict[str, str]] = []
    environment: dict[str, str] = {}

    @property
    def method(self) -> str:
        """Name of the method it belongs to."""
        return str(self.request["job"]["method"])

    @property
    def role(self) -> str:
        """``trial``, ``reproduction`` or ``test``."""
        return str(self.request["job"]["role"])

    @property
    def number(self) -> int:
        """Number of the trial or the reproduction."""
        return int(self.request["job"]["number"])

    @property
    def fold(self) -> int | None:
        """Its fold, None for a test of all of them."""
        fold: int | None = self.request["job"]["fold"]
        return fold

    @property
    def score(self) -> float | None:
        """The validation MAP@R that selection sees; None unless the run completed. A test record scores 1 for done."""
        if self.outcome != "completed":
            return None
        return float(self.results["best"]["map_at_r"]) if "best" in self.results else 1.0

    @property
    def epochs(self) -> int:
        """At which epoch the last validation of a training was; 0 of a test, and unless the run completed."""
        curve = self.results.get("curve")
        return int(curve[-1]["epoch"]) if curve else 0

    @property
    def rung(self) -> int | None:
        """Which part of a trial that may be stopped early."""
        rung: int | None = self.request["job"].get("rung")
        return rung

    @property
    def why(self) -> str:
        """Why there is no result, in a word: ``diverged``, ``memory``, ...; of old records ``failed``."""
        return self.reason or self.outcome

    def to_json(self) -> str:
        """Canonical JSON, one line; a record of format 1 is written as it was read."""
        if self.format == 1:
            return canonical_json(self.model_dump(mode="json", exclude=_SINCE_2))
        content = self.model_dump(mode="json")
        return canonical_json(content | {"checksum": digest(content)})

    @classmethod
    def from_json(cls, text: str | bytes, source: str) -> "Record":
        """Parse and verify.

        Raises:
            StoreError: If the text is torn, of another format, was changed after it was written, or its request does
                not hash to its name.
        """
        try:
            content = json.loads(text)
            checksum = _taken_out(content)
            record = cls.model_validate(content)
            found = digest(record.request)  # fails on a NaN, which `json` reads but no record holds
            unchanged = record.format == 1 or _as_written(text, checksum) or checksum == digest(content)
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{source}: not a run record ({str(error).splitlines()[0]})") from None
        if found != record.run:
            raise StoreError(f"{source}: its request does not match its hash; it was changed after it was written")
        if not unchanged:
            raise StoreError(f"{source}: does not match its checksum; it was changed after it was written")
        return record

    def what_it_says(self) -> dict[str, Any]:
        """What two records of one run must agree on: all but cost and circumstances, which no two runs share."""
        return self.model_dump(mode="json", exclude={"format", "reason", "files", "cost", "environment", "provenance"})


def _as_written(text: str | bytes, checksum: str | None) -> bool:
    """Whether a text is what `Record.to_json` wrote, to the byte: the quickest way to know that nobody changed it."""
    # The first key of canonical JSON; what is left without it is what it is of.
    head = f'{{"checksum":"{checksum}",'.encode()
    written = text.encode() if isinstance(text, str) else text
    return written.startswith(head) and sha256(b"{" + written[len(head) :]).hexdigest() == checksum


def _taken_out(content: Any) -> str | None:
    """The checksum; what is left is what it is of, in the format that the content claims."""
    if not isinstance(content, dict):
        return None
    if content.get("format") == 1:
        if unknown := sorted(content.keys() & {*_SINCE_2, "checksum"}):
            raise ValueError(f"format 1 has no {unknown[0]}")
        return None
    checksum: str | None = content.pop("checksum", None)
    return checksum
