"""The store: a folder that holds one recipe's records.

    store.json              what the records belong to
    runs/<run>/record.json  one folder a run, renamed into place when complete; models beside it
    records.jsonl           the records of a published store, packed into one file
    events.jsonl            what happened when

Nothing is ever deleted on error: what cannot be trusted is set aside under ``rejected/``.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from mlbench.api.errors import StoreError
from mlbench.store.atomic import explained, staged_folder, write_synced, write_text
from mlbench.store.record import FORMAT, Record


class Store:
    """Records of one recipe under ``path``."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    # -- what it belongs to --------------------------------------------------------------------------------------

    @property
    def header(self) -> dict[str, Any]:
        """The content of ``store.json``.

        Raises:
            StoreError: If the folder is no store.
        """
        file = self.path / "store.json"
        try:
            header: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StoreError(f"{self.path}: no store here (store.json is missing); `mlbench run` makes one") from None
        except (OSError, ValueError) as error:
            raise StoreError(f"{file}: damaged ({error}); restore it or choose another --store") from None
        if not isinstance(header, dict):
            raise StoreError(f"{file}: damaged (not a table); restore it or choose another --store")
        if header.get("format") != FORMAT:
            raise StoreError(f"{file}: format {header.get('format')!r}, this mlbench reads {FORMAT}")
        return header

    def claim(self, recipe: Mapping[str, Any], methods: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Bind the store to a recipe, or check that it is bound to this one. New methods are added.

        Args:
            recipe: Identity of the recipe, without its methods.
            methods: Identity of every method, by name.
            about: What else readers need (the benchmark as a table, the dataset's facts).

        Raises:
            StoreError: If it belongs to another recipe, or a method of that name is another one there.
        """
        if not (self.path / "store.json").exists() and any(self.path.glob("[!.]*")):
            raise StoreError(f"{self.path}: not empty and no store; choose another folder with --store")
        held: dict[str, Any] = {}
        if (self.path / "store.json").exists():
            header = self.header
            _check_same(self.path, header["recipe"], recipe)
            held = header["methods"]
            for name in methods.keys() & held.keys():
                if held[name] != methods[name]:
                    change = _difference(held[name], methods[name])
                    raise StoreError(
                        f"{self.path}: holds another method called {name!r} ({change}); "
                        f"give yours another name or choose another --store"
                    )
        self._mkdir(self.path / "runs")
        header = {"format": FORMAT, "recipe": recipe, "methods": {**held, **methods}, **about}
        write_text(self.path / "store.json", json.dumps(header, indent=1, sort_keys=True, ensure_ascii=False) + "\n")

    # -- records -------------------------------------------------------------------------------------------------

    def folder(self, run: str) -> Path:
        """Where a run's record and files are."""
        return self.path / "runs" / run[:32]

    def get(self, run: str) -> Record | None:
        """The record of a finished run; None if there is none that can be trusted."""
        return self._trusted(self.folder(run))

    def commit(self, record: Record, files: Mapping[str, bytes] | None = None) -> None:
        """Add a finished run; if another writer was first, theirs stays.

        Raises:
            StoreError: If the disk is full or not writable.
        """
        with staged_folder(self.folder(record.run)) as staging:
            for name, content in (files or {}).items():
                write_synced(staging / name, content)
            write_synced(staging / "record.json", record.to_json().encode())

    def forget(self, record: Record) -> None:
        """Set a record aside, so that its run is done again."""
        self._set_aside(self.folder(record.run))

    def records(self) -> Iterator[Record]:
        """All records, in the order of their runs' hashes, each run once.

        Raises:
            StoreError: If a packed record cannot be trusted.
        """
        found = {record.run: record for record in self._packed()}
        for file in (self.path / "runs").glob("[!.]*/record.json"):
            record = self._trusted(file.parent)
            if record is not None:
                found.setdefault(record.run, record)
        yield from (found[run] for run in sorted(found))

    # -- inner ---------------------------------------------------------------------------------------------------

    def _packed(self) -> Iterator[Record]:
        file = self.path / "records.jsonl"
        if file.is_file():
            # Not `splitlines`: it also splits at characters that JSON leaves as they are inside a text.
            for number, line in enumerate(file.read_bytes().split(b"\n"), 1):
                if line:
                    yield Record.from_json(line, f"{file}:{number}")

    def _trusted(self, folder: Path) -> Record | None:
        """The record in ``folder``; None if there is no folder, or none that belongs there: then it is set aside.

        A folder without a record is set aside too, or it would stand in the way of the run that is done again.
        """
        file = folder / "record.json"
        try:
            record = Record.from_json(file.read_bytes(), str(file))
            if folder == self.folder(record.run):
                return record
        except (FileNotFoundError, StoreError):
            pass
        except OSError as error:
            raise StoreError(f"{file}: cannot be read: {error.strerror}") from None
        if folder.exists():
            self._set_aside(folder)
        return None

    def _set_aside(self, folder: Path) -> None:
        rejected = self.path / "rejected"
        self._mkdir(rejected)
        names = (rejected / f"{folder.name}-{number}" for number in count())
        with explained(rejected):
            folder.rename(next(name for name in names if not name.exists()))

    def _mkdir(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{folder}: cannot be made: {error.strerror}; choose another folder with --store"
            ) from None


def _check_same(path: Path, held: Any, wanted: Any) -> None:
    if held != json.loads(json.dumps(wanted)):
        raise StoreError(
            f"{path}: belongs to another plan ({_difference(held, wanted)}); "
            f"choose another folder with --store, or leave it out for one of its own"
        )


def _difference(held: Any, wanted: Any) -> str:
    left, right = _flat(held), _flat(json.loads(json.dumps(wanted)))
    changed = [key for key in sorted(left.keys() | right.keys()) if left.get(key) != right.get(key)]
    shown = [f"{key}: {left.get(key)!r} there, {right.get(key)!r} here" for key in changed[:3]]
    return "; ".join(shown) + (f"; and {len(changed) - 3} more" if len(changed) > 3 else "")


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {
            k: v for key, item in value.items() for k, v in _flat(item, f"{prefix}.{key}" if prefix else key).items()
        }
    return {prefix: value}
