"""A comparison as Markdown for a pull request, and as JSON."""

import json
from dataclasses import asdict

from mlbench.perf.comparison import Comparison
from mlbench.perf.statistics import Interval

_FOOT = "Ratio of the least times of all rounds with its 98% interval; processor time, one thread, both sides in turns."
_MARKS = {"slower": "❌", "hungrier": "❌", "undecided": "❔", "failed": "❔", "gone": "❔"}


def as_markdown(comparison: Comparison) -> str:
    """The verdict in one line, then a table, the worst first."""
    lines = [
        f"### Performance: {_summary(comparison)}",
        "",
        f"{comparison.base} → {comparison.head}, {comparison.machine}",
    ]
    lines += [f"\n**{text}**" for text in comparison.troubles]
    lines += ["", "| | operation | verdict | time, head / base | |", "|-|-|-|-|-|"]
    for one in comparison.verdicts:
        cells = [
            _MARKS.get(one.state, "✅"),
            f"`{one.name}`",
            one.state,
            _ratio(one.ratio),
            one.cause.replace("|", "\\|"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", _FOOT]
    return "\n".join(lines) + "\n"


def as_json(comparison: Comparison) -> str:
    """Everything, for programs."""
    verdict = {"refused": comparison.refused, "undecided": comparison.undecided}
    return json.dumps(verdict | asdict(comparison), indent=1) + "\n"


def _summary(comparison: Comparison) -> str:
    if not comparison.verdicts:
        return "nothing was compared"
    bad = [one.state for one in comparison.verdicts if one.state in _MARKS]
    counts = [f"{bad.count(state)} {state}" for state in dict.fromkeys(bad)]
    counts += ["times that say nothing"] if comparison.troubles else []
    return ", ".join(counts) or f"{len(comparison.verdicts)} operations, none slower or hungrier"


def _ratio(ratio: Interval | None) -> str:
    return "" if ratio is None else f"{ratio.middle:.3f} ({ratio.low:.3f} to {ratio.high:.3f})"
