"""The header of a store, ``store.json``: what its records belong to."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlbench.api.errors import StoreError
from mlbench.store.differences import difference

#: Version of its format.
HEADER = 1


def read_header(store: Path) -> dict[str, Any]:
    """The header of a store.

    Raises:
        StoreError: If the folder is no store, or its header is damaged or of another format.
    """
    file = store / "store.json"
    try:
        header: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{store}: no store here (store.json is missing); `mlbench run` makes one") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{file}: damaged ({error}); restore it or choose another --store") from None
    if not isinstance(header, dict):
        raise StoreError(f"{file}: damaged (not a table); restore it or choose another --store")
    if header.get("format") != HEADER:
        raise StoreError(f"{file}: format {header.get('format')!r}, this mlbench reads {HEADER}")
    return header


def merged_header(
    store: Path,
    recipe: Mapping[str, Any],
    methods: Mapping[str, Any],
    about: Mapping[str, Any],
    proposed_by: Mapping[str, str],
) -> dict[str, Any]:
    """What the header becomes if a plan is run in a store: the methods that are new are added.

    Raises:
        StoreError: If the store belongs to another recipe, or a method of that name is another one there, or another
            version proposed its trials.
    """
    held: dict[str, Any] = {}
    proposers: dict[str, str] = {}
    if (store / "store.json").exists():
        header = read_header(store)
        _check_same(store, header["recipe"], recipe)
        held = header["methods"]
        for name in methods.keys() & held.keys():
            if held[name] != methods[name]:
                raise StoreError(
                    f"{store}: holds another method called {name!r} ({difference(held[name], methods[name])}); "
                    f"give yours another name or choose another --store"
                )
        proposers = header.get("proposed_by", {})
        _check_proposers(store, proposers, proposed_by)
    proposers |= {name: by for name, by in proposed_by.items() if name not in held}
    header = {"format": HEADER, "recipe": recipe, "methods": {**held, **methods}, **about}
    return header | ({"proposed_by": proposers} if proposers else {})


def _check_proposers(path: Path, held: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Refuse to go on with searches that another version of the sampler began: it may propose other trials."""
    for name in sorted(held.keys() & wanted.keys()):
        if held[name] != wanted[name]:
            raise StoreError(
                f"{path}: the trials of {name!r} were proposed by {held[name]}, here is {wanted[name]}, which may "
                f"propose others; pip install '{held[name].replace(' ', '==')}', or choose another --store"
            )


def _check_same(path: Path, held: Any, wanted: Any) -> None:
    if held != json.loads(json.dumps(wanted)):
        raise StoreError(
            f"{path}: belongs to another plan ({difference(held, wanted)}); "
            f"choose another folder with --store, or leave it out for one of its own"
        )
