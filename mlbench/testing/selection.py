"""Which components a name means. Imports none of them."""

import difflib
from collections.abc import Iterator

from mlbench.api import UnknownNameError
from mlbench.registry import KINDS, Entry, entries, find


def select(name: str) -> list[Entry]:
    """The components that ``name`` means: ``kind/id``, an id or a bare name of any kind, or a whole distribution.

    Raises:
        UnknownNameError: If there are none, or ``kind/name`` is not unique; with the nearest names.

    >>> [f"{entry.kind}/{entry.id}" for entry in select("triplet-margin")]
    ['losses/mlbench/triplet-margin', 'miners/mlbench/triplet-margin']
    """
    kind, _, rest = name.partition("/")
    if kind in KINDS and rest:
        return [find(kind, rest, "check")]
    installed = [entry for kind in KINDS for entry in entries(kind)]
    found = [entry for entry in installed if name in _names(entry)]
    if found:
        return found
    near = difflib.get_close_matches(name, sorted({each for entry in installed for each in _names(entry)}), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`mlbench ls` shows all that is installed"
    raise UnknownNameError(f"check: {name!r} is no component and no installed distribution with components; {hint}")


def _names(entry: Entry) -> Iterator[str]:
    yield from (entry.id, entry.name, entry.distribution)
