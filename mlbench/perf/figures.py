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
        self._sections: list[tuple[str, str]] = []
        self._data: dict[str, Any] = {}
        self._load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0

    def add(self, title: str, text: str, data: Any) -> None:
        """Add a section.

        Args:
            title: Its heading.
            text: Markdown: the table, and what must be known to read it.
            data: The same for programs: what JSON can say, and `Measurement`.
        """
        print(f"\n{title}\n\n{text}")
        self._sections.append((title, text))
        self._data[title] = data

    def write(self, folder: Path) -> Path:
        """Write ``README.md`` and ``figures.json`` into a folder of this device's in ``folder``.

        Returns:
            The page; what an earlier call wrote is replaced.
        """
        about = self._about()
        page = folder / slug(about["device"]) / "README.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        content = {"about": about, "sections": self._data}
        page.with_name("figures.json").write_text(
            json.dumps(content, indent=1, default=asdict) + "\n", encoding="utf-8"
        )
        lines = [f"# End to end on {about['device']}", "", "Written by `make perf`. A report, not a gate.", ""]
        lines += [f"- {name}: {value}" for name, value in about.items()]
        for title, text in self._sections:
            lines += ["", f"## {title}", "", text]
        page.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return page

    def _about(self) -> dict[str, Any]:
        try:
            peer = version("sentence-transformers")
        except PackageNotFoundError:
            peer = "not installed"
        return environment("cpu", cold=False) | {
            "sentence-transformers": peer,
            "revision": revision(),
            "date": datetime.now(UTC).date().isoformat(),
            "processes that wanted a core when it began": f"{self._load:.1f}",
        }
