"""What a store says when a study is over, and what should not be there any more."""

import json
import re

from mlbench.store import Store

#: All that a finished study has.
_BELONGS = re.compile(
    r"store\.json|events\.jsonl|(leaderboard|search|search-cost|cost)\.\w+|logs/\w+\.log"
    r"|runs/\w+(/(record\.json|model\.safetensors))?|runs|logs|leases|requests|checkpoints"
)


def said(folder):
    """What two equal studies have in common, to the byte: records but for cost and provenance, models, tables.

    Provenance names the installation and cost the effort; the checksum is of both.
    """
    found = {}
    for record in Store(folder).records():
        content = record.model_dump(mode="json", exclude={"cost", "provenance"})
        found[record.run] = json.dumps(content, sort_keys=True)
    for file in [*folder.glob("runs/*/*.safetensors"), *folder.glob("leaderboard.*"), *folder.glob("search.*")]:
        found[str(file.relative_to(folder))] = file.read_bytes()
    return found


def difference(folder, expected):
    """Names of what is not as expected, missing or too much."""
    found = said(folder)
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def left_over(folder):
    """What a finished study should not have: half-written files, leases, checkpoints, things set aside."""
    names = (str(path.relative_to(folder)) for path in folder.rglob("*"))
    return sorted(name for name in names if not _BELONGS.fullmatch(name))


class Committed:
    """Records that were seen: none may vanish or change, not even in what it cost."""

    def __init__(self, folder):
        self._folder = folder
        self._seen = {}

    def look(self):
        """Paths of records that are not as they were when they were first seen."""
        found = self._folder.glob("runs/[!.]*/record.json")
        now = {str(path.relative_to(self._folder)): path.read_bytes() for path in found}
        changed = sorted(name for name, content in self._seen.items() if now.get(name) != content)
        self._seen = now | self._seen
        return changed


def done_twice(folder):
    """Logs of runs that were completed more often than once."""
    return sorted(path.name for path in folder.glob("logs/*.log") if path.read_text().count("mlbench: completed") > 1)
