"""The store: a folder that holds one recipe's records.

    store.json              what the records belong to
    runs/<run>/record.json  one folder a run, renamed into place when complete; models beside it
    records.jsonl           the records of a published store, packed into one file
    events.jsonl            what happened when
    logs/<run>.log          what a run printed
    checkpoints/<run>/      where a training can go on that is unfinished or failed
    parts/<training>/       the same of one that is done in parts
    leases/                 who works on what now
    requests/               what a running coordinator is asked to do
    quarantine/             what could not be trusted, with the reasons

Nothing is ever deleted on error: what cannot be trusted is set aside.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlbench.api.errors import StoreError
from mlbench.spec import digest
from mlbench.store.atomic import check_disk, staged_folder, write_synced, write_text
from mlbench.store.differences import difference
from mlbench.store.header import merged_header, read_header
from mlbench.store.lease import Leases
from mlbench.store.parts import is_part, whole
from mlbench.store.quarantine import Quarantine, made
from mlbench.store.record import Record

#: Lease of whoever writes the header, or clears up.
HEADER_LEASE = "header"
#: What every record shares with the recipe of its store.
_SHARED = ("dataset", "model", "transforms")


class Store:
    """Records of one recipe under ``path``."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.leases = Leases(self.path / "leases")
        self.quarantine = Quarantine(self.path / "quarantine")
        self._runs = self.path / "runs"
        self._known: dict[str, Any] = {}

    # -- what it belongs to --------------------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether there is a store."""
        return (self.path / "store.json").exists()

    @property
    def header(self) -> dict[str, Any]:
        """The content of ``store.json``.

        Raises:
            StoreError: If the folder is no store.
        """
        return read_header(self.path)

    def claim(
        self,
        recipe: Mapping[str, Any],
        methods: Mapping[str, Any],
        about: Mapping[str, Any],
        proposed_by: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Bind the store to a recipe, or check that it is bound to this one. New methods are added.

        Args:
            recipe: Identity of the recipe, without its methods.
            methods: Identity of every method, by name.
            about: What else readers need (the benchmark as a table, the dataset's facts).
            proposed_by: Name and version of the library that proposes trials, by method, where one does. It is kept of
                methods that are new.

        Raises:
            StoreError: If it belongs to another recipe, or a method of that name is another one there, or another
                version proposed its trials, or the disk cannot keep two writers apart.
        """
        if not self.exists and any(map(_is_foreign, self.path.glob("[!.]*"))):
            raise StoreError(f"{self.path}: not empty and no store; choose another folder with --store")
        if self.exists:
            merged_header(self.path, recipe, methods, about, proposed_by)  # refused before anything is written
        made(self.path / "runs")
        lease = self.leases.wait_for(HEADER_LEASE)  # another coordinator may be adding its methods
        try:
            check_disk(self.path)
            header = merged_header(self.path, recipe, methods, about, proposed_by)
            text = json.dumps(header, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
            write_text(self.path / "store.json", text)
        finally:
            lease.release()

    # -- places --------------------------------------------------------------------------------------------------

    def folder(self, run: str) -> Path:
        """Where a run's record and files are."""
        return self._runs / run[:32]

    def log(self, run: str) -> Path:
        """Where what a run prints goes."""
        return self.path / "logs" / f"{run[:32]}.log"

    def state(self, request: Mapping[str, Any]) -> Path:
        """Where a training's checkpoints are while it is not finished, or its trial may still be continued."""
        return self.path / ("parts" if is_part(request) else "checkpoints") / digest(whole(request))[:32]

    # -- records -------------------------------------------------------------------------------------------------

    def get(self, run: str) -> Record | None:
        """The record of a finished run; None if there is none that can be trusted."""
        return self._trusted(self.folder(run))

    def commit(self, record: Record, files: Mapping[str, bytes] | None = None) -> None:
        """Add a finished run; if another writer was first, theirs stays.

        Raises:
            StoreError: If the disk is full or not writable.
        """
        files = files or {}
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        with staged_folder(self.folder(record.run)) as staging:
            for name, content in files.items():
                write_synced(staging / name, content)
            text = record.model_copy(update={"files": hashes}).to_json() if files else record.to_json()
            write_synced(staging / "record.json", text.encode())

    def read(self, run: str, name: str) -> bytes:
        """A file beside a record, checked against the record's hash of it.

        Raises:
            StoreError: If the file is gone or was changed; its run is set aside, to be done again.
        """
        file = self.folder(run) / name
        record = self.get(run)
        try:
            content = file.read_bytes()
        except OSError as error:
            problem = f"is gone ({error.strerror})"
        else:
            expected = record.files.get(name) if record else None
            if expected is None or expected == hashlib.sha256(content).hexdigest():
                return content  # records of format 1 have no hashes of their files
            problem = "is not what the run left (its hash differs)"
        if record is not None:
            self.quarantine.take(file.parent, f"{file}: {problem}")
        raise StoreError(
            f"{file}: {problem}; its run was set aside in {self.path / 'quarantine'}, "
            f"give the same command again to train it again"
        )

    def forget(self, record: Record, why: str) -> None:
        """Set a record aside, so that its run is done again."""
        self.quarantine.take(self.folder(record.run), why)

    def records(self) -> Iterator[Record]:
        """All records, in the order of their runs' hashes, each run once.

        Raises:
            StoreError: If a packed record cannot be trusted, or two records of one run disagree.
        """
        found: dict[str, tuple[Record, str]] = {}
        for record, place in self._packed():
            _add(found, record, place)
        for file in (self.path / "runs").glob("[!.]*/record.json"):
            if (trusted := self._trusted(file.parent)) is not None:
                _add(found, trusted, str(file))
        yield from (found[run][0] for run in sorted(found))

    def others(self, runs: Collection[str]) -> Iterator[Record]:
        """Records of other runs than these, without reading theirs; not packed ones, which cannot be moved."""
        known = {self.folder(run).name for run in runs}
        for folder in (self.path / "runs").glob("[!.]*"):
            if folder.name not in known and (record := self._trusted(folder)) is not None:
                yield record

    # -- inner ---------------------------------------------------------------------------------------------------

    def _packed(self) -> Iterator[tuple[Record, str]]:
        file = self.path / "records.jsonl"
        if file.is_file():
            # Not `splitlines`: it also splits at characters that JSON leaves as they are inside a text.
            for number, line in enumerate(file.read_bytes().split(b"\n"), 1):
                if line:
                    yield Record.from_json(line, f"{file}:{number}"), f"{file}:{number}"

    def _trusted(self, folder: Path) -> Record | None:
        """The record in ``folder``; None if there is no folder, or none that belongs there: then it is set aside.

        A folder without a record is set aside too, or it would stand in the way of the run that is done again.
        """
        file = folder / "record.json"
        try:
            if (content := _content(file, folder)) is None:
                return None
            record = Record.from_json(content, str(file))
            problem = self._foreign(record, folder)
            if not problem:
                return record
        except FileNotFoundError:
            problem = f"{file}: missing"
        except StoreError as error:
            problem = str(error)
        except OSError as error:
            raise StoreError(f"{file}: cannot be read: {error.strerror}") from None
        self.quarantine.take(folder, problem)
        return None

    def _foreign(self, record: Record, folder: Path) -> str:
        """Why a record that is sound does not belong here; empty if it does."""
        if folder != self.folder(record.run):
            return f"{folder}: holds the record of {record.run[:32]}"
        for part in _SHARED:
            here, there = self._recipe.get(part), record.request.get(part)
            if here is not None and there is not None and here != there:
                return f"{folder}: a record of another plan ({part}: {difference(there, here)})"
        return ""

    @property
    def _recipe(self) -> dict[str, Any]:
        """The recipe; empty where there is no header, as in a store that was only copied in part."""
        if not self._known and self.exists:
            self._known = self.header["recipe"]
        return self._known


def _content(file: Path, folder: Path) -> bytes | None:
    """What is in a file whose folder appears as a whole, perhaps between two looks; None if there is no folder."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return file.read_bytes() if folder.exists() else None


def _is_foreign(path: Path) -> bool:
    """Whether something cannot have been left by a claim that was killed."""
    return path.name not in ("runs", "leases") or (path.name == "runs" and any(path.iterdir()))


def _add(found: dict[str, tuple[Record, str]], record: Record, place: str) -> None:
    first, where = found.setdefault(record.run, (record, place))
    if first.what_it_says() != record.what_it_says():
        change = difference(first.what_it_says(), record.what_it_says())
        raise StoreError(
            f"{where} and {place} disagree about one run ({change}); "
            f"find out which of them is right and move the other one away"
        )
