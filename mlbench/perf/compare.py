"""Two versions of a package, measured in turns on one machine."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlbench.perf import sessions
from mlbench.perf.sessions import Session
from mlbench.perf.sides import PerfError, Side
from mlbench.perf.verdict import REFUSED, UNDECIDED, Verdict, counted, timed

#: Rounds of a first look, and of a second look at what seemed slower or was undecided.
FIRST, SECOND = 7, 15


@dataclass(frozen=True)
class Comparison:
    """What became of every operation between two sides.

    Attributes:
        base: Name and revision of the one.
        head: Name and revision of the other.
        verdicts: By operation, the worst first.
        machine: The processor.
    """

    base: str
    head: str
    verdicts: tuple[Verdict, ...]
    machine: str

    @property
    def refused(self) -> bool:
        """Whether something became slower or hungrier."""
        return any(one.state in REFUSED for one in self.verdicts)

    @property
    def undecided(self) -> bool:
        """Whether nothing could be said of something, or nothing was there to compare."""
        return not self.verdicts or any(one.state in UNDECIDED for one in self.verdicts)


def compare(
    base: Side,
    head: Side,
    benchmarks: Sequence[Path],
    tell: Callable[[str], None] = lambda text: None,
    *,
    only: str = "",
    first: int = FIRST,
    second: int = SECOND,
) -> Comparison:
    """Count both sides once, then time them in fresh processes in turns; who begins changes from round to round.

    What seems slower or is undecided after the first rounds is measured again, by itself and more often, and only the
    second measurement counts: chance would have to strike twice.

    Args:
        base: What it was.
        head: What it is now.
        benchmarks: Files or folders, the same for both.
        tell: Is told how far things are.
        only: Names of benchmarks, as pytest's ``-k`` takes them.
        first: Rounds for everything.
        second: Rounds for what needs a second look.

    Raises:
        PerfError: If a process cannot run.
    """
    tell("counting")
    was, now = (sessions.run(benchmarks, [side.site], only=only, count=True) for side in (base, head))
    verdicts = {verdict.name: verdict for verdict in _one_sided(was, now)}
    both = sorted(was.counts.keys() & now.counts.keys())
    hungrier = {one.name: one for name in both if (one := counted(name, was.counts[name], now.counts[name])).cause}
    found = _timed(base, head, benchmarks, only, first, tell) if both else {}
    again = [name for name in both if found.get(name, Verdict(name, "failed")).state in ("slower", "undecided")]
    if again:
        tell(f"a second look at {len(again)} of {len(both)}")
        names = " or ".join(sorted({_test(name) for name in again}))
        second_look = _timed(base, head, benchmarks, names, second, tell)
        found |= {name: second_look[name] for name in again if name in second_look}
    for name in both:
        verdicts[name] = _worse(hungrier.get(name), found.get(name, Verdict(name, "failed", cause="it was not timed")))
    order = [*REFUSED, *UNDECIDED, "new", "faster", "same"]
    ranked = sorted(verdicts.values(), key=lambda one: (order.index(one.state), one.name))
    cpu = now.machine.get("cpu", {}).get("brand_raw", "") or str(now.machine.get("machine", ""))
    return Comparison(f"{base.name} ({base.revision[:12]})", f"{head.name} ({head.revision[:12]})", tuple(ranked), cpu)


def compare_files(base: Sequence[Session], head: Sequence[Session]) -> list[Verdict]:
    """Compare files that pytest-benchmark wrote, the first of the one with the first of the other and so on.

    Raises:
        PerfError: If the files are from different machines: no ratio of their times means anything.
    """
    machines = {_machine(session) for session in (*base, *head)}
    if len(machines) > 1:
        raise PerfError(
            "the files are from different machines or versions of Python, so their times say nothing: "
            f"{' and '.join(' '.join(machine) for machine in sorted(machines))}"
        )
    return [timed(name, ratios) for name, ratios in sorted(_ratios(zip(base, head, strict=True)).items())]


def _timed(
    base: Side, head: Side, benchmarks: Sequence[Path], only: str, rounds: int, tell: Callable[[str], None]
) -> dict[str, Verdict]:
    pairs = []
    for number in range(rounds):
        tell(f"round {number + 1} of {rounds}")
        order = (base, head) if number % 2 == 0 else (head, base)
        ran = {side.site: sessions.run(benchmarks, [side.site], only=only) for side in order}
        pairs.append((ran[base.site], ran[head.site]))
    return {name: timed(name, ratios) for name, ratios in _ratios(pairs).items()}


def _ratios(pairs: Iterable[tuple[Session, Session]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for was, now in pairs:
        for name in was.seconds.keys() & now.seconds.keys():
            found[name].append(now.seconds[name] / max(was.seconds[name], 1e-12))
    return found


def _one_sided(was: Session, now: Session) -> Iterable[Verdict]:
    """Benchmarks that gave nothing on one side or on both."""
    for name, cause in now.failures.items():
        yield Verdict(name, "failed", cause=f"on head: {cause}")
    for name, cause in was.failures.items():
        if name not in now.failures:
            # The benchmarks are head's: what base cannot do yet is new.
            yield Verdict(name, "new", cause=f"nothing to compare with, base says: {cause}")


def _worse(hungrier: Verdict | None, found: Verdict) -> Verdict:
    if hungrier is None or found.state == "slower":
        return found if hungrier is None else replace(found, cause=f"{found.cause}; {hungrier.cause}")
    return replace(hungrier, ratio=found.ratio)


def _test(name: str) -> str:
    """The function of a benchmark, as ``-k`` finds it."""
    return name.rpartition("::")[2].partition("[")[0]


def _machine(session: Session) -> tuple[str, ...]:
    about = session.machine
    cpu = about.get("cpu", {}).get("brand_raw", "?")
    return str(about.get("node", "?")), str(cpu), str(about.get("python_version", "?"))
