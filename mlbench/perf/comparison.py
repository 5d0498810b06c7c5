"""What became of every operation between two sides."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from mlbench.perf.sessions import Session
from mlbench.perf.verdict import REFUSED, UNDECIDED, Verdict

_ORDER = (*REFUSED, *UNDECIDED, "new", "faster", "same")


@dataclass(frozen=True)
class Comparison:
    """What became of every operation between two sides.

    Attributes:
        base: Name and revision of the one.
        head: Name and revision of the other.
        verdicts: By operation, the worst first.
        machine: The processor.
        troubles: Why none of the times can be believed.
    """

    base: str
    head: str
    verdicts: tuple[Verdict, ...]
    machine: str
    troubles: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, base: str, head: str, verdicts: Iterable[Verdict], machine: Mapping[str, Any], troubles: Iterable[str] = ()
    ) -> "Comparison":
        """Put the worst first; ``machine`` is as pytest-benchmark describes it."""
        ranked = sorted(verdicts, key=lambda one: (_ORDER.index(one.state), one.name))
        cpu = machine.get("cpu", {}).get("brand_raw", "") or str(machine.get("machine", ""))
        return cls(base, head, tuple(ranked), cpu, tuple(sorted(troubles)))

    @property
    def refused(self) -> bool:
        """Whether something became slower or hungrier."""
        return any(one.state in REFUSED for one in self.verdicts)

    @property
    def undecided(self) -> bool:
        """Whether nothing could be said of something, or nothing was there to compare."""
        return not self.verdicts or bool(self.troubles) or any(one.state in UNDECIDED for one in self.verdicts)


def missing(was: Set[str], now: Set[str]) -> list[Verdict]:
    """What only one side has: gone, which is no pass, or new."""
    gone = [Verdict(name, "gone", cause="base has it, on head it was removed or skipped") for name in was - now]
    return gone + [Verdict(name, "new", cause="nothing to compare with") for name in now - was]


#: Of one operation: base's seconds in every round, and head's.
Times = tuple[list[float], list[float]]


def times(pairs: Iterable[tuple[Session, Session]]) -> dict[str, Times]:
    """By operation, what rounds measured of both sides."""
    found: dict[str, Times] = defaultdict(lambda: ([], []))
    for was, now in pairs:
        for name in was.seconds.keys() & now.seconds.keys():
            found[name][0].append(max(was.seconds[name], 1e-12))
            found[name][1].append(now.seconds[name])
    return found
