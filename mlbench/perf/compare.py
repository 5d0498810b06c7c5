"""Two versions of a package, measured in turns on one machine."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mlbench.perf import gpu, sessions
from mlbench.perf.comparison import Comparison, Times, missing, times
from mlbench.perf.sessions import Session
from mlbench.perf.sides import Side
from mlbench.perf.verdict import Verdict, counted, timed

#: Rounds of a first look, and of a second look at what seemed slower or was undecided.
FIRST, SECOND = 7, 15
#: A second look that decides nothing is continued up to so many times its rounds.
_LONGEST = 4


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
    second measurement counts: chance would have to strike twice. While it decides nothing it is continued. What is
    hungrier is refused as it is.

    Args:
        base: What it was. Benchmarks that it alone has are named as gone.
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
    own = base.files(benchmarks)
    before = was if sessions.equal(own, benchmarks) else sessions.run(own, [base.site], only=only, count=True)
    verdicts = {one.name: one for one in _one_sided(before, was, now)}
    both = sorted(was.counts.keys() & now.counts.keys())
    hungrier = {one.name: one for name in both if (one := counted(name, was.counts[name], now.counts[name])).cause}
    rounds = _Rounds(base, head, benchmarks, tell, was.gpu or now.gpu)
    found = _judged(rounds.times(only, first)) if both else {}
    again = [name for name in found.keys() - hungrier.keys() if found[name].state in ("slower", "undecided")]
    if again:
        tell(f"a second look at {len(again)} of {len(both)}")
        found |= _second_look(rounds, again, second)
    for name in both:
        verdicts[name] = found.get(name, Verdict(name, "failed", cause="it was not timed"))
    verdicts |= {name: replace(one, ratio=verdicts[name].ratio) for name, one in hungrier.items()}
    named = (f"{side.name} ({side.revision})" for side in (base, head))
    return Comparison.of(next(named), next(named), verdicts.values(), now.machine, rounds.troubles)


class _Rounds:
    """Times both sides in turns; keeps what was wrong with a GPU meanwhile, if the benchmarks use one."""

    def __init__(
        self, base: Side, head: Side, benchmarks: Sequence[Path], tell: Callable[[str], None], on_gpu: bool
    ) -> None:
        self._sides, self._benchmarks, self._tell, self._on_gpu = (base, head), benchmarks, tell, on_gpu
        self.troubles: set[str] = set()

    def times(self, only: str, count: int) -> dict[str, Times]:
        pairs = []
        for number in range(count):
            self._tell(f"round {number + 1} of {count}")
            pairs.append(self._one(only, reverse=number % 2 == 1))
        return times(pairs)

    def _one(self, only: str, reverse: bool) -> tuple[Session, Session]:
        ran = {}
        for side in reversed(self._sides) if reverse else self._sides:
            with gpu.watched(self.troubles if self._on_gpu else set()):
                ran[side.site] = sessions.run(self._benchmarks, [side.site], only=only)
        base, head = self._sides
        return ran[base.site], ran[head.site]


def _judged(found: Mapping[str, Times]) -> dict[str, Verdict]:
    return {name: timed(name, *values) for name, values in found.items()}


def _second_look(rounds: _Rounds, names: Sequence[str], count: int) -> dict[str, Verdict]:
    seen: dict[str, Times] = {name: ([], []) for name in names}
    found: dict[str, Verdict] = {}
    undecided = list(names)
    for _ in range(_LONGEST):
        more = rounds.times(" or ".join(sorted({_test(name) for name in undecided})), count)
        for name in undecided:
            for values, others in zip(seen[name], more.get(name, ()), strict=False):
                values += others
        found |= _judged({name: seen[name] for name in undecided})
        undecided = [name for name in undecided if found[name].state == "undecided"]
        if not undecided:
            break
    return found


def _one_sided(before: Session, was: Session, now: Session) -> Iterable[Verdict]:
    """Benchmarks that gave nothing on one side or on both.

    Args:
        before: Base with its own benchmarks.
        was: Base with head's benchmarks: what it cannot do yet is new.
        now: Head.
    """
    for name, cause in now.failures.items():
        yield Verdict(name, "failed", cause=f"on head: {cause}")
    for one in missing(before.counts.keys() | was.counts.keys(), now.counts.keys()):
        file = one.name.partition("::")[0]
        says = was.failures.get(one.name, was.failures.get(file, ""))
        if one.state == "new" and says:
            yield replace(one, cause=f"{one.cause}, base says: {says}")
        elif one.name not in now.failures and file not in now.failures:
            yield one


def _test(name: str) -> str:
    """The function of a benchmark, as ``-k`` finds it."""
    return name.rpartition("::")[2].partition("[")[0]
