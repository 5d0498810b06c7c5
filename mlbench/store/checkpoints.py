"""Checkpoints on disk: whole, of this run and of these versions, or set aside.

A file is one line of JSON that says whose it is, with the SHA-256 of the rest; the rest is plain data and tensors, and
reading it executes nothing.
"""

import hashlib
import io
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mlbench.api.errors import StoreError
from mlbench.store.atomic import write_bytes
from mlbench.store.differences import difference
from mlbench.store.quarantine import Quarantine, made

_FORMAT = 2
_KEPT = 2


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: Where they are; made when the first one is written.
        run: Whose they are.
        versions: Of everything that must be the same for a resumed run to end in the same bits.
        quarantine: Where a checkpoint goes that cannot be trusted.
    """

    def __init__(self, folder: Path, run: str, versions: Mapping[str, str], quarantine: Quarantine) -> None:
        self._folder = folder
        self._whose = {"format": _FORMAT, "run": run, "versions": dict(versions)}
        self._quarantine = quarantine

    def write(self, state: dict[str, Any]) -> None:
        """Keep a state; of the older ones the last stays.

        Raises:
            StoreError: If the disk is full or cannot be written.
            TypeError: If the state is more than plain data and tensors.
        """
        buffer = io.BytesIO()
        try:
            torch.save(state, buffer)
        except (pickle.PicklingError, AttributeError) as error:
            raise TypeError(str(error)) from None
        payload = buffer.getvalue()
        head = self._whose | {"sha256": hashlib.sha256(payload).hexdigest()}
        made(self._folder)
        older = self._files()
        number = int(older[-1].stem) + 1 if older else 0
        write_bytes(self._folder / f"{number:08d}.ckpt", json.dumps(head, sort_keys=True).encode() + b"\n" + payload)
        for file in older[: 1 - _KEPT]:
            file.unlink(missing_ok=True)

    def latest(self) -> tuple[dict[str, Any] | None, list[str]]:
        """The newest state that can be trusted, if there is one, and why newer ones cannot."""
        problems: list[str] = []
        for file in reversed(self._files()):
            try:
                return self._read(file), problems
            except StoreError as error:
                problems.append(str(error))
                self._quarantine.take(file, str(error))
        return None, problems

    def set_aside(self, why: str) -> None:
        """Trust none of them any more."""
        for file in self._files():
            self._quarantine.take(file, why)

    def clear(self) -> None:
        """The run has its record: nothing needs them any more."""
        for file in self._files():
            file.unlink(missing_ok=True)
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("[!.]*.ckpt"))

    def _read(self, file: Path) -> dict[str, Any]:
        line, _, payload = file.read_bytes().partition(b"\n")
        try:
            head = json.loads(line)
            checksum = head.pop("sha256")
        except (ValueError, AttributeError, KeyError):
            raise StoreError(f"{file}: not a checkpoint, or a truncated one") from None
        if head != self._whose:
            raise StoreError(f"{file}: a checkpoint of something else ({difference(head, self._whose)})")
        if hashlib.sha256(payload).hexdigest() != checksum:
            raise StoreError(f"{file}: truncated or changed (it does not match its checksum)")
        try:
            state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise StoreError(f"{file}: holds more than plain data and tensors ({reason})") from None
        return state
