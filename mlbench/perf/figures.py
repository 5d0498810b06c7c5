"""What several benchmarks measured end to end, on one page for every device: to see, never a gate."""

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mlbench_kernels.bench.environment import environment, slug

from mlbench.perf.sides import revision


class Figures:
    """Sections in the order in which they came, and what they were measured with."""

    def __init__(self) -> None:
        self._sections: dict[str, dict[str, Any]] = {}
        self._measured = {
            "revision": revision(),
            "date": datetime.now(UTC).date().isoformat(),
            "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
        }

    def add(self, title: str, text: str, data: Any) -> None:
        """Add a section.

        Args:
            title: Its heading.
            text: Markdown: the table, and what must be known to read it.
            data: The same for programs: what JSON can say, and `Measurement`.
        """
        print(f"\n{title}\n\n{text}")
        self._sections[title] = {**self._measured, "text": text, "data": data}

    def write(self, folder: Path) -> Path:
        """Write ``README.md`` and ``figures.json`` into a folder of this device's in ``folder``.

        Sections take the place of older ones; others stay if they were measured with the same versions.

        Returns:
            The page.
        """
        about = _about()
        page = folder / slug(about["device"]) / "README.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        file = page.with_name("figures.json")
        sections = _kept(file, about) | self._sections
        content = {"about": about, "sections": sections}
        file.write_text(json.dumps(content, indent=1, default=asdict) + "\n", encoding="utf-8")
        lines = [f"# End to end on {about['device']}", "", "Written by `make perf`. A report, not a gate.", ""]
        lines += [f"- {name}: {value}" for name, value in about.items()]
        for title, section in sections.items():
            when = "At {revision} on {date}; {load} processes wanted a core when it began.".format(**section)
            lines += ["", f"## {title}", "", section["text"], "", when]
        page.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return page


def _kept(file: Path, about: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Sections that were written before, if everything that they were measured with is still the same."""
    if not file.exists():
        return {}
    content = json.loads(file.read_text(encoding="utf-8"))
    sections: dict[str, dict[str, Any]] = content["sections"]
    return sections if content["about"] == about else {}


def _about() -> dict[str, Any]:
    try:
        peer = version("sentence-transformers")
    except PackageNotFoundError:
        peer = "not installed"
    return environment("cpu", cold=False) | {"sentence-transformers": peer}
