"""One run's record."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from mlbench.api.errors import StoreError
from mlbench.search import Curve
from mlbench.spec import canonical_json, digest

#: Version of the stored format.
FORMAT = 1


def in_words(failures: Mapping[str, int]) -> str:
    """Failures by outcome as text.

    >>> in_words({"diverged": 1, "collapsed": 2})
    '2 collapsed, 1 diverged'
    """
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(failures.items()))


class Record(BaseModel):
    """What a run leaves behind.

    Attributes:
        run: SHA-256 of the canonical JSON of ``request``.
        request: Everything that could change the result.
        outcome: ``completed``; ``diverged`` (the loss or the embeddings stopped being finite); ``collapsed`` (all
            embeddings became equal); ``failed`` (an error).
        results: What was measured; empty unless completed.
        error: What went wrong, for a run that did not complete.
        cost: Seconds, peak memory, images per second: the only part that differs between two equal runs, together
            with ``environment``.
        provenance: Where every component used comes from: distribution, version, commit, source hash.
        environment: Versions, machine, and the backend that ran each rule of `mlbench_kernels`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = 1
    run: str
    request: dict[str, Any]
    outcome: Literal["completed", "diverged", "collapsed", "failed"]
    results: dict[str, Any] = {}
    error: str | None = None
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
    def score(self) -> float | None:
        """The validation MAP@R that selection sees; None unless the run completed. A test record scores 1 for done."""
        if self.outcome != "completed":
            return None
        return float(self.results["best"]["map_at_r"]) if "best" in self.results else 1.0

    @property
    def curve(self) -> Curve | None:
        """The validations of a training; None of a test, and unless the run completed."""
        if "curve" not in self.results:
            return None
        points = tuple((int(entry["epoch"]), float(entry["map_at_r"])) for entry in self.results["curve"])
        return Curve(points, stopped=self.results.get("stopped_early", False))

    def to_json(self) -> str:
        """Canonical JSON, one line."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, text: str | bytes, source: str) -> "Record":
        """Parse and verify.

        Raises:
            StoreError: If the text is torn, of another format, or its request does not hash to its name.
        """
        try:
            record = cls.model_validate(json.loads(text))
            found = digest(record.request)  # fails on a NaN, which `json` reads but no record holds
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{source}: not a run record ({str(error).splitlines()[0]})") from None
        if found != record.run:
            raise StoreError(f"{source}: its request does not match its hash; it was changed after it was written")
        return record
